package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os/user"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/spf13/cobra"

	"github.com/gantry-connect/gantry/access"
	"github.com/gantry-connect/gantry/catalog"
	"github.com/gantry-connect/gantry/cmd/gantry/operate"
)

// newTokenCommand makes and revokes API tokens, straight in the catalog: the first one has to come from somewhere.
func newTokenCommand() *cobra.Command {
	cmd := operate.Group("token", "Create, list and revoke API tokens, straight in the catalog",
		`These commands use the server's settings (catalog.url and so on), not the REST API. Tokens count where the setting api.auth
holds "tokens". The catalog keeps a hash of each: a token is shown once, when it is made.`)
	cmd.AddCommand(newTokenCreateCommand(), newTokenListCommand(), newTokenRevokeCommand())
	return cmd
}

func newTokenCreateCommand() *cobra.Command {
	var role, scope string
	var expires time.Duration
	cmd := catalogCommand("create NAME", "Make a token and print it", func(ctx context.Context, c *catalog.Catalog, args []string, out io.Writer) error {
		return createToken(ctx, c, catalog.Token{Name: args[0], Role: role, Scope: scope, Author: operatorName()}, expires, out)
	})
	cmd.Args = operate.Args(cobra.ExactArgs(1))
	cmd.Long = `Make a token and print it. It is shown this once.

Roles, each with what the ones before it may do: viewer (read), operator (pause, resume, stop, restart), editor (create,
change, delete), admin (log levels, workers, the audit trail).`
	cmd.Example = `  gantry token create ci --role editor --expires 2160h
  gantry token create orders-team --role operator --scope 'orders-*'
  gantry token create data-team --role editor --scope '* | team=data,env!=prod'`
	cmd.Flags().StringVar(&role, "role", access.Viewer.String(), "viewer, operator, editor or admin")
	cmd.Flags().StringVar(&scope, "scope", "*", `which connectors: patterns for names, and behind "|" a selector of labels`)
	cmd.Flags().DurationVar(&expires, "expires", 90*24*time.Hour, "after how long it is worth nothing; 0: never")
	return cmd
}

// checkTokenName keeps out what no client could send as a user's name, and what stands for everybody.
func checkTokenName(name string) error {
	switch {
	case name == "" || len(name) > 255 || strings.ContainsFunc(name, unicode.IsControl) || strings.Contains(name, ":"):
		return fmt.Errorf("NAME is %q: it must have 1 to 255 bytes, without colons and control characters", name)
	case name == access.Anonymous.Name:
		return fmt.Errorf("NAME is %q, which stands for whoever proves no name: choose another", name)
	}
	return nil
}

func createToken(ctx context.Context, c *catalog.Catalog, t catalog.Token, lifetime time.Duration, out io.Writer) error {
	if err := checkTokenName(t.Name); err != nil {
		return err
	}
	role, err := access.ParseRole(t.Role)
	if err != nil {
		return operate.Usage(err)
	}
	scope, err := access.ParseScope(t.Scope)
	if err != nil {
		return operate.Usage(err)
	}
	if lifetime < 0 {
		return operate.Usage(fmt.Errorf("--expires is %v: it must not be negative", lifetime))
	}
	t.Role, t.Scope = role.String(), scope.String()
	text, hash := access.NewToken()
	if _, err := c.CreateToken(ctx, t, hash, lifetime); errors.Is(err, catalog.ErrExists) {
		return operate.Fail(operate.ExitConflict, fmt.Errorf("there is a token %s already: revoke it, or choose another name", t.Name))
	} else if err != nil {
		return err
	}
	if err := recordCommand(ctx, c, "create-token "+t.Name); err != nil {
		return err
	}
	_, err = fmt.Fprintln(out, text)
	return err
}

func newTokenListCommand() *cobra.Command {
	return catalogCommand("list", "List the tokens, with who made them and when they were used", func(ctx context.Context, c *catalog.Catalog, _ []string, out io.Writer) error {
		tokens, err := c.Tokens(ctx)
		if err != nil {
			return err
		}
		w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "NAME\tROLE\tSCOPE\tCREATED\tBY\tEXPIRES\tLAST USED")
		for _, t := range tokens {
			expires := when(t.Expires)
			if t.Expired {
				expires += " (expired)"
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", t.Name, t.Role, t.Scope, when(&t.Created), t.Author, expires, when(t.Used))
		}
		return w.Flush()
	})
}

func newTokenRevokeCommand() *cobra.Command {
	cmd := catalogCommand("revoke NAME…", "Revoke tokens: from now on they are worth nothing", func(ctx context.Context, c *catalog.Catalog, args []string, out io.Writer) error {
		for _, name := range args {
			if err := c.RevokeToken(ctx, name); errors.Is(err, catalog.ErrNotFound) {
				return operate.Fail(operate.ExitNotFound, fmt.Errorf("there is no token %s; gantry token list shows them", name))
			} else if err != nil {
				return err
			}
			if err := recordCommand(ctx, c, "revoke-token "+name); err != nil {
				return err
			}
			if _, err := fmt.Fprintf(out, "token %s is revoked\n", name); err != nil {
				return err
			}
		}
		return nil
	})
	cmd.Args = operate.Args(cobra.MinimumNArgs(1))
	return cmd
}

// catalogCommand works on the catalog with the server's settings.
func catalogCommand(use, short string, run func(ctx context.Context, c *catalog.Catalog, args []string, out io.Writer) error) *cobra.Command {
	cmd := &cobra.Command{Use: use, Short: short, Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, args []string) error {
		s, err := loadSettings(cmd)
		if err != nil {
			return err
		}
		c, err := catalog.Open(cmd.Context(), catalog.Config{URL: s.catalogURL(), Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			return err
		}
		defer c.Close()
		return run(cmd.Context(), c, args, cmd.OutOrStdout())
	}}
	addSettings(cmd)
	return cmd
}

// operatorName is who works on this command line.
func operatorName() string {
	if u, err := user.Current(); err == nil {
		return u.Username + " (command line)"
	}
	return "command line"
}

// recordCommand puts a change made on the command line into the audit trail.
func recordCommand(ctx context.Context, c *catalog.Catalog, operation string) error {
	return c.RecordAudit(ctx, catalog.AuditEntry{Principal: operatorName(), Operation: operation, Status: 200})
}

func when(t *time.Time) string {
	if t == nil {
		return "never"
	}
	return t.Local().Format("2006-01-02 15:04")
}
