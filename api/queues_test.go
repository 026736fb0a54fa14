package api_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gantry-connect/gantry/catalog"
)

func TestQueuesOfASource(t *testing.T) {
	t.Parallel()
	s := start(t)
	status, _, text := s.call(t, "POST", "/connectors", `{"name":"flights","config":`+source+`}`)
	require.Equal(t, 201, status, text)
	conn, err := s.catalog.Connector(t.Context(), "flights")
	require.NoError(t, err)
	_, err = s.catalog.FreezeQueueMap(t.Context(), conn.UID, "t", []catalog.Queue{{Topic: "t", Broker: "b", ID: 1}})
	require.NoError(t, err)
	s.want(t, "GET", "/v1/connectors/flights/queues", "", 200, `{"items":[{"topic":"t","version":1,"queues":[{"broker":"b","queue":1}]}]}`)
	for body, want := range map[string]int{`{}`: 409, `{"topic":"t","force":true}`: 409, `{"topic":7}`: 400} {
		status, _, text := s.call(t, "POST", "/v1/connectors/flights/queues", body)
		require.Equal(t, want, status, text)
	}
	s.want(t, "PUT", "/connectors/out/config", `{"connector.class":"TestSink","topics":"t","url":"x"}`, 201,
		`{"name":"out","type":"sink","tasks":[],"config":{"name":"out","connector.class":"TestSink","topics":"t","url":"x"}}`)
	for _, method := range []string{"GET", "POST"} {
		status, _, text := s.call(t, method, "/v1/connectors/out/queues", `{}`)
		require.Equal(t, 400, status, text)
		status, _, text = s.call(t, method, "/v1/connectors/none/queues", `{}`)
		require.Equal(t, 404, status, text)
	}
}
