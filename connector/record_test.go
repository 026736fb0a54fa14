package connector

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestPositionsAreCanonical: what means the same is the same text, since partitions are map keys.
func TestPositionsAreCanonical(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		doc  map[string]any
		want string
	}{
		{nil, `{}`},
		{map[string]any{}, `{}`},
		{map[string]any{"b": 1, "a": "x", "c": nil, "d": true}, `{"a":"x","b":1,"c":null,"d":true}`},
		{map[string]any{"n": int64(7)}, `{"n":7}`}, {map[string]any{"n": uint64(7)}, `{"n":7}`}, {map[string]any{"n": int32(7)}, `{"n":7}`}, {map[string]any{"n": uint32(7)}, `{"n":7}`},
		{map[string]any{"n": 7.0}, `{"n":7}`}, {map[string]any{"n": json.Number("7")}, `{"n":7}`}, {map[string]any{"n": json.Number("7.0")}, `{"n":7}`}, {map[string]any{"n": json.Number("7e0")}, `{"n":7}`},
		{map[string]any{"n": uint64(math.MaxUint64)}, `{"n":18446744073709551615}`}, {map[string]any{"n": json.Number("18446744073709551615")}, `{"n":18446744073709551615}`},
		{map[string]any{"f": "/a b/ü\"<"}, `{"f":"/a b/ü\"\u003c"}`},
	} {
		p, err := MakePartition(tt.doc)
		require.NoError(t, err)
		require.Equal(t, Partition(tt.want), p)
		o, err := MakeOffset(tt.doc)
		require.NoError(t, err)
		require.Equal(t, Offset(tt.want), o)
	}
	for _, doc := range []map[string]any{
		{"list": []any{1}}, {"map": map[string]any{}}, {"bytes": []byte("x")}, {"n": math.NaN()}, {"n": json.Number("x")}, {"f": "\xff"}, {"\xff": 1},
	} {
		_, err := MakePartition(doc)
		require.Error(t, err, "%v", doc)
		_, err = MakeOffset(doc)
		require.Error(t, err, "%v", doc)
	}
	doc := map[string]any{"n": json.Number("7.0")}
	_, err := MakePartition(doc)
	require.NoError(t, err)
	require.Equal(t, map[string]any{"n": json.Number("7.0")}, doc, "the caller's map stays as it was")
}

func TestOpsHaveNames(t *testing.T) {
	t.Parallel()
	names := map[string]bool{}
	for op := Insert; op <= Tombstone; op++ {
		names[op.String()] = true
	}
	require.Len(t, names, 6)
	require.Equal(t, "op(99)", Op(99).String())
}

func TestErrorsKeepTheirCause(t *testing.T) {
	t.Parallel()
	cause := errors.New("cause")
	require.NoError(t, Permanent(nil))
	require.False(t, IsPermanent(nil))
	require.False(t, IsPermanent(cause))
	wrapped := fmt.Errorf("open: %w", Permanent(cause))
	require.True(t, IsPermanent(wrapped))
	require.ErrorIs(t, wrapped, cause)
	require.EqualError(t, wrapped, "open: cause")
	for _, err := range []error{&ConfigError{Field: "f", Reason: "r"}, ConfigErrors{{Field: "f", Reason: "r"}}} {
		require.True(t, IsPermanent(fmt.Errorf("plan: %w", err)))
		require.EqualError(t, err, "f: r")
	}
	require.EqualError(t, &ConfigError{Field: "f", Value: "v", Reason: "r"}, `f = "v": r`)
	record := &RecordError{Index: 3, Err: cause}
	require.ErrorIs(t, record, cause)
	require.False(t, IsPermanent(record), "the record is bad, not the connector")
	require.EqualError(t, record, "record 3: cause")
	require.False(t, IsPermanent(ErrFenced))
}

type planConfig struct {
	Files []string `config:"files" required:"true" doc:"Files."`
	Exact bool     `config:"exact" doc:"Whether it reads the same again."`
	Share string   `config:"task.share" internal:"true" doc:"The task's files."`
}

