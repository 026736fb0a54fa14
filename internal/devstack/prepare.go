package devstack

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	remedyJava  = "install a JDK 17 or later (apt install openjdk-17-jdk-headless, brew install openjdk) or set JAVA_HOME"
	remedyMaven = "install Maven 3.6 or later (apt install maven, brew install maven)"
	remedyGo    = "install Go 1.26 or later (https://go.dev/dl), and check that its module proxy can be reached"
)

// tools are the programs that are built from modules of their own under tools/.
var tools = map[Part]struct{ pkg, what string }{
	Temporal: {"github.com/temporalio/cli/cmd/temporal", "Temporal's development server and Web UI (about 4 minutes on 2 cores, once)"},
	Tctl:     {"github.com/temporalio/tctl/cmd/tctl", "tctl (about a minute, once)"},
}

// Prepare builds and fetches what the parts of o need, and says so through progress, one line at a time. What is there
// already is left alone, so a second call returns at once; a changed pin under tools/ is built or fetched anew. Several
// processes may call it at the same time. Errors name the step, the command, its last lines and the remedy.
func Prepare(ctx context.Context, o Options, progress func(string)) error {
	o, err := o.WithDefaults()
	if err != nil {
		return err
	}
	if o.has(NameServer) || o.has(Broker) {
		if err := checkJava(ctx); err != nil {
			return err
		}
	}
	if prepared(o) {
		return nil
	}
	unlock, err := lockFile(ctx, filepath.Join(o.Root, ".cache", "prepare.lock"), func() {
		progress("waiting for another process that prepares the same checkout")
	})
	if err != nil {
		return err
	}
	defer unlock()
	for _, p := range []Part{Postgres, NameServer, Broker} {
		if o.has(p) {
			if err := prepareServers(ctx, o.Root, progress); err != nil {
				return err
			}
			break
		}
	}
	for _, p := range []Part{Temporal, Tctl} {
		if o.has(p) {
			if err := prepareTool(ctx, o.Root, p, progress); err != nil {
				return err
			}
		}
	}
	return nil
}

// TctlPath returns where Prepare puts tctl.
func TctlPath(root string) string { return toolPath(root, Tctl) }

func toolPath(root string, p Part) string { return filepath.Join(root, ".cache", "bin", string(p)) }

func prepared(o Options) bool {
	for _, p := range o.Parts {
		if _, tool := tools[p]; tool {
			if ok, err := toolFresh(o.Root, p); err != nil || !ok {
				return false
			}
		} else if dir, err := serversDir(o.Root); err != nil || !isDir(dir) {
			return false
		}
	}
	return true
}

// toolFresh compares the pins with those that the binary was built from.
func toolFresh(root string, p Part) (bool, error) {
	pins, err := toolPins(root, p)
	if err != nil {
		return false, err
	}
	built, err := os.ReadFile(toolPath(root, p) + ".pins")
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return false, fmt.Errorf("read what %s was built from: %w", p, err)
	}
	return string(built) == pins && isFile(toolPath(root, p)), nil
}

func toolPins(root string, p Part) (string, error) {
	dir := filepath.Join(root, "tools", string(p))
	return fingerprint([]string{runtime.GOOS, runtime.GOARCH}, filepath.Join(dir, "go.mod"), filepath.Join(dir, "go.sum"))
}

func prepareTool(ctx context.Context, root string, p Part, progress func(string)) error {
	fresh, err := toolFresh(root, p)
	if err != nil || fresh {
		return err
	}
	tool, out := tools[p], toolPath(root, p)
	if err := os.MkdirAll(filepath.Dir(out), 0o755); err != nil {
		return fmt.Errorf("prepare %s: %w", p, err)
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-C", filepath.Join(root, "tools", string(p)), "-v", "-trimpath",
		"-buildvcs=false", "-ldflags=-s -w", "-o", out+".new", tool.pkg)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off", "GOFLAGS=")
	if err := run(ctx, "build "+tool.what, remedyGo, cmd, progress); err != nil {
		return err
	}
	if err := os.Rename(out+".new", out); err != nil {
		return fmt.Errorf("prepare %s: %w", p, err)
	}
	pins, err := toolPins(root, p)
	if err != nil {
		return err
	}
	if err := os.WriteFile(out+".pins", []byte(pins), 0o644); err != nil {
		return fmt.Errorf("prepare %s: %w", p, err)
	}
	return nil
}

// serversDir is named after its pins: a stack that runs keeps its files when a pin changes.
func serversDir(root string) (string, error) {
	platform, err := postgresPlatform()
	if err != nil {
		return "", err
	}
	pins, err := fingerprint([]string{platform}, filepath.Join(root, "tools", "servers", "pom.xml"))
	if err != nil {
		return "", err
	}
	return filepath.Join(root, ".cache", "servers", pins[:12]), nil
}

