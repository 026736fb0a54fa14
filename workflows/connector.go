package workflows

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"
)

// Connector makes what the catalog wants true for one connector, for as long as the connector exists: it looks at the
// catalog when a signal or one of its tasks gives it reason to, acts, and waits. What it is told in between only makes
// it look again, so a lost or repeated signal does no harm.
//
// It returns when the connector has been deleted. When it is cancelled its tasks drain first.
func Connector(ctx workflow.Context, state ConnectorState) error {
	c := &connectorRun{state: state, tasks: map[int]*child{}}
	if err := c.setup(ctx); err != nil {
		return err
	}
	return c.run(ctx)
}

// connectorRun is one run of Connector.
type connectorRun struct {
	state   ConnectorState
	wanted  LoadConnectorResult // as last read
	tasks   map[int]*child      // that have not ended, by number; never ranged over
	watcher *watcher

	dirty    bool // something may have changed: look at the catalog
	replan   bool // even if the config is the same
	misshown bool // the catalog shows another state
	roll     bool // continue as new when quiet
	pumping  bool // a signal is being obeyed
	shown    connectorLabels
	signals  map[string]workflow.ReceiveChannel // never ranged over
}

// connectorLabels are the search attributes that are set.
type connectorLabels struct {
	class, kind string
	state       State
}

// signalNames is the order in which signals that came together are looked at; see takeVerb for what that means.
var signalNames = []string{SignalTask, SignalReconcile, SignalRoll, SignalRestart,
	SignalDelete, SignalStop, SignalPause, SignalResume}

var signalDescriptions = map[string]string{
	SignalTask:      "Sent by tasks whose state has changed.",
	SignalReconcile: "Look at the catalog and make what it wants true.",
	SignalRoll:      "Drain the tasks and continue as new, with an empty history.",
	SignalRestart:   `Plan again and restart the tasks; {"task": n}, {"tasks": false}, {"onlyFailed": true}.`,
	SignalDelete:    "Stop the tasks and forget the connector with its positions.",
	SignalStop:      "End the tasks; positions stay.",
	SignalPause:     "Let the tasks rest until resumed.",
	SignalResume:    "Run again after pause or stop.",
}

func (c *connectorRun) setup(ctx workflow.Context) error {
	c.signals = make(map[string]workflow.ReceiveChannel, len(signalNames))
	for _, name := range signalNames {
		c.signals[name] = workflow.GetSignalChannelWithOptions(ctx, name,
			workflow.SignalChannelOptions{Description: signalDescriptions[name]})
	}
	err := workflow.SetQueryHandlerWithOptions(ctx, QueryStatus, func() (ConnectorStatus, error) { return c.state, nil },
		workflow.QueryHandlerOptions{Description: "What is wanted, what runs, and why something does not."})
	if err != nil {
		return fmt.Errorf("set the handler of query %s: %w", QueryStatus, err)
	}
	err = workflow.SetQueryHandlerWithOptions(ctx, QueryPlan, func() ([]PlannedTask, error) { return c.plan(), nil },
		workflow.QueryHandlerOptions{Description: "The tasks of the plan that is in force."})
	if err != nil {
		return fmt.Errorf("set the handler of query %s: %w", QueryPlan, err)
	}
	if c.state.State == "" {
		c.state.State = Unassigned
	}
	c.show(ctx)
	workflow.Go(ctx, c.pump)
	workflow.GoNamed(ctx, "progress", c.listen)
	return nil
}

func (c *connectorRun) run(ctx workflow.Context) error {
	for c.dirty = true; ; {
		err := workflow.Await(ctx, func() bool { return c.dirty || c.rollDue(ctx) })
		if err != nil {
			return c.canceled(ctx)
		}
		if !c.dirty {
			return c.continueAsNew(ctx)
		}
		c.dirty = false
		gone, err := c.reconcile(ctx)
		switch {
		case ctx.Err() != nil:
			return c.canceled(ctx)
		case errors.Is(err, errOvertaken):
			c.dirty = true
		case err != nil:
			c.become(ctx, Failed, cause(err))
		case gone && c.quiet() && !c.dirty:
			return nil
		case gone:
			c.dirty = true // perhaps a connector of the same name was created meanwhile
		}
	}
}

// rollDue reports whether the history should be left behind.
func (c *connectorRun) rollDue(ctx workflow.Context) bool {
	return c.quiet() && (c.roll || workflow.GetInfo(ctx).GetContinueAsNewSuggested())
}

// quiet reports whether no signal is waiting or being obeyed.
func (c *connectorRun) quiet() bool { return !c.pumping && !c.signalled() }

// continueAsNew stops the tasks first: the children of a run that ends would be lost to the next one.
func (c *connectorRun) continueAsNew(ctx workflow.Context) error {
	c.unwatch()
	if err := c.stop(ctx, c.running()); err != nil {
		return c.canceled(ctx)
	}
	if err := workflow.Await(ctx, c.quiet); err != nil {
		return err
	}
	return workflow.NewContinueAsNewError(ctx, ConnectorType, c.state)
}

// canceled waits for the tasks, which are cancelled with the workflow.
func (c *connectorRun) canceled(ctx workflow.Context) error {
	free, cancel := workflow.NewDisconnectedContext(ctx)
	defer cancel()
	if err := c.stop(free, c.running()); err != nil {
		return err
	}
	return temporal.NewCanceledError()
}

