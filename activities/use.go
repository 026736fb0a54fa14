package activities

import (
	"context"
	"slices"

	"github.com/gantry-connect/gantry/catalog"
	"github.com/gantry-connect/gantry/pipeline"
)

// load reads a connector with its config as it is read for use: keys that the user gave under other names have theirs.
func (a *Activities) load(ctx context.Context, uid int64) (catalog.Connector, error) {
	conn, err := a.Catalog.ConnectorByUID(ctx, uid)
	if err != nil {
		return conn, err
	}
	conn.Config, _, err = pipeline.ResolveAliases(conn.Config)
	return conn, err
}

// usedTopics is a queue map that notes which topics are asked for: records are about to be sent there.
type usedTopics struct{ queueMap }

func (u usedTopics) Queues(ctx context.Context, topic string) ([]pipeline.Queue, error) {
	queues, err := u.queueMap.Queues(ctx, topic)
	if err != nil {
		return nil, err
	}
	return queues, u.a.Catalog.NoteTopics(ctx, u.uid, []string{topic})
}

// noteReads notes the topics that a sink's task is about to read.
func (a *Activities) noteReads(ctx context.Context, uid int64, queues []catalog.Queue) error {
	var topics []string
	for _, q := range queues {
		if !slices.Contains(topics, q.Topic) {
			topics = append(topics, q.Topic)
		}
	}
	return a.Catalog.NoteTopics(ctx, uid, topics)
}
