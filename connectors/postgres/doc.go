// Package postgres is the PostgresSink: it writes records to tables of a Postgres database, exactly once from the topic,
// because its position lives in the target and moves in the transaction that writes the rows. It owns the naming,
// creation and evolution of the target tables, the binary encoding of values, and the two position tables. It refuses
// what cannot be stored without loss, and knows nothing of topics, queues or the catalog beyond a record's own fields.
package postgres
