package e2e

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestAPoisonConfigHarmsNobodyElse runs connectors whose configs can only be found wrong at work beside one that copies.
func TestAPoisonConfigHarmsNobodyElse(t *testing.T) {
	t.Parallel()
	const records = 10_000
	p := newPipe(start(t))
	p.startWorker()
	p.client.put("no-such-file", p.sourceConfig(p.path("missing.csv"), nil))
	writeInput(t, p.path("input.csv"), 0, 0, records)
	p.client.put("wrong-type", p.sourceConfig(p.path("input.csv"), config{"csv.types": "id:int64,key:int32,text:string", "topic": p.topic.name + "-2"}))
	p.startSource(p.path("input.csv"), nil)
	p.startPostgresSink(nil)
	p.client.put("no-such-table", p.postgresConfig(config{"table": "nowhere"}))
	p.client.awaitStatus("no-such-file", "has failed, naming key and value", failedOver("file", p.path("missing.csv")))
	p.client.awaitStatus("wrong-type", "has failed, naming column and value", failedOver("key", "f0-k"))
	p.client.awaitStatus("no-such-table", "has failed, naming the table", failedOver("nowhere"))

	err := p.client.call(http.MethodPut, connectorPath("refused", "/config"), p.sourceConfig(p.path("input.csv"), config{"tasks.max": "many"}), nil)
	var a *answered
	require.ErrorAs(t, err, &a)
	require.Equal(t, http.StatusBadRequest, a.status)
	require.Contains(t, a.text, "tasks.max")
	require.Contains(t, a.text, "many")
	p.requireExactlyOnce(records)
}

// failedOver waits for FAILED, of the connector or a task, with a reason that holds all the words.
func failedOver(words ...string) func(status) error {
	return func(s status) error {
		reason := ""
		if s.Connector.State == "FAILED" {
			reason = s.Connector.Trace
		}
		for _, task := range s.Tasks {
			if task.State == "FAILED" {
				reason += task.Trace
			}
		}
		if reason == "" {
			return errors.New("nothing has failed")
		}
		for _, w := range words {
			if !strings.Contains(reason, w) {
				return fmt.Errorf("the reason does not name %s", w)
			}
		}
		return nil
	}
}
