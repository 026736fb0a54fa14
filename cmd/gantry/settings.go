package main

import (
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"path"
	"sort"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/knadh/koanf/parsers/yaml"
	"github.com/knadh/koanf/providers/confmap"
	"github.com/knadh/koanf/providers/env"
	"github.com/knadh/koanf/providers/file"
	"github.com/knadh/koanf/v2"
	"github.com/spf13/cobra"

	"github.com/gantry-connect/gantry/secrets"
)

// setting is one thing that a server process can be told: by --flag, by environment or by file, in that order.
type setting struct {
	key      string // in the file, with dots as nesting; the flag has dashes, the environment variable GANTRY_ and underscores
	fallback string
	doc      string
	secret   bool
	check    func(value string) error
}

// settings is every setting, in the order in which they are shown.
var settings = []setting{
	{key: "catalog.url", fallback: "postgres://gantry@127.0.0.1:5432/gantry", doc: "Postgres database of the catalog", check: checkURL},
	{key: "catalog.password", doc: "its password, where the URL holds none", secret: true},
	{key: "temporal.address", fallback: "127.0.0.1:7233", doc: "Temporal frontend, host:port", check: checkAddress},
	{key: "temporal.namespace", fallback: "gantry", doc: "Temporal namespace of this environment", check: checkGiven},
	{key: "rocketmq.nameservers", fallback: "127.0.0.1:9876", doc: "RocketMQ name servers, host:port, comma-separated", check: checkAddresses},
	{key: "rocketmq.accesskey", doc: "RocketMQ access key; empty without ACL"},
	{key: "rocketmq.secretkey", doc: "RocketMQ secret key", secret: true},
	{key: "rocketmq.schema-topic", fallback: "gantry-schemas", doc: "where schemas are written that messages refer to, for other installations; empty: nowhere"},
	{key: "api.listen", fallback: "127.0.0.1:8083", doc: "where the REST API listens", check: checkAddress},
	{key: "api.allow-unauthenticated-remote", fallback: "false", doc: "with api.auth=none: listen beyond loopback all the same, so that anyone who reaches the port is admin", check: checkBool},
	{key: "api.auth", fallback: "none", doc: "who may use the API: none (everybody is admin), or of tokens, htpasswd and oidc, comma-separated", check: checkAuth},
	{key: "api.public", fallback: "/health", doc: "paths that need no credentials, comma-separated: /health, /, /docs"},
	{key: "api.htpasswd", doc: "file with lines user:bcrypt:role:scope, for api.auth=htpasswd"},
	{key: "api.oidc.issuer", doc: "URL of the OpenID provider, for api.auth=oidc"},
	{key: "api.oidc.audience", doc: "audience that its tokens must have; required with oidc"},
	{key: "api.oidc.name-claim", fallback: "sub", doc: "claim that holds the name"},
	{key: "api.oidc.role-claim", fallback: "roles", doc: "claim that holds roles or groups, dots for nesting"},
	{key: "api.oidc.roles", doc: "what its values mean here, as value=role, comma-separated; a scope may follow the role, as value=editor:orders-*"},
	{key: "api.tls.cert", doc: "PEM file with the API's certificate; read again when it changes"},
	{key: "api.tls.key", doc: "PEM file with its key"},
	{key: "api.tls.client-ca", doc: "PEM file with authorities; clients must show a certificate of one of them"},
	{key: "api.rate-limit", fallback: "1000", doc: "requests a second that one caller, and one address, may make; 0: any number", check: checkNumber},
	{key: "api.request-timeout", fallback: "60s", doc: "how long one request may take, streams excepted", check: checkDuration},
	{key: "api.cors.origins", doc: "web origins whose pages may call the API, comma-separated; none by default"},
	{key: "secrets.env", fallback: "*", doc: "environment variables that configs may refer to as ${env:NAME}, patterns with * and ?, comma-separated; those that begin with GANTRY_ only by a pattern that begins so", check: checkPatterns},
	{key: "secrets.folders", doc: "folders whose files configs may refer to as ${file:/path:key} and ${dir:/path:file}, comma-separated; none by default"},
	{key: "secrets.keyset", doc: "keys that seal secrets in the catalog (gantry key create)", secret: true},
	{key: "topic.tracking.enable", fallback: "true", doc: "let the API tell which topics a connector has used", check: checkBool},
	{key: "topic.tracking.allow.reset", fallback: "true", doc: "let the API forget which topics a connector has used", check: checkBool},
	{key: "worker.id", doc: "this worker's name; host and process id by default"},
	{key: "worker.group", doc: "workers of one group have the same plugins; tasks stay within a group"},
	{key: "worker.capacity", fallback: "100", doc: "tasks this worker runs at most", check: checkPositive},
	{key: "worker.metrics", doc: "serve metrics of the worker for Prometheus on this host:port, under /metrics and to anyone who reaches it; empty: nowhere", check: checkMaybeAddress},
	{key: "worker.pprof", doc: "serve Go's profiles of the worker on this host:port of the machine; empty: nowhere", check: checkLoopback},
	{key: "log.level", fallback: "info", doc: "debug, info, warn or error", check: checkLevel},
	{key: "log.format", fallback: "text", doc: "text or json", check: func(v string) error { return oneOf(v, "text", "json") }},
}

