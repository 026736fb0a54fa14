package transforms

import (
	"fmt"

	"github.com/gantry-connect/gantry/connector"
)

// Chain is the transforms of one connector, in order. It keeps caches, so one goroutine at a time uses it; make one for
// each.
type Chain struct{ steps []step }

// step is one alias of a chain.
type step struct {
	alias, class string
	transform    transform
	when         predicate // nil: always
	negate       bool
}

// transform changes a record that the caller owns. What values share, lists and texts, it leaves as it is. A record that
// is not kept is to be left out.
type transform interface {
	apply(rec *connector.Record) (keep bool, err error)
}

// predicate says whether a transform concerns a record.
type predicate interface {
	holds(rec *connector.Record) bool
}

// Len is the number of transforms.
func (c *Chain) Len() int { return len(c.steps) }

// Apply changes rec, which the caller owns, by each transform in turn; memory that its values share stays as it is, and
// so do Partition, Mark, Time and transaction. keep false says that a transform left the record out. An error names the
// transform and says that the record is bad; rec is then as the transforms before that one made it. A source's record
// has its topic in Topic, also where that is the connector's own.
func (c *Chain) Apply(rec *connector.Record) (keep bool, err error) {
	for i := range c.steps {
		if keep, err = c.steps[i].apply(rec); !keep || err != nil {
			return keep, err
		}
	}
	return true, nil
}

// Steps is Apply for those who want to watch: seen is called after each transform with the record as it is then, whether
// it is still kept and what went wrong, also where the transform's predicate left the record alone. The last call is the
// one that did not keep the record or that has an error. seen may keep a copy of *rec: later transforms change the copy's
// fields, not what they refer to.
func (c *Chain) Steps(rec *connector.Record, seen func(alias string, rec *connector.Record, kept bool, err error)) {
	for i := range c.steps {
		keep, err := c.steps[i].apply(rec)
		seen(c.steps[i].alias, rec, keep, err)
		if !keep || err != nil {
			return
		}
	}
}

func (s *step) apply(rec *connector.Record) (bool, error) {
	if s.when != nil && s.when.holds(rec) == s.negate {
		return true, nil
	}
	keep, err := s.transform.apply(rec)
	if err != nil {
		return false, fmt.Errorf("transforms.%s (%s): %w", s.alias, s.class, err)
	}
	return keep, nil
}

// side is the part of a record that a transform works on.
type side uint8

const (
	onValue side = iota // After and Before, each by itself
	onKey
)

// mapper makes a new datum of a record's key or of one of its images.
type mapper interface {
	remake(rec *connector.Record, d connector.Datum) (connector.Datum, error)
}

// remade is the transform that puts what a mapper makes in the place of what was there. Where there is nothing, as in a
// tombstone's value, it does nothing.
type remade struct {
	on side
	by mapper
}

func (r *remade) apply(rec *connector.Record) (bool, error) {
	if r.on == onKey {
		key, err := r.made(rec, rec.Key)
		if err == nil {
			rec.Key = key
		}
		return true, err
	}
	after, err := r.made(rec, rec.After)
	if err != nil {
		return false, err
	}
	before, err := r.made(rec, rec.Before)
	if err != nil {
		return false, err // with rec as it was
	}
	rec.After, rec.Before = after, before
	return true, nil
}

func (r *remade) made(rec *connector.Record, d connector.Datum) (connector.Datum, error) {
	if !d.Present() {
		return d, nil
	}
	return r.by.remake(rec, d)
}

// image is the part of a record that a transform reads: the key, or the value, which is After, or Before where there is no
// After.
func (s side) image(rec *connector.Record) connector.Datum {
	switch {
	case s == onKey:
		return rec.Key
	case rec.After.Present():
		return rec.After
	}
	return rec.Before
}
