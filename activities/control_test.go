package activities

import (
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/testsuite"

	"github.com/gantry-connect/gantry/catalog"
	"github.com/gantry-connect/gantry/catalog/catalogtest"
	"github.com/gantry-connect/gantry/workflows"
)

// A worker may die after it has written down what a signal wants and before Temporal has heard of that: the next attempt must not
// override what was asked for since, nor concern another connector of the name.
func TestASignalThatIsCarriedOutAgainChangesNothing(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		signal string
		since  catalog.State // wanted between the attempts
	}{
		{workflows.SignalPause, catalog.StateRunning}, {workflows.SignalResume, catalog.StatePaused},
		{workflows.SignalRestart, catalog.StateStopped}, {workflows.SignalDelete, catalog.StateRunning},
	} {
		t.Run(tt.signal, func(t *testing.T) {
			t.Parallel()
			c, ctx := catalogtest.New(t), t.Context()
			a, err := New(Config{Worker: "one"}, Deps{Catalog: c})
			require.NoError(t, err)
			create := func() {
				_, err := c.CreateConnector(ctx, catalog.NewConnector{Name: "x", Class: "A", Kind: "source", Author: "t"})
				require.NoError(t, err)
			}
			attempt := func() catalog.Connector {
				var suite testsuite.WorkflowTestSuite
				env := suite.NewTestActivityEnvironment() // always the same activity
				env.RegisterActivity(a.SetDesired)
				_, err := env.ExecuteActivity(a.SetDesired, workflows.SetDesiredInput{Name: "x", Signal: tt.signal})
				require.NoError(t, err)
				conn, err := c.Connector(ctx, "x")
				require.NoError(t, err)
				return conn
			}
			create()
			if first := attempt(); first.Desired == catalog.StateDeleted {
				require.NoError(t, c.Forget(ctx, first.UID))
				create()
			}
			since, err := c.SetDesired(ctx, "x", tt.since, "t")
			require.NoError(t, err)
			require.Equal(t, since, attempt())
		})
	}
}
