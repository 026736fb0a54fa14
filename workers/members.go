package workers

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gantry-connect/gantry/activities"
	"github.com/gantry-connect/gantry/catalog"
)

const (
	shedPerSecond = 2               // moves cost a pause of tens of milliseconds each
	shedCalm      = 3 * time.Second // without comings and goings before anything is moved
	shedTicks     = 2               // in a row with too many tasks
)

// members tells the other workers of this one, and works out how many tasks each should have.
type members struct {
	config  Config
	catalog *catalog.Catalog
	slots   *slots
	log     *slog.Logger

	mu       sync.Mutex // one sign of life at a time
	draining bool
	orders   orders

	known     string    // who was there at the last look
	changedAt time.Time // when that last changed
	surplus   int       // ticks in a row with too many tasks
	shedAt    time.Time
}

// greet is the first sign of life.
func (m *members) greet(ctx context.Context, acts *activities.Activities) error {
	if err := m.say(ctx, acts); err != nil {
		return err
	}
	return m.look(ctx, acts, time.Now())
}

// run gives signs of life until ctx ends.
func (m *members) run(ctx context.Context, acts *activities.Activities) {
	tick := time.NewTicker(m.config.MemberEvery)
	defer tick.Stop()
	failing := false
	for {
		var err error
		select {
		case <-tick.C:
			err = m.say(ctx, acts)
		case <-m.slots.full: // somebody may have left since the last look
		case <-ctx.Done():
			return
		}
		if err == nil {
			err = m.look(ctx, acts, time.Now())
		}
		if err != nil && !failing && ctx.Err() == nil {
			m.log.Warn("tell the other workers of this one; tried again until it works", "error", err)
		}
		failing = err != nil
	}
}

// drain tells the others, so that their shares grow, and takes no more tasks.
func (m *members) drain(ctx context.Context, acts *activities.Activities) {
	m.slots.drain()
	m.mu.Lock()
	m.draining = true
	m.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, m.config.MemberEvery)
	defer cancel()
	if err := m.say(ctx, acts); err != nil {
		m.log.Warn("tell the other workers that this one is draining", "error", err)
	}
}

func (m *members) say(ctx context.Context, acts *activities.Activities) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second) // a late sign of life is none
	defer cancel()
	capacity := m.config.Capacity
	if acts.Orphans() > 0 {
		capacity = 0 // Temporal is out of reach, or was: nobody is to wait for this worker to take its share
	}
	return m.catalog.UpsertWorker(ctx, catalog.Worker{ID: m.config.ID, Host: m.config.Host, Group: m.config.Group,
		Capacity: capacity, Running: acts.Running(), Draining: m.draining || m.orders.cordoned, Version: m.config.Version})
}

// look reads who is there and what is wanted, and acts on it.
func (m *members) look(ctx context.Context, acts *activities.Activities, now time.Time) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	all, err := m.catalog.Workers(ctx)
	if err != nil {
		return err
	}
	hurry := m.obey(all)
	demand, err := m.catalog.GroupDemand(ctx, m.config.Group)
	if err != nil {
		return err
	}
	peers := slices.DeleteFunc(all, func(w catalog.Worker) bool {
		return w.Group != m.config.Group || w.Draining || w.ID == m.config.ID
	})
	total := m.config.Capacity
	names := make([]string, 0, len(peers))
	for _, p := range peers {
		total += p.Capacity
		names = append(names, fmt.Sprintf("%s:%d", p.ID, p.Capacity))
	}
	if known := strings.Join(names, " "); known != m.known || m.changedAt.IsZero() {
		m.known, m.changedAt = known, now
	}
	if m.orders.cordoned {
		m.handOver(acts)
		return nil
	}
	share := fairShare(demand.Wanted, m.config.Capacity, total)
	m.slots.update(share, acts.Orphans(), demand.Unowned-acts.Unclaimed())
	needy := slices.ContainsFunc(peers, func(p catalog.Worker) bool {
		return p.Running < fairShare(demand.Wanted, p.Capacity, total)
	})
	if hurry {
		m.evenOut(acts, share, needy, now)
	} else {
		m.shed(acts, share, needy, now)
	}
	return nil
}

// shed lets go of what is above the share, slowly, when somebody else has room and the company has been stable.
func (m *members) shed(acts *activities.Activities, share int, needy bool, now time.Time) {
	surplus := acts.Running() - acts.Orphans() - share
	if surplus <= 0 || !needy || now.Sub(m.changedAt) < shedCalm {
		m.surplus = 0
		return
	}
	if m.surplus++; m.surplus < shedTicks || now.Sub(m.shedAt) < time.Second {
		return
	}
	m.shedAt = now
	if n := acts.Shed(min(surplus, shedPerSecond)); n > 0 {
		m.log.Info("let go of tasks that others have room for", "tasks", n, "share", share)
	}
}
