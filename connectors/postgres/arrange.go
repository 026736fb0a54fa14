package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"unsafe"

	"github.com/gantry-connect/gantry/connector"
)

// group is rows of one shape that go to the target in one statement. A row is the index of its record in the batch; -1
// is a row that a later record of the batch has taken back.
type group struct {
	shape *shape
	rows  []int32
}

// stage is a step within one table: first the truncate, then the deletes, then the writes. Each key is in it once at
// most, so that the order within the sets does not matter.
type stage struct {
	table    *table
	truncate bool
	deletes  []*group
	writes   []*group
	slots    map[string]slot // by key; nil when rows are only appended
}

// slot is where a key stands in its stage.
type slot struct {
	group   *group // that writes its row; nil if none does
	at      int
	deleted bool // its old row is deleted first
}

// arranger sorts a batch into stages, keeping the order of what happens to each key. It is reused, batch after batch.
type arranger struct {
	tables  *tables
	config  *Config
	stages  []*stage
	open    map[name]*stage // the last stage of each table
	keys    []byte          // memory of the slots' keys
	single  bool            // every record has a stage of its own
	ignored func(op connector.Op)

	last      shapeKey // of the record before, whose shape is most often the next one's too
	lastShape *shape
	appending *group // where the record before was appended, if the next one may be too
}

// arrange gives the steps that bring records into the target, in order. No transaction may be open.
func (a *arranger) arrange(ctx context.Context, records []connector.Record, single bool) ([]*stage, error) {
	if err := a.tables.trim(ctx); err != nil {
		return nil, err
	}
	a.stages, a.open, a.keys, a.single = nil, map[name]*stage{}, a.keys[:0], single
	a.last, a.lastShape, a.appending = shapeKey{}, nil, nil
	for i := range records {
		if err := a.add(ctx, &records[i], int32(i)); err != nil {
			var fault *recordFault
			if errors.As(err, &fault) {
				err = &connector.RecordError{Index: i, Err: err}
			}
			return nil, err
		}
	}
	return a.stages, nil
}

func (a *arranger) add(ctx context.Context, r *connector.Record, i int32) error {
	switch r.Op {
	case connector.Insert, connector.Update, connector.Read:
		return a.write(ctx, r, i)
	}
	a.appending = nil
	if !a.config.Delete {
		a.ignored(r.Op)
		return nil
	}
	if r.Op == connector.Truncate {
		return a.truncate(ctx, r)
	}
	if r.Op != connector.Delete && r.Op != connector.Tombstone {
		return &recordFault{fmt.Errorf("unknown operation %v", r.Op)}
	}
	return a.delete(ctx, r, i)
}

func (a *arranger) find(ctx context.Context, k shapeKey) (*shape, error) {
	if a.lastShape != nil && k == a.last {
		return a.lastShape, nil
	}
	s, err := a.tables.shape(ctx, k)
	a.last, a.lastShape = k, s
	return s, err
}

// stage is the open stage of a table, or a new one.
func (a *arranger) stage(t *table, fresh bool) *stage {
	s := a.open[t.name]
	if s == nil || fresh || a.single {
		s = &stage{table: t}
		if a.config.InsertMode != modeInsert {
			s.slots = map[string]slot{}
		}
		a.open[t.name] = s
		a.stages = append(a.stages, s)
	}
	return s
}

func (a *arranger) truncate(ctx context.Context, r *connector.Record) error {
	n, err := a.tables.nameOf(r.Topic, nil, nil)
	if err != nil {
		return &recordFault{err}
	}
	t, err := a.tables.existing(ctx, n)
	if err == nil && t != nil { // a table that is not there has no rows
		a.stage(t, true).truncate = true
	}
	return err
}

