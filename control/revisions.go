package control

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"time"

	"github.com/gantry-connect/gantry/catalog"
	"github.com/gantry-connect/gantry/secrets"
)

// Revision is one version of a connector's config.
type Revision struct {
	Number  int64     `json:"number" example:"3" doc:"From 1."`
	Class   string    `json:"class" example:"FileSource"`
	Author  string    `json:"author" example:"ana" doc:"Who made it."`
	At      time.Time `json:"at"`
	Current bool      `json:"current" doc:"It is the one in force."`
	Changed []string  `json:"changed" nullable:"false" example:"[\"tasks.max\"]" doc:"The keys that differ from the revision before."`
}

// RevisionConfig is a revision with its config.
type RevisionConfig struct {
	Revision
	Tag    Version           `json:"-"`
	Config map[string]string `json:"config" doc:"As given; references to secrets are never resolved."`
}

// Revisions is a page of revisions, newest first.
type Revisions struct {
	Items []Revision `json:"items" nullable:"false"`
	Next  string     `json:"next,omitempty" doc:"The cursor of the next page; absent on the last."`
}

// Change is one key that differs between two revisions.
type Change struct {
	Key  string  `json:"key" example:"tasks.max"`
	Kind string  `json:"kind" enum:"added,removed,changed"`
	Old  *string `json:"old,omitempty" example:"2" doc:"Absent where the key was added."`
	New  *string `json:"new,omitempty" example:"4" doc:"Absent where the key was removed."`
}

// Diff is what changed from one revision to another.
type Diff struct {
	From    int64    `json:"from" example:"2" doc:"0 is the empty config before the first revision."`
	To      int64    `json:"to" example:"3"`
	Changes []Change `json:"changes" nullable:"false" doc:"By key."`
}

// Timeline is where what was is read.
type Timeline interface {
	Revisions(ctx context.Context, uid, below int64, limit int) ([]catalog.Revision, error)
	RevisionConfig(ctx context.Context, uid, number int64) (catalog.Revision, error)
	PositionHistory(ctx context.Context, uid int64, limit int) ([]catalog.PositionVersion, error)
	UndoPositions(ctx context.Context, uid, expected, version int64, author string) (generation int64, err error)
	EventsBefore(ctx context.Context, f catalog.EventFilter, before int64, limit int) ([]catalog.Event, error)
	EventsAfter(ctx context.Context, f catalog.EventFilter, after int64, limit int) ([]catalog.Event, error)
	LastEvent(ctx context.Context) (id int64, err error)
}

// ConfigAt is the config in force.
func (s *Service) ConfigAt(ctx context.Context, name string) (RevisionConfig, error) {
	c, err := s.find(ctx, name)
	if err != nil {
		return RevisionConfig{}, err
	}
	return s.revision(ctx, c, c.Revision)
}

// ReplaceConfig puts a config into force if pre holds; where there is no connector it makes one, which created tells. A dry run
// gives the revision that would be in force: the present one if the config is the same, secrets included.
func (s *Service) ReplaceConfig(ctx context.Context, name string, config map[string]string, pre Precondition, dryRun bool, author string) (made RevisionConfig, created bool, err error) {
	name = strings.TrimSpace(name)
	made, created, err = s.replaceConfig(ctx, name, config, pre, dryRun, author)
	var exists *ExistsError
	var missing *NotFoundError
	if errors.As(err, &exists) || errors.As(err, &missing) { // somebody else has created or deleted it meanwhile
		made, created, err = s.replaceConfig(ctx, name, config, pre, dryRun, author)
	}
	return made, created, err
}

func (s *Service) replaceConfig(ctx context.Context, name string, config map[string]string, pre Precondition, dryRun bool, author string) (made RevisionConfig, created bool, err error) {
	if given, ok := config["name"]; ok && given != name {
		return RevisionConfig{}, false, nameMismatch(given, name)
	}
	now, err := s.find(ctx, name)
	var missing *NotFoundError
	exists := !errors.As(err, &missing)
	if exists && err != nil {
		return RevisionConfig{}, false, err
	}
	if err := pre.check(name, configVersion(now), exists); err != nil {
		return RevisionConfig{}, false, err
	}
	if !exists {
		return s.createConfig(ctx, Create{Name: name, Config: config, Author: author}, dryRun)
	}
	plugin, config, err := s.admitOver(name, withName(config, name), now.Config)
	if err != nil {
		return RevisionConfig{}, false, err
	}
	if dryRun {
		if string(plugin.Kind) != now.Kind {
			return RevisionConfig{}, false, translate(catalog.ErrKindFixed, name)
		}
		next := now.Revision
		if plugin.Class != now.Class || !maps.Equal(config, now.Config) { // a secret that is the same stays sealed as it is
			next++
		}
		return RevisionConfig{Revision{Number: next, Class: plugin.Class}, Version{now.UID, next}, secrets.ShownConfig(config)}, false, nil
	}
	return s.changeConfig(ctx, name, catalog.NextConfig{Class: plugin.Class, Kind: string(plugin.Kind), Config: config}, pre, author)
}

func (s *Service) createConfig(ctx context.Context, c Create, dryRun bool) (RevisionConfig, bool, error) {
	if dryRun {
		wanted, err := s.prepare(ctx, c)
		return RevisionConfig{Revision{Number: 1, Class: wanted.Class}, Version{Number: 1}, secrets.ShownConfig(wanted.Config)}, true, err
	}
	made, err := s.create(ctx, c)
	if err != nil {
		return RevisionConfig{}, false, err
	}
	r, err := s.revision(ctx, made, made.Revision)
	return r, true, err
}

