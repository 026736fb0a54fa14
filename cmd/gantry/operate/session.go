package operate

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/gantry-connect/gantry/client"
)

// tool is what all commands share: the binary's version and the flags that every one of them has.
type tool struct {
	version string

	flags     connectionFlags
	output    string
	color     string
	noHeaders bool
	timeout   time.Duration // of one request
}

// session is one command that runs: a client, where to write, and who sits there.
type session struct {
	api    *client.Client
	place  connection
	out    *output
	err    io.Writer
	in     io.Reader
	asking bool // a person can be asked
	now    func() time.Time
}

// withConnection adds the flags that every command has which calls a server; subcommands inherit them.
func (t *tool) withConnection(cmd *cobra.Command) *cobra.Command {
	f := cmd.PersistentFlags()
	f.StringVar(&t.flags.server, "server", "", "URL of the server (GANTRY_SERVER; default: the current context's, else "+defaultServer+")")
	f.StringVar(&t.flags.context, "context", "", "context to use (GANTRY_CONTEXT; see gantry context)")
	f.StringVar(&t.color, "color", "auto", "colours: auto (on a terminal, unless NO_COLOR is set), always or never")
	f.DurationVar(&t.timeout, "request-timeout", 30*time.Second, "how long one request may take")
	t.completeFlag(cmd, "context", t.completeContexts)
	t.completeFlag(cmd, "color", fixed("auto", "always", "never"))
	return cmd
}

// withOutput adds -o.
func (t *tool) withOutput(cmd *cobra.Command) *cobra.Command {
	f := cmd.Flags()
	f.StringVarP(&t.output, "output", "o", "", "format: "+strings.Join(formats, ", ")+" (default: the context's, else table)")
	f.BoolVar(&t.noHeaders, "no-headers", false, "tables without their first line")
	t.completeFlag(cmd, "output", fixed(formats...))
	return cmd
}

// action is what a command does once it knows its server.
type action func(ctx context.Context, s *session, args []string) error

// run connects and does it. Failures to reach the server tell where its address came from.
func (t *tool) run(do action) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		s, err := t.connect(cmd)
		if err != nil {
			return err
		}
		defer s.api.Close()
		err = s.hint(do(cmd.Context(), s, args))
		if err == nil && s.out.err != nil {
			err = fmt.Errorf("write the answer: %w", s.out.err) // as on a full disk: a script must not take half for all
		}
		return err
	}
}

// onConnector is run for commands whose first argument is a connector, also in the form that -o name writes.
func (t *tool) onConnector(do action) func(*cobra.Command, []string) error {
	return t.run(func(ctx context.Context, s *session, args []string) error {
		return do(ctx, s, trimKind(args, "connector/"))
	})
}

func (t *tool) connect(cmd *cobra.Command) (*session, error) {
	if t.timeout <= 0 {
		return nil, usagef("request-timeout %s: must be longer than 0", t.timeout)
	}
	f, err := loadContexts()
	if err != nil {
		return nil, err
	}
	where, err := resolve(t.flags, f)
	if err != nil {
		return nil, err
	}
	if where.name != "" && f.exposed() {
		fmt.Fprintf(cmd.ErrOrStderr(), "gantry: warning: %s holds tokens and others may read it: chmod 600 %s\n", f.path, f.path)
	}
	chosen := t.output
	if chosen == "" && cmd.Flags().Lookup("output") != nil {
		chosen = where.Output
	}
	kind, err := parseFormat(chosen)
	if err != nil {
		return nil, err
	}
	color, err := wantColor(t.color, cmd.OutOrStdout())
	if err != nil {
		return nil, err
	}
	api, err := t.dial(where, cmd.ErrOrStderr())
	if err != nil {
		return nil, err
	}
	return &session{api: api, place: where, err: cmd.ErrOrStderr(), in: interruptible{cmd.Context(), cmd.InOrStdin()}, now: time.Now,
		out:    &output{w: cmd.OutOrStdout(), format: kind, color: color, bare: t.noHeaders},
		asking: isTerminal(cmd.InOrStdin()) && isTerminal(cmd.ErrOrStderr())}, nil
}

