package operate

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gantry-connect/gantry/client"
)

func (t *tool) contextCommand() *cobra.Command {
	cmd := Group("context", "Keep the servers that you work on, and choose one",
		`A context is a server with what is needed to enter it. They are kept in $GANTRY_HOME/config.yaml, or in gantry/config.yaml
in your configuration folder, which nobody else may read. --server, --context, GANTRY_SERVER, GANTRY_CONTEXT and
GANTRY_TOKEN win over the current context, in this order.`)
	cmd.AddCommand(t.contextList(), t.contextUse(), t.contextSet(), t.contextShow(), t.contextDelete())
	return cmd
}

func (t *tool) contextList() *cobra.Command {
	type row struct {
		Name    string `json:"name"`
		Server  string `json:"server"`
		Current bool   `json:"current"`
	}
	list := sheet[row]{kind: "context", name: func(r row) string { return r.Name }, columns: []column[row]{
		{title: "CURRENT", text: func(r row) string { return map[bool]string{true: "*"}[r.Current] }},
		{title: "NAME", text: func(r row) string { return r.Name }},
		{title: "SERVER", text: func(r row) string { return r.Server }},
	}}
	cmd := &cobra.Command{Use: "list", Aliases: []string{"ls"}, Short: "List the contexts", Args: Args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			f, err := loadContexts()
			if err != nil {
				return err
			}
			kind, err := parseFormat(t.output)
			if err != nil {
				return err
			}
			rows := []row{}
			for _, name := range f.names() {
				rows = append(rows, row{Name: name, Server: shownServer(f.Contexts[name].Server), Current: name == f.Current})
			}
			return list.print(&output{w: cmd.OutOrStdout(), format: kind, bare: t.noHeaders}, rows)
		}}
	return t.withOutput(cmd)
}

func (t *tool) contextUse() *cobra.Command {
	return &cobra.Command{Use: "use NAME", Short: "Make a context the current one", Args: Args(cobra.ExactArgs(1)),
		ValidArgsFunction: t.completeContexts, Example: "  gantry context use production",
		RunE: func(cmd *cobra.Command, args []string) error {
			f, err := loadContexts()
			if err != nil {
				return err
			}
			if _, err := f.find(args[0]); err != nil {
				return err
			}
			f.Current = args[0]
			if err := f.save(); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "context %s is the current one\n", args[0])
			return nil
		}}
}

func (t *tool) contextSet() *cobra.Command {
	var given place
	var command string
	var use bool
	cmd := &cobra.Command{Use: "set NAME", Short: "Make a context or change it", Args: Args(cobra.ExactArgs(1)),
		ValidArgsFunction: t.completeContexts,
		Long:              "Make a context or change it. Flags that are not given keep what they were; an empty value takes them away.",
		Example: `  gantry context set local --server http://127.0.0.1:8083 --use
  gantry context set production --server https://gantry.example.org --ca /etc/gantry/ca.pem --token -   # reads the token from the input
  gantry context set production --token-command 'pass show gantry/production'`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if strings.TrimSpace(args[0]) == "" {
				return usagef("a context needs a name")
			}
			f, err := loadContexts()
			if err != nil {
				return err
			}
			p, known := f.Contexts[args[0]]
			if !known {
				p = &place{Server: defaultServer}
				f.Contexts[args[0]] = p
			}
			given.TokenCommand = strings.Fields(command)
			if err := given.take(cmd, p); err != nil {
				return err
			}
			if use || f.Current == "" {
				f.Current = args[0]
			}
			if err := f.save(); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "context %s is kept in %s\n", args[0], f.path)
			return nil
		}}
	flags := cmd.Flags()
	flags.StringVar(&given.Server, "server", "", "URL of the server")
	flags.StringVar(&given.Token, "token", "", "bearer token; - reads it from the input, so that no list of processes shows it")
	flags.StringVar(&command, "token-command", "", "command that prints the token, split at blanks; run when it is needed")
	flags.StringVar(&given.Username, "username", "", "user name for basic authentication")
	flags.StringVar(&given.Password, "password", "", "password for basic authentication; - reads it from the input")
	flags.StringVar(&given.CA, "ca", "", "file with the certificate authorities to trust, PEM")
	flags.StringVar(&given.Cert, "cert", "", "file with a client certificate, PEM")
	flags.StringVar(&given.Key, "key", "", "file with the client certificate's key, PEM")
	flags.StringVar(&given.TLSName, "tls-server-name", "", "name that the server's certificate carries, if not the URL's host")
	flags.BoolVar(&given.SkipVerify, "insecure-skip-tls-verify", false, "trust any certificate: whoever sits on the way can read and change everything")
	flags.StringVar(&given.Output, "output", "", "format of answers unless -o says otherwise: "+strings.Join(formats, ", "))
	flags.BoolVar(&use, "use", false, "also make it the current context")
	t.completeFlag(cmd, "output", fixed(formats...))
	return cmd
}

