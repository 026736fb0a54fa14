// Package workers is the worker process: it registers workflows and activities under their names, takes its fair share
// of the tasks that exist, tells the catalog that it lives, and drains when it is asked to stop. It alone registers, and
// it alone knows how Temporal's task queues are polled. It copies nothing itself and decides nothing about connectors.
//
// Start at Run. Workers are equal and know each other by their rows in the catalog only; nobody leads.
package workers
