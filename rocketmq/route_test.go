package rocketmq

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestAKnownRouteIsUsedWhileTheNameServerHangs(t *testing.T) {
	t.Parallel()
	silent, err := net.Listen("tcp", "127.0.0.1:0") // takes connections and never answers
	require.NoError(t, err)
	defer silent.Close()
	ls := newLinks(credentials{})
	rs := newRoutes([]string{silent.Addr().String()}, ls)
	known := &route{fetched: time.Now().Add(-2 * routeLife)}
	rs.topics["known"] = known
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	for range 3 {
		got, err := rs.get(ctx, "known")
		require.NoError(t, err)
		require.Same(t, known, got)
	}
	_, err = rs.get(ctx, "unknown")
	require.ErrorIs(t, err, context.DeadlineExceeded)
	ls.close()
	rs.close()
}

func TestAnOldRouteIsLookedUpAgainInTheBackground(t *testing.T) {
	t.Parallel()
	nameServer, err := newFixedRoute("b", "127.0.0.1:2")
	require.NoError(t, err)
	defer nameServer.close()
	ls := newLinks(credentials{})
	rs := newRoutes([]string{nameServer.addr()}, ls)
	defer rs.close()
	defer ls.close()
	old := &route{fetched: time.Now()}
	rs.topics["t"] = old
	addr, err := rs.master(t.Context(), Queue{Topic: "t", Broker: "b"})
	require.NoError(t, err)
	require.Equal(t, "127.0.0.1:2", addr, "a broker that the route lacks is looked up at once")
	fresh, err := rs.get(t.Context(), "t")
	require.NoError(t, err)
	rs.expire("t")
	require.Eventually(t, func() bool {
		got, err := rs.get(t.Context(), "t")
		return err == nil && got != fresh && got.master("b") == "127.0.0.1:2"
	}, 10*time.Second, time.Millisecond)
}
