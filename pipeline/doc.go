// Package pipeline owns the copy loop of a task: a Source reads, converts and sends records into queues, a Sink pulls,
// converts and writes them to a target. It keeps what is in flight bounded, moves positions only over contiguous finished
// work, and owns the exactly-once protocol (docs/exactly-once.md): stamps, fences, reading back, and the readers' rule.
// It knows neither Temporal nor SQL nor a RocketMQ client: queues, positions and leases are interfaces declared here and
// wired by whoever starts a job.
package pipeline
