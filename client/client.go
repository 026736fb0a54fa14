package client

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode"
)

// Options say how to reach a server.
type Options struct {
	// Server is the base URL: "http://127.0.0.1:8083", with a path where a proxy adds one. A bare host:port is taken as http.
	// A user and a password in it are taken as Username and Password, unless those or a Token are given.
	Server string
	// Token gives the bearer token, asked for before each call; nil sends none.
	Token func(ctx context.Context) (string, error)
	// Username and Password are sent as basic authentication if there is no Token and a user name.
	Username, Password string
	// TLS is how https is spoken; nil trusts the system's authorities. See [TLSFiles].
	TLS *tls.Config
	// Timeout bounds one attempt of a call, apart from streams; 30 s if zero.
	Timeout time.Duration
	// Attempts is how often a call that may be repeated is tried in all when the server cannot be reached or asks to wait;
	// 4 if zero, 1 never repeats. A rate limit costs no attempts: it is waited out for up to two minutes.
	Attempts int
	// UserAgent tells the server who calls; "gantry-client" if empty.
	UserAgent string
}

const (
	defaultTimeout  = 30 * time.Second
	defaultAttempts = 4
	idleTimeout     = 90 * time.Second
	slowTimeout     = 90 * time.Second // at least, for what a worker has to do: the server waits 35 s for it
	maxAnswerBytes  = 64 << 20         // far more than any answer has; keeps a wrong server from filling the memory
)

// Client calls one server. Its methods may be used from any goroutine. Close it when it is not needed any more.
type Client struct {
	options Options
	base    *url.URL
	http    *http.Client
}

// New makes a client; it calls nothing yet. An error means that the options cannot work.
func New(o Options) (*Client, error) {
	base, err := parseServer(o.Server)
	if err != nil {
		return nil, err
	}
	if user := base.User; user != nil {
		base.User = nil // errors name the server
		if o.Username == "" {
			o.Username = user.Username()
			o.Password, _ = user.Password()
		}
	}
	if o.Timeout == 0 {
		o.Timeout = defaultTimeout
	}
	if o.Attempts == 0 {
		o.Attempts = defaultAttempts
	}
	if o.UserAgent == "" {
		o.UserAgent = "gantry-client"
	}
	transport := &http.Transport{Proxy: http.ProxyFromEnvironment, TLSClientConfig: o.TLS, ForceAttemptHTTP2: true,
		MaxIdleConnsPerHost: 8, IdleConnTimeout: idleTimeout, TLSHandshakeTimeout: o.Timeout}
	stay := func(req *http.Request, via []*http.Request) error {
		if req.URL.Host != base.Host || req.URL.Scheme != base.Scheme || req.Method != via[0].Method || len(via) > 3 {
			return http.ErrUseLastResponse // the token stays here, and a change does not become a read
		}
		return nil
	}
	return &Client{options: o, base: base, http: &http.Client{Transport: transport, CheckRedirect: stay}}, nil
}

// Server is the base URL in use, without credentials.
func (c *Client) Server() string { return c.base.Redacted() }

// Close ends idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

func parseServer(server string) (*url.URL, error) {
	if server == "" {
		return nil, errors.New("no server is named: give its URL, such as http://127.0.0.1:8083")
	}
	if !strings.Contains(server, "://") {
		server = "http://" + server
	}
	u, err := url.Parse(server)
	switch {
	case err != nil:
		var inner *url.Error
		if errors.As(err, &inner) {
			err = inner.Err // without the URL, which may hold a password
		}
		return nil, fmt.Errorf("server URL: %w", err)
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, fmt.Errorf("server URL %q: must begin with http:// or https://", u.Redacted())
	case u.Host == "" || u.RawQuery != "" || u.Fragment != "":
		return nil, fmt.Errorf("server URL %q: must be like http://host:port, with at most a path", u.Redacted())
	}
	u.Path = strings.TrimSuffix(u.Path, "/")
	return u, nil
}

// call is one request and what may be done with it.
type call struct {
	method string
	path   string // escaped, below the base
	query  url.Values
	header http.Header
	in     any // sent as JSON unless nil
	out    any // decoded from JSON unless nil or the answer is empty
	// once keeps a call from being repeated whose method says that it could be.
	once bool
	// slow is a call that a worker has to answer.
	slow bool
}

// answer is what a caller may want of a response beside its body.
type answer struct {
	status int
	header http.Header
}

// path joins escaped segments: path("connectors", name, "config").
func path(segments ...string) string {
	var b strings.Builder
	for _, s := range segments {
		b.WriteByte('/')
		b.WriteString(url.PathEscape(s))
	}
	return b.String()
}

