package control

import (
	"encoding/json"
	"errors"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gantry-connect/gantry/catalog"
	"github.com/gantry-connect/gantry/connector"
)

// fuzzedKeys has a key of each type.
type fuzzedKeys struct {
	File  string           `config:"file" required:"true" doc:"File."`
	Pass  connector.Secret `config:"password" doc:"Password."`
	Mode  string           `config:"mode" default:"fast" enum:"fast,slow" doc:"Mode."`
	Wait  time.Duration    `config:"wait.ms" default:"5" min:"0" max:"1000" doc:"Wait."`
	Count int64            `config:"count" default:"1" min:"1" doc:"Count."`
	Ratio float64          `config:"ratio" default:"0.5" min:"0" max:"1" doc:"Ratio."`
	Names []string         `config:"names" doc:"Names."`
	On    bool             `config:"on" default:"true" doc:"On."`
}

func fuzzedService() *Service {
	return New(Options{Plugins: connector.Plugins{
		connector.NewSource(connector.SourceSpec[fuzzedKeys]{Class: "TestSource", Version: "1"}),
		connector.NewSink(connector.SinkSpec[fuzzedKeys]{Class: "TestSink", Version: "1"}),
	}})
}

// configOf reads lines key=value.
func configOf(text string) map[string]string {
	config := map[string]string{}
	for _, line := range strings.Split(text, "\n") {
		if key, value, ok := strings.Cut(line, "="); ok {
			config[key] = value
		}
	}
	return config
}

// FuzzConfigs holds that any config can be judged: validation and creation agree about whether it is right, the errors are
// counted, what is answered is JSON, and no password is in it.
func FuzzConfigs(f *testing.F) {
	for _, text := range []string{
		"", "connector.class=TestSource", "connector.class=TestSource\nname=n\ntopic=t\nfile=f", "connector.class=TestSink\nname=n\ntopics=t,u\nfile=f\nmode=slow",
		"connector-class=TestSource\nconnect.topicname=t\nmax.tasks=3\nmax-task=4\nfilename=f", "connector.class=TestSink\nconnect.topicnames=a;b\nconsume.from.where=CONSUME_FROM_LAST_OFFSET",
		"connector.class=TestSource\ntopic=t\nfile=f\ntransforms=a,b\ntransforms.a.type=InsertField$Value\ntransforms.a.topic.field=x\ntransforms.b.class=Cast$Key\ntransforms.b.spec=int32\npredicates=p\npredicates.p.type=TopicNameMatches\npredicates.p.pattern=(\ntransforms.a.predicate=p\ntransforms.a.negate=maybe",
		"connector.class=TestSource\ntopic=t\nfile=${env:FILE}\nwait.ms=-1\ncount=1e3\nratio=NaN\non=yes\nnames=a,,b\nfiel=x", "connector.class=TestSource\ntopic=\xff\nvalue.converter=json\nvalue.converter.schemas.enable=perhaps\nkey.converter=none",
		"connector.class=TestSource\ntopic=t\nfile=${file:/x:key} and ${dir:\ntasks.max=999999999999999999999\nerrors.tolerance=all\nerrors.deadletterqueue.topic.name=\x00",
	} {
		f.Add(text, "secret")
	}
	service := fuzzedService()
	f.Fuzz(func(t *testing.T, text, password string) {
		config := configOf(text)
		password = "planted-" + password + "-planted"
		config["password"] = password
		values := make(map[string]*string, len(config))
		for key, value := range config {
			values[key] = &value
		}
		kept := maps.Clone(config)
		_, wrong := service.check(config)
		require.Equal(t, kept, config, "a config is not changed by being looked at")
		for _, class := range []string{"TestSource", "TestSink"} {
			v, err := service.Validate(class, values)
			if err != nil {
				var refused *RequestError
				require.True(t, errors.As(err, &refused), "%v", err)
				continue
			}
			errs := 0
			for _, c := range v.Configs {
				errs += len(c.Value.Errors)
			}
			require.Equal(t, errs, v.ErrorCount, "%+v", v.Configs)
			require.Equal(t, wrong == nil, v.ErrorCount == 0, "check says %v", wrong)
			answer, err := json.Marshal(v)
			require.NoError(t, err)
			shown, err := json.Marshal(password)
			require.NoError(t, err)
			require.NotContains(t, string(answer), strings.Trim(string(shown), `"`))
		}
		if wrong != nil {
			require.NotContains(t, wrong.Error(), password)
		}
	})
}

// FuzzOffsets holds that any body of an offsets request is taken or refused with a reason, that what is taken is the same
// when it is read again, and that one partition has one name.
func FuzzOffsets(f *testing.F) {
	for _, text := range []string{
		`{"partition":{"rocketmq_topic":"t","rocketmq_broker":"b","rocketmq_queue":0},"offset":{"rocketmq_offset":5}}`,
		`{"partition":{"kafka_topic":"t","kafka_partition":"1"},"offset":{"kafka_offset":"7"}}`, `{"partition":{"kafka_topic":"u","kafka_partition":1.5},"offset":null}`,
		`{"partition":{"file":"/x"},"offset":{"line":3,"byte":1e400}}`, `{"partition":{"a":[1]},"offset":{}}`, `{"partition":null}`, `{"partition":{},"offset":{}}`,
		`{"partition":{"a":1.0,"b":-0,"c":18446744073709551616},"offset":{"x":"\ud800"}}`, `{"partition":{"rocketmq_topic":null,"rocketmq_queue":-1},"offset":{"rocketmq_offset":-1}}`,
	} {
		f.Add(text)
	}
	brokers := map[string][]string{"t": {"b"}, "u": {"b", "c"}}
	ofSource := fuzzedService().sourceEdit(catalog.Connector{Class: "TestSource"})
	readers := map[string]func(PartitionOffset) (catalog.PositionEdit, error){
		"source": ofSource, "sink": func(po PartitionOffset) (catalog.PositionEdit, error) { return sinkEdit(brokers, po) },
	}
	f.Fuzz(func(t *testing.T, text string) {
		var po PartitionOffset
		if err := json.Unmarshal([]byte(text), &po); err != nil {
			return
		}
		for kind, read := range readers {
			edit, err := read(po)
			if err != nil {
				var refused *RequestError
				require.True(t, errors.As(err, &refused), "%s: %v", kind, err)
				continue
			}
			var again PartitionOffset
			require.NoError(t, json.Unmarshal([]byte(edit.Partition), &again.Partition), kind)
			if edit.Offset != nil {
				require.NoError(t, json.Unmarshal([]byte(*edit.Offset), &again.Offset), kind)
			}
			same, err := read(again)
			require.NoError(t, err, kind)
			require.Equal(t, edit, same, kind)
		}
	})
}
