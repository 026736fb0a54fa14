package pipeline

import (
	"unicode/utf16"

	"github.com/gantry-connect/gantry/connector"
)

// queueFor returns the index of a key's queue among n: the absolute value of Java's String.hashCode % n, as RocketMQ's
// SelectMessageQueueByHash has it. The package rocketmq has the same rule; both hold the same test vectors.
func queueFor(key string, n int) int {
	var h int32
	for _, r := range key {
		if r >= 0x10000 {
			hi, lo := utf16.EncodeRune(r)
			h = 31*h + hi
			h = 31*h + lo
			continue
		}
		h = 31*h + r
	}
	i := int(h) % n
	return max(i, -i)
}

// partitionHash is the 64-bit FNV-1a hash of a partition's text. It is part of every stamp and must never change.
func partitionHash(p connector.Partition) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(p) {
		h ^= uint64(p[i])
		h *= 1099511628211
	}
	return max(h, unmarked+1)
}
