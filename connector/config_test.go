package connector

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

type shared struct {
	Batch int `config:"batch.size" default:"100" min:"1" max:"1000" doc:"Rows a batch." group:"Tuning"`
}

type full struct {
	shared
	On      bool          `config:"on" default:"true" doc:"On."`
	Count   int           `config:"count" doc:"Count."`
	Long    int64         `config:"long" default:"-5" min:"-10" doc:"Long."`
	Ratio   float64       `config:"ratio" default:"0.5" min:"0" max:"1" doc:"Ratio."`
	URL     string        `config:"url" required:"true" doc:"Where." group:"Connection"`
	Mode    string        `config:"mode" default:"insert" enum:"insert,upsert" importance:"medium" doc:"Mode."`
	Pass    Secret        `config:"password" doc:"Password." group:"Connection"`
	Tables  []string      `config:"tables" default:"a,b" doc:"Tables."`
	Wait    time.Duration `config:"wait.ms" default:"1500" min:"0" max:"5000" doc:"Wait."`
	File    string        `config:"task.file" internal:"true" doc:"Set by the planner."`
	private int
	Other   int // without a tag: not config
}

func TestDecodeReadsEveryType(t *testing.T) {
	t.Parallel()
	var c full
	require.NoError(t, Decode(map[string]string{"url": "u", "unknown": "left alone"}, &c))
	require.Equal(t, full{shared: shared{100}, On: true, Long: -5, Ratio: 0.5, URL: "u", Mode: "insert", Tables: []string{"a", "b"}, Wait: 1500 * time.Millisecond}, c)

	c = full{private: 1, Other: 2}
	require.NoError(t, Decode(map[string]string{"url": " u ", "on": " FALSE ", "count": " -2147483648 ", "long": "9223372036854775807", "ratio": "1e-1", "mode": "upsert",
		"password": "hunter2", "tables": " x , ,y", "wait.ms": "0", "batch.size": "1000", "task.file": "f"}, &c))
	require.Equal(t, full{shared: shared{1000}, Count: math.MinInt32, Long: math.MaxInt64, Ratio: 0.1, URL: " u ", Mode: "upsert", Pass: "hunter2",
		Tables: []string{"x", "y"}, File: "f", private: 1, Other: 2}, c)
}

func TestAnEmptyTextIsNoValueButForStrings(t *testing.T) {
	t.Parallel()
	var c full
	require.NoError(t, Decode(map[string]string{"url": "u", "on": "", "long": "", "tables": "", "wait.ms": ""}, &c))
	require.Equal(t, full{shared: shared{100}, On: true, Long: -5, Ratio: 0.5, URL: "u", Mode: "insert", Tables: []string{"a", "b"}, Wait: 1500 * time.Millisecond}, c)
	requireProblem(t, map[string]string{"url": "u", "mode": ""}, "mode", "must be one of insert, upsert")
}

func requireProblem(t *testing.T, config map[string]string, field, reason string) {
	t.Helper()
	var c full
	err := Decode(config, &c)
	var problems ConfigErrors
	require.True(t, errors.As(err, &problems), "%v", err)
	require.Len(t, problems, 1, "%v", err)
	require.Equal(t, field, problems[0].Field)
	require.Equal(t, reason, problems[0].Reason)
	require.True(t, IsPermanent(err))
}

func TestDecodeSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ field, value, reason string }{
		{"on", "yes", "must be true or false"},
		{"count", "1.5", "must be a whole number"},
		{"count", "2147483648", "must be a whole number"},
		{"long", "9223372036854775808", "must be a whole number"},
		{"long", "-11", "must be at least -10"},
		{"ratio", "half", "must be a number"},
		{"ratio", "NaN", "must be a number"},
		{"ratio", "Inf", "must be a number"},
		{"ratio", "1.01", "must be at most 1"},
		{"mode", "INSERT", "must be one of insert, upsert"},
		{"wait.ms", "1s", "must be a whole number"},
		{"wait.ms", "9223372036855", "is out of range"},
		{"wait.ms", "5001", "must be at most 5000"},
		{"batch.size", "0", "must be at least 1"},
		{"url", "", "must not be empty"},
	} {
		requireProblem(t, map[string]string{"url": "u", tt.field: tt.value}, tt.field, tt.reason)
	}
	requireProblem(t, nil, "url", "is required and has no default")
	var c struct {
		Topics []string `config:"topics" required:"true" doc:"Topics."`
	}
	require.EqualError(t, Decode(map[string]string{"topics": " , "}, &c), `topics = " , ": must not be empty`)
}

func TestDecodeReportsAllProblemsAtOnce(t *testing.T) {
	t.Parallel()
	var c full
	err := Decode(map[string]string{"on": "x", "count": "x", "long": "x", "ratio": "x", "mode": "x", "wait.ms": "x", "batch.size": "x"}, &c)
	var problems ConfigErrors
	require.True(t, errors.As(err, &problems))
	var fields []string
	for _, p := range problems {
		fields = append(fields, p.Field)
	}
	require.ElementsMatch(t, []string{"on", "count", "long", "ratio", "mode", "wait.ms", "batch.size", "url"}, fields)
	require.Len(t, strings.Split(err.Error(), "\n"), 8)
}

