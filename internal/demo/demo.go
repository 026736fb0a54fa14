package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/ulikunitz/xz"
	"golang.org/x/sync/errgroup"

	"github.com/gantry-connect/gantry/client"
	"github.com/gantry-connect/gantry/internal/devstack"
)

// Server is what the demo tells the server to use.
type Server struct {
	CatalogURL, TemporalAddress, TemporalNamespace, NameServer, Listen string
}

// Options say how to run the demo.
type Options struct {
	Dir  string // state: servers' data, input, log; default .cache/demo in the checkout
	Once bool   // end after the verification
	Out  io.Writer
	// Migrate and Serve are the commands of the same names. Serve runs worker and API until ctx ends.
	Migrate func(ctx context.Context, s Server) error
	Serve   func(ctx context.Context, s Server, log *slog.Logger) error
}

// targetDatabase is where the tables are copied to.
const targetDatabase = "gantry_demo"

// Bounds: the wait for the API's first answer, and for a copy that makes no progress.
const (
	firstAnswer = 30 * time.Second
	copyBound   = 2 * time.Minute
	settled     = time.Second // longer than the time between two reports of a task
)

// ErrUnequal means that a table is not what its file says.
var ErrUnequal = errors.New("the copy differs from the input")

// Run runs the demo. It returns ErrUnequal if the verification fails. When it returns, every process it started has
// ended.
func Run(ctx context.Context, o Options) (err error) {
	root, err := devstack.FindRoot()
	if err != nil {
		return fmt.Errorf("the demo runs from a checkout: %w", err)
	}
	if o.Dir == "" {
		o.Dir = filepath.Join(root, ".cache", "demo")
	}
	stackOptions := devstack.Options{Root: root, Dir: filepath.Join(o.Dir, "stack"), Ports: devstack.CommonPorts().OrFree()}
	say := func(line string) { fmt.Fprintln(o.Out, line) }
	if err := devstack.Prepare(ctx, stackOptions, say); err != nil {
		return err
	}
	say("starting Postgres, RocketMQ and Temporal")
	stack, err := devstack.Start(ctx, stackOptions)
	if err != nil {
		return err
	}
	defer func() {
		say("stopping the servers")
		stopCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
		defer cancel()
		err = errors.Join(err, stack.Stop(stopCtx))
	}()
	files, err := unpack(filepath.Join(root, "data", "nycflights13"), filepath.Join(o.Dir, "input"))
	if err != nil {
		return err
	}
	return run(ctx, o, stack.Info, files)
}

// run is the demo on a stack that is up.
func run(ctx context.Context, o Options, info devstack.Info, files map[string]string) error {
	if err := os.Setenv(passwordVariable, info.PostgresPassword); err != nil { // the sink's config refers to it
		return err
	}
	if err := ensureDatabase(ctx, info.PostgresURL("postgres"), targetDatabase); err != nil {
		return err
	}
	server := Server{CatalogURL: info.PostgresURL("gantry"), TemporalAddress: info.TemporalAddress,
		TemporalNamespace: info.TemporalNamespace, NameServer: info.NameServer, Listen: freeListen("127.0.0.1:8083")}
	fmt.Fprintln(o.Out, "migrating the catalog")
	if err := o.Migrate(ctx, server); err != nil {
		return err
	}
	logPath := filepath.Join(o.Dir, "gantry.log")
	logFile, err := os.OpenFile(logPath, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer logFile.Close() //nolint:errcheck // a log
	fmt.Fprintf(o.Out, "starting a worker and the API on %s (log: %s)\n", server.Listen, logPath)
	g, gctx := errgroup.WithContext(ctx) // owns the server
	serveCtx, stop := context.WithCancel(gctx)
	g.Go(func() error { return o.Serve(serveCtx, server, slog.New(slog.NewTextHandler(logFile, nil))) })
	g.Go(func() error {
		defer stop()
		if err := job(gctx, o, info, server, files); err != nil || o.Once {
			return err
		}
		fmt.Fprintln(o.Out, "Ctrl-C stops everything; `make demo` goes on where this ended, `make clean-demo` starts over")
		<-gctx.Done()
		return nil
	})
	err = g.Wait()
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return nil // Ctrl-C is the ordinary end
	}
	return err
}

