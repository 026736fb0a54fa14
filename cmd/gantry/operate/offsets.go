package operate

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gantry-connect/gantry/client"
)

func (t *tool) offsetsCommand() *cobra.Command {
	cmd := Group("offsets", "Look at and change how far connectors have come", `Offsets can be changed only while a connector is stopped (gantry stop NAME --wait). Every change keeps what was before, so that it
can be undone.`)
	cmd.AddCommand(t.offsetsGet(), t.offsetsSet(), t.offsetsReset(), t.offsetsHistory(), t.offsetsUndo())
	return cmd
}

func offsetSheet() sheet[client.PartitionOffset] {
	type row = client.PartitionOffset
	return sheet[row]{kind: "offset", name: func(p row) string { return values(p.Partition) }, columns: []column[row]{
		{title: "PARTITION", text: func(p row) string { return values(p.Partition) }},
		{title: "OFFSET", text: func(p row) string { return values(p.Offset) }},
	}}
}

func getOffsets(ctx context.Context, s *session, g *getting, names []string) error {
	if len(names) != 1 {
		return usagef("name one connector: gantry get offsets CONNECTOR")
	}
	if s.out.structured() && !g.watch {
		return showOffsets(ctx, s, names[0])
	}
	return show(ctx, s, g, offsetSheet(), false, func(ctx context.Context) ([]client.PartitionOffset, error) {
		p, err := s.api.Positions(ctx, names[0])
		return p.Offsets, err
	})
}

func showOffsets(ctx context.Context, s *session, name string) error {
	p, err := s.api.Positions(ctx, name)
	if err != nil {
		return err
	}
	return printPositions(s, p)
}

// printPositions writes positions in the form that offsets set takes again.
func printPositions(s *session, p client.Positions) error {
	if s.out.structured() {
		return s.out.encode(p)
	}
	if len(p.Offsets) == 0 && s.out.format != asName {
		s.note("the connector has no offsets")
		return nil
	}
	return offsetSheet().print(s.out, p.Offsets)
}

func (t *tool) offsetsGet() *cobra.Command {
	cmd := &cobra.Command{Use: "get CONNECTOR", Short: "Show how far each partition has been copied", Args: Args(cobra.ExactArgs(1)),
		Example:           "  gantry offsets get orders-in -o json > offsets.json",
		ValidArgsFunction: t.asking(1, connectorNames),
		RunE:              t.onConnector(func(ctx context.Context, s *session, args []string) error { return showOffsets(ctx, s, args[0]) })}
	return t.withOutput(cmd)
}

func (t *tool) offsetsSet() *cobra.Command {
	var file, partition, offset string
	var generation int64
	cmd := &cobra.Command{Use: "set CONNECTOR", Short: "Change how far partitions have been copied, of a stopped connector", Args: Args(cobra.ExactArgs(1)),
		Long: `Change how far partitions have been copied, of a stopped connector; the partitions that are not named keep their offsets. An offset
of null makes the connector forget the partition.`,
		Example: `  gantry offsets set orders-out --partition '{"rocketmq_topic":"orders","rocketmq_broker":"broker-a","rocketmq_queue":0}' --offset '{"rocketmq_offset":1200}'
  gantry offsets set orders-in -f offsets.json        # as offsets get -o json writes it`,
		ValidArgsFunction: t.asking(1, connectorNames),
		RunE: t.onConnector(func(ctx context.Context, s *session, args []string) error {
			edits, from, err := readOffsets(s.in, file, partition, offset)
			if err != nil {
				return err
			}
			if from >= 0 && generation < 0 {
				generation = from // the file tells what it was read at: changes made since are not overwritten
			}
			p, err := s.api.EditPositions(ctx, args[0], edits, generation)
			if err != nil {
				return stoppedFirst(err, args[0])
			}
			return printPositions(s, p)
		})}
	cmd.Flags().StringVarP(&file, "filename", "f", "", "file with {\"offsets\":[{\"partition\":…,\"offset\":…}]}; - is the input")
	cmd.Flags().StringVar(&partition, "partition", "", "partition, as JSON")
	cmd.Flags().StringVar(&offset, "offset", "", "its offset, as JSON; null forgets it")
	cmd.Flags().Int64Var(&generation, "if-generation", -1, "only if nobody has changed the offsets since they had this generation")
	hideDefault(cmd, "if-generation")
	return t.withOutput(cmd)
}

// readOffsets takes a file or one partition from the flags. generation is -1 where the file tells none.
func readOffsets(in io.Reader, file, partition, offset string) (edits []client.PartitionOffset, generation int64, err error) {
	switch {
	case (file == "") == (partition == ""), (partition == "") != (offset == ""):
		return nil, -1, usagef("give either -f FILE, or --partition together with --offset")
	case partition != "":
		var p client.PartitionOffset
		if err := decodeNumbers([]byte(partition), &p.Partition); err != nil {
			return nil, -1, failf(ExitInvalid, "--partition %s: %w", partition, err)
		}
		if err := decodeNumbers([]byte(offset), &p.Offset); err != nil {
			return nil, -1, failf(ExitInvalid, "--offset %s: %w", offset, err)
		}
		return []client.PartitionOffset{p}, -1, nil
	}
	var text []byte
	if file == "-" {
		text, err = io.ReadAll(in)
	} else {
		text, err = os.ReadFile(file)
	}
	if err != nil {
		return nil, -1, failf(ExitInvalid, "-f: %w", err)
	}
	var body struct {
		Generation *int64                   `json:"generation"`
		Offsets    []client.PartitionOffset `json:"offsets"`
	}
	if err := decodeNumbers(text, &body); err != nil {
		return nil, -1, failf(ExitInvalid, "-f %s: %w", file, err)
	}
	if len(body.Offsets) == 0 {
		return nil, -1, failf(ExitInvalid, "-f %s: holds no offsets: it should look like {\"offsets\":[{\"partition\":…,\"offset\":…}]}", file)
	}
	if body.Generation != nil {
		return body.Offsets, *body.Generation, nil
	}
	return body.Offsets, -1, nil
}

