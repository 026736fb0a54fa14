package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/gantry-connect/gantry/catalog"
)

// newMigrateCommand brings the catalog's schema up to this binary's.
func newMigrateCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "migrate",
		Short: "Create or update the catalog's tables",
		Long:  "Create or update the catalog's tables. It is safe to run it again and from several places at once.",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			l, err := loadSettings(cmd)
			if err != nil {
				return err
			}
			from, to, err := catalog.Migrate(cmd.Context(), l.catalogURL())
			if err != nil {
				return err
			}
			if from == to {
				fmt.Fprintf(cmd.OutOrStdout(), "the catalog is at version %d already\n", to)
				return nil
			}
			fmt.Fprintf(cmd.OutOrStdout(), "the catalog went from version %d to %d\n", from, to)
			return nil
		},
	}
	addSettings(cmd)
	return cmd
}
