// Package bench measures Gantry on the machine at hand: what RocketMQ, Postgres and the files give without it, what
// Gantry makes of that, and how fast it fails over. It starts servers of its own, runs real worker and API processes and
// drives them over REST as a user does. What it counts lies at the targets: stored messages, committed rows, bytes of a
// file, with the brokers' and Postgres's own times; never what Gantry says of itself.
package bench
