package rocketmq

import "unicode/utf16"

// KeyHash is Java's String.hashCode of key: s[0]*31^(n-1) + … + s[n-1] over its UTF-16 units, wrapping at 32 bits. Bytes that
// are not UTF-8 count as U+FFFD, as they would once Java has decoded them.
func KeyHash(key string) int32 {
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
	return h
}

// QueueFor returns the index, 0 to n-1, of the queue that a key belongs to among n queues sorted by broker name and id. It is
// the rule of RocketMQ's SelectMessageQueueByHash, the absolute value of hash % n, so Java producers that hash the same key
// over as many queues agree. n must be positive.
func QueueFor(key string, n int) int {
	i := int(KeyHash(key)) % n
	if i < 0 {
		return -i
	}
	return i
}
