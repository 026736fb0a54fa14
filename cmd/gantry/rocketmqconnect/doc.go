// Package rocketmqconnect reads what a worker of RocketMQ Connect has kept on its disk: connectors with their configs, and how
// far its sources have come. It says which of it has a meaning in Gantry, changes nothing and calls nobody.
package rocketmqconnect
