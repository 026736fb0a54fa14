package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/gantry-connect/gantry/catalog"
	"github.com/gantry-connect/gantry/cmd/gantry/operate"
	"github.com/gantry-connect/gantry/secrets"
)

// newKeyCommand makes and changes the keys that seal secrets in the catalog.
func newKeyCommand() *cobra.Command {
	cmd := operate.Group("key", "Make and change the keys that seal secrets in the catalog",
		`The keyset is a text in the environment variable GANTRY_SECRETS_KEYSET of the API and of every worker. Passwords that come
over REST in the clear are sealed with its newest key, and opened only by a worker that runs the connector. Without a keyset
they are refused. Whoever has both the keyset and the catalog has the secrets: keep them apart.

To rotate: give the output of "gantry key rotate" to all workers, then to all API processes; run "gantry key rewrap" with it;
then give the output of "gantry key trim" to all of them.`)
	cmd.AddCommand(
		&cobra.Command{Use: "create", Short: "Print a new keyset", Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
			return printKeyset(cmd.OutOrStdout(), secrets.NewKeyset)
		}},
		keysetCommand("rotate", "Print the keyset with a new key, which seals from now on; the others go on opening", secrets.RotateKeyset),
		keysetCommand("trim", "Print the keyset with its newest key alone, for after a rewrap", secrets.TrimKeyset),
		newKeyRewrapCommand(),
	)
	return cmd
}

func printKeyset(out io.Writer, made func() (string, error)) error {
	text, err := made()
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(out, text)
	return err
}

var errNoKeyset = errors.New("there is no keyset: set GANTRY_SECRETS_KEYSET; gantry key create makes one")

func keysetCommand(use, short string, change func(keyset string) (string, error)) *cobra.Command {
	cmd := &cobra.Command{Use: use, Short: short, Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		s, err := loadSettings(cmd)
		if err != nil {
			return err
		}
		if s.get("secrets.keyset") == "" {
			return errNoKeyset
		}
		return printKeyset(cmd.OutOrStdout(), func() (string, error) { return change(s.get("secrets.keyset")) })
	}}
	addSettings(cmd)
	return cmd
}

func newKeyRewrapCommand() *cobra.Command {
	var keyset, namespace string
	cmd := catalogCommand("rewrap", "Seal everything in the catalog anew, with the keyset's newest key", func(ctx context.Context, c *catalog.Catalog, _ []string, out io.Writer) error {
		if keyset == "" {
			return errNoKeyset
		}
		environment, err := c.BindEnvironment(ctx, namespace)
		if err != nil {
			return err
		}
		box, err := secrets.OpenBox(keyset, environment)
		if err != nil {
			return err
		}
		n, err := c.RewriteConfigs(ctx, box.Rewrap)
		if err != nil {
			return err
		}
		if err := recordCommand(ctx, c, "rewrap-secrets"); err != nil {
			return err
		}
		_, err = fmt.Fprintf(out, "%d configs were sealed anew\n", n)
		return err
	})
	cmd.Long = `Seal everything in the catalog anew, with the keyset's newest key: all revisions and plans. Copying goes on. Every worker and
API process must have the keyset already. A task that holds secrets starts again once, with the next plan.`
	cmd.PreRunE = func(cmd *cobra.Command, _ []string) error {
		s, err := loadSettings(cmd)
		if err == nil {
			keyset, namespace = s.get("secrets.keyset"), s.get("temporal.namespace")
		}
		return err
	}
	return cmd
}
