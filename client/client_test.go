package client_test

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/gantry-connect/gantry/client"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// dial is a client of a server that answers with handler.
func dial(t *testing.T, handler http.HandlerFunc, with ...func(*client.Options)) *client.Client {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	o := client.Options{Server: server.URL}
	for _, w := range with {
		w(&o)
	}
	c, err := client.New(o)
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return c
}

func answer(w http.ResponseWriter, status int, kind, body string) {
	w.Header().Set("Content-Type", kind)
	w.WriteHeader(status)
	fmt.Fprint(w, body) //nolint:errcheck // the test sees what is missing
}

// hangUp ends the connection without an answer, as a server does that is killed.
func hangUp(w http.ResponseWriter) { panic(http.ErrAbortHandler) }

func TestBothShapesOfErrorsAreTyped(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, kind, body string
		status           int
		is               error
		message, code    string
		remedy, field    string
	}{
		{name: "Kafka Connect's", kind: "application/json", status: 404, body: `{"error_code":404,"message":"Connector a not found"}`,
			is: client.ErrNotFound, message: "Connector a not found"},
		{name: "a problem", kind: "application/problem+json", status: 412, is: client.ErrConflict, code: "changed", remedy: "Read it again.",
			body:    `{"type":"urn:x","title":"Precondition Failed","status":412,"detail":"It is revision 4 now","code":"changed","remedy":"Read it again."}`,
			message: "It is revision 4 now"},
		{name: "a problem with a field", kind: "application/problem+json", status: 400, is: client.ErrInvalid, code: "invalid-config", field: "tasks.max",
			body: `{"title":"Bad Request","detail":"tasks.max: must be a number","code":"invalid-config","field":"tasks.max","value":"x"}`, message: "tasks.max: must be a number"},
		{name: "a proxy's text", kind: "text/plain", status: 403, body: "no entry\n", is: client.ErrForbidden, message: "no entry"},
		{name: "a proxy's page", kind: "text/html", status: 500, body: "<html>", is: client.ErrServer, message: "GET /connectors/a/status: 500 Internal Server Error"},
		{name: "no token", kind: "application/json", status: 401, body: `{"error_code":401,"message":"who are you?"}`, is: client.ErrUnauthorized, message: "who are you?"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := dial(t, func(w http.ResponseWriter, _ *http.Request) { answer(w, tt.status, tt.kind, tt.body) })
			_, err := c.Status(t.Context(), "a")
			var got *client.Error
			require.ErrorAs(t, err, &got)
			require.ErrorIs(t, err, tt.is)
			require.Equal(t, tt.message, err.Error())
			require.Equal(t, []string{tt.code, tt.remedy, tt.field}, []string{got.Code, got.Remedy, got.Field})
		})
	}
}

// What may be repeated is; what might be carried out twice is not.
func TestOnlyCallsThatDoNoHarmAreRepeated(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		do    func(ctx context.Context, c *client.Client) error
		fault func(w http.ResponseWriter)
		tries int32 // the second one succeeds
	}{
		{"a read after a broken connection", func(ctx context.Context, c *client.Client) error { _, err := c.Status(ctx, "a"); return err }, hangUp, 2},
		{"a pause after a broken connection", func(ctx context.Context, c *client.Client) error { return c.Pause(ctx, "a") }, hangUp, 2},
		{"a read while the server is busy", func(ctx context.Context, c *client.Client) error { _, err := c.Status(ctx, "a"); return err },
			func(w http.ResponseWriter) { answer(w, 503, "application/json", `{"error_code":503,"message":"busy"}`) }, 2},
		{"a restart, which counts", func(ctx context.Context, c *client.Client) error { return c.Restart(ctx, "a", client.Restart{}) }, hangUp, 1},
		{"a creation, by its key", func(ctx context.Context, c *client.Client) error {
			_, err := c.Create(ctx, client.NewConnector{Name: "a"}, false)
			return err
		}, hangUp, 2},
		{"a conditional change", func(ctx context.Context, c *client.Client) error {
			_, _, err := c.ReplaceConfig(ctx, "a", nil, client.Replacement{IfRevision: 3})
			return err
		}, hangUp, 1},
		{"a refusal", func(ctx context.Context, c *client.Client) error { _, err := c.Status(ctx, "a"); return err },
			func(w http.ResponseWriter) { answer(w, 400, "application/json", `{}`) }, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var calls atomic.Int32
			var keys [3]string
			c := dial(t, func(w http.ResponseWriter, r *http.Request) {
				n := calls.Add(1)
				keys[n] = r.Header.Get("Idempotency-Key")
				if n == 1 {
					tt.fault(w)
					return
				}
				answer(w, 200, "application/json", `{}`)
			})
			err := tt.do(t.Context(), c)
			require.Equal(t, tt.tries, calls.Load())
			require.Equal(t, tt.tries == 2, err == nil, "%v", err)
			if tt.tries == 2 {
				require.Equal(t, keys[1], keys[2], "the second attempt has the key of the first")
			}
		})
	}
}

