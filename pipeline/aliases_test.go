package pipeline

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAliasesGiveTheKeysThatTheyStandFor(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name        string
		given, want map[string]string
		problem     string
	}{
		{name: "nothing to do", given: map[string]string{"topic": "t", "what": "ever"}, want: map[string]string{"topic": "t", "what": "ever"}},
		{name: "RocketMQ Connect source", given: map[string]string{"connector-class": "FileSource", "connect.topicname": "t", "max.tasks": "3", "filename": "/x"},
			want: map[string]string{"connector.class": "FileSource", "topic": "t", "tasks.max": "3", "file": "/x"}},
		{name: "RocketMQ Connect sink", given: map[string]string{"connect.topicnames": "a;b", "consume.from.where": "CONSUME_FROM_LAST_OFFSET", "task.group.id": "g"},
			want: map[string]string{"topics": "a;b", "start.offset": "latest"}},
		{name: "transforms", given: map[string]string{"transforms": "a", "transforms.a.class": "X", "transforms.a.field": "f"},
			want: map[string]string{"transforms": "a", "transforms.a.type": "X", "transforms.a.field": "f"}},
		{name: "Kafka Connect", given: map[string]string{"exactly.once.support": "requested", "producer.override.acks": "all", "header.converter": "x"},
			want: map[string]string{"exactly.once": "preferred"}},
		{name: "a JSON converter by its class", given: map[string]string{"value.converter": "org.apache.kafka.connect.json.JsonConverter", "key.converter": "json"},
			want: map[string]string{"value.converter": "org.apache.kafka.connect.json.JsonConverter", "value.converter.schemas.enable": "true", "key.converter": "json"}},
		{name: "a JSON converter by its class, told otherwise",
			given: map[string]string{"source-record-converter": "org.apache.rocketmq.connect.runtime.converter.record.json.JsonConverter", "value.converter.schemas.enable": "false"},
			want:  map[string]string{"value.converter": "org.apache.rocketmq.connect.runtime.converter.record.json.JsonConverter", "value.converter.schemas.enable": "false"}},
		{name: "both, the same", given: map[string]string{"topic": "t", "connect.topicname": "t"}, want: map[string]string{"topic": "t"}},
		{name: "both, different", given: map[string]string{"topic": "t", "connect.topicname": "u"}, problem: "another name of topic"},
		{name: "two aliases, the same", given: map[string]string{"max.tasks": "2", "max-task": "2"}, want: map[string]string{"tasks.max": "2"}},
		{name: "two aliases, different", given: map[string]string{"max.tasks": "2", "max-task": "3"}, problem: "both names of tasks.max"},
		{name: "value", given: map[string]string{"consume.from.where": "CONSUME_FROM_TIMESTAMP"}, problem: "must be one of CONSUME_FROM_FIRST_OFFSET, CONSUME_FROM_LAST_OFFSET"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, from, err := ResolveAliases(tt.given)
			if tt.problem != "" {
				require.ErrorContains(t, err, tt.problem)
				return
			}
			require.NoError(t, err)
			require.Equal(t, tt.want, got)
			for name, alias := range from {
				require.Contains(t, tt.given, alias)
				require.NotEqual(t, name, alias)
			}
			again, none, err := ResolveAliases(got)
			require.NoError(t, err)
			require.Equal(t, got, again, "a resolved config resolves to itself")
			require.Empty(t, none)
		})
	}
}
