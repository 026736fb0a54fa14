// Package api is Gantry's REST interface: Kafka Connect's routes, shapes and codes, described by huma as OpenAPI 3.1.
// One file holds one resource. A handler takes HTTP apart, calls the service, and puts HTTP together; what a call
// means is package control's business. Errors become answers in one place, errors.go.
package api
