package main

import "github.com/spf13/cobra"

// newConfigCommand shows what a server would run with.
func newConfigCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Print the settings in force and where they come from, secrets masked",
		Long: `Print the settings in force and where they come from, secrets masked.

Settings come from flags, then from environment variables (GANTRY_…), then from the YAML file of --config:

  catalog:
    url: postgres://gantry@db:5432/gantry
  rocketmq:
    nameservers: mq1:9876,mq2:9876`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			l, err := loadSettings(cmd)
			if err != nil {
				return err
			}
			return l.print(cmd.OutOrStdout())
		},
	}
	addSettings(cmd)
	return cmd
}
