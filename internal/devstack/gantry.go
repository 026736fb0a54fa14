package devstack

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
)

// gantry is the product itself, told of the other servers through its environment.
func (s *Stack) gantry() server {
	return server{
		prepare: func(ctx context.Context) (command, error) {
			env := append(os.Environ(),
				"GANTRY_CATALOG_URL="+s.PostgresURL("gantry"), "GANTRY_TEMPORAL_ADDRESS="+s.TemporalAddress,
				"GANTRY_TEMPORAL_NAMESPACE="+s.TemporalNamespace, "GANTRY_ROCKETMQ_NAMESERVERS="+s.NameServer,
				"GANTRY_API_LISTEN="+s.GantryAddress)
			migrate := exec.CommandContext(ctx, s.opts.Binary, "migrate")
			migrate.Env = env
			if out, err := migrate.CombinedOutput(); err != nil {
				return command{}, fmt.Errorf("migrate the catalog: %w: %s", err, strings.TrimSpace(string(out)))
			}
			return command{path: s.opts.Binary, args: []string{"server"}, env: env, dir: s.opts.Root, log: logPath(s.Dir, Gantry),
				stop: syscall.SIGTERM}, nil
		},
		ready: func(ctx context.Context) error {
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.GantryAddress+"/health", nil)
			if err != nil {
				return err
			}
			res, err := http.DefaultClient.Do(req)
			if err != nil {
				return err
			}
			_, err = io.Copy(io.Discard, res.Body)
			_ = res.Body.Close() // read to its end
			if err == nil && res.StatusCode != http.StatusOK {
				err = fmt.Errorf("it answers %s", res.Status)
			}
			return err
		},
	}
}
