package api_test

import (
	"encoding/json"
	"log/slog"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gantry-connect/gantry/api"
	"github.com/gantry-connect/gantry/catalog"
	"github.com/gantry-connect/gantry/catalog/catalogtest"
	"github.com/gantry-connect/gantry/control"
	"github.com/gantry-connect/gantry/logging"
)

const (
	altered = `{"message":"The offsets for this connector have been altered successfully"}`
	reset   = `{"message":"The offsets for this connector have been reset successfully"}`
)

func mustStop(name string) string {
	return "Connectors must be in the STOPPED state before their offsets can be modified. This can be done for the specified " +
		"connector by issuing a 'PUT' request to the '/connectors/" + name + "/stop' endpoint"
}

func TestASourcesOffsetsAreAltered(t *testing.T) {
	t.Parallel()
	s := start(t)
	const path = "/connectors/c/offsets"
	s.create(t, "c", source)
	s.refused(t, "PATCH", path, `{"offsets":[{"partition":{"file":"a"},"offset":{"n":1}}]}`, 400, mustStop("c"))
	s.refused(t, "DELETE", path, "", 400, mustStop("c"))
	s.want(t, "PUT", "/connectors/c/pause", "", 202, "")
	s.refused(t, "DELETE", path, "", 400, mustStop("c"))
	s.want(t, "PUT", "/connectors/c/stop", "", 204, "")
	s.want(t, "PATCH", path, `{"offsets":[{"partition":{"file":"a","n":9007199254740993},"offset":{"at":9007199254740995,"half":0.5}},{"partition":{"file":"b"},"offset":{"at":"x","ok":true}}]}`, 200, altered)
	s.golden(t, "GET", path, "", 200, "offsets-source")
	s.want(t, "PATCH", path, `{"offsets":[{"partition":{"n":9007199254740993,"file":"a"},"offset":null},{"partition":{"file":"b"},"offset":{"at":"y"}}]}`, 200, altered)
	s.want(t, "GET", path, "", 200, `{"offsets":[{"partition":{"file":"b"},"offset":{"at":"y"}}]}`)
	for body, message := range map[string]string{
		`[{"partition":null,"offset":null}]`: "The partition for a source connector offset cannot be null or missing",
		`[{"offset":{"at":1}}]`:              "The partition for a source connector offset cannot be null or missing",
		`[{"partition":{"file":"b"},"offset":null},{"partition":{"file":"b"},"offset":{"at":1}}]`: `The partition {"file":"b"} is given more than once`,
		`[{"partition":{"bad":true},"offset":{"at":1}}]`:                                          "this source has no bad partitions",
		`[{"partition":{"file":{"deep":1}},"offset":null}]`:                                       `partition: "file" holds an object or a list: positions are made of strings, numbers and bools`,
	} {
		s.refused(t, "PATCH", path, `{"offsets":`+body+`}`, 400, message)
	}
	s.want(t, "GET", path, "", 200, `{"offsets":[{"partition":{"file":"b"},"offset":{"at":"y"}}]}`)
	s.want(t, "DELETE", path, "", 200, reset)
	s.want(t, "DELETE", path, "", 200, reset)
	s.want(t, "GET", path, "", 200, `{"offsets":[]}`)
}

