// Package control is what an operator can do: create, change, look at, pause, resume, stop, restart and delete
// connectors. It validates, writes what is wanted to the catalog, and tells the connector's workflow to look there. It
// starts and stops nothing itself, so every call is quick, and one that Temporal misses is made good by the schedule
// that reconciles. REST and the command line are thin layers above it.
package control
