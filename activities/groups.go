package activities

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.temporal.io/sdk/temporal"

	"github.com/gantry-connect/gantry/catalog"
	"github.com/gantry-connect/gantry/workflows"
)

// eventLonely is recorded when a connector's group of workers is found empty.
const eventLonely catalog.EventKind = "no worker"

// groupOf is the group of workers that a config asks for.
func groupOf(config map[string]string) string { return strings.TrimSpace(config["worker.group"]) }

// lonelyAmong says that no worker of a group is alive; empty if one is.
func lonelyAmong(all []catalog.Worker, group string) string {
	if slices.ContainsFunc(all, func(w catalog.Worker) bool { return w.Group == group && !w.Draining }) {
		return ""
	}
	if group == "" {
		return lonelyPrefix + "without a group is alive: tasks without worker.group wait for one"
	}
	return fmt.Sprintf("%sof group %q is alive: the connector waits for one; start a worker with that worker.group, or change the connector's", lonelyPrefix, group)
}

const lonelyPrefix = "no worker "

// minded reports whether what REST shows of a running connector fits whether its group has workers; if not, an event is
// recorded where that is news.
func (a *Activities) minded(ctx context.Context, conn catalog.Connector, status catalog.ConnectorStatus, all []catalog.Worker) (bool, error) {
	if conn.Desired != catalog.StateRunning {
		return true, nil
	}
	lonely := lonelyAmong(all, groupOf(conn.Config))
	if lonely == "" {
		return !strings.Contains(status.Trace, lonelyPrefix), nil
	}
	if strings.Contains(status.Trace, lonely) {
		return true, nil
	}
	return false, a.Catalog.RecordEvent(ctx, catalog.Event{UID: conn.UID, Connector: conn.Name, Kind: eventLonely, Detail: lonely})
}

const turnAwayFor = time.Second

// TurnAway stands in for an activity that needs a connector's plugin, on workers of a group, for connectors without one: other
// workers take it.
func (a *Activities) TurnAway(context.Context, any) error {
	return temporal.NewApplicationErrorWithOptions("this worker has a group, and the connector has none", workflows.ErrorTypeTurnedAway,
		temporal.ApplicationErrorOptions{NextRetryDelay: turnAwayFor, Category: temporal.ApplicationErrorCategoryBenign})
}