func TestADeleteWhoseAnswerWasLostHasSucceeded(t *testing.T) {
	t.Parallel()
	var calls atomic.Int32
	c := dial(t, func(w http.ResponseWriter, _ *http.Request) {
		if calls.Add(1) == 1 {
			hangUp(w)
		}
		answer(w, 404, "application/json", `{"error_code":404,"message":"gone"}`)
	})
	require.NoError(t, c.Delete(t.Context(), "a", client.Deletion{}))
	require.ErrorIs(t, c.Delete(t.Context(), "a", client.Deletion{}), client.ErrNotFound, "the first attempt of this one was answered")
}

func TestAServerThatIsAwayIsNamed(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := l.Addr().String()
	require.NoError(t, l.Close())
	c, err := client.New(client.Options{Server: address, Attempts: 2})
	require.NoError(t, err)
	err = c.Pause(t.Context(), "a")
	require.ErrorIs(t, err, client.ErrUnreachable)
	require.EqualError(t, err, "http://"+address+" cannot be reached: connection refused")
	c, err = client.New(client.Options{Server: "http://none.invalid:8083", Attempts: 1})
	require.NoError(t, err)
	_, err = c.Names(t.Context())
	require.ErrorIs(t, err, client.ErrUnreachable)
	require.NotContains(t, err.Error(), "dial tcp")
}

func TestAServerThatSpeaksNoTLSIsToldApart(t *testing.T) {
	t.Parallel()
	plain := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { answer(w, 200, "application/json", `[]`) }))
	t.Cleanup(plain.Close)
	c, err := client.New(client.Options{Server: "https" + strings.TrimPrefix(plain.URL, "http"), Attempts: 1})
	require.NoError(t, err)
	_, err = c.Names(t.Context())
	require.ErrorIs(t, err, client.ErrUnreachable)
	require.ErrorContains(t, err, "it does not speak TLS: begin the URL with http://")
	secure := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(secure.Close)
	c, err = client.New(client.Options{Server: "http" + strings.TrimPrefix(secure.URL, "https")})
	require.NoError(t, err)
	t.Cleanup(c.Close)
	_, err = c.Names(t.Context())
	require.ErrorIs(t, err, client.ErrUnreachable)
	require.ErrorContains(t, err, "it speaks TLS: begin the URL with https://")
}

func TestAServerThatIsSilentIsGivenUp(t *testing.T) {
	t.Parallel()
	var calls atomic.Int32
	c := dial(t, func(_ http.ResponseWriter, r *http.Request) {
		calls.Add(1)
		<-r.Context().Done()
	}, func(o *client.Options) { o.Timeout, o.Attempts = 50*time.Millisecond, 2 })
	_, err := c.Names(t.Context())
	require.ErrorIs(t, err, client.ErrUnreachable)
	require.ErrorContains(t, err, "no answer within 50ms")
	require.Equal(t, int32(2), calls.Load())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = c.Names(ctx)
	require.ErrorIs(t, err, context.Canceled, "who gives up himself is not told of the server")
	require.NotErrorIs(t, err, client.ErrUnreachable)
	pausing, stop := context.WithCancel(t.Context())
	away, err := client.New(client.Options{Server: "http://127.0.0.1:1"})
	require.NoError(t, err)
	time.AfterFunc(50*time.Millisecond, stop) // within the first pause, which is 100 ms at least
	_, err = away.Names(pausing)
	require.ErrorIs(t, err, context.Canceled, "nor is who gives up between two attempts")
	require.NotErrorIs(t, err, client.ErrUnreachable)
	ctx, cancel = context.WithTimeout(t.Context(), 120*time.Millisecond)
	defer cancel()
	require.NoError(t, c.Follow(ctx, client.EventQuery{}, -1, nil), "a stream is tried again until its reader goes")
}

