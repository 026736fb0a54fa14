package control

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/gantry-connect/gantry/catalog"
)

// Verb is what a bulk operation does to each connector.
type Verb string

// The verbs.
const (
	VerbPause   Verb = "pause"
	VerbResume  Verb = "resume"
	VerbStop    Verb = "stop"
	VerbRestart Verb = "restart"
	VerbDelete  Verb = "delete"
)

// Verbs are all verbs.
var Verbs = []Verb{VerbPause, VerbResume, VerbStop, VerbRestart, VerbDelete}

// Bulk asks for one verb on many connectors.
type Bulk struct {
	Verb     Verb
	Selector string // of labels
	Names    []string
	All      bool // needed where neither a selector nor names are given
	DryRun   bool
	Author   string
}

// BulkItem is what became of one connector.
type BulkItem struct {
	Name    string `json:"name" example:"flights-in"`
	Outcome string `json:"outcome" enum:"accepted,unchanged,would change,failed" doc:"unchanged: it was like that already."`
	Code    string `json:"code,omitempty" example:"deleting" doc:"Of the problem, where it failed."`
	Detail  string `json:"detail,omitempty" doc:"Why it failed."`
}

// BulkResult is what became of all.
type BulkResult struct {
	Verb    Verb       `json:"verb" enum:"pause,resume,stop,restart,delete"`
	DryRun  bool       `json:"dry_run"`
	Matched int        `json:"matched" example:"1"`
	Failed  int        `json:"failed"`
	Items   []BulkItem `json:"items" nullable:"false" doc:"By name."`
}

// The outcomes of BulkItem.
const (
	outcomeAccepted  = "accepted"
	outcomeUnchanged = "unchanged"
	outcomeWould     = "would change"
	outcomeFailed    = "failed"
)

// Bulk does one verb to every connector that the caller may see, that the selector matches and, where names are given, that
// is named. A name that there is no connector for is an item that failed.
func (s *Service) Bulk(ctx context.Context, b Bulk) (BulkResult, error) {
	sel, err := parseSelector(b.Selector)
	if err != nil {
		return BulkResult{}, err
	}
	if sel.IsEmpty() && len(b.Names) == 0 && !b.All {
		return BulkResult{}, &RequestError{Reason: "nothing says which connectors: give a selector, names, or all=true for every one", Field: "selector",
			Remedy: "Add selector=…, name=… or all=true to the query."}
	}
	all, err := s.connectors.Connectors(ctx)
	if err != nil {
		return BulkResult{}, translate(err, "")
	}
	result := BulkResult{Verb: b.Verb, DryRun: b.DryRun, Items: []BulkItem{}}
	missing := map[string]bool{}
	for _, name := range b.Names {
		missing[name] = true
	}
	var chosen []catalog.Connector
	for _, c := range all {
		if c.Desired == catalog.StateDeleted || !sees(ctx, c) || (len(b.Names) > 0 && !missing[c.Name]) {
			continue
		}
		delete(missing, c.Name)
		if sel.Matches(c.Labels) {
			chosen = append(chosen, c)
		}
	}
	for _, item := range s.bulkAll(ctx, chosen, b) {
		result.add(item)
	}
	for name := range missing {
		result.add(failedItem(name, &NotFoundError{"Connector " + name + " not found"}))
	}
	slices.SortFunc(result.Items, func(a, b BulkItem) int { return cmp.Compare(a.Name, b.Name) })
	return result, nil
}

// bulkAtOnce is how many connectors are changed side by side: telling a workflow takes a while, and a request may concern hundreds.
const bulkAtOnce = 8

func (s *Service) bulkAll(ctx context.Context, chosen []catalog.Connector, b Bulk) []BulkItem {
	items := make([]BulkItem, len(chosen))
	var g errgroup.Group // owns all calls
	g.SetLimit(bulkAtOnce)
	for i, c := range chosen {
		g.Go(func() error {
			items[i] = s.bulkOne(ctx, c, b)
			return nil
		})
	}
	_ = g.Wait() // what fails is an item
	return items
}

func (r *BulkResult) add(item BulkItem) {
	r.Items = append(r.Items, item)
	r.Matched++
	if item.Outcome == outcomeFailed {
		r.Failed++
	}
}

// wants is the state that a verb sets; restart sets none.
var wants = map[Verb]catalog.State{VerbPause: catalog.StatePaused, VerbResume: catalog.StateRunning, VerbStop: catalog.StateStopped,
	VerbDelete: catalog.StateDeleted}

func (s *Service) bulkOne(ctx context.Context, c catalog.Connector, b Bulk) BulkItem {
	switch {
	case wants[b.Verb] == c.Desired:
		return BulkItem{Name: c.Name, Outcome: outcomeUnchanged}
	case b.DryRun:
		return BulkItem{Name: c.Name, Outcome: outcomeWould}
	}
	var err error
	switch b.Verb {
	case VerbRestart:
		_, err = s.Restart(ctx, c.Name, Restart{IncludeTasks: true}, b.Author)
	case VerbDelete:
		err = s.DeleteWith(ctx, c.Name, Deletion{Positions: true}, Precondition{}, b.Author)
	default:
		err = s.want(ctx, c.Name, wants[b.Verb], b.Author)
	}
	if err != nil {
		return failedItem(c.Name, err)
	}
	return BulkItem{Name: c.Name, Outcome: outcomeAccepted}
}

func failedItem(name string, err error) BulkItem {
	item := BulkItem{Name: name, Outcome: outcomeFailed, Code: "internal", Detail: err.Error()}
	var notFound *NotFoundError
	var conflict *ConflictError
	switch {
	case errors.As(err, &notFound):
		item.Code = "not-found"
	case errors.As(err, &conflict):
		item.Code = "conflict"
	case errors.Is(err, ErrUnavailable):
		item.Code, item.Detail = "unavailable", ErrUnavailable.Error()
	}
	return item
}
