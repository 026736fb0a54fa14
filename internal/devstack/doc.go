// Package devstack builds, starts and stops the real servers that Gantry is developed and tested against: Postgres,
// the RocketMQ name server and broker, and Temporal's development server with its Web UI, all on 127.0.0.1 and without
// Docker. It needs Go, a JDK 17 or later and Maven; what it builds and fetches lies under .cache/ of the checkout.
// It knows processes, ports, files and readiness, and nothing of Gantry itself: no schema, no topics, no workflows.
// It is for local use only: nothing here is meant to hold data that matters.
package devstack
