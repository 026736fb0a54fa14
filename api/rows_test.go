package api_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gantry-connect/gantry/catalog"
)

// A connector can be deleted from any state, and verbs that change nothing are answered like those that do.
func TestVerbsCanBeRepeatedAndADeleteWorksFromAnyState(t *testing.T) {
	t.Parallel()
	s := start(t)
	for _, state := range []string{"RUNNING", "PAUSED", "STOPPED"} {
		t.Run(state, func(t *testing.T) {
			path := "/connectors/" + state
			status, _, text := s.call(t, "POST", "/connectors", `{"name":"`+state+`","initial_state":"`+state+`","config":`+source+`}`)
			require.Equal(t, 201, status, text)
			for range 2 {
				switch state {
				case "RUNNING":
					s.want(t, "PUT", path+"/resume", "", 202, "")
				case "PAUSED":
					s.want(t, "PUT", path+"/pause", "", 202, "")
				case "STOPPED":
					s.want(t, "PUT", path+"/stop", "", 204, "")
				}
			}
			s.want(t, "DELETE", path, "", 204, "")
			s.refused(t, "DELETE", path, "", 404, "Connector "+state+" not found")
		})
	}
}

// What has failed says so until it is restarted or stopped: a pause hides no failure, and connector and tasks fail apart.
func TestFailuresOutlastAPause(t *testing.T) {
	t.Parallel()
	s := start(t)
	c := s.create(t, "c", source)
	s.run(t, c, catalog.PlannedTask{Number: 0, Hash: "h"}, catalog.PlannedTask{Number: 1, Hash: "i"})
	require.NoError(t, s.catalog.ReportStatus(t.Context(), []catalog.TaskStatus{
		{UID: c.UID, Task: 0, State: "FAILED", Worker: "w1", Trace: "no such file", LagRecords: -1, LagBytes: -1}}))
	states := func() (connector, failed string) {
		t.Helper()
		_, _, text := s.call(t, "GET", "/connectors/c/status", "")
		var st struct {
			Connector struct{ State string }
			Tasks     []struct{ State string }
		}
		require.NoError(t, json.Unmarshal([]byte(text), &st))
		require.Len(t, st.Tasks, 2, text)
		return st.Connector.State, st.Tasks[0].State
	}
	for _, step := range []struct{ verb, want string }{{"", "RUNNING"}, {"pause", "PAUSED"}} {
		if step.verb != "" {
			s.want(t, "PUT", "/connectors/c/"+step.verb, "", 202, "")
		}
		connector, failed := states()
		require.Equal(t, step.want, connector)
		require.Equal(t, "FAILED", failed, "after %q", step.verb)
	}
	s.want(t, "PUT", "/connectors/c/stop", "", 204, "")
	s.want(t, "GET", "/connectors/c/status", "", 200,
		`{"name":"c","type":"source","tasks":[],"connector":{"state":"STOPPED","worker_id":"w1","version":"1.2.3"}}`)
}

// POST drops blanks around a name, so a PUT to a path that has some can mean no connector.
func TestNoNameBeginsOrEndsWithABlank(t *testing.T) {
	t.Parallel()
	s := start(t)
	for _, path := range []string{"/connectors/c%20/config", "/connectors/%20c/config"} {
		status, _, text := s.call(t, "PUT", path, source)
		require.Equal(t, 400, status, text)
		require.Contains(t, text, "must not begin or end with a blank")
	}
}

// A task that is being tried again rests while its connector is paused, and says so to those who wait for it.
func TestAPausedTaskIsNotTriedAgain(t *testing.T) {
	t.Parallel()
	s := start(t)
	c := s.create(t, "c", source)
	s.run(t, c, catalog.PlannedTask{Number: 0, Hash: "h"})
	require.NoError(t, s.catalog.ReportStatus(t.Context(), []catalog.TaskStatus{
		{UID: c.UID, Task: 0, State: "RESTARTING", Worker: "w1", Trace: "the disk is full", LagRecords: -1, LagBytes: -1}}))
	s.want(t, "GET", "/connectors/c/tasks/0/status", "", 200, `{"id":0,"state":"RESTARTING","worker_id":"w1","trace":"the disk is full","version":"1.2.3"}`)
	s.want(t, "PUT", "/connectors/c/pause", "", 202, "")
	s.want(t, "GET", "/connectors/c/tasks/0/status", "", 200, `{"id":0,"state":"PAUSED","worker_id":"w1","version":"1.2.3"}`)
}