// take puts the flags that were given into p, and checks the result.
func (given *place) take(cmd *cobra.Command, p *place) error {
	for _, f := range []struct {
		flag     string
		from, to *string
		secret   bool
		file     bool
	}{
		{"server", &given.Server, &p.Server, false, false}, {"token", &given.Token, &p.Token, true, false},
		{"username", &given.Username, &p.Username, false, false}, {"password", &given.Password, &p.Password, true, false},
		{"ca", &given.CA, &p.CA, false, true}, {"cert", &given.Cert, &p.Cert, false, true}, {"key", &given.Key, &p.Key, false, true},
		{"tls-server-name", &given.TLSName, &p.TLSName, false, false}, {"output", &given.Output, &p.Output, false, false},
	} {
		if !cmd.Flags().Changed(f.flag) {
			continue
		}
		value := *f.from
		switch {
		case f.secret && value == "-":
			if isTerminal(cmd.InOrStdin()) {
				fmt.Fprintf(cmd.ErrOrStderr(), "%s: ", f.flag)
			}
			line, err := bufio.NewReader(interruptible{cmd.Context(), cmd.InOrStdin()}).ReadString('\n')
			if errors.Is(err, context.Canceled) {
				return err
			}
			if value = strings.TrimSpace(line); value == "" {
				return failf(ExitInvalid, "--%s -: the input holds nothing: %w", f.flag, err)
			}
		case f.file && value != "":
			absolute, err := filepath.Abs(value) // the context is used from other folders, too
			if err != nil {
				return fmt.Errorf("--%s %s: %w", f.flag, value, err)
			}
			if _, err := os.Stat(absolute); err != nil {
				return failf(ExitInvalid, "--%s: %w", f.flag, err)
			}
			value = absolute
		}
		*f.to = value
	}
	if cmd.Flags().Changed("token-command") {
		p.TokenCommand = given.TokenCommand
	}
	if cmd.Flags().Changed("insecure-skip-tls-verify") {
		p.SkipVerify = given.SkipVerify
	}
	if _, err := parseFormat(p.Output); err != nil {
		return err
	}
	c, err := client.New(client.Options{Server: p.Server})
	if err != nil {
		return Usage(err)
	}
	c.Close()
	return nil
}

func (t *tool) contextShow() *cobra.Command {
	return &cobra.Command{Use: "show [NAME]", Short: "Show a context, by default the current one, without its secrets", Args: Args(cobra.MaximumNArgs(1)),
		ValidArgsFunction: t.completeContexts,
		RunE: func(cmd *cobra.Command, args []string) error {
			f, err := loadContexts()
			if err != nil {
				return err
			}
			name := f.Current
			if len(args) > 0 {
				name = args[0]
			}
			if name == "" {
				return failf(ExitNotFound, "no context is current: the server is %s unless --server or GANTRY_SERVER names another", defaultServer)
			}
			p, err := f.find(name)
			if err != nil {
				return err
			}
			shown := *p
			for _, secret := range []*string{&shown.Token, &shown.Password} {
				if *secret != "" {
					*secret = "********"
				}
			}
			return (&output{w: cmd.OutOrStdout(), format: asYAML}).encode(map[string]any{"name": name, "context": shown.shown()})
		}}
}

// shownServer is a server's URL without a password that somebody has put into it.
func shownServer(server string) string {
	u, err := url.Parse(server)
	switch {
	case err == nil && u.User != nil:
		return u.Redacted()
	case err != nil && strings.Contains(server, "@"):
		return "no URL"
	}
	return server
}

// shown is a context under the names that its file uses.
func (p place) shown() map[string]any {
	all := map[string]any{"server": shownServer(p.Server), "token": p.Token, "token-command": p.TokenCommand, "username": p.Username, "password": p.Password,
		"ca": p.CA, "cert": p.Cert, "key": p.Key, "tls-server-name": p.TLSName, "insecure-skip-tls-verify": p.SkipVerify, "output": p.Output}
	for key, value := range all {
		if text, ok := value.(string); ok && text == "" || value == false {
			delete(all, key)
		}
	}
	if len(p.TokenCommand) == 0 {
		delete(all, "token-command")
	}
	return all
}

func (t *tool) contextDelete() *cobra.Command {
	return &cobra.Command{Use: "delete NAME", Aliases: []string{"rm"}, Short: "Forget a context", Args: Args(cobra.ExactArgs(1)),
		ValidArgsFunction: t.completeContexts,
		RunE: func(cmd *cobra.Command, args []string) error {
			f, err := loadContexts()
			if err != nil {
				return err
			}
			if _, err := f.find(args[0]); err != nil {
				return err
			}
			delete(f.Contexts, args[0])
			if f.Current == args[0] {
				f.Current = ""
			}
			if err := f.save(); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "context %s is forgotten\n", args[0])
			return nil
		}}
}
