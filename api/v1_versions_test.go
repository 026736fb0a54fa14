package api_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gantry-connect/gantry/control"
)

// number is the version's number in an ETag.
func number(header http.Header) string {
	n, _, _ := strings.Cut(strings.Trim(header.Get("ETag"), `"`), "-")
	return n
}

// Numbers begin anew with a connector that has the name of one that was deleted, ETags do not.
func TestV1ETagsTellConnectorsOfOneNameApart(t *testing.T) {
	t.Parallel()
	s := startV1(t)
	const url = "/v1/connectors/c"
	_, was := ask[map[string]string](t, s, "PUT", url+"/config", source, 201)
	_, stood := ask[control.Positions](t, s, "GET", url+"/offsets", "", 200)
	ask[struct{}](t, s, "DELETE", url, "", 204, "If-Match", was.Get("ETag"))
	old, err := s.catalog.Connector(t.Context(), "c")
	require.NoError(t, err)
	require.NoError(t, s.catalog.Forget(t.Context(), old.UID))
	_, now := ask[map[string]string](t, s, "PUT", url+"/config", source, 201)
	require.Equal(t, number(was), number(now))
	ask[struct{}](t, s, "PUT", "/connectors/c/stop", "", 204)
	s.problem(t, "PUT", url+"/config", source, 412, "changed", "If-Match", was.Get("ETag"))
	s.problem(t, "DELETE", url, "", 412, "changed", "If-Match", was.Get("ETag"))
	s.problem(t, "DELETE", url+"/offsets", "", 412, "changed", "If-Match", stood.Get("ETag"))
	ask[map[string]string](t, s, "GET", url+"/config", "", 200, "If-None-Match", was.Get("ETag"))
	ask[struct{}](t, s, "GET", url+"/config", "", 304, "If-None-Match", now.Get("ETag"))
	ask[map[string]string](t, s, "PUT", url+"/config", source, 200, "If-Match", now.Get("ETag"))
	ask[map[string]string](t, s, "PUT", url+"/config", source, 200, "If-Match", `"1"`)
}

func TestV1ConfigsAreComparedAndSet(t *testing.T) {
	t.Parallel()
	s := startV1(t)
	const url = "/v1/connectors/c/config"
	s.problem(t, "PUT", url, source, 412, "changed", "If-Match", "*")
	dry, _ := ask[map[string]string](t, s, "PUT", url+"?dry_run=true", source, 201, "If-None-Match", "*")
	require.Equal(t, "c", dry["name"])
	s.problem(t, "GET", url, "", 404, "not-found")
	_, header := ask[map[string]string](t, s, "PUT", url, source, 201, "If-None-Match", "*")
	require.Equal(t, "1", number(header))
	s.problem(t, "PUT", url, source, 412, "changed", "If-None-Match", "*")
	s.problem(t, "PUT", url, source, 400, "invalid-request", "If-None-Match", `"1"`)
	changed := `{"connector.class":"TestSource","topic":"t2","file":"/tmp/x","mode":"slow"}`
	_, header = ask[map[string]string](t, s, "PUT", url, changed, 200, "If-Match", `W/"1", "7"`)
	require.Equal(t, "2", number(header))
	p := s.problem(t, "PUT", url, source, 412, "changed", "If-Match", `"1"`)
	require.NotEmpty(t, p.Remedy)
	config, header := ask[map[string]string](t, s, "GET", url, "", 200)
	require.Equal(t, "t2", config["topic"])
	ask[struct{}](t, s, "GET", url, "", 304, "If-None-Match", header.Get("ETag"))

	list, _ := ask[control.Revisions](t, s, "GET", "/v1/connectors/c/revisions?limit=1", "", 200)
	require.Len(t, list.Items, 1)
	require.Equal(t, []string{"mode", "topic"}, list.Items[0].Changed)
	require.True(t, list.Items[0].Current)
	list, _ = ask[control.Revisions](t, s, "GET", "/v1/connectors/c/revisions?cursor="+list.Next, "", 200)
	require.Equal(t, int64(1), list.Items[0].Number)
	require.Empty(t, list.Next)
	one, _ := ask[control.RevisionConfig](t, s, "GET", "/v1/connectors/c/revisions/1", "", 200)
	require.Equal(t, "t", one.Config["topic"])
	d, _ := ask[control.Diff](t, s, "GET", "/v1/connectors/c/revisions/2/diff", "", 200)
	require.Equal(t, int64(1), d.From)
	require.Equal(t, []string{"mode added", "topic changed"}, []string{d.Changes[0].Key + " " + d.Changes[0].Kind, d.Changes[1].Key + " " + d.Changes[1].Kind})
	d, _ = ask[control.Diff](t, s, "GET", "/v1/connectors/c/revisions/1/diff?against=2", "", 200)
	require.Equal(t, "removed", d.Changes[0].Kind)
	s.problem(t, "GET", "/v1/connectors/c/revisions/9", "", 404, "not-found")
	s.problem(t, "POST", "/v1/connectors/c/revisions/1/rollback", "", 412, "changed", "If-Match", `"1"`)
	back, header := ask[control.RevisionConfig](t, s, "POST", "/v1/connectors/c/revisions/1/rollback", "", 200, "If-Match", `"2"`)
	require.Equal(t, "t", back.Config["topic"])
	require.Equal(t, int64(3), back.Number)
	require.Equal(t, "3", number(header))
}