func TestASinksOffsetsAreAltered(t *testing.T) {
	t.Parallel()
	s := start(t)
	const path = "/connectors/c/offsets"
	c := s.create(t, "c", `{"connector.class":"TestSink","topics":"t,u","url":"x"}`)
	queue := func(topic, broker string, id int) catalog.Queue {
		return catalog.Queue{Topic: topic, Broker: broker, ID: id}
	}
	s.run(t, c, catalog.PlannedTask{Number: 0, Hash: "h", Queues: []catalog.Queue{queue("t", "a", 0), queue("t", "a", 1), queue("u", "a", 0), queue("u", "b", 0)}})
	s.want(t, "PUT", "/connectors/c/stop", "", 204, "")
	s.want(t, "PATCH", path, `{"offsets":[
		{"partition":{"rocketmq_topic":"t","rocketmq_broker":"a","rocketmq_queue":0},"offset":{"rocketmq_offset":7}},
		{"partition":{"kafka_topic":"t","kafka_partition":"1"},"offset":{"kafka_offset":"8"}},
		{"partition":{"rocketmq_topic":"u","rocketmq_broker":"b","rocketmq_queue":0},"offset":{"rocketmq_offset":9}}]}`, 200, altered)
	s.golden(t, "GET", path, "", 200, "offsets-sink")
	for body, message := range map[string]string{
		`{"partition":null,"offset":null}`:                                                          "The partition for a sink connector offset cannot be null or missing",
		`{"partition":{},"offset":null}`:                                                            "The partition for a sink connector offset must contain the keys 'rocketmq_topic', 'rocketmq_broker' and 'rocketmq_queue', or 'kafka_topic' and 'kafka_partition'",
		`{"partition":{"kafka_topic":"t"},"offset":null}`:                                           "The partition for a sink connector offset must contain the keys 'rocketmq_topic', 'rocketmq_broker' and 'rocketmq_queue', or 'kafka_topic' and 'kafka_partition'",
		`{"partition":{"kafka_topic":null,"kafka_partition":0},"offset":null}`:                      "Topic names must be valid strings and may not be null or empty: null",
		`{"partition":{"kafka_topic":"t","kafka_partition":null},"offset":null}`:                    "Failed to parse the following partition value in the provided offsets: 'null'. Partition values for sink connectors need to be integers.",
		`{"partition":{"kafka_topic":"t","kafka_partition":"x"},"offset":null}`:                     "Failed to parse the following partition value in the provided offsets: 'x'. Partition values for sink connectors need to be integers.",
		`{"partition":{"kafka_topic":"t","kafka_partition":0.5},"offset":null}`:                     "Failed to parse the following partition value in the provided offsets: '0.5'. Partition values for sink connectors need to be integers.",
		`{"partition":{"kafka_topic":"t","kafka_partition":0},"offset":{}}`:                         "The offset for a sink connector should either be null or contain the key 'rocketmq_offset' or 'kafka_offset'",
		`{"partition":{"kafka_topic":"t","kafka_partition":0},"offset":{"kafka_offset":"x"}}`:       "Failed to parse the following offset value in the provided offsets: 'x'. Offset values for sink connectors need to be integers.",
		`{"partition":{"kafka_topic":"t","kafka_partition":0},"offset":{"kafka_offset":-1}}`:        "Failed to parse the following offset value in the provided offsets: '-1'. Offset values for sink connectors need to be integers.",
		`{"partition":{"kafka_topic":"u","kafka_partition":0},"offset":null}`:                       "topic u has queues on several brokers (a, b): name one as rocketmq_broker",
		`{"partition":{"kafka_topic":"v","kafka_partition":0},"offset":null}`:                       "no broker is known to have queues of topic v for this connector: name it as rocketmq_broker",
		`{"partition":{"rocketmq_topic":"t","rocketmq_queue":0,"rocketmq_broker":3},"offset":null}`: "rocketmq_broker = 3: must be a broker's name",
	} {
		s.refused(t, "PATCH", path, `{"offsets":[`+body+`]}`, 400, message)
	}
	s.want(t, "PATCH", path, `{"offsets":[{"partition":{"kafka_topic":"t","kafka_partition":0},"offset":null}]}`, 200, altered)
	_, _, text := s.call(t, "GET", path, "")
	require.NotContains(t, text, `"rocketmq_offset":7`)
	require.Contains(t, text, `"rocketmq_offset":8`, "partitions that are not named stay as they are")
	now, err := s.catalog.Connector(t.Context(), "c")
	require.NoError(t, err)
	require.EqualValues(t, 2, now.PositionGeneration, "a target that keeps the position itself learns of each edit")
}

