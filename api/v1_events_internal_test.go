package api

import (
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gantry-connect/gantry/control"
)

// A stream of which a client may see little does not read all that it may not see again and again.
func TestAStreamLeavesBehindWhatIsNotForIt(t *testing.T) {
	t.Parallel()
	now := time.Now()
	s := &eventStream{out: httptest.NewRecorder(), sent: map[int64]time.Time{}, floor: 10, head: 900, headAt: now}
	require.NoError(t, s.send([]control.Event{{ID: 20}, {ID: 950}}, now))
	require.False(t, s.rise(now.Add(eventsSettle/2)), "an event below the head may turn up yet")
	require.Equal(t, int64(10), s.floor)
	require.True(t, s.rise(now.Add(eventsSettle)))
	require.Equal(t, int64(900), s.floor)
	require.Contains(t, s.sent, int64(950), "it is read again, and was sent")
	require.Len(t, s.sent, 1)
}

// patient is a connection that takes down until when a write may take.
type patient struct {
	*httptest.ResponseRecorder
	until time.Time
}

func (p *patient) SetWriteDeadline(at time.Time) error {
	p.until = at
	return nil
}

// A client that stops reading would keep its stream, and what serves it, for ever.
func TestAStreamDoesNotWaitForeverForItsClient(t *testing.T) {
	t.Parallel()
	out := &patient{ResponseRecorder: httptest.NewRecorder()}
	s := &eventStream{out: out, sent: map[int64]time.Time{}}
	require.NoError(t, s.send([]control.Event{{ID: 1}}, time.Now()))
	require.WithinDuration(t, time.Now().Add(eventsWrite), out.until, time.Minute/2)
	require.Contains(t, out.Body.String(), "id: 1\n")
}
