package devstack

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// postgresConf is written at every start. 500 connections are enough for many test packages side by side; logical
// decoding is on, because connectors read it.
const postgresConf = `listen_addresses = '127.0.0.1'
port = %d
unix_socket_directories = ''
password_encryption = 'scram-sha-256'
max_connections = 500
superuser_reserved_connections = 5
shared_buffers = '256MB'
wal_level = logical
max_wal_senders = 50
max_replication_slots = 50
max_wal_size = '2GB'
jit = off
timezone = 'UTC'
log_timezone = 'UTC'
log_line_prefix = '%%m [%%p] %%q%%u@%%d '
lc_messages = 'C'
`

// postgresUnsafe keeps what a killed server committed, because the kernel still has it, but not what a crashed machine did.
// synchronous_commit stays on: without it a killed server loses the commits that it had not handed to the kernel.
const postgresUnsafe = `fsync = off
full_page_writes = off
`

func (s *Stack) postgres() server {
	return server{
		prepare: func(ctx context.Context) (command, error) {
			home, err := s.postgresHome(ctx)
			if err != nil {
				return command{}, err
			}
			if err := s.initPostgres(ctx, home); err != nil {
				return command{}, err
			}
			return command{
				path: filepath.Join(home.binaries, "bin", "postgres"), args: []string{"-D", home.data},
				env: plainEnv(home.data), dir: home.data, as: home.as, log: logPath(s.Dir, Postgres), stop: stopSignal(Postgres),
			}, nil
		},
		ready: func(ctx context.Context) error {
			if err := s.execSQL(ctx, "gantry", "select 1"); errors.Is(err, errNoDatabase) {
				if err := s.execSQL(ctx, "postgres", "create database gantry"); err != nil {
					return err
				}
			} else if err != nil {
				return err
			}
			return nil
		},
	}
}

// initPostgres makes the data directory if there is none, and writes the settings. A directory is made under another name
// first, so that one whose making was interrupted is never used.
func (s *Stack) initPostgres(ctx context.Context, home postgresHome) error {
	if _, err := os.Stat(filepath.Join(home.data, "PG_VERSION")); errors.Is(err, fs.ErrNotExist) {
		if err := s.runInitdb(ctx, home); err != nil {
			return err
		}
	} else if err != nil {
		return fmt.Errorf("look for its data: %w", err)
	}
	conf := fmt.Sprintf(postgresConf, s.opts.Ports.Postgres)
	if s.opts.Unsafe {
		conf += postgresUnsafe
	}
	for _, line := range s.opts.PostgresSettings {
		conf += line + "\n"
	}
	path := filepath.Join(home.data, "postgresql.auto.conf")
	if err := os.WriteFile(path, []byte(conf), 0o600); err != nil {
		return fmt.Errorf("write its settings: %w", err)
	}
	return home.own(path)
}

func (s *Stack) runInitdb(ctx context.Context, home postgresHome) error {
	making, password := home.data+".new", home.data+".password"
	if err := os.RemoveAll(making); err != nil {
		return fmt.Errorf("remove a half-made data directory: %w", err)
	}
	if err := os.WriteFile(password, []byte(s.PostgresPassword), 0o600); err != nil {
		return fmt.Errorf("write the password for initdb: %w", err)
	}
	defer func() { _ = os.Remove(password) }() // in a folder that only this user can list
	if err := os.Mkdir(making, 0o700); err != nil {
		return fmt.Errorf("create its data directory: %w", err)
	}
	if err := home.own(making, password); err != nil {
		return err
	}
	args := []string{
		"-D", making, "-U", PostgresUser, "--pwfile", password, "--auth", "scram-sha-256", "--encoding", "UTF8",
		"--locale-provider", "builtin", "--builtin-locale", "C.UTF-8", "--locale", "C",
	}
	if s.opts.Unsafe {
		args = append(args, "--no-sync")
	}
	cmd := exec.CommandContext(ctx, filepath.Join(home.binaries, "bin", "initdb"), args...)
	cmd.Env, cmd.Dir = plainEnv(making), making
	cmd.SysProcAttr = home.attr()
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("make its data directory: %s: %w\n%s", cmd, err, lastLines(out, 12))
	}
	if err := os.Rename(making, home.data); err != nil {
		return fmt.Errorf("make its data directory: %w", err)
	}
	return nil
}

var errNoDatabase = errors.New("no such database")

// execSQL runs one statement on a connection of its own.
func (s *Stack) execSQL(ctx context.Context, database, sql string) error {
	conn, err := pgconn.Connect(ctx, s.PostgresURL(database))
	if err != nil {
		if pgErr := (*pgconn.PgError)(nil); errors.As(err, &pgErr) && pgErr.Code == "3D000" {
			return fmt.Errorf("%s: %w", database, errNoDatabase)
		}
		return fmt.Errorf("connect to Postgres: %w", err)
	}
	defer func() {
		closeCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = conn.Close(closeCtx)
	}()
	if _, err := conn.Exec(ctx, sql).ReadAll(); err != nil {
		return fmt.Errorf("run %q: %w", sql, err)
	}
	return nil
}

// postgresPassword returns the password of the data in dir, made when the folder is new.
func postgresPassword(dir string) (string, error) {
	path := filepath.Join(dir, "postgres.password")
	b, err := os.ReadFile(path)
	if err == nil {
		return strings.TrimSpace(string(b)), nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("read the password of Postgres: %w", err)
	}
	password := rand.Text()
	if err := os.WriteFile(path, []byte(password+"\n"), 0o600); err != nil {
		return "", fmt.Errorf("store the password of Postgres: %w", err)
	}
	return password, nil
}
