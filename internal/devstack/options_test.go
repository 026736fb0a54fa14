package devstack_test

import (
	"testing"

	"github.com/gantry-connect/gantry/internal/devstack"
	"github.com/stretchr/testify/require"
)

func TestParseParts(t *testing.T) {
	t.Parallel()
	parts, err := devstack.ParseParts("rocketmq, postgres,broker")
	require.NoError(t, err)
	require.ElementsMatch(t, []devstack.Part{devstack.Postgres, devstack.NameServer, devstack.Broker}, parts)
	all, err := devstack.ParseParts("all")
	require.NoError(t, err)
	require.ElementsMatch(t, append(devstack.Servers(), devstack.Tctl), all)
	_, err = devstack.ParseParts("kafka")
	require.ErrorContains(t, err, `unknown part "kafka"`)
}

func TestParsePorts(t *testing.T) {
	t.Parallel()
	ports, err := devstack.ParsePorts("temporal=7001,ui=7002")
	require.NoError(t, err)
	require.Equal(t, devstack.Ports{Temporal: 7001, TemporalUI: 7002}, ports)
	for _, wrong := range []string{"7233", "temporal", "temporal=0", "temporal=65536", "kafka=9092"} {
		_, err := devstack.ParsePorts(wrong)
		require.ErrorContains(t, err, "is not NAME=PORT", wrong)
	}
}

func TestABrokerNeedsANameServer(t *testing.T) {
	t.Parallel()
	_, err := devstack.Options{Parts: []devstack.Part{devstack.Broker}}.WithDefaults()
	require.ErrorContains(t, err, "add the part nameserver")
}

func TestPostgresURLEscapesThePassword(t *testing.T) {
	t.Parallel()
	info := devstack.Info{PostgresAddress: "127.0.0.1:5433", PostgresPassword: "a/b@c"}
	require.Equal(t, "postgres://gantry:a%2Fb%40c@127.0.0.1:5433/x?sslmode=disable", info.PostgresURL("x"))
	require.Empty(t, devstack.Info{}.PostgresURL("x"))
}
