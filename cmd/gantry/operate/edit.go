package operate

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gantry-connect/gantry/client"
)

func (t *tool) editCommand() *cobra.Command {
	return &cobra.Command{Use: "edit NAME", Short: "Change a connector's config and labels in your editor", Args: Args(cobra.ExactArgs(1)),
		Long: `Change a connector's config and labels in your editor ($VISUAL, $EDITOR, else vi). What the server refuses is opened again with the
reasons on top; saving it unchanged, or empty, gives up. If somebody else has changed the connector meanwhile nothing is
overwritten, and your text is kept in a file that is named. A secret shows as ******** and stays what it is unless it is replaced.`,
		Example:           "  EDITOR='code --wait' gantry edit orders-in",
		ValidArgsFunction: t.asking(1, connectorNames),
		RunE: t.onConnector(func(ctx context.Context, s *session, args []string) error {
			now, err := fetch(ctx, s.api, args[0])
			if err != nil {
				return err
			}
			e := editing{s: s, now: now}
			return e.do(ctx)
		})}
}

// editing is one text that goes back and forth between a person and the server.
type editing struct {
	s   *session
	now kept
}

func (e *editing) do(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "gantry-edit-")
	if err != nil {
		return fmt.Errorf("edit: %w", err)
	}
	file := filepath.Join(dir, "connector.yaml")
	text, err := e.text()
	if err != nil {
		return err
	}
	last, reasons := text, ""
	for {
		edited, err := e.ask(ctx, file, reasons+last)
		if err != nil && reasons != "" {
			return &hintedError{err, "your text is kept in " + file}
		}
		if err != nil {
			return errors.Join(err, os.RemoveAll(dir))
		}
		if strings.TrimSpace(edited) == "" || edited == last {
			os.RemoveAll(dir) //nolint:errcheck // a temporary folder
			if reasons != "" {
				return failf(ExitInvalid, "nothing was changed: the text was given up with its mistakes")
			}
			e.s.said("connector/%s %s", e.now.Name, unchanged)
			return nil
		}
		last = edited
		err = e.send(ctx, edited)
		if err == nil {
			return os.RemoveAll(dir)
		}
		if code := ExitCode(err); code != ExitInvalid {
			return &hintedError{err, "your text is kept in " + file}
		}
		reasons = comment(e.s.hint(err))
	}
}

// text is the connector as a person gets to see it.
func (e *editing) text() (string, error) {
	body, err := toYAML(e.now.manifest)
	return string(body), err
}

// comment is the reasons of a refusal as lines that are no part of the text.
func comment(err error) string {
	var b strings.Builder
	Report(&b, nil, err)
	lines := strings.Split(strings.TrimSpace(strings.TrimPrefix(b.String(), "gantry: ")), "\n")
	return "# Refused, and nothing changed yet:\n# " + strings.Join(lines, "\n# ") + "\n#\n"
}

// ask opens the editor and returns what was saved, without comments at the top.
func (e *editing) ask(ctx context.Context, file, text string) (string, error) {
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return "", fmt.Errorf("edit: %w", err)
	}
	editor := os.Getenv("VISUAL")
	if editor == "" {
		editor = os.Getenv("EDITOR")
	}
	if editor == "" {
		editor = "vi"
	}
	// $EDITOR may have arguments. Ctrl-C is the editor's while it runs: it is not killed, and what is in it not lost.
	cmd := exec.CommandContext(context.WithoutCancel(ctx), "sh", "-c", editor+` "$1"`, "gantry", file)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		return "", failf(ExitFailed, "the editor %q failed, nothing was changed: %w; set EDITOR to another", editor, err)
	}
	saved, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("edit: %w", err)
	}
	lines := strings.SplitAfter(string(saved), "\n")
	for len(lines) > 0 && strings.HasPrefix(lines[0], "#") {
		lines = lines[1:]
	}
	return strings.Join(lines, ""), nil
}

// send has the server take the text, if nobody else has changed the connector since it was read.
func (e *editing) send(ctx context.Context, text string) error {
	all, err := parseManifests([]byte(text), "the text")
	switch {
	case err != nil:
		return &codedError{ExitInvalid, err}
	case len(all) != 1 || all[0].Name != e.now.Name:
		return failf(ExitInvalid, "the text must declare connector %s and nothing else: a name cannot be changed", e.now.Name)
	}
	m, changed := all[0], false
	relabel := m.labelled && !maps.Equal(m.Labels, e.now.Labels)
	if relabel {
		labels, err := e.s.api.Labels(ctx, m.Name)
		if err != nil {
			return err
		}
		if !maps.Equal(labels, e.now.Labels) {
			return failf(ExitConflict, "the labels of connector %s were changed by somebody else meanwhile, nothing was overwritten: they are %s", m.Name, orDash(pairs(labels)))
		}
	}
	if !maps.Equal(m.Config, e.now.Config) {
		revision, _, err := e.s.api.ReplaceConfig(ctx, m.Name, m.Config, client.Replacement{IfRevision: e.now.revision})
		if errors.Is(err, client.ErrConflict) {
			return fmt.Errorf("connector %s was changed by somebody else meanwhile, nothing was overwritten: %w", m.Name, err)
		}
		if err != nil {
			return err
		}
		changed, e.now.revision, e.now.Config = true, revision, m.Config
	}
	if relabel {
		if err := e.s.api.PutLabels(ctx, m.Name, m.Labels); err != nil {
			return err
		}
		changed = true
	}
	e.s.said("connector/%s %s", m.Name, changedWord(changed))
	return nil
}
