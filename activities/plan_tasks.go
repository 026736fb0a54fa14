package activities

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.temporal.io/sdk/activity"

	"github.com/gantry-connect/gantry/catalog"
	"github.com/gantry-connect/gantry/connector"
	"github.com/gantry-connect/gantry/pipeline"
	"github.com/gantry-connect/gantry/secrets"
	"github.com/gantry-connect/gantry/workflows"
)

// PlanTasks divides a connector's work by its newest config. The plan is saved unless it changes or drops a task that is
// busy: then the workflow has to stop and settle those first, under the plan they run by. Failures that may pass are tried
// again without end, see planLater.
func (a *Activities) PlanTasks(ctx context.Context, in workflows.PlanTasksInput) (workflows.PlanTasksResult, error) {
	ctx, stop := beat(ctx, a.config.HeartbeatEvery)
	defer stop()
	if err := a.awaitTurn(ctx, in.Patience); err != nil {
		return workflows.PlanTasksResult{}, err
	}
	result, err := a.planTasks(ctx, in)
	if err != nil {
		return a.planLater(ctx, in, fmt.Errorf("plan the tasks of %s: %w", in.Name, err))
	}
	return result, nil
}

func (a *Activities) planTasks(ctx context.Context, in workflows.PlanTasksInput) (workflows.PlanTasksResult, error) {
	conn, err := a.load(ctx, in.UID)
	if err != nil {
		return workflows.PlanTasksResult{}, err
	}
	plugin, err := a.Plugins.Find(conn.Class)
	if err != nil {
		return workflows.PlanTasksResult{}, connector.Permanent(err)
	}
	plan, note, err := a.plan(ctx, conn, plugin)
	if err != nil {
		return workflows.PlanTasksResult{}, err
	}
	result := workflows.PlanTasksResult{Revision: conn.Revision, Generation: conn.Generation, Note: note,
		Watched: plugin.Kind == connector.KindSink || plugin.Watches(), Group: groupOf(conn.Config), Tasks: make([]workflows.PlannedTask, len(plan))}
	for i, t := range plan {
		result.Tasks[i] = workflows.PlannedTask{Number: t.Number, Hash: t.Hash}
	}
	blocked := slices.ContainsFunc(in.Busy, func(b workflows.PlannedTask) bool { return !slices.Contains(result.Tasks, b) })
	if blocked {
		old, err := a.Catalog.Plan(ctx, conn.UID)
		if err != nil {
			return workflows.PlanTasksResult{}, err
		}
		result.Moved = movedBy(conn.Config, old, plan)
		return result, nil
	}
	result.Generation, err = a.Catalog.SavePlan(ctx, conn.UID, conn.Revision, plan)
	result.Saved = err == nil
	return result, err
}

// movedBy are the numbers of the old plan's tasks that the new one drops, or to which it gives another share of the work: other
// queues, or other values of the keys by which the plugin divides it, which the connector's config does not have.
func movedBy(config map[string]string, old, plan []catalog.PlannedTask) (moved []int) {
	for _, o := range old {
		at := slices.IndexFunc(plan, func(t catalog.PlannedTask) bool { return t.Number == o.Number })
		if at < 0 || len(old) != len(plan) || o.Config["connector.class"] != config["connector.class"] ||
			!slices.Equal(o.Queues, plan[at].Queues) || !sameShare(config, o.Config, plan[at].Config) {
			moved = append(moved, o.Number)
		}
	}
	return moved
}

func sameShare(config, old, now map[string]string) bool {
	for key, value := range now {
		if original, ok := config[key]; (!ok || original != value) && old[key] != value {
			return false
		}
	}
	return true
}

// plan makes a plan; note says what it lacks.
func (a *Activities) plan(ctx context.Context, conn catalog.Connector, plugin connector.Plugin) (plan []catalog.PlannedTask, note string, err error) {
	resolved, err := a.resolve(ctx, conn.Name, plugin, conn.Config)
	if err != nil {
		return nil, "", err
	}
	defer func() { err = resolved.Scrub.Error(err) }()
	if err := guarded("the connector's check of its config", func() error { return plugin.Check(resolved.Config) }); err != nil {
		return nil, "", err
	}
	if plugin.Kind == connector.KindSource {
		plan, err = a.planSource(ctx, conn, plugin, resolved)
		return plan, "", err
	}
	return a.planSink(ctx, conn, resolved.Config)
}