// What a task notes beside the offset stays between it and the catalog.
func TestASinksOffsetsHaveTheirFixedForm(t *testing.T) {
	t.Parallel()
	s := start(t)
	c := s.create(t, "c", sink)
	s.run(t, c, catalog.PlannedTask{Number: 0, Hash: "h"})
	keeper, err := s.catalog.StartKeeper(t.Context(), "w")
	require.NoError(t, err)
	t.Cleanup(keeper.Close)
	lease, err := keeper.Claim(t.Context(), catalog.ClaimRequest{UID: c.UID, Task: 0, Owner: "w", Attempt: "a", AttemptNo: 1})
	require.NoError(t, err)
	require.NoError(t, lease.Commit(t.Context(), catalog.Checkpoint{Position: map[string]string{
		`{"rocketmq_broker":"a","rocketmq_queue":0,"rocketmq_topic":"t"}`: `{"rocketmq_offset":5,"writers":"1:2"}`}}))
	s.want(t, "GET", "/connectors/c/offsets", "", 200,
		`{"offsets":[{"partition":{"rocketmq_broker":"a","rocketmq_queue":0,"rocketmq_topic":"t"},"offset":{"rocketmq_offset":5}}]}`)
	s.want(t, "GET", "/connectors/c/topics", "", 200, `{"c":{"topics":["t"]}}`)

	// An edit waits for the task that is still ending.
	s.want(t, "PUT", "/connectors/c/stop", "", 204, "")
	answered := make(chan int, 1)
	go func() {
		status, _, _ := s.call(t, "DELETE", "/connectors/c/offsets", "")
		answered <- status
	}()
	select {
	case status := <-answered:
		require.FailNow(t, "answered while the task had an owner", "%d", status)
	case <-time.After(300 * time.Millisecond):
	}
	require.NoError(t, lease.Release(t.Context()))
	require.Equal(t, 200, <-answered)
	s.want(t, "GET", "/connectors/c/offsets", "", 200, `{"offsets":[]}`)
}

func TestTopicsAreForgottenWhenTheyAreReset(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.want(t, "GET", "/connectors/c/topics", "", 200, `{"c":{"topics":[]}}`)
	s.want(t, "PUT", "/connectors/c/topics/reset", "", 202, "")
	c := s.create(t, "c", source)
	require.NoError(t, s.catalog.NoteTopics(t.Context(), c.UID, []string{"t"}))
	s.want(t, "GET", "/connectors/c/topics", "", 200, `{"c":{"topics":["t"]}}`)
	s.want(t, "PUT", "/connectors/c/topics/reset", "", 202, "")
	s.want(t, "GET", "/connectors/c/topics", "", 200, `{"c":{"topics":[]}}`)
	require.NoError(t, s.catalog.NoteTopics(t.Context(), c.UID, []string{"t", "u", "t"}))
	s.want(t, "GET", "/connectors/c/topics", "", 200, `{"c":{"topics":["t","u"]}}`)
}

func TestTopicTrackingCanBeTurnedOff(t *testing.T) {
	t.Parallel()
	db := catalogtest.New(t)
	for _, tt := range []struct {
		tracking   control.Tracking
		get, reset string
	}{
		{control.Tracking{Disabled: true}, "Topic tracking is disabled.", "Topic tracking is disabled."},
		{control.Tracking{ResetForbidden: true}, "", "Topic tracking reset is disabled."},
	} {
		service := control.New(control.Options{Connectors: db, Progress: db, Notifier: &told{}, Plugins: plugins, Tracking: tt.tracking, Logger: slog.New(slog.DiscardHandler)})
		t.Cleanup(service.Close)
		s := &server{Server: httptest.NewServer(api.New(service, slog.New(slog.DiscardHandler)))}
		t.Cleanup(s.Close)
		if tt.get == "" {
			s.want(t, "GET", "/connectors/c/topics", "", 200, `{"c":{"topics":[]}}`)
		} else {
			s.refused(t, "GET", "/connectors/c/topics", "", 403, tt.get)
		}
		s.refused(t, "PUT", "/connectors/c/topics/reset", "", 403, tt.reset)
	}
}