// do makes the call, again where that does no harm.
func (c *Client) do(ctx context.Context, what call) (answer, error) {
	var body []byte
	if what.in != nil {
		var err error
		if body, err = json.Marshal(what.in); err != nil {
			return answer{}, fmt.Errorf("%s %s: encode the request: %w", what.method, what.path, err)
		}
	}
	unsure := false // an earlier attempt may have been carried out
	attempt, held := 1, time.Duration(0)
	for {
		got, err := c.try(ctx, what, body)
		if unsure && what.method == http.MethodDelete && errors.Is(err, ErrNotFound) {
			return got, nil // the attempt whose answer was lost has done it
		}
		pause, again := c.again(what, attempt, held, err)
		if !again {
			return got, err
		}
		if limited(err) {
			held += pause
		} else {
			attempt++
			unsure = unsure || !neverSent(err)
		}
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			if errors.Is(ctx.Err(), context.Canceled) {
				err = fmt.Errorf("%s %s: %w", what.method, what.path, context.Canceled) // whoever gives up asks for no reason
			}
			return got, err
		case <-timer.C:
		}
	}
}

func (c *Client) try(ctx context.Context, what call, body []byte) (answer, error) {
	limit := c.options.Timeout
	if what.slow {
		limit = max(limit, slowTimeout)
	}
	sign, err := c.signature(ctx) // before the time runs: somebody may have to type a passphrase
	if err != nil {
		return answer{}, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, limit, &silentError{limit})
	defer cancel()
	req, err := c.request(ctx, what, body, sign)
	if err != nil {
		return answer{}, err
	}
	res, err := c.http.Do(req)
	if err != nil {
		return answer{}, c.unreachable(ctx, what, err)
	}
	defer res.Body.Close() //nolint:errcheck // only read
	text, err := io.ReadAll(io.LimitReader(res.Body, maxAnswerBytes))
	if err != nil {
		return answer{}, c.unreachable(ctx, what, err)
	}
	got := answer{status: res.StatusCode, header: res.Header}
	if c.base.Scheme == "http" && wantsTLS(res.StatusCode, text) {
		return answer{}, &unreachableError{c.base.Redacted(), errTLS}
	}
	if res.StatusCode >= http.StatusMultipleChoices {
		return got, newError(what, res, text)
	}
	if len(bytes.TrimSpace(text)) == 0 {
		return got, nil
	}
	if kind, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type")); !strings.HasSuffix(kind, "json") {
		return got, &Error{Method: what.method, Path: what.path, Status: res.StatusCode, Code: "not-gantry", Message: fmt.Sprintf(
			"%s answers with %q instead of JSON: is it a Gantry server?", c.base.Redacted(), res.Header.Get("Content-Type"))}
	}
	if what.out == nil {
		return got, nil
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber() // offsets may be above 2^53
	if err := d.Decode(what.out); err != nil {
		return got, fmt.Errorf("%s %s: the answer is not what this client knows: %w", what.method, what.path, err)
	}
	return got, nil
}

// signature says how a request shows who sends it.
func (c *Client) signature(ctx context.Context) (func(*http.Request), error) {
	switch {
	case c.options.Token != nil:
		token, err := c.options.Token(ctx)
		if err != nil {
			return nil, fmt.Errorf("get the token: %w", err)
		}
		if strings.ContainsFunc(token, unicode.IsControl) {
			return nil, errors.New("get the token: it holds a line break or another control character, which no token does")
		}
		if token != "" {
			return func(req *http.Request) { req.Header.Set("Authorization", "Bearer "+token) }, nil
		}
	case c.options.Username != "":
		return func(req *http.Request) { req.SetBasicAuth(c.options.Username, c.options.Password) }, nil
	}
	return func(*http.Request) {}, nil
}

func (c *Client) request(ctx context.Context, what call, body []byte, sign func(*http.Request)) (*http.Request, error) {
	target := c.base.String() + what.path
	if len(what.query) > 0 {
		target += "?" + what.query.Encode()
	}
	var reader io.Reader
	if body != nil {
		reader = bytes.NewReader(body)
	}
	req, err := http.NewRequestWithContext(ctx, what.method, target, reader)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", what.method, what.path, err)
	}
	for key, values := range what.header {
		req.Header[key] = values
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if req.Header.Get("Accept") == "" {
		req.Header.Set("Accept", "application/json, application/problem+json")
	}
	req.Header.Set("User-Agent", c.options.UserAgent)
	sign(req)
	return req, nil
}
