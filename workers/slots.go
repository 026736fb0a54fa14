package workers

import (
	"context"
	"fmt"
	"sync"

	"go.temporal.io/sdk/worker"
)

// slots lets the worker poll for a task only while it has room for one: below its fair share, or below its capacity
// while a task that is wanted has no owner. A poll that is open already cannot be called back, and one that a frozen worker
// has left open swallows a task; so none is opened without a reason.
type slots struct {
	capacity int

	mu       sync.Mutex
	used     int // permits given, most of them for tasks that run
	share    int
	extra    int // tasks that copy on although Temporal counts them no more
	unowned  int // wanted tasks without an owner, as far as this worker has not taken them since
	draining bool
	changed  chan struct{} // closed and replaced when something above changes

	full chan struct{} // capacity 1: there is no room; perhaps the share has grown
}

func newSlots(capacity int) *slots {
	return &slots{capacity: capacity, share: capacity, changed: make(chan struct{}), full: make(chan struct{}, 1)}
}

// update takes over what the catalog says.
func (s *slots) update(share, extra, unowned int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.share, s.extra, s.unowned = share, extra, unowned
	s.wake()
}

// drain gives no permit any more.
func (s *slots) drain() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.draining = true
	s.wake()
}

func (s *slots) wake() {
	close(s.changed)
	s.changed = make(chan struct{})
}

func (s *slots) state() (share int, draining bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.share, s.draining
}

func (s *slots) hasRoom() bool {
	return !s.draining && s.used < s.capacity+s.extra && (s.used-s.extra < s.share || s.unowned > 0)
}

// ReserveSlot waits for room.
func (s *slots) ReserveSlot(ctx context.Context, _ worker.SlotReservationInfo) (*worker.SlotPermit, error) {
	for asked := false; ; asked = true {
		s.mu.Lock()
		if s.hasRoom() {
			s.used++
			s.mu.Unlock()
			return &worker.SlotPermit{}, nil
		}
		changed := s.changed
		s.mu.Unlock()
		if !asked {
			select {
			case s.full <- struct{}{}:
			default:
			}
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// TryReserveSlot is for eager tasks, which there are none of.
func (s *slots) TryReserveSlot(worker.SlotReservationInfo) *worker.SlotPermit { return nil }

// MarkSlotUsed notes that a task has come: there is one less without an owner.
func (s *slots) MarkSlotUsed(worker.SlotMarkUsedInfo) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unowned = max(s.unowned-1, 0)
}

// ReleaseSlot takes a permit back, used or not.
func (s *slots) ReleaseSlot(worker.SlotReleaseInfo) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.used--
	s.wake()
}

// MaxSlots is the capacity.
func (s *slots) MaxSlots() int { return s.capacity }

func (s *slots) tuner() (worker.WorkerTuner, error) {
	one := func() (worker.SlotSupplier, error) { return worker.NewFixedSizeSlotSupplier(1) }
	options := worker.CompositeTunerOptions{ActivitySlotSupplier: s}
	for _, supplier := range []*worker.SlotSupplier{&options.WorkflowSlotSupplier, &options.LocalActivitySlotSupplier,
		&options.NexusSlotSupplier, &options.SessionActivitySlotSupplier} {
		var err error
		if *supplier, err = one(); err != nil { // kinds that this worker does not run
			return nil, fmt.Errorf("make the task worker's slots: %w", err)
		}
	}
	return worker.NewCompositeTuner(options)
}

// fairShare is how many of the wanted tasks a worker of this capacity should have.
func fairShare(wanted, capacity, total int) int {
	if total <= 0 {
		return capacity
	}
	return min(capacity, (wanted*capacity+total-1)/total)
}
