package operate

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gantry-connect/gantry/client"
	"github.com/gantry-connect/gantry/cmd/gantry/rocketmqconnect"
)

func (t *tool) importCommand() *cobra.Command {
	cmd := Group("import", "Take over connectors from another system", "")
	cmd.AddCommand(t.importRocketMQConnect())
	return cmd
}

func (t *tool) importRocketMQConnect() *cobra.Command {
	var dir string
	var dry bool
	cmd := &cobra.Command{Use: "rocketmq-connect --dir DIR", Short: "Take over connectors and their positions from a RocketMQ Connect worker", Args: Args(cobra.NoArgs),
		Long: `Take over connectors and their positions from a RocketMQ Connect worker.

Reads connectorConfig.json and position.json in the worker's storePathRootDir and creates each connector here, stopped, with
the positions of its partitions. Keys that mean nothing here are left out, and what has no counterpart is told. Stop the old
connectors first: their positions move on as long as they run. Run it where the files are that file sources read: their
positions have to be looked up in them. It can be run again: a connector that exists here already is left alone, but gets the
positions that it still lacks if a run that was cut short has created it.`,
		Example: `  gantry import rocketmq-connect --dir ~/connectorStore --dry-run
  gantry import rocketmq-connect --dir ~/connectorStore
  gantry resume --all`,
		RunE: t.run(func(ctx context.Context, s *session, _ []string) error {
			if dir == "" {
				return usagef("--dir is missing: name the worker's storePathRootDir")
			}
			connectors, err := rocketmqconnect.Read(dir)
			if err != nil {
				return failf(ExitInvalid, "%w", err)
			}
			all := make([]imported, 0, len(connectors))
			for _, c := range connectors {
				i := imported{Connector: c.Name, Class: c.Class()}
				if err := i.take(ctx, s, c, dry); err != nil {
					return fmt.Errorf("connector %s: %w", c.Name, err)
				}
				all = append(all, i)
			}
			return report(s, all)
		})}
	cmd.Flags().StringVar(&dir, "dir", "", "the worker's storePathRootDir, or its folder config")
	cmd.Flags().BoolVar(&dry, "dry-run", false, "have the server check everything and create nothing")
	return t.withOutput(cmd)
}

// imported is what became of a connector.
type imported struct {
	Connector string   `json:"connector"`
	Class     string   `json:"class"`
	Action    string   `json:"action"` // created, would be created, positions set, unchanged, or skipped
	Positions int      `json:"positions"`
	LeftOut   []string `json:"left_out,omitempty"` // keys
	Notes     []string `json:"notes,omitempty"`
}

const (
	skipped      = "skipped"
	completed    = "positions set"
	stopped      = "STOPPED" // in which a connector is created
	wouldCreated = "would be created"
)

func (i *imported) note(format string, args ...any) {
	i.Notes = append(i.Notes, fmt.Sprintf(format, args...))
}

// take creates the connector. The error says that going on with others makes no sense.
func (i *imported) take(ctx context.Context, s *session, c rocketmqconnect.Connector, dry bool) error {
	i.Action = skipped
	config, err := i.fit(ctx, s, c)
	if config == nil {
		return err
	}
	positions := i.translate(c)
	if dry {
		i.Action, i.Positions = wouldCreated, len(positions)
		return nil
	}
	_, err = s.api.Create(ctx, client.NewConnector{Name: c.Name, Config: config, InitialState: stopped}, false)
	switch {
	case errors.Is(err, client.ErrConflict):
		return i.complete(ctx, s, c.Name, config, positions)
	case errors.Is(err, client.ErrInvalid):
		i.note("%v", err)
		return nil
	case err != nil:
		return err
	}
	i.Action = created
	return i.set(ctx, s, c.Name, positions)
}

// set sets positions one by one, so that one that is refused does not take the others along.
func (i *imported) set(ctx context.Context, s *session, name string, positions []client.PartitionOffset) error {
	for _, p := range positions {
		_, err := s.api.SetOffsets(ctx, name, []client.PartitionOffset{p})
		if errors.Is(err, client.ErrInvalid) {
			i.note("the position of %s was refused: %v", values(p.Partition), err)
			continue
		}
		if err != nil {
			return err
		}
		i.Positions++
	}
	return nil
}

