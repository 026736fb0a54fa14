package converters

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gantry-connect/gantry/connector"
)

func envelopes(t testing.TB) Converter {
	return newConverter(t, "json", map[string]string{"schemas.enable": "true"}, false)
}

// TestEnvelopesOfOthersAreRead: Kafka Connect's and RocketMQ Connect's messages, whatever the order of their members.
func TestEnvelopesOfOthersAreRead(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, text, schema, value string }{
		{"rocketmq struct", `{"schema":{"name":"person","optional":true,"type":"struct","fields":[{"field":"id","optional":true,"type":"int64"}]},"payload":{"id":1}}`, "{id:int64 }", "[1]"},
		{"kafka struct", `{"schema":{"type":"struct","fields":[{"type":"int32","optional":false,"field":"id"},{"type":"string","optional":true,"field":"name","default":"x"}],"optional":false,"name":"p"},"payload":{"id":1,"name":null}}`, "{id:int32 name:string }", "[1 null]"},
		{"payload first", ` { "payload" : [1.5] , "schema" : {"type":"array","items":{"type":"float"},"optional":false} } `, "[float32]", "[1.5]"},
		{"kafka decimal", `{"schema":{"type":"bytes","optional":false,"name":"org.apache.kafka.connect.data.Decimal","version":1,"parameters":{"scale":"2"}},"payload":"+x4="}`, "decimal", `"-12.50"`},
		{"decimal of scale 0", `{"schema":{"type":"bytes","name":"org.apache.kafka.connect.data.Decimal","parameters":{"scale":"0"}},"payload":"gA=="}`, "decimal", `"-128"`},
		{"decimal of negative scale", `{"schema":{"type":"bytes","name":"io.openmessaging.connector.api.data.logical.Decimal","parameters":{"scale":"-2"}},"payload":"DA=="}`, "decimal", `"1200"`},
		{"decimal as number", `{"schema":{"type":"bytes","name":"org.apache.kafka.connect.data.Decimal","version":1,"parameters":{"scale":"2"}},"payload":-12.5}`, "decimal", `"-12.50"`},
		{"date", `{"schema":{"type":"int32","name":"org.apache.kafka.connect.data.Date","version":1},"payload":-1}`, "date", "-1"},
		{"time", `{"schema":{"type":"int32","name":"org.apache.kafka.connect.data.Time","version":1},"payload":1500}`, "time", "1500000000"},
		{"timestamp", `{"schema":{"type":"int64","name":"io.openmessaging.connector.api.data.logical.Timestamp","version":1},"payload":-1}`, "timestamptz", "1969-12-31T23:59:59.999Z"},
		{"map", `{"schema":{"type":"map","keys":{"type":"int32"},"values":{"type":"boolean"}},"payload":[[1,true]]}`, "map", "[1 true]"},
		{"no schema", `{"schema":null,"payload":{"a":[1,null]}}`, "{a:[int64] }", "[[1 null]]"},
		{"another name", `{"schema":{"type":"int64","name":"io.debezium.time.MicroTimestamp","version":1},"payload":1}`, "int64", "1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := envelopes(t).Decode([]byte(tt.text), nil)
			require.NoError(t, err)
			require.Equal(t, tt.schema, notation(got.Schema))
			require.Equal(t, tt.value, got.Value.String())
			require.NoError(t, got.Value.Check(got.Schema))
		})
	}
}

