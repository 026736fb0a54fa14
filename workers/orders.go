package workers

import (
	"slices"
	"time"

	"github.com/gantry-connect/gantry/activities"
	"github.com/gantry-connect/gantry/catalog"
)

// handedOverAtOnce is how many tasks a worker that was told to drain lets go of with each look: others have to take them up.
const handedOverAtOnce = 5

// orders is what operators want of this worker, as its row in the catalog had it at the last look.
type orders struct {
	known        bool
	cordoned     bool
	rebalanceSeq int64
}

// read takes over what the worker's own row says; hurry reports that it is to compare its share at once. The first look only
// learns where things stand.
func (o *orders) read(own catalog.Worker) (changed, hurry bool) {
	changed = o.cordoned != own.Cordoned
	hurry = o.known && own.RebalanceSeq != o.rebalanceSeq
	*o = orders{known: true, cordoned: own.Cordoned, rebalanceSeq: own.RebalanceSeq}
	return changed, hurry
}

// obey reads the orders from the list of workers; hurry reports that the share is to be compared at once.
func (m *members) obey(all []catalog.Worker) (hurry bool) {
	own := slices.IndexFunc(all, func(w catalog.Worker) bool { return w.ID == m.config.ID })
	if own < 0 {
		return false // a sign of life comes with the next tick
	}
	m.mu.Lock()
	changed, hurry := m.orders.read(all[own])
	cordoned := m.orders.cordoned
	m.mu.Unlock()
	if changed {
		m.log.Info("an operator has told this worker to hand over its tasks, or to take some again", "cordoned", cordoned)
	}
	return hurry
}

// handOver lets go of tasks because the worker was told to drain, whether others have room or not.
func (m *members) handOver(acts *activities.Activities) {
	m.slots.update(0, acts.Orphans(), 0)
	if n := acts.Shed(handedOverAtOnce); n > 0 {
		m.log.Info("let go of tasks because an operator wants this worker to drain", "tasks", n)
	}
}

// evenOut lets go of everything above the share, because an operator does not want to wait.
func (m *members) evenOut(acts *activities.Activities, share int, needy bool, now time.Time) {
	surplus := acts.Running() - acts.Orphans() - share
	if surplus <= 0 || !needy {
		return
	}
	m.shedAt = now
	if n := acts.Shed(surplus); n > 0 {
		m.log.Info("let go of tasks because an operator asked to rebalance", "tasks", n, "share", share)
	}
}