func (s *Service) changeConfig(ctx context.Context, name string, next catalog.NextConfig, pre Precondition, author string) (RevisionConfig, bool, error) {
	c, err := s.connectors.ChangeConfig(ctx, name, author, func(now catalog.Connector) (catalog.NextConfig, error) {
		return next, pre.check(name, configVersion(now), true)
	})
	var changed *ChangedError
	if errors.As(err, &changed) {
		return RevisionConfig{}, false, changed
	}
	if err != nil {
		return RevisionConfig{}, false, translate(err, name)
	}
	s.tell(ctx, name)
	r, err := s.revision(ctx, c, c.Revision)
	return r, false, err
}

// revision reads one revision of c together with what it changed.
func (s *Service) revision(ctx context.Context, c catalog.Connector, number int64) (RevisionConfig, error) {
	r, err := s.revisionOf(ctx, c, number)
	if err != nil {
		return RevisionConfig{}, err
	}
	before, err := s.revisionOf(ctx, c, number-1)
	if err != nil {
		return RevisionConfig{}, err
	}
	return RevisionConfig{revisionInfo(c, r, before), Version{c.UID, r.Number}, secrets.ShownConfig(r.Config)}, nil
}

// revisionOf reads a revision; number 0 is the empty config before the first.
func (s *Service) revisionOf(ctx context.Context, c catalog.Connector, number int64) (catalog.Revision, error) {
	if number == 0 {
		return catalog.Revision{}, nil
	}
	r, err := s.connectors.RevisionConfig(ctx, c.UID, number)
	if errors.Is(err, catalog.ErrNotFound) {
		return r, &NotFoundError{fmt.Sprintf("Connector %s has no revision %d: the newest is %d", c.Name, number, c.Revision)}
	}
	return r, translate(err, c.Name)
}

func revisionInfo(c catalog.Connector, r, before catalog.Revision) Revision {
	info := Revision{Number: r.Number, Class: r.Class, Author: r.Author, At: r.At, Current: r.Number == c.Revision, Changed: []string{}}
	for _, change := range r.Diff(before) {
		info.Changed = append(info.Changed, change.Key)
	}
	return info
}

// Revisions is a page of the configs that a connector has had, newest first.
func (s *Service) Revisions(ctx context.Context, name string, p Page) (Revisions, error) {
	c, err := s.find(ctx, name)
	if err != nil {
		return Revisions{}, err
	}
	below, err := cursorNumber(p.Cursor)
	if err != nil {
		return Revisions{}, err
	}
	all, err := s.connectors.Revisions(ctx, c.UID, below, p.Limit+1) // the last on the page is compared with the one before it
	if err != nil {
		return Revisions{}, translate(err, name)
	}
	out := Revisions{Items: []Revision{}}
	for i, r := range all[:min(len(all), p.Limit)] {
		var before catalog.Revision
		if i+1 < len(all) {
			before = all[i+1]
		}
		out.Items = append(out.Items, revisionInfo(c, r, before))
	}
	if len(all) > p.Limit {
		out.Next = strconv.FormatInt(out.Items[p.Limit-1].Number, 10)
	}
	return out, nil
}

// cursorNumber reads a cursor that is a number; 0 if there is none.
func cursorNumber(cursor string) (int64, error) {
	if cursor == "" {
		return 0, nil
	}
	n, err := strconv.ParseInt(cursor, 10, 64)
	if err != nil || n < 1 {
		return 0, &RequestError{Reason: fmt.Sprintf("cursor = %q: take it from next of the page before", cursor), Field: "cursor", Value: cursor,
			Remedy: "Leave it out to begin with the first page."}
	}
	return n, nil
}

// Revision is one config that a connector has had.
func (s *Service) Revision(ctx context.Context, name string, number int64) (RevisionConfig, error) {
	c, err := s.find(ctx, name)
	if err != nil {
		return RevisionConfig{}, err
	}
	return s.revision(ctx, c, number)
}

// DiffRevisions is what changed from one revision to another; 0 is the empty config before the first.
func (s *Service) DiffRevisions(ctx context.Context, name string, from, to int64) (Diff, error) {
	c, err := s.find(ctx, name)
	if err != nil {
		return Diff{}, err
	}
	after, err := s.revisionOf(ctx, c, to) // first: from may be what follows from it
	if err != nil {
		return Diff{}, err
	}
	before, err := s.revisionOf(ctx, c, from)
	if err != nil {
		return Diff{}, err
	}
	d := Diff{From: from, To: to, Changes: []Change{}}
	for _, change := range after.Diff(before) {
		kind := "changed"
		switch {
		case change.Old == nil:
			kind = "added"
		case change.New == nil:
			kind = "removed"
		}
		d.Changes = append(d.Changes, Change{Key: change.Key, Kind: kind, Old: shown(change.Old), New: shown(change.New)})
	}
	return d, nil
}

// shown is a value as it may be shown: two secrets that differ look alike.
func shown(value *string) *string {
	if value == nil {
		return nil
	}
	text := secrets.Shown(*value, false)
	return &text
}

// Rollback puts the config of an old revision into force again, as a new revision. What was right then may be wrong now:
// it is checked like any config.
func (s *Service) Rollback(ctx context.Context, name string, number int64, pre Precondition, author string) (RevisionConfig, error) {
	c, err := s.find(ctx, name)
	if err != nil {
		return RevisionConfig{}, err
	}
	old, err := s.revisionOf(ctx, c, number)
	if err != nil {
		return RevisionConfig{}, err
	}
	plugin, config, err := s.admitOver(name, old.Config, c.Config)
	if err != nil {
		return RevisionConfig{}, err
	}
	r, _, err := s.changeConfig(ctx, name, catalog.NextConfig{Class: plugin.Class, Kind: string(plugin.Kind), Config: config}, pre.of(c.UID), author)
	return r, err
}