func TestAWrongServerIsRefusedBeforeAnyCall(t *testing.T) {
	t.Parallel()
	for server, says := range map[string]string{"": "no server is named", "ftp://x": "must begin with http", "http://": "must be like",
		"http://x?y=1": "must be like", "http://a b": "server URL"} {
		_, err := client.New(client.Options{Server: server})
		require.ErrorContains(t, err, says, server)
	}
}

func TestTokensGoNowhereElse(t *testing.T) {
	t.Parallel()
	var leaked atomic.Value
	other := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { leaked.Store(r.Header.Get("Authorization")) }))
	t.Cleanup(other.Close)
	c := dial(t, func(w http.ResponseWriter, r *http.Request) {
		require.Equal(t, "Bearer secret", r.Header.Get("Authorization"))
		http.Redirect(w, r, other.URL, http.StatusTemporaryRedirect)
	}, func(o *client.Options) {
		o.Token, o.Attempts = func(context.Context) (string, error) { return "secret", nil }, 1
	})
	_, err := c.Names(t.Context())
	require.ErrorContains(t, err, "redirects to "+other.URL+":")
	require.NotErrorIs(t, err, client.ErrUnreachable, "it has answered")
	require.Nil(t, leaked.Load())
}

// A redirect turns other methods into GET: what was to be changed would be read, and look like a success.
func TestAChangeIsNotTurnedIntoARead(t *testing.T) {
	t.Parallel()
	var calls atomic.Int32
	c := dial(t, func(w http.ResponseWriter, r *http.Request) {
		calls.Add(1)
		switch {
		case r.URL.Path == "/login":
			answer(w, 200, "text/html", "<html>who are you?</html>")
		case r.URL.Path == "/connectors":
			http.Redirect(w, r, "/moved", http.StatusFound)
		case r.URL.Path == "/moved":
			answer(w, 200, "application/json", `["a"]`)
		default:
			http.Redirect(w, r, "/login", http.StatusFound)
		}
	})
	require.ErrorContains(t, c.Pause(t.Context(), "a"), "redirects to ")
	require.Equal(t, int32(1), calls.Load(), "it was neither followed nor repeated")
	names, err := c.Names(t.Context())
	require.NoError(t, err)
	require.Equal(t, []string{"a"}, names, "reads are followed on the same server")
}

// A token that somebody has to be asked for takes its time, which is not the server's.
func TestATokenMayTakeItsTime(t *testing.T) {
	t.Parallel()
	c := dial(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer late" {
			w.WriteHeader(401)
			return
		}
		answer(w, 200, "application/json", `["a"]`)
	}, func(o *client.Options) {
		o.Timeout, o.Attempts = 500*time.Millisecond, 1
		o.Token = func(ctx context.Context) (string, error) {
			_, limited := ctx.Deadline()
			require.False(t, limited)
			return "late", nil
		}
	})
	names, err := c.Names(t.Context())
	require.NoError(t, err)
	require.Equal(t, []string{"a"}, names)
	c, err = client.New(client.Options{Server: c.Server(), Token: func(context.Context) (string, error) { return "two\nlines", nil }})
	require.NoError(t, err)
	_, err = c.Names(t.Context())
	require.ErrorContains(t, err, "get the token: it holds a line break")
	require.NotErrorIs(t, err, client.ErrUnreachable, "the server has nothing to do with it")
}

func TestCredentialsInTheURLAreSentAndNotShown(t *testing.T) {
	t.Parallel()
	var sent atomic.Value
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sent.Store(r.Header.Get("Authorization"))
		answer(w, 404, "text/plain", "")
	}))
	t.Cleanup(server.Close)
	c, err := client.New(client.Options{Server: "http://ann:hunter2@" + strings.TrimPrefix(server.URL, "http://")})
	require.NoError(t, err)
	t.Cleanup(c.Close)
	_, err = c.Names(t.Context())
	require.NotContains(t, err.Error(), "hunter2")
	require.Equal(t, "Basic YW5uOmh1bnRlcjI=", sent.Load())
	require.Equal(t, server.URL, c.Server())
	_, err = client.New(client.Options{Server: "http://ann:hunter2@x:1%zz"})
	require.Error(t, err)
	require.NotContains(t, err.Error(), "hunter2")
}

