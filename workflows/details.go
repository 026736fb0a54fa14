package workflows

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"go.temporal.io/sdk/temporal"
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
	detailsMaxTasks  = 200 // rows of the table, so that the details stay below the server's 20 KB
	detailsMaxReason = 80  // bytes of a reason in the table
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
	if len(s.Tasks) == 0 {
		return b.String()
	}
	b.WriteString("\n| task | state | reason |\n|---|---|---|\n")
	for _, t := range s.Tasks[:min(len(s.Tasks), detailsMaxTasks)] {
		b.WriteString(fmt.Sprintf("| %d | %s | %s |\n", t.Number, t.State, cell(t.Reason, detailsMaxReason)))
	}
	if rest := len(s.Tasks) - detailsMaxTasks; rest > 0 {
		b.WriteString(fmt.Sprintf("\n… and %d more\n", rest))
	}
	return b.String()
}

// taskDetails is what the Web UI shows of a task, in Markdown.
func taskDetails(s TaskState) string {
	text := fmt.Sprintf("**%s** %s %s task %d of %s\n", s.State, s.Class, s.Kind, s.Task, s.Connector)
	if s.Reason != "" {
		text += "\n" + cell(s.Reason, reasonMaxBytes) + "\n"
	}
	return text + "\nWorker, position and lag: the heartbeat details of the pending activity.\n"
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