func prepareServers(ctx context.Context, root string, progress func(string)) error {
	dir, err := serversDir(root)
	if err != nil || isDir(dir) {
		return err
	}
	platform, err := postgresPlatform()
	if err != nil {
		return err
	}
	mvn, err := exec.LookPath("mvn")
	if err != nil {
		return fmt.Errorf("fetch RocketMQ and Postgres: no mvn in PATH; %s", remedyMaven)
	}
	if err := checkJava(ctx); err != nil { // Maven is a Java program
		return err
	}
	making := dir + ".new"
	if err := os.RemoveAll(making); err != nil {
		return fmt.Errorf("fetch RocketMQ and Postgres: %w", err)
	}
	cmd := exec.CommandContext(ctx, mvn, "-B", "-ntp", "-f", filepath.Join(root, "tools", "servers", "pom.xml"),
		"process-resources", "-Dout="+making, "-Dpostgres.platform="+platform)
	if err := run(ctx, "fetch RocketMQ and Postgres from Maven Central (about 110 MB, once)",
		remedyMaven+", and check that Maven Central can be reached", cmd, progress); err != nil {
		return err
	}
	progress("unpacking Postgres")
	if err := unpackPostgres(filepath.Join(making, "postgres")); err != nil {
		return fmt.Errorf("unpack Postgres: %w", err)
	}
	if err := os.Rename(making, dir); err != nil {
		return fmt.Errorf("fetch RocketMQ and Postgres: %w", err)
	}
	return nil
}

// postgresPlatform is the last part of the name of the artifact that holds Postgres's binaries.
func postgresPlatform() (string, error) {
	platforms := map[string]string{
		"linux/amd64": "linux-amd64", "linux/arm64": "linux-arm64v8", "darwin/amd64": "darwin-amd64", "darwin/arm64": "darwin-arm64v8",
	}
	here := runtime.GOOS + "/" + runtime.GOARCH
	if p, ok := platforms[here]; ok {
		return p, nil
	}
	return "", fmt.Errorf("there are no Postgres binaries for %s: use Linux or macOS on amd64 or arm64", here)
}

var javaVersion = regexp.MustCompile(`version "(\d+)`)

func checkJava(ctx context.Context) error {
	java, err := findJava()
	if err != nil {
		return err
	}
	out, err := exec.CommandContext(ctx, java, "-version").CombinedOutput()
	if err != nil {
		return fmt.Errorf("run %s -version: %w: %s; %s", java, err, lastLines(out, 3), remedyJava)
	}
	found := javaVersion.FindSubmatch(out)
	if found == nil {
		return fmt.Errorf("%s -version says %q, which names no version; %s", java, lastLines(out, 3), remedyJava)
	}
	if major, err := strconv.Atoi(string(found[1])); err != nil || major < 17 {
		return fmt.Errorf("%s is Java %s; %s", java, found[1], remedyJava)
	}
	return nil
}

// run executes one step. While it lasts, progress hears of it every 15 s with the newest line of output.
func run(ctx context.Context, step, remedy string, cmd *exec.Cmd, progress func(string)) error {
	progress(step)
	out := &lastOutput{}
	cmd.Stdout, cmd.Stderr = out, out
	cmd.WaitDelay = 5 * time.Second
	begin := time.Now()
	done := make(chan error, 1)
	go func() { done <- cmd.Run() }() // ends with the process, which ends with ctx
	tick := time.NewTicker(15 * time.Second)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			progress(fmt.Sprintf("  %s: %s", time.Since(begin).Round(time.Second), out.last(1)))
		case err := <-done:
			if err == nil {
				progress(fmt.Sprintf("  done in %s", time.Since(begin).Round(100*time.Millisecond)))
				return nil
			}
			if ctx.Err() != nil {
				err = ctx.Err()
			}
			return fmt.Errorf("%s: %s: %w\n%s\n%s", step, strings.Join(cmd.Args, " "), err, out.last(15), remedy)
		}
	}
}

// lastOutput keeps the newest 64 KiB of a command's output.
type lastOutput struct {
	mu sync.Mutex
	b  []byte
}

func (o *lastOutput) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.b = append(o.b, p...)
	if over := len(o.b) - 64<<10; over > 0 {
		o.b = o.b[over:]
	}
	return len(p), nil
}

func (o *lastOutput) last(lines int) string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return lastLines(o.b, lines)
}

// fingerprint of what decides a result: some words and the content of some files.
func fingerprint(words []string, files ...string) (string, error) {
	h := sha256.New()
	for _, w := range words {
		fmt.Fprintf(h, "%s\n", w)
	}
	for _, path := range files {
		f, err := os.Open(path)
		if err != nil {
			return "", fmt.Errorf("read the pinned versions: %w", err)
		}
		_, err = io.Copy(h, bufio.NewReader(f))
		_ = f.Close() // only read
		if err != nil {
			return "", fmt.Errorf("read the pinned versions: %w", err)
		}
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}
