// Package demo is Gantry's main job on real input, from one command: it starts the local stack, has file connectors
// read five tables and a Postgres sink write them, shows how far they are, and lets Postgres itself check the result.
// It uses Gantry as a user does, over REST.
package demo
