// Package transforms changes records one by one on their way: Kafka Connect's single-message transforms and predicates,
// under their names and with their keys.
//
// It owns the configuration grammar (transforms, predicates and the keys of their aliases) and the chain that applies
// it. It refuses to know where records come from or go to: no I/O, no clock, no chance, so the same record always becomes
// the same record, and a source that reads a record again sends it as it did before. It imports package connector alone.
package transforms