func (a *Activities) planSource(ctx context.Context, conn catalog.Connector, plugin connector.Plugin, resolved secrets.Resolved) ([]catalog.PlannedTask, error) {
	c, err := pipeline.ParseSourceConfig(resolved.Config)
	if err != nil {
		return nil, err
	}
	// The topic exists from now on, so that sinks can be planned; other topics come with their first record.
	queues := queueMap{a, conn.UID, c.TopicCreate, c.TopicQueues}
	if _, err := queues.Queues(ctx, c.Topic); err != nil {
		return nil, err
	}
	var configs []map[string]string
	err = guarded("planning", func() (err error) {
		configs, err = plugin.TaskConfigs(ctx, resolved.Config, c.TasksMax)
		return err
	})
	if err != nil {
		return nil, err
	}
	plan := make([]catalog.PlannedTask, len(configs))
	for i, config := range configs {
		plan[i] = catalog.PlannedTask{Number: i}
		if plan[i].Config, err = storable(config, conn.Config, resolved); err != nil {
			return nil, err
		}
		plan[i].Hash = hashOf(conn.Class, plan[i])
	}
	return plan, nil
}

// planSink divides the queues of all topics. Topics that do not exist yet are waited for by the watcher.
func (a *Activities) planSink(ctx context.Context, conn catalog.Connector, resolved map[string]string) (plan []catalog.PlannedTask, note string, err error) {
	c, err := pipeline.ParseSinkConfig(resolved)
	if err != nil {
		return nil, "", err
	}
	queues, missing, err := a.sinkQueues(ctx, c.TopicNames())
	if err != nil {
		return nil, "", err
	}
	if c.StartOffset == pipeline.StartLatest && conn.Generation == 0 {
		if err := a.freezeKnown(ctx, conn.UID, queues); err != nil {
			return nil, "", err
		}
	}
	if len(missing) > 0 {
		note = "waiting for topics that do not exist yet: " + strings.Join(missing, ", ")
	}
	plan = make([]catalog.PlannedTask, min(c.TasksMax, len(queues)))
	for i, q := range queues {
		t := &plan[i%len(plan)]
		t.Queues = append(t.Queues, q)
	}
	for i := range plan {
		plan[i].Number, plan[i].Config = i, conn.Config
		plan[i].Hash = hashOf(conn.Class, plan[i])
	}
	return plan, note, nil
}

// freezeKnown remembers the queues that are there when a sink is first planned: start.offset = latest concerns those only. What is
// in later ones is newer than the connector, and none of it may be left out.
func (a *Activities) freezeKnown(ctx context.Context, uid int64, queues []catalog.Queue) error {
	known := map[string][]catalog.Queue{}
	for _, q := range queues {
		known[q.Topic] = append(known[q.Topic], q)
	}
	for topic, list := range known {
		if _, err := a.Catalog.FreezeQueueMap(ctx, uid, topic, list); err != nil {
			return err
		}
	}
	return nil
}

// sinkQueues are the queues of all topics in a fixed order, and the topics that do not exist.
func (a *Activities) sinkQueues(ctx context.Context, topics []string) (queues []catalog.Queue, missing []string, err error) {
	for _, topic := range topics {
		found, err := a.Topics.Queues(ctx, topic)
		if errors.Is(err, ErrNoTopic) {
			missing = append(missing, topic)
			continue
		}
		if err != nil {
			return nil, nil, fmt.Errorf("look up the queues of topic %s: %w", topic, err)
		}
		queues = append(queues, found...)
	}
	slices.SortFunc(queues, func(a, b catalog.Queue) int {
		return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.ID, b.ID), cmp.Compare(a.Broker, b.Broker))
	})
	return queues, missing, nil
}

// hashOf changes exactly when the task must start again.
func hashOf(class string, t catalog.PlannedTask) string {
	config := make(map[string]string, len(t.Config))
	for key, value := range t.Config {
		if key != "tasks.max" { // says nothing to a task
			config[key] = value
		}
	}
	text, err := json.Marshal([]any{class, config, t.Queues}) // maps are written in key order
	if err != nil {
		panic(fmt.Sprintf("hash a task config: %v", err)) // cannot happen: strings and numbers only
	}
	sum := sha256.Sum256(text)
	return base64.RawURLEncoding.EncodeToString(sum[:12])
}

// beat heartbeats for an activity that has nothing to tell, so that it learns when it is no longer wanted.
func beat(ctx context.Context, every time.Duration) (context.Context, func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				activity.RecordHeartbeat(ctx)
			case <-ctx.Done():
				return
			}
		}
	}()
	return ctx, func() {
		cancel()
		<-done
	}
}