func TestV1PositionsAreEditedAndUndone(t *testing.T) {
	t.Parallel()
	s := startV1(t)
	s.make(t, "x", `{}`)
	const url = "/v1/connectors/x/offsets"
	edit := `{"offsets":[{"partition":{"p":1},"offset":{"at":5}},{"partition":{"p":2},"offset":{"at":9007199254740993}}]}`
	s.problem(t, "PATCH", url, edit, 409, "conflict")
	ask[struct{}](t, s, "PUT", "/connectors/x/stop", "", 204)
	p, header := ask[control.Positions](t, s, "GET", url, "", 200)
	require.Empty(t, p.Offsets)
	p, header = ask[control.Positions](t, s, "PATCH", url, edit, 200, "If-Match", header.Get("ETag"))
	require.Equal(t, "1", number(header))
	require.Equal(t, json.Number("9007199254740993"), p.Offsets[1].Offset["at"], "no digit is lost")
	s.problem(t, "PATCH", url, edit, 412, "changed", "If-Match", `"0"`)
	p, _ = ask[control.Positions](t, s, "PATCH", url, `{"offsets":[{"partition":{"p":1},"offset":null}]}`, 200)
	require.Len(t, p.Offsets, 1)
	history, _ := ask[control.PositionHistory](t, s, "GET", url+"/history", "", 200)
	require.Equal(t, "anonymous", history.Items[0].Author)
	require.Equal(t, []control.PartitionOffset{{Partition: control.Document{"p": json.Number("1")}}}, history.Items[0].Changed)
	p, header = ask[control.Positions](t, s, "POST", url+"/undo", "", 200)
	require.Len(t, p.Offsets, 2, "as before the last edit")
	require.Equal(t, "3", number(header))
	s.problem(t, "POST", url+"/undo", `{"version":999999}`, 404, "not-found")
	p, _ = ask[control.Positions](t, s, "DELETE", url, "", 200)
	require.Empty(t, p.Offsets)
	p, _ = ask[control.Positions](t, s, "POST", url+"/undo", fmt.Sprintf(`{"version":%d}`, history.Items[0].Version), 200)
	require.Len(t, p.Offsets, 1)
	s.problem(t, "PATCH", url, `{"offsets":[]}`, 400, "invalid-request")
}

// Of several who have seen the same position, one changes it: the first generation is no exception, and undoing is a change.
func TestV1PositionsAreComparedAndSet(t *testing.T) {
	t.Parallel()
	s := startV1(t)
	s.make(t, "x", `{}`)
	ask[struct{}](t, s, "PUT", "/connectors/x/stop", "", 204)
	const url = "/v1/connectors/x/offsets"
	for generation, path := range []string{url, url, url + "/undo"} {
		method := map[bool]string{true: "POST", false: "PATCH"}[path != url]
		statuses := make([]int, 8)
		var g sync.WaitGroup
		for i := range statuses {
			body := map[bool]string{true: "", false: fmt.Sprintf(`{"offsets":[{"partition":{"p":1},"offset":{"at":%d}}]}`, 10*generation+i)}[path != url]
			g.Go(func() {
				statuses[i], _, _ = s.request(t, method, path, body, "If-Match", fmt.Sprintf(`"%d"`, generation))
			})
		}
		g.Wait()
		slices.Sort(statuses)
		require.Equal(t, []int{200, 412, 412, 412, 412, 412, 412, 412}, statuses, "%s %s at generation %d", method, path, generation)
	}
}
