// Package e2e proves Gantry's promises on the built binary with the real Temporal, Postgres and RocketMQ: it kills,
// freezes, stops and cuts off workers in the middle of copies, and looks afterwards for what was lost, doubled or out of
// order. It uses Gantry only as a user does, by commands, REST and files, and judges by its own reading of the raw queues,
// the tables and the files, with none of Gantry's code. It holds tests only.
package e2e