func TestSecretsAreNeverShown(t *testing.T) {
	t.Parallel()
	const password = "hunter2"
	c := struct {
		Pass Secret `config:"password" enum:"x" doc:"Password."`
	}{}
	err := Decode(map[string]string{"password": password}, &c)
	require.Error(t, err)
	require.NotContains(t, fmt.Sprintf("%v %+v %#v", err, err, err), password)

	var log strings.Builder
	slog.New(slog.NewJSONHandler(&log, nil)).Info("config", "c", c, "p", c.Pass)
	slog.New(slog.NewTextHandler(&log, nil)).Info("config", "c", c, "p", c.Pass)
	doc, err := json.Marshal(map[string]any{"c": c, "p": c.Pass})
	require.NoError(t, err)
	shown := log.String() + string(doc)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t", "%e", "%c", "%U", "%10.3s"} {
		shown += fmt.Sprintf(verb, c.Pass) + fmt.Sprintf(verb, &c) + fmt.Sprintf(verb, []Secret{c.Pass})
	}
	require.NotContains(t, shown, password)
	require.NotContains(t, shown, fmt.Sprintf("%x", password))
	require.NotContains(t, shown, "hun")
	require.Contains(t, shown, hidden)
	require.Equal(t, Secret(password), c.Pass, "code reads it")
}

func TestDefinitionsReadTheTags(t *testing.T) {
	t.Parallel()
	one, thousand, minusTen, zero, five := 1.0, 1000.0, -10.0, 0.0, 5000.0
	text := func(s string) *string { return &s }
	require.Equal(t, []Definition{
		{Name: "batch.size", Type: "INT", Default: text("100"), Importance: "LOW", Doc: "Rows a batch.", Group: "Tuning", Order: 1, Min: &one, Max: &thousand},
		{Name: "on", Type: "BOOLEAN", Default: text("true"), Importance: "LOW", Doc: "On.", Group: "Common", Order: 1},
		{Name: "count", Type: "INT", Importance: "LOW", Doc: "Count.", Group: "Common", Order: 2},
		{Name: "long", Type: "LONG", Default: text("-5"), Importance: "LOW", Doc: "Long.", Group: "Common", Order: 3, Min: &minusTen},
		{Name: "ratio", Type: "DOUBLE", Default: text("0.5"), Importance: "LOW", Doc: "Ratio.", Group: "Common", Order: 4, Min: &zero, Max: &one},
		{Name: "url", Type: "STRING", Required: true, Importance: "HIGH", Doc: "Where.", Group: "Connection", Order: 1},
		{Name: "mode", Type: "STRING", Default: text("insert"), Importance: "MEDIUM", Doc: "Mode.", Group: "Common", Order: 5, Enum: []string{"insert", "upsert"}},
		{Name: "password", Type: "PASSWORD", Importance: "LOW", Doc: "Password.", Group: "Connection", Order: 2},
		{Name: "tables", Type: "LIST", Default: text("a,b"), Importance: "LOW", Doc: "Tables.", Group: "Common", Order: 6},
		{Name: "wait.ms", Type: "LONG", Default: text("1500"), Importance: "LOW", Doc: "Wait.", Group: "Common", Order: 7, Min: &zero, Max: &five},
		{Name: "task.file", Type: "STRING", Importance: "LOW", Doc: "Set by the planner.", Group: "Common", Order: 8, Internal: true},
	}, Definitions(reflect.TypeFor[full]()))
}

func TestDefinitionsPanicOnStructsThatAreWrong(t *testing.T) {
	t.Parallel()
	for _, t2 := range []reflect.Type{
		reflect.TypeFor[struct {
			A int `config:"a"`
		}](),
		reflect.TypeFor[struct {
			A uint8 `config:"a" doc:"A."`
		}](),
		reflect.TypeFor[struct {
			A int `config:"a" doc:"A." min:"few"`
		}](),
		reflect.TypeFor[struct {
			A []int `config:"a" doc:"A."`
		}](),
		reflect.TypeFor[struct {
			A int `config:"a" doc:"A." default:"many"`
		}](),
		reflect.TypeFor[struct {
			A string `config:"a" doc:"A." default:"c" enum:"a,b"`
		}](),
		reflect.TypeFor[struct {
			A int `config:"a" doc:"A."`
			B int `config:"a" doc:"B."`
		}](),
		reflect.TypeFor[struct {
			A []Secret `config:"a" doc:"A."`
		}](),
		reflect.TypeFor[struct {
			a int `config:"a" doc:"A."`
		}](),
	} {
		require.Panics(t, func() { Definitions(t2) }, "%v", t2)
	}
}
