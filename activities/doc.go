// Package activities is the bridge from workflows to connectors, the catalog and the copy loop: ids come in, the catalog
// says what they mean, and failures go back as Temporal understands them (toTemporal). It decides nothing about what
// should run, and holds no SQL, no broker's client and no connector by name.
//
// Start at RunTask: it lends a task to this worker for a while. A task's copy loop lives by its lease in the catalog,
// not by the activity's context: an outage of Temporal alone stops no copying.
package activities
