package workflows

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"
)

var (
	attributeName       = temporal.NewSearchAttributeKeyKeyword(AttributeConnectorName)
	attributeClass      = temporal.NewSearchAttributeKeyKeyword(AttributeConnectorClass)
	attributeKind       = temporal.NewSearchAttributeKeyKeyword(AttributeConnectorKind)
	attributeState      = temporal.NewSearchAttributeKeyKeyword(AttributeConnectorState)
	attributeTaskState  = temporal.NewSearchAttributeKeyKeyword(AttributeTaskState)
	attributeTaskNumber = temporal.NewSearchAttributeKeyInt64(AttributeTaskNumber)
)

const (
	detailsMaxTasks  = 60 // rows of the table, so that the details stay below the server's 20 KB
	detailsMaxReason = 80 // bytes of a reason in the table
	detailsMaxWorker = 40 // bytes of a worker's name in the table
)

// Sprintf throughout: workflowcheck takes Fprintf for output.

// connectorDetails is what the Web UI shows of a connector, in Markdown.
func connectorDetails(s ConnectorState) string {
	var b strings.Builder
	b.WriteString(fmt.Sprintf("**%s** %s, wanted %s, config revision %d, plan %d\n", s.State, s.Kind, s.Desired, s.Revision, s.Generation))
	if s.Reason != "" {
		b.WriteString(fmt.Sprintf("\n%s\n", cell(s.Reason, reasonMaxBytes)))
	}
	if s.Refusal != "" {
		b.WriteString(fmt.Sprintf("\nRefused: %s\n", cell(s.Refusal, reasonMaxBytes)))
	}
	if s.Unwatched != "" {
		b.WriteString(fmt.Sprintf("\nChanges of the system's side are not noticed: %s\n", cell(s.Unwatched, reasonMaxBytes)))
	}
	b.WriteString(tasksDetails(s))
	b.WriteString(fmt.Sprintf("\nTo the second: `GET /v1/connectors/%s/progress`\n", url.PathEscape(s.Name)))
	return b.String()
}

// tasksDetails is the table of a connector's tasks.
func tasksDetails(s ConnectorState) string {
	if len(s.Tasks) == 0 {
		return ""
	}
	var progress ConnectorProgress
	if s.Progress != nil {
		progress = *s.Progress
	}
	var b strings.Builder
	b.WriteString("\n| task | state | worker | records | rate | lag | last record | reason |\n|---|---|---|---|---|---|---|---|\n")
	for _, t := range s.Tasks[:min(len(s.Tasks), detailsMaxTasks)] {
		reason := t.Reason
		worker, records, rate, lag, last := "", "", "", "", ""
		if at := slices.IndexFunc(progress.Tasks, func(p TaskProgress) bool { return p.Task == t.Number }); at >= 0 {
			p := progress.Tasks[at]
			worker, records, rate, lag, last = cell(p.Worker, detailsMaxWorker), fmt.Sprint(p.Records), perSecond(p.Rate), lagOf(p), clock(p.LastRecordAt)
			if reason == "" && p.Trouble != "" {
				reason = p.Trouble + nextTry(p)
			}
		}
		b.WriteString(fmt.Sprintf("| %d | %s | %s | %s | %s | %s | %s | %s |\n", t.Number, t.State, worker, records, rate, lag, last,
			cell(reason, detailsMaxReason)))
	}
	if rest := len(s.Tasks) - detailsMaxTasks; rest > 0 {
		b.WriteString(fmt.Sprintf("\n… and %d more\n", rest))
	}
	if s.Progress != nil {
		b.WriteString(fmt.Sprintf("\nWorker, records, rate, lag and last record as of %s; they are refreshed every quarter of an hour.\n", clock(progress.At)))
	}
	return b.String()
}

// taskDetails is what the Web UI shows of a task, in Markdown.
func taskDetails(s TaskState) string {
	text := fmt.Sprintf("**%s** %s %s task %d of %s\n", s.State, s.Class, s.Kind, s.Task, s.Connector)
	if s.Reason != "" {
		text += "\n" + cell(s.Reason, reasonMaxBytes) + "\n"
	}
	if s.Progress != nil {
		text += "\n" + progressDetails(*s.Progress)
	}
	return text + "\nTo the second: the heartbeat details of the pending activity.\n"
}

// progressDetails is a table of what is known of a running task.
func progressDetails(p TaskProgress) string {
	var b strings.Builder
	row := func(name, value string) {
		if value != "" {
			b.WriteString(fmt.Sprintf("| %s | %s |\n", name, value))
		}
	}
	worker := cell(p.Worker, detailsMaxWorker)
	if p.State == Running && !p.Since.IsZero() {
		worker += ", since " + clock(p.Since)
	}
	b.WriteString(fmt.Sprintf("| as of | %s |\n|---|---|\n", clock(p.At)))
	if p.State == Running {
		row("worker", worker)
	} else {
		row("last worker", worker)
	}
	row("records", fmt.Sprintf("%d (%d bytes)", p.Records, p.Bytes))
	row("rate", perSecond(p.Rate))
	row("lag", lagOf(p))
	row("last record", clock(p.LastRecordAt))
	for _, partition := range workflow.DeterministicKeys(p.Position) {
		row("position of "+cell(partition, detailsMaxReason), cell(p.Position[partition], detailsMaxReason))
	}
	if p.Retries > 0 {
		row("retries", fmt.Sprint(p.Retries))
	}
	if p.Trouble != "" {
		row("trouble", cell(p.Trouble, reasonMaxBytes)+nextTry(p))
	}
	return b.String()
}

func nextTry(p TaskProgress) string {
	if p.NextTryAt.IsZero() {
		return ""
	}
	return "; next try at " + clock(p.NextTryAt)
}

func perSecond(rate float64) string { return fmt.Sprintf("%.1f/s", rate) }

// lagOf is what is left to copy, as far as that is known.
func lagOf(p TaskProgress) string {
	switch {
	case p.LagRecords >= 0 && p.LagBytes > 0:
		return fmt.Sprintf("%d records, %d bytes", p.LagRecords, p.LagBytes)
	case p.LagRecords >= 0:
		return fmt.Sprintf("%d records", p.LagRecords)
	case p.LagBytes >= 0:
		return fmt.Sprintf("%d bytes", p.LagBytes)
	}
	return ""
}

// clock is a moment to the second, in UTC; empty for none.
func clock(at time.Time) string {
	if at.IsZero() {
		return ""
	}
	return at.UTC().Format("2006-01-02 15:04:05 MST")
}

// cell fits a text into one cell of a Markdown table.
func cell(text string, max int) string {
	text = strings.ReplaceAll(strings.ReplaceAll(text, "\r", ""), "\n", " ")
	return clip(strings.ReplaceAll(text, "|", "\\|"), max)
}

// clip cuts text to at most max bytes at a character's border.
func clip(text string, max int) string {
	if len(text) <= max {
		return text
	}
	cut := max - len("…")
	for cut > 0 && !utf8.RuneStart(text[cut]) {
		cut--
	}
	return text[:cut] + "…"
}
