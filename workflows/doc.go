// Package workflows decides what runs: Connector makes what the catalog wants true for one connector, Task keeps one
// task's activity running. Both are deterministic and do no I/O; they hold ids, hashes and small states, never
// configs, secrets or records, and of positions only what people are shown. messages.go is the home of every name, id, input and result that crosses
// Temporal. The catalog is the only truth: a workflow may be ended at any time and started afresh from it.
package workflows
