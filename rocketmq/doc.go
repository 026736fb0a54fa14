// Package rocketmq owns everything that goes over the wire to RocketMQ: sending batches to a chosen queue, pulling from an
// explicit offset, looking up queues and offsets, and managing topics. It is the only importer of a RocketMQ client, and it
// refuses to know what a message means: it sees keys, tags, properties and bodies, never records, positions or tasks.
//
// Batches are sent by the Apache client's producer, which is told a fixed route (fixedroute.go says why). Pulls and admin requests use a small client of our own (link.go), because
// the library's pull ignores its context, waits out 30 s when a broker restarts, decodes without bounds checks and hands
// LZ4 and ZSTD bodies on compressed; and its admin calls report success whatever the broker answered.
package rocketmq