func TestEnvelopesAreRefused(t *testing.T) {
	t.Parallel()
	payload := func(schema string) string { return fmt.Sprintf(`{"schema":%s,"payload":1}`, schema) }
	for _, tt := range []struct {
		name, text string
		err        error
	}{
		{"bare document", `{"a":1}`, errEnvelope},
		{"no object", `1`, errEnvelope},
		{"empty object", `{}`, errEnvelope},
		{"no payload", `{"schema":{"type":"int8"}}`, errEnvelope},
		{"no schema", `{"payload":1}`, errEnvelope},
		{"third member", `{"schema":{"type":"int8"},"payload":1,"x":1}`, errEnvelope},
		{"two payloads", `{"schema":{"type":"int8"},"payload":1,"payload":1}`, errEnvelope},
		{"trailing data", `{"schema":{"type":"int8"},"payload":1}}`, errTrailing},
		{"malformed", `{"schema":{"type":"int8"},"payload":tru}`, nil},
		{"unknown type", payload(`{"type":"int128"}`), nil},
		{"no type", payload(`{}`), nil},
		{"array without items", payload(`{"type":"array"}`), nil},
		{"map without keys", payload(`{"type":"map","values":{"type":"int8"}}`), nil},
		{"field without name", payload(`{"type":"struct","fields":[{"type":"int8"}]}`), nil},
		{"decimal without scale", payload(`{"type":"bytes","name":"org.apache.kafka.connect.data.Decimal"}`), nil},
		{"decimal of monstrous scale", payload(`{"type":"bytes","name":"org.apache.kafka.connect.data.Decimal","parameters":{"scale":"-999999999"}}`), nil},
		{"own type on another", payload(`{"type":"int8","parameters":{"gantry.type":"uuid"}}`), nil},
		{"own type that is none", payload(`{"type":"string","parameters":{"gantry.type":"int8"}}`), nil},
		{"enum without symbols", payload(`{"type":"string","parameters":{"gantry.type":"enum"}}`), nil},
		{"precision beyond milliseconds", payload(`{"type":"int64","name":"org.apache.kafka.connect.data.Timestamp","parameters":{"gantry.precision":"6"}}`), nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := envelopes(t).Decode([]byte(tt.text), nil)
			require.Error(t, err)
			if tt.err != nil {
				require.ErrorIs(t, err, tt.err)
			}
		})
	}
	for _, s := range []*connector.Schema{
		{Type: connector.String, Params: map[string]string{"gantry.type": "uuid"}},
		{Type: connector.Decimal, Scale: 2, Params: map[string]string{"scale": "3"}},
	} {
		_, err := envelopes(t).Encode(nil, connector.Datum{Schema: s, Value: connector.TextValue("1")})
		require.Error(t, err, "a parameter that would be mistaken")
	}
}

// TestOneSchemaInManySpellingsIsOnePointer: Java writes the members in the order of its hash tables.
func TestOneSchemaInManySpellingsIsOnePointer(t *testing.T) {
	t.Parallel()
	c := envelopes(t)
	first, err := c.Decode([]byte(`{"schema":{"type":"int8","optional":false,"name":"n"},"payload":1}`), nil)
	require.NoError(t, err)
	second, err := c.Decode([]byte(`{"schema":{"name":"n","type":"int8"},"payload":1}`), nil)
	require.NoError(t, err)
	require.Same(t, first.Schema, second.Schema)
	_, err = c.Decode([]byte(`{"schema":{"name":"n","type":"int8"},"payload":1`), nil)
	require.ErrorIs(t, err, errEnd, "also when the schema is the one seen last")
	_, err = c.Decode([]byte(`{"schema":{"name":"n","type":"int8"},"payload":1} 2`), nil)
	require.ErrorIs(t, err, errTrailing)
}

// TestMillisecondsHoldNoMore: a value finer than its schema says is not cut.
func TestMillisecondsHoldNoMore(t *testing.T) {
	t.Parallel()
	stamp := &connector.Schema{Type: connector.Timestamp, Precision: 3, PrecisionSet: true}
	_, err := envelopes(t).Encode(nil, connector.Datum{Schema: stamp, Value: connector.TimestampValue(0, 1)})
	require.ErrorIs(t, err, errMillis)
	clock := &connector.Schema{Type: connector.Time, Precision: 3, PrecisionSet: true}
	_, err = envelopes(t).Encode(nil, connector.Datum{Schema: clock, Value: connector.IntValue(1)})
	require.ErrorIs(t, err, errMillis)
	_, err = envelopes(t).Encode(nil, connector.Datum{Schema: stamp, Value: connector.TimestampValue(1<<60, 0)})
	require.ErrorIs(t, err, errMillisRange)
}