func TestLoggersOfOneProcessAndOfAll(t *testing.T) {
	t.Parallel()
	db, levels := catalogtest.New(t), logging.New(slog.DiscardHandler, slog.LevelInfo)
	levels.Logger("workers")
	levels.Logger("api")
	service := control.New(control.Options{Connectors: db, Progress: db, Notifier: &told{}, Plugins: plugins, Loggers: levels, Logger: slog.New(slog.DiscardHandler)})
	t.Cleanup(service.Close)
	s := &server{Server: httptest.NewServer(api.New(service, slog.New(slog.DiscardHandler)))}
	t.Cleanup(s.Close)
	s.want(t, "GET", "/admin/loggers", "", 200, `{"api":{"level":"INFO","last_modified":null},"root":{"level":"INFO","last_modified":null},"workers":{"level":"INFO","last_modified":null}}`)
	s.want(t, "PUT", "/admin/loggers/workers", `{"level":"debug"}`, 200, `["workers"]`)
	s.want(t, "PUT", "/admin/loggers/api?scope=somewhere", `{"level":"WARN"}`, 200, `["api"]`)
	s.want(t, "PUT", "/admin/loggers/root?scope=cluster", `{"level":"ERROR"}`, 204, "")
	s.want(t, "PUT", "/admin/loggers/root?scope=CLUSTER", `{"level":"ERROR"}`, 204, "")
	s.want(t, "PUT", "/admin/loggers/connectors.orders?scope=worker", `{"level":"TRACE"}`, 200, `["connectors.orders"]`)
	_, _, text := s.call(t, "GET", "/admin/loggers/workers", "")
	var got control.LoggerLevel
	require.NoError(t, json.Unmarshal([]byte(text), &got))
	require.Equal(t, "ERROR", got.Level)
	require.NotNil(t, got.LastModified)
	require.WithinDuration(t, time.Now(), time.UnixMilli(*got.LastModified), time.Minute)
	changes, err := db.LogLevels(t.Context(), -1)
	require.NoError(t, err)
	require.Len(t, changes, 1, "only what concerns all processes is in the catalog")
	require.Equal(t, "root", changes[0].Logger)
	last, err := db.LastLogChange(t.Context())
	require.NoError(t, err)
	require.Equal(t, changes[0].Change, last)
	require.NoError(t, db.SetLogLevel(t.Context(), "root", "INFO"))
	changes, err = db.LogLevels(t.Context(), last)
	require.NoError(t, err)
	require.Len(t, changes, 1)
}

// A name is free for the next creation as soon as its connector is gone; until then the creation waits.
func TestACreationWaitsForTheDeletedConnectorOfThatName(t *testing.T) {
	t.Parallel()
	s := start(t)
	old := s.create(t, "c", source)
	s.want(t, "DELETE", "/connectors/c", "", 204, "")
	answered := make(chan int, 2)
	go func() {
		status, _, _ := s.call(t, "POST", "/connectors", `{"name":"c","config":`+source+`}`)
		answered <- status
	}()
	select {
	case status := <-answered:
		require.FailNow(t, "answered while the name was taken", "%d", status)
	case <-time.After(200 * time.Millisecond):
	}
	require.NoError(t, s.catalog.Forget(t.Context(), old.UID))
	require.Equal(t, 201, <-answered)
	s.want(t, "DELETE", "/connectors/c", "", 204, "")
	s.refused(t, "PUT", "/connectors/c/pause", "", 404, "Unknown connector c")
	s.refused(t, "PATCH", "/connectors/c/config", `{"mode":"slow"}`, 404, "Connector c not found")
}

// Keys under the names that other systems have for them are kept as given and read as what they stand for.
func TestAliasesAreKeptAsGiven(t *testing.T) {
	t.Parallel()
	s := start(t)
	config := `{"name":"x","connector.class":"TestSource","connect.topicname":"t","filename":"f","max.tasks":"2","task.group.id":"g"}`
	status, _, text := s.call(t, "PUT", "/connectors/x/config", config)
	require.Equal(t, 201, status, text)
	s.want(t, "GET", "/connectors/x/config", "", 200, config)
	status, _, text = s.call(t, "PUT", "/connectors/x/config", `{"connector.class":"TestSource","connect.topicname":"t","filename":"f","max.tasks":"many"}`)
	require.Equal(t, 400, status)
	require.Contains(t, text, `max.tasks = \"many\": must be a whole number`)
	status, _, text = s.call(t, "PUT", "/connector-plugins/TestSource/config/validate", `{"name":"x","connector-class":"TestSource","connect.topicname":"t","filename":"f","max.tasks":"2"}`)
	require.Equal(t, 200, status, text)
	var v control.Validation
	require.NoError(t, json.Unmarshal([]byte(text), &v))
	require.Zero(t, v.ErrorCount, text)
	for _, c := range v.Configs {
		if c.Value.Name == "tasks.max" {
			require.Equal(t, "2", *c.Value.Value)
		}
	}
	s.create(t, "sink", `{"connector.class":"TestSink","connect.topicnames":"a;b","url":"u","consume.from.where":"CONSUME_FROM_FIRST_OFFSET"}`)
}
