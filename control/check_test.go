package control

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gantry-connect/gantry/catalog"
	"github.com/gantry-connect/gantry/probe"
)

// Who asks what nobody can answer hears it at once, with the group and what to do.
func TestAQuestionGoesToAGroupThatCanAnswer(t *testing.T) {
	t.Parallel()
	worker := func(group string, change func(*catalog.WorkerView)) []catalog.WorkerView {
		v := catalog.WorkerView{Alive: true}
		v.Group = group
		if change != nil {
			change(&v)
		}
		return []catalog.WorkerView{v}
	}
	about := func(group string) probe.Question {
		return probe.Question{Kind: probe.KindCheck, Config: map[string]string{"worker.group": group}}
	}
	for _, tt := range []struct {
		name    string
		workers []catalog.WorkerView
		q       probe.Question
		group   string
		problem string
	}{
		{"its group", worker("big", nil), about(" big "), "big", ""},
		{"no group", worker("", nil), about(""), "", ""},
		{"nobody", nil, about("big"), "", "no worker is running"},
		{"silent", worker("big", func(w *catalog.WorkerView) { w.Alive = false }), about("big"), "", "no worker is running"},
		{"ending", worker("big", func(w *catalog.WorkerView) { w.Draining = true }), about("big"), "", "no worker is running"},
		{"drained by an operator", worker("big", func(w *catalog.WorkerView) { w.Draining, w.Cordoned = true, true }), about("big"), "big", ""},
		{"another group", worker("small", nil), about("big"), "", `no worker of group "big" is running: start one with the setting worker.group=big`},
		{"only groups", worker("big", nil), about(""), "", "no worker without a group is running: start one"},
		{"a topic needs no plugin", worker("big", nil), probe.Question{Kind: probe.KindTopic, Topic: "t"}, "big", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			group, err := chooseGroup(tt.workers, tt.q)
			if tt.problem != "" {
				require.ErrorContains(t, err, tt.problem)
				return
			}
			require.NoError(t, err)
			require.Equal(t, tt.group, group)
		})
	}
}
