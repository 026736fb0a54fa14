// Package operate is the operator's command line: gantry get, apply, pause, top and the rest, in the habits of kubectl and
// kcctl. It owns contexts, connector files, output and exit codes. Everything it knows and does goes through the REST API
// by package client: it never touches the catalog, Temporal or a broker, and decides nothing that the server decides.
package operate