// complete sets the positions that a run which was cut short has left out. A connector that is not as this one would be
// created, or has run, is left alone.
func (i *imported) complete(ctx context.Context, s *session, name string, config map[string]string, positions []client.PartitionOffset) error {
	there, err := s.api.Overview(ctx, name)
	if err != nil {
		return err
	}
	its, _, err := s.api.Config(ctx, name)
	if err != nil {
		return err
	}
	its["name"] = name
	if there.State != stopped || there.Revision != 1 || there.Records != 0 || !maps.Equal(its, config) {
		i.note("a connector of this name exists; it was left alone")
		return nil
	}
	known, err := s.api.Offsets(ctx, name)
	if err != nil {
		return err
	}
	positions = slices.DeleteFunc(positions, func(p client.PartitionOffset) bool {
		return slices.ContainsFunc(known, func(k client.PartitionOffset) bool { return samePartition(k.Partition, p.Partition) })
	})
	if err := i.set(ctx, s, name, positions); err != nil {
		return err
	}
	if i.Action = unchanged; i.Positions > 0 {
		i.Action = completed
	}
	return nil
}

// samePartition compares as JSON, in which 1 is 1 whatever type it has here.
func samePartition(a, b map[string]any) bool {
	x, xerr := json.Marshal(a)
	y, yerr := json.Marshal(b)
	return xerr == nil && yerr == nil && bytes.Equal(x, y)
}

// fit has the server check the config and leaves out the keys that it does not know; nil if it cannot work here.
func (i *imported) fit(ctx context.Context, s *session, c rocketmqconnect.Connector) (map[string]string, error) {
	if i.Class == "" {
		i.note("it has no connector.class")
		return nil, nil
	}
	config := maps.Clone(c.Config)
	config["name"] = c.Name
	for {
		v, err := s.api.Validate(ctx, i.Class, config)
		if errors.Is(err, client.ErrInvalid) || errors.Is(err, client.ErrNotFound) {
			i.note("%v", err)
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		unknown, wrong := 0, []string{}
		for _, key := range v.Configs {
			switch _, given := config[key.Value.Name]; {
			case len(key.Value.Errors) == 0:
			case key.Definition == nil && given:
				delete(config, key.Value.Name)
				i.LeftOut = append(i.LeftOut, key.Value.Name)
				unknown++
			default:
				wrong = append(wrong, key.Value.Errors...)
			}
		}
		if unknown > 0 {
			continue // what is left may be right now
		}
		slices.Sort(i.LeftOut)
		i.Notes = append(i.Notes, wrong...)
		if len(wrong) > 0 {
			return nil, nil
		}
		return config, nil
	}
}

// translate gives a source's positions the form that they have here.
func (i *imported) translate(c rocketmqconnect.Connector) []client.PartitionOffset {
	if c.IsSink() {
		i.note("how far it has read is kept by the brokers, in consumer group %s: before it is resumed set its offsets, or it begins where start.offset says", c.Group())
		return nil
	}
	var out []client.PartitionOffset
	for _, p := range c.Positions {
		to, err := rocketmqconnect.Translate(i.Class, p)
		switch {
		case err != nil:
			i.note("no position for %s: %v", values(p.Partition), err)
		case len(to.Offset) > 0: // an empty one says nothing
			out = append(out, client.PartitionOffset{Partition: to.Partition, Offset: to.Offset})
		}
	}
	return out
}

// report tells what became of each connector; an error if one was skipped.
func report(s *session, all []imported) error {
	sheet := sheet[imported]{kind: "connector", name: func(i imported) string { return i.Connector }, columns: []column[imported]{
		{title: "NAME", text: func(i imported) string { return i.Connector }},
		{title: "CLASS", text: func(i imported) string { return i.Class }},
		{title: "ACTION", text: func(i imported) string { return i.Action }},
		{title: "POSITIONS", text: func(i imported) string { return fmt.Sprint(i.Positions) }},
		{title: "LEFT OUT", text: func(i imported) string { return strings.Join(i.LeftOut, ", ") }},
	}}
	if err := sheet.print(s.out, all); err != nil {
		return err
	}
	failed := false
	for _, i := range all {
		failed = failed || i.Action == skipped
		for _, note := range i.Notes {
			if !s.out.structured() {
				s.note("%s: %s", i.Connector, oneLine(note))
			}
		}
	}
	if failed {
		return quiet(ExitFailed)
	}
	return nil
}
