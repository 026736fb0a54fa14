// Package client speaks Gantry's REST API from Go: Kafka Connect's routes and those under /v1, with typed answers and
// typed errors. It authenticates, repeats calls that may be repeated when the server cannot be reached, and reads the
// stream of events. It holds no state beyond its connections, decides nothing, and imports nothing else of Gantry, so that
// other programs can use it; it refuses to follow redirects to another host, which would carry the token along.
package client
