package client

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Whatever a server or a proxy sends, reading a stream ends with an error and never with half an event.
func FuzzStreamsOfEvents(f *testing.F) {
	f.Add("data: {\"id\":1}\n\n")
	f.Add(": keep-alive\n\nid: 3\nevent: x\ndata:{\"id\":3,\ndata:\"kind\":\"failed\"}\n\n")
	f.Add("data: {\n\n")
	f.Fuzz(func(t *testing.T, text string) {
		n := 0
		err := readEvents(strings.NewReader(text), func(Event) error { n++; return nil })
		require.Error(t, err)
		require.LessOrEqual(t, n, strings.Count(text, "\n\n")+strings.Count(text, "\r\n\r\n")+strings.Count(text, "\n\r\n"))
	})
}

func TestEveryEventIsReadAsItWasWritten(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	task := 2
	want := []Event{{ID: 1, Kind: "created", Detail: "a\nb: c"}, {ID: 2, Connector: "ü", Task: &task}}
	for _, e := range want {
		text, err := json.Marshal(e)
		require.NoError(t, err)
		fmt.Fprintf(&b, ": hi\n\nid: %d\nevent: %s\ndata: %s\n\n", e.ID, e.Kind, text)
	}
	var got []Event
	err := readEvents(strings.NewReader(b.String()), func(e Event) error { got = append(got, e); return nil })
	var broken *brokenStream
	require.ErrorAs(t, err, &broken)
	require.Equal(t, want, got)
}