// shown is a value of the setting as it may be shown. A URL that cannot be read may hold a password anywhere.
func (s setting) shown(value string) string {
	if u, err := url.Parse(value); value != "" && (s.secret || (s.key == "catalog.url" && (err != nil || u.Host == ""))) {
		return "[hidden]"
	}
	return secrets.Shown(value, false)
}

func (s setting) flag() string { return strings.ReplaceAll(s.key, ".", "-") }

func (s setting) variable() string {
	return "GANTRY_" + strings.ToUpper(strings.NewReplacer(".", "_", "-", "_").Replace(s.key))
}

// addSettings gives cmd the flags of every setting, and --config.
func addSettings(cmd *cobra.Command) {
	cmd.Flags().String("config", "", "YAML file with settings (default: GANTRY_CONFIG, else none)")
	for _, s := range settings {
		doc := fmt.Sprintf("%s (%s)", s.doc, s.variable())
		cmd.Flags().String(s.flag(), s.fallback, doc)
	}
}

// loaded is the settings in force and where each comes from.
type loaded struct {
	values  map[string]string
	origins map[string]string
}

func defaultSettings() *loaded {
	l := &loaded{values: map[string]string{}, origins: map[string]string{}}
	for _, s := range settings {
		l.values[s.key], l.origins[s.key] = s.fallback, "default"
	}
	return l
}

// loadSettings reads file, environment and flags, the later ones winning, and checks every value.
func loadSettings(cmd *cobra.Command) (*loaded, error) {
	l := defaultSettings()
	if err := l.fromFile(cmd); err != nil {
		return nil, err
	}
	byVariable := map[string]string{}
	for _, s := range settings {
		byVariable[s.variable()] = s.key
	}
	k := koanf.New(".")
	if err := k.Load(env.Provider("GANTRY_", ".", func(v string) string { return byVariable[v] }), nil); err != nil {
		return nil, fmt.Errorf("read environment: %w", err)
	}
	l.take(k, "environment")
	flags := map[string]any{}
	for _, s := range settings {
		if f := cmd.Flags().Lookup(s.flag()); f != nil && f.Changed {
			flags[s.key] = f.Value.String()
		}
	}
	k = koanf.New(".")
	if err := k.Load(confmap.Provider(flags, "."), nil); err != nil {
		return nil, fmt.Errorf("read flags: %w", err)
	}
	l.take(k, "flag")
	return l, l.check()
}

func (l *loaded) fromFile(cmd *cobra.Command) error {
	path, _ := cmd.Flags().GetString("config")
	if path == "" {
		path = os.Getenv("GANTRY_CONFIG")
	}
	if path == "" {
		return nil
	}
	k := koanf.New(".")
	if err := k.Load(file.Provider(path), yaml.Parser()); err != nil {
		return fmt.Errorf("read settings from %s: %w", path, err)
	}
	for _, key := range k.Keys() {
		if _, ok := l.values[key]; !ok {
			return fmt.Errorf("%s: unknown setting %q; `gantry config` lists them", path, key)
		}
	}
	l.take(k, path)
	return nil
}

func (l *loaded) take(k *koanf.Koanf, origin string) {
	for _, s := range settings {
		if k.Exists(s.key) {
			l.values[s.key], l.origins[s.key] = k.String(s.key), origin
		}
	}
}

func (l *loaded) check() error {
	for _, s := range settings {
		if s.check == nil {
			continue
		}
		if err := s.check(l.values[s.key]); err != nil {
			return fmt.Errorf("%s = %q (from %s): %w", s.key, s.shown(l.values[s.key]), l.origins[s.key], err)
		}
	}
	return nil
}

