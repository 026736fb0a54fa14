package operate

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/gantry-connect/gantry/client"
)

// completer proposes words for the shell.
type completer = func(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective)

// completeWithin is how long somebody who pressed Tab waits.
const completeWithin = 2 * time.Second

func fixed(words ...string) completer {
	return func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return words, cobra.ShellCompDirectiveNoFileComp
	}
}

// completeFlag attaches a completer; the flag must exist, which is a matter of this package alone.
func (t *tool) completeFlag(cmd *cobra.Command, flag string, c completer) {
	if err := cmd.RegisterFlagCompletionFunc(flag, c); err != nil {
		panic(err)
	}
}

func (t *tool) completeContexts(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	f, err := loadContexts()
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	return f.names(), cobra.ShellCompDirectiveNoFileComp
}

// asking makes a completer of a question to the server; words that stand on the line already are left out. At most limit
// arguments are completed, 0 is any number.
func (t *tool) asking(limit int, ask func(ctx context.Context, api *client.Client) ([]string, error)) completer {
	return func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		if limit > 0 && len(args) >= limit {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		s, err := t.connect(cmd)
		if err != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		defer s.api.Close()
		ctx, cancel := context.WithTimeout(cmd.Context(), completeWithin)
		defer cancel()
		words, err := ask(ctx, s.api)
		if err != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		given := map[string]bool{}
		for _, a := range args {
			given[a] = true
		}
		left := words[:0]
		for _, w := range words {
			if !given[w] {
				left = append(left, w)
			}
		}
		return left, cobra.ShellCompDirectiveNoFileComp
	}
}

func connectorNames(ctx context.Context, api *client.Client) ([]string, error) { return api.Names(ctx) }

func workerIDs(ctx context.Context, api *client.Client) ([]string, error) {
	all, err := api.Workers(ctx)
	ids := make([]string, len(all))
	for i, w := range all {
		ids[i] = w.ID
	}
	return ids, err
}

func pluginClasses(ctx context.Context, api *client.Client) ([]string, error) {
	all, err := api.Plugins(ctx, true)
	classes := make([]string, len(all))
	for i, p := range all {
		classes[i] = p.Class
	}
	return classes, err
}

func loggerNames(ctx context.Context, api *client.Client) ([]string, error) {
	all, err := api.Loggers(ctx)
	names := make([]string, 0, len(all))
	for name := range all {
		names = append(names, name)
	}
	return names, err
}
