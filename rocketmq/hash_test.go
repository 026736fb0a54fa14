package rocketmq

import "testing"

// The expected numbers were printed by Java: key.hashCode(), and SelectMessageQueueByHash's index for 1, 3, 4, 7 and 16 queues.
func TestKeyHashAndQueueForAgreeWithJava(t *testing.T) {
	t.Parallel()
	counts := []int{1, 3, 4, 7, 16}
	for _, tt := range []struct {
		key    string
		hash   int32
		queues []int
	}{
		{"", 0, []int{0, 0, 0, 0, 0}},
		{"a", 97, []int{0, 1, 1, 6, 1}},
		{"hello", 99162322, []int{0, 1, 2, 0, 2}},
		{"order-4711", 708276994, []int{0, 1, 2, 5, 2}},
		{"polygenelubricants", -2147483648, []int{0, 2, 0, 2, 0}},
		{"naïve", 104710475, []int{0, 2, 3, 2, 11}},
		{"ключ", 33309882, []int{0, 0, 2, 4, 10}},
		{"日本語", 25921943, []int{0, 2, 3, 5, 7}},
		{"😀", 1772899, []int{0, 1, 3, 2, 3}},
		{"a😀b", 57849694, []int{0, 1, 2, 0, 14}},
		{"𝄞 clef", 1424431552, []int{0, 1, 0, 5, 0}},
		{"�", 65533, []int{0, 1, 1, 6, 13}},
		{"0123456789abcdefghijklmnopqrstuvwxyz", 704348018, []int{0, 2, 2, 3, 2}},
	} {
		if got := KeyHash(tt.key); got != tt.hash {
			t.Errorf("KeyHash(%q) = %d, Java says %d", tt.key, got, tt.hash)
		}
		for i, n := range counts {
			if got := QueueFor(tt.key, n); got != tt.queues[i] {
				t.Errorf("QueueFor(%q, %d) = %d, Java says %d", tt.key, n, got, tt.queues[i])
			}
		}
	}
}

func TestKeyHashTakesBrokenUTF8AsTheReplacementCharacter(t *testing.T) {
	t.Parallel()
	if got, want := KeyHash("\xff"), KeyHash("\ufffd"); got != want {
		t.Errorf("KeyHash of a stray byte = %d, want %d", got, want)
	}
}
