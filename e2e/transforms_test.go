package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// transformed is a record as the sink's file has it.
type transformed struct {
	ID     string `json:"id"`
	Number string `json:"customer"`
	Region string `json:"region"`
	Via    string `json:"via"`
	From   string `json:"from"`
	At     struct {
		Queue  int   `json:"queue"`
		Offset int64 `json:"offset"`
	} `json:"at"`
}

// TestTransformsChangeRouteAndLeaveOutRecords copies three files through transforms at the source, which route them by
// region, and at the sink, which leaves one region out. The third file's records are left out at their source.
func TestTransformsChangeRouteAndLeaveOutRecords(t *testing.T) {
	t.Parallel()
	const count = 300
	p := newPipe(start(t))
	p.startWorker()
	regions := []string{"eu", "us", "none"}
	for n, region := range regions {
		path := p.path(region + ".csv")
		writeInput(t, path, n, 0, count)
		p.client.put(region, p.sourceConfig(path, config{
			"transforms":             "insert,replace,route,filter",
			"transforms.insert.type": "org.apache.kafka.connect.transforms.InsertField$Value", "transforms.insert.static.field": "region",
			"transforms.insert.static.value": region, "transforms.insert.topic.field": "via",
			"transforms.replace.type": "ReplaceField$Value", "transforms.replace.exclude": "text", "transforms.replace.renames": "key:customer",
			"transforms.route.type": "RegexRouter", "transforms.route.regex": "(.*)", "transforms.route.replacement": "$1-" + region,
			"transforms.filter.class": "Filter", "transforms.filter.predicate": "unwanted",
			"predicates": "unwanted", "predicates.unwanted.type": "TopicNameMatches", "predicates.unwanted.pattern": ".*-none",
		}))
	}
	eu, us := newRawTopic(t, p.stack, p.topic.name+"-eu"), newRawTopic(t, p.stack, p.topic.name+"-us")
	for _, topic := range []*rawTopic{eu, us} {
		await(t, topic.name+" has all records", func() error {
			if n := topic.count(); n != count {
				return fmt.Errorf("it has %d", n)
			}
			return nil
		})
	}
	p.startFileSink(config{
		"topics": eu.name + "," + us.name, "tasks.max": "1",
		"transforms":             "filter,where,cast",
		"transforms.filter.type": "org.apache.kafka.connect.transforms.Filter", "transforms.filter.predicate": "wanted", "transforms.filter.negate": "true",
		"predicates": "wanted", "predicates.wanted.type": "org.apache.kafka.connect.transforms.predicates.TopicNameMatches", "predicates.wanted.pattern": ".*-eu",
		"transforms.where.type": "InsertField", "transforms.where.topic.field": "from", "transforms.where.partition.field": "at.queue", "transforms.where.offset.field": "at.offset",
		"transforms.cast.type": "Cast$Value", "transforms.cast.spec": "id:string",
	})
	await(t, "the file has all records of one region", func() error {
		if n := p.lines(); n != count {
			return fmt.Errorf("it has %d", n)
		}
		return p.anyTrouble()
	})
	for topic, want := range map[*rawTopic]int64{eu: count, us: count} {
		await(t, "the sink's position is at the end of "+topic.name, func() error { return p.positionIs(fileSink, topic.name, want) })
	}
	await(t, "the source whose records are left out has a position", func() error { return p.hasPosition("none") })
	p.stopWorkers()

	require.False(t, newRawTopic(t, p.stack, p.topic.name+"-none").exists())
	require.Zero(t, p.topic.count(), "the topic before the router")
	p.requireTransformed(eu, count)
}

// requireTransformed looks at each line of the sink's file, and at the message that it says it comes from.
func (p *pipe) requireTransformed(from *rawTopic, count int) {
	p.t.Helper()
	queues := from.read()
	seen := map[string]bool{}
	for _, path := range p.outputs() {
		b, err := os.ReadFile(path)
		require.NoError(p.t, err)
		for _, text := range strings.Split(strings.TrimSpace(string(b)), "\n") {
			var r transformed
			d := json.NewDecoder(strings.NewReader(text))
			d.DisallowUnknownFields()
			require.NoError(p.t, d.Decode(&r), text)
			m := queues[r.At.Queue][r.At.Offset]
			require.JSONEq(p.t, fmt.Sprintf(`{"id":%s,"customer":%q,"region":"eu","via":%q}`, r.ID, r.Number, p.topic.name), string(m.body))
			require.Equal(p.t, from.name, r.From)
			require.Equal(p.t, "eu", r.Region)
			require.Equal(p.t, p.topic.name, r.Via)
			var id int64
			require.NoError(p.t, json.Unmarshal([]byte(r.ID), &id))
			require.True(p.t, strings.HasPrefix(line(0, id), r.ID+","+r.Number+","), text)
			require.False(p.t, seen[r.ID], "twice: %s", text)
			seen[r.ID] = true
		}
	}
	require.Len(p.t, seen, count)
}

// offsets is a connector's position as REST shows it.
type offsets struct {
	Offsets []struct {
		Partition struct {
			Topic string `json:"rocketmq_topic"`
		} `json:"partition"`
		Offset struct {
			Offset int64 `json:"rocketmq_offset"`
		} `json:"offset"`
	} `json:"offsets"`
}

// hasPosition fails until a source's position is committed.
func (p *pipe) hasPosition(connector string) error {
	var all offsets
	if err := p.client.call(http.MethodGet, connectorPath(connector, "/offsets"), nil, &all); err != nil {
		return err
	}
	if len(all.Offsets) == 0 {
		return errors.New("it has none")
	}
	return nil
}

// positionIs compares how far a sink is, summed over the queues of a topic.
func (p *pipe) positionIs(connector, topic string, want int64) error {
	var all offsets
	if err := p.client.call(http.MethodGet, connectorPath(connector, "/offsets"), nil, &all); err != nil {
		return err
	}
	sum := int64(0)
	for _, o := range all.Offsets {
		if o.Partition.Topic == topic {
			sum += o.Offset.Offset
		}
	}
	if sum != want {
		return fmt.Errorf("it is %d: %+v", sum, all.Offsets)
	}
	return nil
}
