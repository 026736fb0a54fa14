package activities

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/gantry-connect/gantry/catalog"
	"github.com/gantry-connect/gantry/workflows"
)

const (
	// dropWithin bounds the removal of one topic: a broker that is down must not keep the connector's name taken. It is
	// shorter than an attempt of the activity, so that each attempt is done with some topics.
	dropWithin = 3 * time.Second
	// dropsAtOnce is how many topics are removed side by side.
	dropsAtOnce = 8

	eventTopicDropped catalog.EventKind = "topic dropped"
	eventTopicStays   catalog.EventKind = "topic not dropped"
)

// FinishDelete has the catalog forget a connector, which frees its name. Topics go first, where they are to.
func (a *Activities) FinishDelete(ctx context.Context, in workflows.FinishDeleteInput) error {
	if err := dropTopics(ctx, a.Catalog, a.Topics, in); err != nil {
		return err
	}
	return a.Catalog.Forget(ctx, in.UID)
}

// drops knows which topics are left to drop.
type drops interface {
	TopicsToDrop(ctx context.Context, uid int64) ([]string, error)
	TopicDone(ctx context.Context, topic string, e catalog.Event) error
}

// dropper removes topics.
type dropper interface {
	DeleteTopic(ctx context.Context, topic string) error
}

// dropTopics removes the topics that are to go with the connector. One that cannot be removed stays, and an event tells so. An
// attempt that runs out of time leaves what it was not done with to the next.
func dropTopics(ctx context.Context, left drops, topics dropper, in workflows.FinishDeleteInput) error {
	names, err := left.TopicsToDrop(ctx, in.UID)
	if err != nil {
		return err
	}
	var g errgroup.Group
	g.SetLimit(dropsAtOnce)
	for _, name := range names {
		g.Go(func() error {
			if err := ctx.Err(); err != nil {
				return err
			}
			e := catalog.Event{UID: in.UID, Connector: in.Name, Kind: eventTopicDropped, Detail: name}
			dctx, cancel := context.WithTimeout(ctx, dropWithin)
			defer cancel()
			if err := topics.DeleteTopic(dctx, name); err != nil {
				e.Kind, e.Detail = eventTopicStays, fmt.Sprintf("%s: %v; delete it with mqadmin deleteTopic", name, err)
			}
			return left.TopicDone(ctx, name, e)
		})
	}
	return g.Wait()
}