func TestAnAnswerOfAnotherKindOfServerIsToldApart(t *testing.T) {
	t.Parallel()
	c := dial(t, func(w http.ResponseWriter, _ *http.Request) { answer(w, 200, "text/html", "<html>welcome</html>") })
	_, err := c.Names(t.Context())
	require.ErrorContains(t, err, "is it a Gantry server?")
	require.ErrorContains(t, c.Pause(t.Context(), "a"), "is it a Gantry server?", "also where the answer does not matter")
}

func TestNamesAndOffsetsSurviveTheWay(t *testing.T) {
	t.Parallel()
	name := `ä/b\c%d?e#f g{y}`
	c := dial(t, func(w http.ResponseWriter, r *http.Request) {
		require.Equal(t, "/v1/connectors/"+name+"/offsets", r.URL.Path)
		if r.Method == http.MethodPatch {
			require.Equal(t, `"0"`, r.Header.Get("If-Match"))
			io.Copy(w, r.Body) //nolint:errcheck // the test sees what is missing
			return
		}
		answer(w, 200, "application/json", `{"generation":0,"offsets":[{"partition":{"f":"x"},"offset":{"n":9007199254740993}}]}`)
	})
	p, err := c.Positions(t.Context(), name)
	require.NoError(t, err)
	require.Equal(t, json.Number("9007199254740993"), p.Offsets[0].Offset["n"])
	_, err = c.EditPositions(t.Context(), name, p.Offsets, p.Generation)
	require.ErrorContains(t, err, "is it a Gantry server?", "the echo has no content type")
}

func TestAllPagesAreRead(t *testing.T) {
	t.Parallel()
	pages := map[string]string{"": `{"items":[{"name":"a"},{"name":"b"}],"next":"b"}`, "b": `{"items":[{"name":"c"}]}`}
	c := dial(t, func(w http.ResponseWriter, r *http.Request) {
		require.Equal(t, "team=ops", r.URL.Query().Get("selector"))
		answer(w, 200, "application/json", pages[r.URL.Query().Get("cursor")])
	})
	all, err := c.Overviews(t.Context(), client.Query{Selector: "team=ops"})
	require.NoError(t, err)
	require.Len(t, all, 3)
	require.Equal(t, "c", all[2].Name)
}

// A stream that breaks is taken up behind the last event that was seen.
func TestAStreamGoesOnWhereItBroke(t *testing.T) {
	t.Parallel()
	var calls atomic.Int32
	c := dial(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		switch calls.Add(1) {
		case 1:
			require.Equal(t, "6", r.Header.Get("Last-Event-ID"))
			fmt.Fprint(w, ": hello\n\nid: 7\ndata: {\"id\":7,\ndata: \"kind\":\"created\"}\n\ndata: {\"id\":") //nolint:errcheck // broken on purpose
		default:
			require.Equal(t, "7", r.Header.Get("Last-Event-ID"))
			fmt.Fprint(w, "event: x\ndata:{\"id\":8}\n\n") //nolint:errcheck // see above
		}
	})
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	var ids []int64
	enough := errors.New("enough")
	err := c.Follow(ctx, client.EventQuery{}, 6, func(e client.Event) error {
		if ids = append(ids, e.ID); len(ids) == 2 {
			return enough
		}
		return nil
	})
	require.ErrorIs(t, err, enough)
	require.Equal(t, []int64{7, 8}, ids)
}

func TestAStreamThatIsRefusedIsNotTriedAgain(t *testing.T) {
	t.Parallel()
	c := dial(t, func(w http.ResponseWriter, _ *http.Request) {
		answer(w, 404, "application/problem+json", `{"code":"not-found","detail":"Connector a not found"}`)
	})
	err := c.Follow(t.Context(), client.EventQuery{Connector: "a"}, -1, func(client.Event) error { return nil })
	require.ErrorIs(t, err, client.ErrNotFound)
}