// pump obeys signals as they come, one after the other, whatever the reconciling is waiting for.
func (c *connectorRun) pump(ctx workflow.Context) {
	for {
		if err := workflow.Await(ctx, c.signalled); err != nil {
			return
		}
		c.pumping = true
		c.obey(ctx)
		c.pumping = false
	}
}

func (c *connectorRun) signalled() bool {
	return slices.ContainsFunc(signalNames, func(name string) bool { return c.signals[name].Len() > 0 })
}

// obey takes every signal that has arrived.
func (c *connectorRun) obey(ctx workflow.Context) {
	for report := (TaskReport{}); c.signals[SignalTask].ReceiveAsync(&report); report = (TaskReport{}) {
		c.reported(ctx, report)
	}
	for c.signals[SignalReconcile].ReceiveAsync(nil) {
		c.dirty = true
	}
	for c.signals[SignalRoll].ReceiveAsync(nil) {
		c.roll = true
	}
	for verb := (Verb{}); c.signals[SignalRestart].ReceiveAsync(&verb); verb = (Verb{}) {
		c.ask(ctx, SignalRestart, verb)
	}
	if name, verb, conflict := c.takeVerb(); name != "" {
		c.ask(ctx, name, verb)
		if conflict != "" {
			c.refuse(ctx, conflict)
		}
	}
}

// takeVerb takes all signals that set what is wanted. When different ones have come together, which happens only while
// no worker or no catalog is there, their order is not known: the one that copies least and keeps most wins.
func (c *connectorRun) takeVerb() (name string, verb Verb, conflict string) {
	var dropped []string
	for _, candidate := range []string{SignalStop, SignalPause, SignalResume, SignalDelete} {
		for v := (Verb{}); c.signals[candidate].ReceiveAsync(&v); v = (Verb{}) {
			if name == "" {
				name = candidate
			}
			if name == candidate {
				verb = v
			} else if !slices.Contains(dropped, candidate) {
				dropped = append(dropped, candidate)
			}
		}
	}
	if len(dropped) > 0 {
		conflict = fmt.Sprintf("%s: came together with %s, which was obeyed; send it again if it is wanted",
			strings.Join(dropped, ", "), name)
	}
	return name, verb, conflict
}

// ask writes an operator's signal into the catalog. Whatever it changed there is found by reconciling.
func (c *connectorRun) ask(ctx workflow.Context, signal string, verb Verb) {
	err := workflow.ExecuteActivity(catalogOptions(ctx, signal), ActivitySetDesired,
		SetDesiredInput{Name: c.state.Name, Signal: signal, Verb: verb}).Get(ctx, nil)
	switch {
	case ctx.Err() != nil:
	case err != nil:
		c.refuse(ctx, signal+": "+cause(err))
	default:
		c.state.Refusal = ""
		c.dirty = true
	}
}

func (c *connectorRun) refuse(ctx workflow.Context, why string) {
	c.state.Refusal = clip(why, reasonMaxBytes)
	workflow.GetLogger(ctx).Warn("refuse a signal", "connector", c.state.Name, "refusal", why)
	c.show(ctx)
}

// listen shows what workers tell of the tasks' progress, as long as the workflow runs.
func (c *connectorRun) listen(ctx workflow.Context) {
	told := workflow.GetSignalChannelWithOptions(ctx, SignalProgress, workflow.SignalChannelOptions{
		Description: "Sent every quarter of an hour: how far the tasks are."})
	for {
		var p ConnectorProgress
		told.Receive(ctx, &p)
		c.state.Progress = &p
		c.show(ctx)
	}
}

// reported takes over what a task says of itself.
func (c *connectorRun) reported(ctx workflow.Context, r TaskReport) {
	if t := c.task(r.Number); t != nil {
		t.State, t.Reason = r.State, clip(r.Reason, reasonMaxBytes)
		c.show(ctx)
	}
}

// become moves to a state and tells whoever watches: search attributes, the Web UI, the catalog.
func (c *connectorRun) become(ctx workflow.Context, state State, reason string) {
	reason = clip(reason, reasonMaxBytes)
	changed := c.state.State != state || c.state.Reason != reason || c.misshown
	c.misshown = false
	c.state.State, c.state.Reason = state, reason
	c.label(ctx)
	c.show(ctx)
	if !changed || c.state.UID == 0 {
		return
	}
	in := SetConnectorStatusInput{UID: c.state.UID, State: state, Reason: reason}
	err := workflow.ExecuteActivity(catalogOptions(ctx, string(state)), ActivitySetConnectorStatus, in).Get(ctx, nil)
	if err != nil && ctx.Err() == nil {
		workflow.GetLogger(ctx).Error("report the connector's state", "connector", c.state.Name, "error", err)
	}
}

// label sets the search attributes that have changed; each change is an event of the history.
func (c *connectorRun) label(ctx workflow.Context) {
	labels := connectorLabels{class: c.state.Class, kind: c.state.Kind, state: c.state.State}
	if labels == c.shown {
		return
	}
	err := workflow.UpsertTypedSearchAttributes(ctx, attributeName.ValueSet(c.state.Name),
		attributeClass.ValueSet(labels.class), attributeKind.ValueSet(labels.kind),
		attributeState.ValueSet(string(labels.state)))
	if err != nil {
		workflow.GetLogger(ctx).Error("set the search attributes of the connector", "connector", c.state.Name, "error", err)
		return
	}
	c.shown = labels
}

func (c *connectorRun) show(ctx workflow.Context) {
	workflow.SetCurrentDetails(ctx, connectorDetails(c.state))
}
