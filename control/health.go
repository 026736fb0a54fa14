package control

import (
	"fmt"
	"slices"
	"time"

	"github.com/gantry-connect/gantry/catalog"
)

const (
	// retryPatience is how long something may be tried again before the task counts as stalled.
	retryPatience = 5 * time.Second
	// stallAfter is after how long a task counts as stalled that has records left to copy and copies none.
	stallAfter = 30 * time.Second
)

// healths in the order in which a connector takes them over from its tasks.
var healths = []Health{HealthFailed, HealthStalled, HealthUnassigned, HealthRestarting, HealthRunning, HealthIdle, HealthPaused, HealthStopped}

func rank(h Health) int { return slices.Index(healths, h) }

// taskHealth is how a task gets on, and why if that is not plain. state is what it is shown to be in.
func taskHealth(state State, row catalog.TaskStatus) (Health, string) {
	left := row.LagRecords > 0 || row.LagBytes > 0
	switch {
	case state == Failed:
		return HealthFailed, row.Trace
	case state == Restarting && row.Trace != "":
		return HealthStalled, "it failed and is tried again: " + row.Trace
	case state == Restarting:
		return HealthRestarting, ""
	case state == Paused:
		return HealthPaused, ""
	case state == Stopped:
		return HealthStopped, ""
	case state != Running:
		return HealthUnassigned, "no worker has it"
	case row.Silent:
		return HealthStalled, "its worker has said nothing for 10 seconds"
	case row.Retrying != "" && (row.RetryingSince == nil || time.Since(*row.RetryingSince) > retryPatience):
		return HealthStalled, row.Retrying
	case row.RatePerSecond > 0:
		return HealthRunning, ""
	case left && (row.LastRecordAt == nil || time.Since(*row.LastRecordAt) > stallAfter):
		return HealthStalled, fmt.Sprintf("records are left to copy, and none was copied for %v", stallAfter)
	case left:
		return HealthRunning, ""
	}
	return HealthIdle, ""
}

// lagSeconds estimates how long copying what is left takes; see Overview.LagSeconds.
func lagSeconds(row catalog.TaskStatus) float64 {
	switch {
	case row.LagRecords == 0 || (row.LagRecords < 0 && row.LagBytes == 0):
		return 0
	case row.RatePerSecond > 0 && row.LagRecords > 0:
		return float64(row.LagRecords) / row.RatePerSecond
	case row.RatePerSecond > 0 && row.LagBytes > 0 && row.Records > 0 && row.Bytes > 0:
		return float64(row.LagBytes) / (row.RatePerSecond * float64(row.Bytes) / float64(row.Records))
	case row.LagRecords < 0 && row.LagBytes < 0, row.LastRecordAt == nil:
		return -1
	}
	return max(0, time.Since(*row.LastRecordAt).Seconds())
}