func TestTLSFilesAreCheckedTogether(t *testing.T) {
	t.Parallel()
	none, err := client.TLSFiles{}.Config()
	require.NoError(t, err)
	require.Nil(t, none)
	_, err = client.TLSFiles{CA: filepath.Join(t.TempDir(), "none.pem")}.Config()
	require.ErrorIs(t, err, os.ErrNotExist)
	empty := filepath.Join(t.TempDir(), "empty.pem")
	require.NoError(t, os.WriteFile(empty, nil, 0o600))
	_, err = client.TLSFiles{CA: empty}.Config()
	require.ErrorContains(t, err, "no certificate in PEM form")
	_, err = client.TLSFiles{Cert: empty}.Config()
	require.ErrorContains(t, err, "needs both")
}

func TestTLSTrustsWhoIsNamedAndNobodyElse(t *testing.T) {
	t.Parallel()
	var calls atomic.Int32
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		calls.Add(1)
		answer(w, 200, "application/json", `["a"]`)
	}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // the refused handshake is the point
	server.StartTLS()
	t.Cleanup(server.Close)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	require.NoError(t, os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600))
	names := func(files client.TLSFiles) error {
		config, err := files.Config()
		require.NoError(t, err)
		c, err := client.New(client.Options{Server: server.URL, TLS: config})
		require.NoError(t, err)
		defer c.Close()
		_, err = c.Names(t.Context())
		return err
	}
	err := names(client.TLSFiles{})
	require.ErrorIs(t, err, client.ErrUnreachable)
	require.ErrorContains(t, err, "certificate")
	require.Zero(t, calls.Load())
	require.NoError(t, names(client.TLSFiles{CA: ca}))
	require.ErrorIs(t, names(client.TLSFiles{CA: ca, Server: "other.example"}), client.ErrUnreachable)
	require.NoError(t, names(client.TLSFiles{SkipVerify: true}))
}

// A creation waits at the server for its name to be free, for longer perhaps than one attempt lasts: the next ones are told that
// it is being carried out, until they get its answer.
func TestAnAttemptThatGoesOnIsWaitedFor(t *testing.T) {
	t.Parallel()
	var calls atomic.Int32
	var keys sync.Map
	c := dial(t, func(w http.ResponseWriter, r *http.Request) {
		keys.Store(r.Header.Get("Idempotency-Key"), true)
		switch n := calls.Add(1); {
		case n == 1:
			hangUp(w)
		case n < 8:
			answer(w, 409, "application/problem+json", `{"code":"idempotency-key-busy","detail":"it is being carried out"}`)
		default:
			answer(w, 201, "application/json", `{"name":"a"}`)
		}
	}, func(o *client.Options) { o.Attempts = 2 })
	made, err := c.Create(t.Context(), client.NewConnector{Name: "a"}, false)
	require.NoError(t, err)
	require.Equal(t, "a", made.Name)
	n := 0
	keys.Range(func(any, any) bool { n++; return true })
	require.Equal(t, 1, n, "one call has one key")
}

// Many calls in a row, as of apply with hundreds of files, wait out the server's rate limit, however often it says so; what
// it refused was not carried out, and is made again with the same Idempotency-Key.
func TestARateLimitIsWaitedOut(t *testing.T) {
	t.Parallel()
	var refused atomic.Int32
	keys := make(chan string, 10)
	limit := func(w http.ResponseWriter, r *http.Request) {
		keys <- r.Header.Get("Idempotency-Key")
		if refused.Add(1) <= 6 { // more than the attempts that a call has
			w.Header().Set("Retry-After", "0")
			answer(w, 429, "application/problem+json", `{"status":429,"detail":"Too many requests"}`)
			return
		}
		answer(w, 201, "application/json", `{"name":"x"}`)
	}
	c := dial(t, limit)
	made, err := c.Create(t.Context(), client.NewConnector{Name: "x"}, false)
	require.NoError(t, err)
	require.Equal(t, "x", made.Name)
	require.Equal(t, int32(7), refused.Load())
	first := <-keys
	require.NotEmpty(t, first)
	for range 6 {
		require.Equal(t, first, <-keys)
	}

	refused.Store(0)
	never := dial(t, limit, func(o *client.Options) { o.Attempts = 1 })
	_, err = never.Create(t.Context(), client.NewConnector{Name: "x"}, false)
	require.ErrorIs(t, err, client.ErrUnavailable)
	require.Equal(t, int32(1), refused.Load())
}