func (l *loaded) get(key string) string { return l.values[key] }

// list is a setting with several values.
func (l *loaded) list(key string) []string {
	var out []string
	for _, v := range strings.Split(l.values[key], ",") {
		if v = strings.TrimSpace(v); v != "" {
			out = append(out, v)
		}
	}
	return out
}

func (l *loaded) number(key string) int {
	n, _ := strconv.Atoi(l.values[key]) // check has seen it
	return n
}

// catalogURL is the catalog's URL with its password.
func (l *loaded) catalogURL() string {
	u, err := url.Parse(l.get("catalog.url"))
	if password := l.get("catalog.password"); err == nil && password != "" {
		u.User = url.UserPassword(u.User.Username(), password)
		return u.String()
	}
	return l.get("catalog.url")
}

// print shows the settings in force with secrets masked.
func (l *loaded) print(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "SETTING\tVALUE\tFROM\tENVIRONMENT")
	for _, s := range settings {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", s.key, s.shown(l.values[s.key]), l.origins[s.key], s.variable())
	}
	return w.Flush()
}

func checkGiven(v string) error {
	if v == "" {
		return fmt.Errorf("must not be empty")
	}
	return nil
}

func checkURL(v string) error {
	u, err := url.Parse(v)
	if err != nil || (u.Scheme != "postgres" && u.Scheme != "postgresql") || u.Host == "" {
		return fmt.Errorf("must be a URL such as postgres://user@host:5432/database")
	}
	return nil
}

func checkAddress(v string) error {
	if _, port, err := net.SplitHostPort(v); err != nil || port == "" {
		return fmt.Errorf("must be host:port")
	}
	return nil
}

func checkAddresses(v string) error {
	for _, a := range strings.Split(v, ",") {
		if err := checkAddress(strings.TrimSpace(a)); err != nil {
			return fmt.Errorf("%q: %w", a, err)
		}
	}
	return nil
}

func checkPositive(v string) error {
	if n, err := strconv.Atoi(v); err != nil || n < 1 {
		return fmt.Errorf("must be a whole number from 1")
	}
	return nil
}

func checkBool(v string) error { return oneOf(v, "true", "false") }

func checkLevel(v string) error { return oneOf(v, "debug", "info", "warn", "error") }

func oneOf(v string, allowed ...string) error {
	sort.Strings(allowed)
	for _, a := range allowed {
		if v == a {
			return nil
		}
	}
	return fmt.Errorf("must be one of %s", strings.Join(allowed, ", "))
}

func checkPatterns(v string) error {
	for _, pattern := range strings.Split(v, ",") {
		if _, err := path.Match(strings.TrimSpace(pattern), ""); err != nil {
			return fmt.Errorf("%q is no pattern: use * and ?", pattern)
		}
	}
	return nil
}

func checkNumber(v string) error {
	if n, err := strconv.Atoi(v); err != nil || n < 0 {
		return fmt.Errorf("must be a whole number from 0")
	}
	return nil
}

func checkDuration(v string) error {
	if d, err := time.ParseDuration(v); err != nil || d <= 0 {
		return fmt.Errorf("must be a duration such as 30s")
	}
	return nil
}

// checkExposure refuses to listen beyond loopback without authentication, unless told so in words.
func (l *loaded) checkExposure() error {
	host, _, _ := net.SplitHostPort(l.get("api.listen")) // check has seen it
	ip := net.ParseIP(host)
	if host == "localhost" || (ip != nil && ip.IsLoopback()) || l.get("api.auth") != authNone || l.openToAll() {
		return nil
	}
	return l.exposed()
}

// checkBound is checkExposure for the address that was got in the end: localhost is what the machine's resolver says.
func (l *loaded) checkBound(got net.Addr) error {
	if tcp, ok := got.(*net.TCPAddr); ok && tcp.IP.IsLoopback() || l.get("api.auth") != authNone || l.openToAll() {
		return nil
	}
	return fmt.Errorf("it is %v: %w", got, l.exposed())
}

// openToAll reports whether whoever reaches the API may be admin, wherever they are.
func (l *loaded) openToAll() bool { return l.get("api.allow-unauthenticated-remote") == "true" }

func (l *loaded) exposed() error {
	return fmt.Errorf("api.listen = %q reaches beyond this machine, and api.auth is none: listen on 127.0.0.1, or set api.auth to tokens (gantry token create makes one), or say api.allow-unauthenticated-remote=true if whoever reaches the port may be admin", l.get("api.listen"))
}