func (a *arranger) write(ctx context.Context, r *connector.Record, i int32) error {
	k := shapeKey{topic: r.Topic, row: r.After.Schema, purpose: purposes[a.config.InsertMode]}
	if a.config.PKMode == pkKey {
		k.key = r.Key.Schema
	}
	sh, err := a.find(ctx, k)
	if err != nil {
		return err
	}
	if err := sh.checkRow(&r.Key, &r.After); err != nil {
		return &recordFault{err}
	}
	if g := a.appending; g != nil && g.shape == sh && !a.single {
		g.rows = append(g.rows, i)
		return nil
	}
	st := a.stage(sh.table, false)
	if st.slots == nil {
		a.appending, _ = st.append(&st.writes, sh, i)
		return nil
	}
	key, err := a.key(sh, r.Key.Value, r.After.Value)
	if err != nil {
		return err
	}
	if k.purpose == forUpsert && a.config.PKMode == pkValue && r.Op == connector.Update && !r.Before.Value.IsNull() {
		if st, err = a.moveAway(ctx, r, i, key, st); err != nil {
			return err
		}
	}
	a.put(st, sh, key, i)
	return nil
}

// put gives the key's row to record i. A row of another shape must be written before it, because it may have columns
// that this one lacks.
func (a *arranger) put(st *stage, sh *shape, key string, i int32) {
	s, known := st.slots[key]
	switch {
	case known && s.group != nil && s.group.shape == sh:
		s.group.rows[s.at] = i
		return
	case known && s.group != nil:
		st = a.stage(sh.table, true)
		s = slot{}
	case s.deleted && a.config.InsertMode == modeUpdate:
		return // there is no row to change any more
	}
	s.group, s.at = st.append(&st.writes, sh, i)
	st.slots[key] = s
}

// moveAway deletes the row under the key that an update has changed.
func (a *arranger) moveAway(ctx context.Context, r *connector.Record, i int32, key string, st *stage) (*stage, error) {
	sh, err := a.find(ctx, shapeKey{topic: r.Topic, row: r.Before.Schema, purpose: forDelete})
	if err != nil {
		return st, err
	}
	if err := sh.checkRow(&r.Key, &r.Before); err != nil {
		return st, &recordFault{err}
	}
	old, err := a.key(sh, r.Key.Value, r.Before.Value)
	if err != nil || old == key {
		return st, err
	}
	a.remove(st, sh, old, i)
	return st, nil
}

func (a *arranger) delete(ctx context.Context, r *connector.Record, i int32) error {
	k := shapeKey{topic: r.Topic, purpose: forDelete}
	switch {
	case a.config.PKMode == pkKey:
		k.key = r.Key.Schema
	case r.Before.Present():
		k.row = r.Before.Schema
	case r.Key.Present():
		k.row, k.key = r.Key.Schema, r.Key.Schema
	default:
		return &recordFault{fmt.Errorf("a %v without key and value before it", r.Op)}
	}
	sh, err := a.find(ctx, k)
	if err != nil {
		return err
	}
	if err := sh.checkRow(&r.Key, &r.Before); err != nil {
		return &recordFault{err}
	}
	st := a.stage(sh.table, false)
	if st.slots == nil { // rows are appended: what is deleted must be in the table
		if len(st.writes) > 0 {
			st = a.stage(sh.table, true)
		}
		st.append(&st.deletes, sh, i)
		return nil
	}
	key, err := a.key(sh, r.Key.Value, r.Before.Value)
	if err == nil {
		a.remove(st, sh, key, i)
	}
	return err
}

// remove takes back what the stage writes under the key, and deletes the row that was there before.
func (a *arranger) remove(st *stage, sh *shape, key string, i int32) {
	s := st.slots[key]
	if s.group != nil {
		s.group.rows[s.at] = -1
	}
	if !s.deleted {
		st.append(&st.deletes, sh, i)
	}
	st.slots[key] = slot{deleted: true}
}

// key is the primary key's binary form. It lives as long as the batch's stages.
func (a *arranger) key(sh *shape, key, row connector.Value) (string, error) {
	at := len(a.keys)
	keys, err := sh.appendKey(a.keys, key, row)
	if err != nil {
		return "", &recordFault{err}
	}
	a.keys = keys
	return unsafe.String(unsafe.SliceData(keys[at:]), len(keys)-at), nil // nobody writes there before the next batch
}

// append adds a row to the group of its shape.
func (st *stage) append(groups *[]*group, sh *shape, i int32) (*group, int) {
	at := slices.IndexFunc(*groups, func(g *group) bool { return g.shape == sh })
	if at < 0 {
		at = len(*groups)
		*groups = append(*groups, &group{shape: sh})
	}
	g := (*groups)[at]
	g.rows = append(g.rows, i)
	return g, len(g.rows) - 1
}
