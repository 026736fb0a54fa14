package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/gantry-connect/gantry/catalog"
	"github.com/gantry-connect/gantry/cmd/gantry/operate"
	"github.com/gantry-connect/gantry/control"
)

// newAuditCommand shows who changed what, straight from the catalog.
func newAuditCommand() *cobra.Command {
	var f catalog.AuditFilter
	var asJSON bool
	cmd := catalogCommand("audit", "Show who changed what, newest first, straight from the catalog", func(ctx context.Context, c *catalog.Catalog, _ []string, out io.Writer) error {
		entries, err := c.Audit(ctx, f)
		if err != nil {
			return err
		}
		if asJSON {
			return writeEntries(out, entries)
		}
		return tableOfEntries(out, entries)
	})
	cmd.Long = `Show who changed what, newest first, straight from the catalog. It needs the server's settings, not the REST API;
GET /v1/audit shows the same to admins. Every change that was asked for is there, with its outcome, refused ones included.`
	cmd.Flags().StringVar(&f.Connector, "connector", "", "only what concerned this connector")
	cmd.Flags().StringVar(&f.Principal, "principal", "", "only what they asked for")
	cmd.Flags().Int64Var(&f.Before, "before", 0, "only what is older than this id")
	cmd.Flags().IntVar(&f.Limit, "limit", 50, "at most so many")
	cmd.Flags().BoolVar(&asJSON, "json", false, "one JSON object a line")
	cmd.AddCommand(newAuditPruneCommand())
	return cmd
}

func newAuditPruneCommand() *cobra.Command {
	var keep time.Duration
	cmd := catalogCommand("prune", "Remove old entries; nothing else ever does", func(ctx context.Context, c *catalog.Catalog, _ []string, out io.Writer) error {
		if keep <= 0 {
			return operate.Usage(fmt.Errorf("--older-than is %v: it must be positive", keep))
		}
		removed, err := c.PruneAudit(ctx, keep)
		if err != nil {
			return err
		}
		if err := recordCommand(ctx, c, fmt.Sprintf("prune-audit %v", keep)); err != nil {
			return err
		}
		_, err = fmt.Fprintf(out, "%d entries are removed\n", removed)
		return err
	})
	cmd.Flags().DurationVar(&keep, "older-than", 365*24*time.Hour, "what is older goes")
	return cmd
}

func writeEntries(out io.Writer, entries []catalog.AuditEntry) error {
	lines := json.NewEncoder(out)
	for _, e := range entries {
		if err := lines.Encode(control.AuditEntry(e)); err != nil {
			return err
		}
	}
	return nil
}

func tableOfEntries(out io.Writer, entries []catalog.AuditEntry) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tTIME\tPRINCIPAL\tFROM\tOPERATION\tCONNECTOR\tSTATUS\tPATH")
	for _, e := range entries {
		fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%s\t%s\t%d\t%s\n", e.ID, e.At.Local().Format(time.DateTime), e.Principal, e.Address, e.Operation, e.Connector, e.Status, e.Path)
	}
	return w.Flush()
}
