// Package rocketmqtest puts a wire between a client and the real RocketMQ that misbehaves on request: it swallows or holds
// acknowledgements, cuts connections, goes silent, refuses, or answers in the broker's place, and counts what passes. What it
// forwards is real, so a test can look afterwards at what the broker has. It knows frames, not messages, and is imported by
// tests only.
package rocketmqtest
