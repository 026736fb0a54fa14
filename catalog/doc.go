// Package catalog is the Postgres database that says what is wanted, what is planned, who owns which task and how far
// each has come. It alone knows the tables, and it alone imports pgx. It refuses to know what a config, an offset or a
// schema means: those are text to it. It knows neither Temporal nor RocketMQ nor connectors.
//
// Start at Open. A worker starts one Keeper, claims tasks through it and gets a Lease for each.
//
// Not obvious:
//   - Rows of tasks and leases are only ever locked by statements that reach the server in one flight, so a process that
//     freezes holds no lock on them. Interactive transactions lock rows of connectors, and of tasks only where an operator
//     edits positions; the server ends such a transaction after 10 s of silence.
//   - Lock order: connectors, then tasks, then leases, then the rest. A commit never waits for a lock on tasks or on
//     positions: it passes such rows over and comes back.
//   - A renewal touches leases only and a commit tasks only, so neither waits for the other.
//   - All times are judged by the database's clock, except Lease.Deadline, which is the owner's own and shorter.
//   - Safety rests on neither clock: a commit must match epoch and token of the row it locks.
package catalog