func (t *tool) dial(where connection, stderr io.Writer) (*client.Client, error) {
	tls, err := client.TLSFiles{CA: where.CA, Cert: where.Cert, Key: where.Key, Server: where.TLSName, SkipVerify: where.SkipVerify}.Config()
	if err != nil {
		return nil, failf(ExitInvalid, "context %s: %w", where.name, err)
	}
	o := client.Options{Server: where.Server, TLS: tls, Timeout: t.timeout, UserAgent: "gantry/" + t.version,
		Username: where.Username, Password: where.Password}
	switch {
	case where.Token != "":
		o.Token = func(context.Context) (string, error) { return where.Token, nil }
	case len(where.TokenCommand) > 0:
		o.Token = (&tokenCommand{args: where.TokenCommand, stderr: stderr}).token
	}
	api, err := client.New(o)
	if err != nil {
		return nil, usagef("%w (from %s)", err, where.origin)
	}
	return api, nil
}

// hint adds what a person can do about failures that have to do with the connection.
func (s *session) hint(err error) error {
	var (
		answer *client.Error
		cert   *tls.CertificateVerificationError
	)
	if many, ok := err.(several); ok { //nolint:errorlint // what is wrapped is one failure
		for i := range many {
			many[i] = s.hint(many[i])
		}
		return many
	}
	switch {
	case errors.Is(err, context.Canceled):
	case errors.As(err, &cert):
		return &hintedError{err, "remedy: if it is the right server, name the authority of its certificate: gantry context set NAME --ca FILE"}
	case errors.Is(err, client.ErrUnreachable):
		return &hintedError{err, fmt.Sprintf("remedy: start the server, or name another with --server or gantry context use (this one is from %s)", s.place.origin)}
	case errors.Is(err, client.ErrUnauthorized) && !s.place.hasCredentials():
		return &hintedError{err, "remedy: set GANTRY_TOKEN, or gantry context set NAME --token - (an administrator makes tokens with gantry token create)"}
	case errors.Is(err, client.ErrUnauthorized):
		return &hintedError{err, "remedy: the credentials are wrong or have expired; ask an administrator for a new token"}
	case errors.As(err, &answer) && errors.Is(err, client.ErrForbidden) && answer.Remedy == "":
		return &hintedError{err, "remedy: ask an administrator for a role that may do this, or use another context"}
	}
	return err
}

// interruptible is an input whose reader goes on when ctx ends, although nothing comes. A read that is given up takes what
// comes later with it, which matters to nobody: the command is over.
type interruptible struct {
	ctx  context.Context
	from io.Reader
}

func (i interruptible) Read(into []byte) (int, error) {
	type got struct {
		n   int
		err error
	}
	buffer, done := make([]byte, len(into)), make(chan got, 1)
	go func() {
		n, err := i.from.Read(buffer)
		done <- got{n, err}
	}()
	select {
	case <-i.ctx.Done():
		return 0, context.Cause(i.ctx)
	case g := <-done:
		return copy(into, buffer[:g.n]), g.err
	}
}

// tokenCommand gets the token from another program, once.
type tokenCommand struct {
	args   []string
	stderr io.Writer

	once  sync.Once
	value string
	err   error
}

func (c *tokenCommand) token(ctx context.Context) (string, error) {
	c.once.Do(func() {
		cmd := exec.CommandContext(ctx, c.args[0], c.args[1:]...)
		cmd.Stdin, cmd.Stderr = os.Stdin, c.stderr // it may ask for a passphrase
		text, err := cmd.Output()
		if err != nil {
			c.err = failf(ExitNotAllowed, "the context's token command %q failed: %w", c.args[0], err)
			return
		}
		c.value = string(bytes.TrimSpace(text))
		if c.value == "" {
			c.err = failf(ExitNotAllowed, "the context's token command %q printed no token", c.args[0])
		}
	})
	return c.value, c.err
}

// said writes what was done, for people; programs read -o json.
func (s *session) said(format string, args ...any) {
	if !s.out.structured() {
		s.out.printf(format+"\n", args...)
	}
}

// confirm asks a person. Where nobody can be asked, yes has to be said by flag.
func (s *session) confirm(question string, yes bool) error {
	if yes {
		return nil
	}
	if !s.asking {
		return usagef("%s: nobody can be asked here; say so with --yes", question)
	}
	fmt.Fprintf(s.err, "%s [y/N] ", question)
	var reply string
	_, err := fmt.Fscanln(s.in, &reply)
	if errors.Is(err, context.Canceled) {
		return err
	}
	if err != nil || !strings.EqualFold(reply, "y") && !strings.EqualFold(reply, "yes") {
		return failf(ExitFailed, "not done: it was not confirmed")
	}
	return nil
}

// note tells something aside of the answer.
func (s *session) note(format string, args ...any) { fmt.Fprintf(s.err, format+"\n", args...) }