func planPlugin(tasks []map[string]string) Plugin {
	return NewSource(SourceSpec[planConfig]{
		Class: "Test", Version: "1", Doc: "A test.",
		Check: func(c *planConfig) error {
			if len(c.Files) > 2 {
				return &ConfigError{Field: "files", Reason: "too many"}
			}
			return nil
		},
		Guarantee: func(c *planConfig) Guarantee {
			if c.Exact {
				return ExactlyOnce
			}
			return AtLeastOnce
		},
		Plan: func(context.Context, *planConfig, int) ([]map[string]string, error) { return tasks, nil },
		Open: func(_ context.Context, c *planConfig, task Task) (Source, error) {
			return nil, fmt.Errorf("open %s of %s", c.Share, task.Session())
		},
	})
}

func TestPluginsDecodeBeforeTheyAct(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	p := planPlugin([]map[string]string{{"task.share": "a"}, {"task.share": "b"}})
	good := map[string]string{"files": "a,b", "name": "n"}
	for _, bad := range []map[string]string{{}, {"files": "a,b,c"}, {"files": "a", "exact": "perhaps"}} {
		require.True(t, IsPermanent(p.Check(bad)))
		require.Equal(t, AtLeastOnce, p.Guarantee(bad))
		_, err := p.TaskConfigs(ctx, bad, 2)
		require.True(t, IsPermanent(err))
		_, err = p.OpenSource(ctx, bad, Task{})
		require.True(t, IsPermanent(err))
		require.True(t, IsPermanent(p.Watch(ctx, bad, nil)))
	}
	require.NoError(t, p.Check(good))
	require.Equal(t, ExactlyOnce, p.Guarantee(map[string]string{"files": "a", "exact": "true"}))

	tasks, err := p.TaskConfigs(ctx, good, 2)
	require.NoError(t, err)
	require.Equal(t, []map[string]string{{"files": "a,b", "name": "n", "task.share": "a"}, {"files": "a,b", "name": "n", "task.share": "b"}}, tasks)
	require.Equal(t, map[string]string{"files": "a,b", "name": "n"}, good, "the connector's config stays as it was")
	_, err = p.TaskConfigs(ctx, good, 1)
	require.EqualError(t, err, "Test made 2 tasks where tasks.max = 1")
	_, err = p.OpenSource(ctx, tasks[1], Task{UID: 7, Number: 1, Epoch: 9})
	require.EqualError(t, err, "open b of gantry/7/1/9")
}

func TestWatchWithoutWatcherWaits(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- planPlugin(nil).Watch(ctx, map[string]string{"files": "a"}, nil) }()
	select {
	case err := <-done:
		t.Fatalf("returned %v while its context lives", err)
	default:
	}
	cancel()
	require.ErrorIs(t, <-done, context.Canceled)
}

func TestAPluginOfOneKindRefusesTheOther(t *testing.T) {
	t.Parallel()
	source := planPlugin(nil)
	_, err := source.OpenSink(t.Context(), map[string]string{"files": "a"}, Task{})
	require.ErrorContains(t, err, "Test is a source connector")
	sink := NewSink(SinkSpec[planConfig]{Class: "TestSink", Open: func(context.Context, *planConfig, Task) (Sink, error) { return nil, ErrFenced }})
	_, err = sink.OpenSource(t.Context(), map[string]string{"files": "a"}, Task{})
	require.ErrorContains(t, err, "TestSink is a sink connector")
	_, err = sink.OpenSink(t.Context(), map[string]string{"files": "a"}, Task{})
	require.ErrorIs(t, err, ErrFenced)
	_, err = sink.TaskConfigs(t.Context(), map[string]string{"files": "a"}, 2)
	require.ErrorContains(t, err, "TestSink is a sink connector")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, sink.Watch(ctx, nil, nil), context.Canceled)
}

func TestPointsAreReachedOnlyWhereSomebodyListens(t *testing.T) {
	t.Parallel()
	Task{}.At("nowhere")
	var points []string
	Task{Reached: func(point string) { points = append(points, point) }}.At("here")
	require.Equal(t, []string{"here"}, points)
}

func TestClassesAreFoundUnderTheNamesPeopleWrite(t *testing.T) {
	t.Parallel()
	plugins := Plugins{{Class: "FileSource"}, {Class: "FileSink"}}
	for _, class := range []string{"FileSource", "filesource", "FileSourceConnector", "org.example.FileSourceConnector"} {
		p, err := plugins.Find(class)
		require.NoError(t, err)
		require.Equal(t, "FileSource", p.Class)
	}
	for _, class := range []string{"", "File", "Connector", "FileSource2"} {
		_, err := plugins.Find(class)
		require.True(t, IsPermanent(err))
		require.ErrorContains(t, err, "known are FileSource, FileSink")
	}
}