// job creates the connectors, shows them at work, and verifies the result.
func job(ctx context.Context, o Options, info devstack.Info, server Server, files map[string]string) error {
	c, err := client.New(client.Options{Server: server.Listen})
	if err != nil {
		return err
	}
	defer c.Close()
	if err := awaitAPI(ctx, c); err != nil {
		return err
	}
	bars := make([]*bar, 0, len(tables)+1)
	for _, t := range tables {
		if _, _, err := c.PutConfig(ctx, t.sourceName(), t.sourceConfig(files[t.name])); err != nil {
			return err
		}
		st, err := os.Stat(files[t.name])
		if err != nil {
			return err
		}
		bars = append(bars, &bar{name: t.sourceName(), size: st.Size(), lag: -1})
	}
	sinkURL := fmt.Sprintf("postgres://%s@%s/%s?sslmode=disable", devstack.PostgresUser, info.PostgresAddress, targetDatabase)
	if _, _, err := c.PutConfig(ctx, sinkName, sinkConfig(sinkURL)); err != nil {
		return err
	}
	bars = append(bars, &bar{name: sinkName, sink: true, lag: -1})
	begin := time.Now()
	if err := watch(ctx, c, newBoard(o.Out), bars); err != nil {
		return err
	}
	fmt.Fprintf(o.Out, "copied in %s; Postgres loads the files itself and compares\n", time.Since(begin).Round(100*time.Millisecond))
	if err := verifyAll(ctx, o.Out, info.PostgresURL(targetDatabase), files); err != nil {
		return err
	}
	fmt.Fprintf(o.Out, "\nTemporal Web UI  %s/namespaces/%s/workflows\nAPI docs         http://%s/docs/\nThe tables       psql '%s'\n\n",
		info.UIURL, info.TemporalNamespace, server.Listen, info.PostgresURL(targetDatabase))
	return nil
}

func awaitAPI(ctx context.Context, c *client.Client) error {
	ctx, cancel := context.WithTimeout(ctx, firstAnswer)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		err := c.Healthy(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the API did not answer within %s: %w", firstAnswer, err)
		case <-tick.C:
		}
	}
}

// watch draws until every connector has copied everything, or one has failed, or nothing has moved for long. The last
// bar is the sink's.
func watch(ctx context.Context, c *client.Client, d *board, bars []*bar) error {
	tick := time.NewTicker(d.interval())
	defer tick.Stop()
	sink := bars[len(bars)-1]
	var total int64
	var sourcesDone time.Time
	moved := time.Now()
	for {
		sources, sum := true, int64(0)
		for _, b := range bars {
			if err := refresh(ctx, c, b); err != nil {
				return err
			}
			sources = sources && (b.sink || b.done() == 1)
			sum += b.records
		}
		d.draw(bars)
		switch {
		case !sources:
			sourcesDone = time.Time{}
		case sourcesDone.IsZero():
			sourcesDone = time.Now()
		}
		// A sink's lag of 0 counts only if it was measured after the last record was in its topic.
		if sources && sink.done() == 1 && sink.asOf.After(sourcesDone.Add(settled)) {
			return nil
		}
		if sum != total {
			total, moved = sum, time.Now()
		} else if time.Since(moved) > copyBound {
			return fmt.Errorf("nothing has been copied for %s; see the log", copyBound)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

func refresh(ctx context.Context, c *client.Client, b *bar) error {
	if err := b.refresh(ctx, c); err != nil {
		return err
	}
	status, err := c.Status(ctx, b.name)
	if err != nil {
		return err
	}
	if reason, failed := status.Failure(); failed {
		return fmt.Errorf("connector %s failed: %s", b.name, reason)
	}
	return nil
}

func verifyAll(ctx context.Context, out io.Writer, url string, files map[string]string) error {
	equal := true
	for _, t := range tables {
		r, err := verify(ctx, url, t, files[t.name])
		if err != nil {
			return err
		}
		if r.equal() {
			fmt.Fprintf(out, "  %-9s %7d rows  equal, types as expected\n", r.table, r.rows)
			continue
		}
		equal = false
		fmt.Fprintf(out, "  %-9s %7d rows  NOT EQUAL: %d missing, %d too many; %s\n", r.table, r.rows, r.missing, r.extra, r.types)
	}
	if !equal {
		return ErrUnequal
	}
	return nil
}

// freeListen is address, or a free port on the same host where address is taken.
func freeListen(address string) string {
	l, err := net.Listen("tcp", address)
	if err != nil {
		if l, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			return address // the server will say why
		}
	}
	defer l.Close() //nolint:errcheck // nothing was accepted
	return l.Addr().String()
}

// unpack makes the tables available as plain CSV, compressed ones once in dir, and returns their paths by table.
func unpack(from, dir string) (map[string]string, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	files := make(map[string]string, len(tables))
	for _, t := range tables {
		files[t.name] = filepath.Join(from, t.name+".csv")
		if _, err := os.Stat(files[t.name]); err == nil {
			continue
		}
		files[t.name] = filepath.Join(dir, t.name+".csv")
		if _, err := os.Stat(files[t.name]); err == nil {
			continue // the same file as before: a source knows its files by identity
		}
		if err := unpackOne(filepath.Join(from, t.name+".csv.xz"), files[t.name]); err != nil {
			return nil, err
		}
	}
	return files, nil
}

func unpackOne(from, to string) (err error) {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close() //nolint:errcheck // only read
	r, err := xz.NewReader(in)
	if err != nil {
		return fmt.Errorf("unpack %s: %w", from, err)
	}
	out, err := os.CreateTemp(filepath.Dir(to), filepath.Base(to)+".*")
	if err != nil {
		return err
	}
	_, err = io.Copy(out, r)
	if err = errors.Join(err, out.Chmod(0o644), out.Close()); err != nil {
		return fmt.Errorf("unpack %s: %w", from, errors.Join(err, os.Remove(out.Name())))
	}
	return os.Rename(out.Name(), to)
}
