package activities

import (
	"context"
	"maps"
	"sync"
	"time"

	"github.com/gantry-connect/gantry/catalog"
)

// wake has the connector's workflow look at the catalog, because it runs a task that the catalog does not know, or only with another
// plan: it has been restored from an older copy, say. Neither the workflow nor the schedule would find out.
func (t *turn) wake(ctx context.Context, p plan) {
	known := p.conn.UID != 0
	if known && p.conn.Desired != catalog.StateRunning {
		return // of which the workflow is told, or the schedule is about to tell it
	}
	if !t.a.wakes.due(t.in.UID, time.Now()) {
		return
	}
	wctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), noteWithin)
	defer cancel()
	if err := t.a.Starter.Reconcile(wctx, t.in.Connector); err != nil {
		t.log.Warn("wake the connector's workflow; tried again with the task", "error", err)
	}
}

// wakeIfUnknown looks at the catalog before it wakes the workflow. A turn that ends because of what the catalog says does so at once:
// there may not be another one, because nobody has room for a task that is in no plan.
func (t *turn) wakeIfUnknown(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), noteWithin)
	defer cancel()
	if p, wanted, err := t.lookUp(ctx); err == nil && !wanted {
		t.wake(ctx, p)
	}
}

// wakes is when workflows were last woken by tasks, by the connector's uid: those of one connector need not each do it.
type wakes struct {
	mu   sync.Mutex
	last map[int64]time.Time
}

// wakeEvery is how often a worker wakes one connector's workflow.
const wakeEvery = 20 * time.Second

func (w *wakes) due(uid int64, now time.Time) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	maps.DeleteFunc(w.last, func(_ int64, at time.Time) bool { return now.Sub(at) >= wakeEvery })
	if _, ok := w.last[uid]; ok {
		return false
	}
	w.last[uid] = now
	return true
}