// decodeNumbers reads one JSON value and keeps the digits of numbers.
func decodeNumbers(text []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	d.DisallowUnknownFields()
	if err := d.Decode(into); errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		return errors.New("the JSON ends too early")
	} else if err != nil {
		return fmt.Errorf("%s", strings.TrimPrefix(err.Error(), "json: "))
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("something follows the JSON value")
	}
	return nil
}

// stoppedFirst adds the way out where the connector is not stopped.
func stoppedFirst(err error, name string) error {
	var answer *client.Error
	if errors.As(err, &answer) && answer.Remedy == "" && answer.Code == "conflict" {
		return &hintedError{err, fmt.Sprintf("remedy: gantry stop %s --wait", name)}
	}
	return err
}

func (t *tool) offsetsReset() *cobra.Command {
	var yes bool
	cmd := &cobra.Command{Use: "reset CONNECTOR", Short: "Forget how far everything has been copied, of a stopped connector", Args: Args(cobra.ExactArgs(1)),
		Long:              "Forget how far everything has been copied, of a stopped connector: it begins again from the start.",
		ValidArgsFunction: t.asking(1, connectorNames),
		RunE: t.onConnector(func(ctx context.Context, s *session, args []string) error {
			if err := s.confirm(fmt.Sprintf("forget all offsets of connector %s, so that it begins again", args[0]), yes); err != nil {
				return err
			}
			p, err := s.api.ResetPositions(ctx, args[0], -1)
			if err != nil {
				return stoppedFirst(err, args[0])
			}
			if s.out.structured() {
				return s.out.encode(p)
			}
			s.said("connector/%s has no offsets any more; gantry offsets undo %s brings them back", args[0], args[0])
			return nil
		})}
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	return t.withOutput(cmd)
}

func (t *tool) offsetsHistory() *cobra.Command {
	var limit int
	cmd := &cobra.Command{Use: "history CONNECTOR", Short: "Show older offsets, newest first", Args: Args(cobra.ExactArgs(1)),
		Long:              "Show what the offsets once were, newest first: each change, what it found, and some checkpoints, the older the fewer.",
		ValidArgsFunction: t.asking(1, connectorNames),
		RunE: t.onConnector(func(ctx context.Context, s *session, args []string) error {
			if err := checkLimit(limit, 1); err != nil {
				return err
			}
			all, err := s.api.PositionHistory(ctx, args[0], limit)
			if err != nil {
				return err
			}
			if len(all) == 0 && !s.out.structured() {
				s.note("no older offsets are kept")
				return nil
			}
			type row = client.PositionVersion
			return sheet[row]{kind: "version", name: func(v row) string { return unknownOr(v.Version) }, columns: []column[row]{
				{title: "VERSION", text: func(v row) string { return unknownOr(v.Version) }},
				{title: "AGE", text: func(v row) string { return age(v.At, s.now()) }},
				{title: "WHAT", text: what},
				{title: "GENERATION", wide: true, text: func(v row) string { return unknownOr(v.Generation) }},
				{title: "CHANGED", text: func(v row) string { return briefOffsets(v.Changed, s.out.format == asWide) }},
			}}.print(s.out, all)
		})}
	cmd.Flags().IntVarP(&limit, "limit", "n", 20, "how many")
	return t.withOutput(cmd)
}

// what is how a point got into the history.
func what(v client.PositionVersion) string {
	switch {
	case v.Author != "":
		return "edit-by-" + strings.ReplaceAll(v.Author, " ", "-")
	case v.Task != nil:
		return "checkpoint-of-task-" + strconv.Itoa(*v.Task)
	}
	return "before-an-edit"
}

// briefOffsets tells two partitions, or all.
func briefOffsets(all []client.PartitionOffset, wide bool) string {
	var parts []string
	for i, p := range all {
		if i == 2 && !wide && len(all) > 3 {
			parts = append(parts, fmt.Sprintf("… %d more", len(all)-i))
			break
		}
		parts = append(parts, values(p.Partition)+" → "+orDash(values(p.Offset)))
	}
	return strings.Join(parts, "; ")
}

func (t *tool) offsetsUndo() *cobra.Command {
	var version int64
	cmd := &cobra.Command{Use: "undo CONNECTOR", Short: "Go back to older offsets, of a stopped connector", Args: Args(cobra.ExactArgs(1)),
		Long:              "Go back to older offsets, of a stopped connector; by default to those before the last change. What lies between is copied again.",
		Example:           "  gantry offsets undo orders-in --version 41      # see gantry offsets history orders-in",
		ValidArgsFunction: t.asking(1, connectorNames),
		RunE: t.onConnector(func(ctx context.Context, s *session, args []string) error {
			p, err := s.api.UndoPositions(ctx, args[0], version, -1)
			if err != nil {
				return stoppedFirst(err, args[0])
			}
			return printPositions(s, p)
		})}
	cmd.Flags().Int64Var(&version, "version", 0, "of gantry offsets history; 0 is before the last change")
	return t.withOutput(cmd)
}