// The four kinds of restart of a connector one of whose two tasks has failed.
func TestTheMatrixOfRestarts(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		query     string
		status    int
		restarted map[string]bool // what is RESTARTING in the answer
	}{
		{"?includeTasks=false&onlyFailed=false", 204, nil},
		{"", 204, nil},
		{"?includeTasks=true", 202, map[string]bool{"connector": true, "0": true, "1": true}},
		{"?onlyFailed=true", 202, map[string]bool{}},
		{"?includeTasks=true&onlyFailed=true", 202, map[string]bool{"0": true}},
	} {
		t.Run(tt.query, func(t *testing.T) {
			t.Parallel()
			s := start(t)
			c := s.create(t, "c", source)
			s.run(t, c, catalog.PlannedTask{Number: 0, Hash: "h"}, catalog.PlannedTask{Number: 1, Hash: "i"})
			require.NoError(t, s.catalog.ReportStatus(t.Context(), []catalog.TaskStatus{
				{UID: c.UID, Task: 0, State: "FAILED", Worker: "w1", Trace: "no such file", LagRecords: -1, LagBytes: -1}}))
			status, _, text := s.call(t, "POST", "/connectors/c/restart"+tt.query, "")
			require.Equal(t, tt.status, status, text)
			if tt.status == 204 {
				require.Empty(t, text)
				return
			}
			var st struct {
				Connector struct{ State string }
				Tasks     []struct {
					ID    int
					State string
				}
			}
			require.NoError(t, json.Unmarshal([]byte(text), &st))
			got := map[string]bool{}
			if st.Connector.State == "RESTARTING" {
				got["connector"] = true
			}
			for _, task := range st.Tasks {
				if task.State == "RESTARTING" {
					got[fmt.Sprint(task.ID)] = true
				}
			}
			require.Equal(t, tt.restarted, got, text)
		})
	}
}

// What lies in a body that is refused is not repeated where it may be a secret, whatever is wrong with it.
func TestRefusalsRepeatNoConfig(t *testing.T) {
	t.Parallel()
	s := start(t)
	for _, config := range []string{`{"password":"hunter2"}`, `{"password":"hunter2","connector.class":"Nope"}`, `{"password":["hunter2"]}`,
		`{"password":"hunter2","connector.class":"TestSource","topic":1,"nested":{"x":"hunter2"}}`, `["hunter2"]`, `"hunter2"`} {
		for _, call := range [][2]string{{"PUT", "/connectors/c/config"}, {"PUT", "/v1/connectors/c/config"}, {"PUT", "/connector-plugins/TestSource/config/validate"}} {
			status, _, text := s.call(t, call[0], call[1], config)
			require.Equal(t, 400, status, text)
			require.NotContains(t, text, "hunter2", "%v %s", call, config)
		}
		for _, path := range []string{"/connectors", "/v1/connectors", "/v1/check", "/v1/preview"} {
			for _, body := range []string{`{"name":"c","config":` + config + `}`, `{"name":"c","confg":` + config + `}`, `{"name":"c","intial_state":"STOPPED","config":` + config + `}`} {
				_, _, text := s.call(t, "POST", path, body)
				require.NotContains(t, text, "hunter2", "%s %s", path, body)
			}
		}
	}
}

// Checking a config compares its keys with each other: one that would keep the server busy is refused as a whole.
func TestConfigsHaveBounds(t *testing.T) {
	t.Parallel()
	s := start(t)
	many := map[string]any{"connector.class": "TestSource", "topic": "t", "file": "f"}
	nulls := map[string]any{"connector.class": "TestSource"}
	for i := range 1000 {
		many[fmt.Sprint("k", i)], nulls[fmt.Sprint("k", i)] = "", nil
	}
	steps := map[string]any{"connector.class": "TestSource", "topic": "t", "file": "f", "transforms": strings.Repeat("t,", 100) + "t"}
	for _, tt := range []struct {
		config map[string]any
		create bool
		says   string
	}{
		{many, true, " keys: at most 1000 are possible"},
		{nulls, false, " keys: at most 1000 are possible"},
		{steps, true, "transforms: lists 101 names: at most 100 are possible"},
	} {
		body, err := json.Marshal(tt.config)
		require.NoError(t, err)
		calls := [][3]string{{"PUT", "/connector-plugins/TestSource/config/validate", string(body)}}
		if tt.create {
			calls = append(calls, [3]string{"PUT", "/connectors/c/config", string(body)}, [3]string{"POST", "/v1/check", `{"config":` + string(body) + `}`})
		}
		for _, call := range calls {
			_, _, text := s.call(t, call[0], call[1], call[2])
			require.Contains(t, text, tt.says, "%s %s", call[0], call[1])
		}
	}
}
