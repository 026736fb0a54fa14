package devstacktest

import (
	"context"
	"testing"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"
)

// quiet ends what a test has left running in its namespace. The namespace stays, and a schedule in it would start a workflow
// every minute that nobody works on; after some dozens of tests the server would be busy with nothing else at each full
// minute.
func quiet(t testing.TB, address, namespace string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), setupWithin)
	defer cancel()
	c, err := client.DialContext(ctx, client.Options{HostPort: address, Namespace: namespace, Logger: silent{}})
	if err != nil {
		t.Logf("end what runs in namespace %s: %v", namespace, err) // a server that a test has stopped runs nothing
		return
	}
	defer c.Close()
	schedules, err := c.ScheduleClient().List(ctx, client.ScheduleListOptions{})
	for err == nil && schedules.HasNext() {
		var s *client.ScheduleListEntry
		if s, err = schedules.Next(); err == nil {
			err = c.ScheduleClient().GetHandle(ctx, s.ID).Delete(ctx)
		}
	}
	if err != nil {
		t.Logf("delete the schedules of namespace %s: %v", namespace, err)
	}
}

// silent keeps the SDK's messages out of the tests' output.
type silent struct{}

var _ log.Logger = silent{}

func (silent) Debug(string, ...any) {}
func (silent) Info(string, ...any)  {}
func (silent) Warn(string, ...any)  {}
func (silent) Error(string, ...any) {}
