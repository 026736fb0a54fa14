package devstack

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// TemporalNamespace is the namespace that every stack's Temporal has.
const TemporalNamespace = "gantry"

// searchAttributes are what Gantry's workflows set. A workflow that sets an unregistered one hangs, so they are there
// from the start.
var searchAttributes = []string{
	"ConnectorName=Keyword", "ConnectorClass=Keyword", "ConnectorKind=Keyword", "ConnectorState=Keyword",
	"TaskState=Keyword", "TaskNumber=Int",
}

// dynamicConfig turns the server's settings towards Gantry and parallel tests.
var dynamicConfig = []string{
	// A worker that stops otherwise loses the task that arrives on its last poll until the heartbeat timeout.
	"frontend.enableCancelWorkerPollsOnShutdown=true",
	// Few pollers on four partitions wait for forwarding.
	"matching.numTaskqueueReadPartitions=1",
	"matching.numTaskqueueWritePartitions=1",
	// Limits meant for shared clusters; many tests in one namespace would meet them.
	"frontend.rps=20000",
	"frontend.namespaceRPS=20000",
	"frontend.namespaceRPS.visibility=1000",
	"frontend.namespaceCount=20000",
	"frontend.rps.namespaceReplicationInducingAPIs=1000",
	"frontend.namespaceRPS.namespaceReplicationInducingAPIs=100",
	"frontend.globalNamespaceRPS.namespaceReplicationInducingAPIs=100",
	"matching.rps=20000",
	"history.rps=20000",
}

func (s *Stack) temporal() server {
	return server{
		prepare: func(context.Context) (command, error) {
			dir := filepath.Join(s.Dir, "temporal")
			if err := os.MkdirAll(dir, 0o755); err != nil {
				return command{}, fmt.Errorf("create the folder of its database: %w", err)
			}
			args := []string{
				"server", "start-dev", "--ip", "127.0.0.1", "--port", strconv.Itoa(s.opts.Ports.Temporal),
				"--ui-ip", "127.0.0.1", "--ui-port", strconv.Itoa(s.opts.Ports.TemporalUI),
				"--db-filename", filepath.Join(dir, "temporal.db"), "--namespace", TemporalNamespace,
				"--log-level", "warn", "--sqlite-pragma", "journal_mode=WAL",
			}
			if s.opts.Unsafe {
				args = append(args, "--sqlite-pragma", "synchronous=OFF")
			}
			for _, kv := range searchAttributes {
				args = append(args, "--search-attribute", kv)
			}
			for _, kv := range dynamicConfig {
				args = append(args, "--dynamic-config-value", kv)
			}
			return command{
				path: toolPath(s.opts.Root, Temporal), args: args, env: plainEnv(dir), dir: dir,
				log: logPath(s.Dir, Temporal), stop: stopSignal(Temporal),
			}, nil
		},
		ready: func(ctx context.Context) error { return s.namespaceReady(ctx, TemporalNamespace) },
	}
}

// namespaceReady asks the Web UI, which passes the question on to the server: one request for both.
func (s *Stack) namespaceReady(ctx context.Context, namespace string) error {
	url := s.UIURL + "/api/v1/namespaces/" + namespace
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return fmt.Errorf("describe namespace %s: %w", namespace, err)
	}
	req.Close = true // leave no idle connection behind
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("describe namespace %s: %w", namespace, err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 500))
		return fmt.Errorf("describe namespace %s: %s answered %s: %s", namespace, url, resp.Status, text)
	}
	return nil
}

// CreateNamespace adds a Temporal namespace with Gantry's search attributes and returns once it can be used.
func (s *Stack) CreateNamespace(ctx context.Context, name string) error {
	create := []string{"operator", "namespace", "create", "--namespace", name, "--retention", "24h"}
	if err := s.temporalCLI(ctx, create...); err != nil {
		return fmt.Errorf("create namespace %s: %w", name, err)
	}
	register := []string{"operator", "search-attribute", "create", "--namespace", name}
	for _, kv := range searchAttributes {
		attribute, kind, _ := strings.Cut(kv, "=")
		register = append(register, "--name", attribute, "--type", kind)
	}
	if err := s.temporalCLI(ctx, register...); err != nil {
		return fmt.Errorf("register search attributes in namespace %s: %w", name, err)
	}
	if err := poll(ctx, 25*time.Millisecond, func() (bool, error) { return s.namespaceReady(ctx, name) == nil, nil }); err != nil {
		return fmt.Errorf("wait for namespace %s: %w", name, err)
	}
	return nil
}

// temporalCLI runs the same binary as a client.
func (s *Stack) temporalCLI(ctx context.Context, args ...string) error {
	cmd := exec.CommandContext(ctx, toolPath(s.opts.Root, Temporal), append(args, "--address", s.TemporalAddress)...)
	cmd.Env = plainEnv(s.Dir)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", cmd, err, lastLines(out, 5))
	}
	return nil
}

// plainEnv keeps the user's own settings (TEMPORAL_*, JAVA_TOOL_OPTIONS, PG*) away from the servers.
func plainEnv(home string) []string {
	return []string{"HOME=" + home, "PATH=" + os.Getenv("PATH"), "TMPDIR=" + os.TempDir(), "LC_ALL=C", "TZ=UTC"}
}
