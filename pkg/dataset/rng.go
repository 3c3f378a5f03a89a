package dataset

import "math/bits"

// Chance without state: every random choice is a function of what it is for.

// hash mixes values into 64 bits. The step is the finalizer of SplitMix64
// (Steele, Lea & Flood 2014).
func hash(values ...uint64) uint64 {
	h := uint64(0x9e3779b97f4a7c15)
	for _, v := range values {
		h = mix(h ^ mix(v+0x9e3779b97f4a7c15))
	}
	return h
}

func mix(x uint64) uint64 {
	x ^= x >> 30
	x *= 0xbf58476d1ce4e5b9
	x ^= x >> 27
	x *= 0x94d049bb133111eb
	return x ^ x>>31
}

// hashText is FNV-1a.
func hashText(s string) uint64 {
	h := uint64(0xcbf29ce484222325)
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * 0x100000001b3
	}
	return h
}

// stream is a SplitMix64 sequence; its value is the seed.
type stream uint64

func (s *stream) next() uint64 {
	*s += 0x9e3779b97f4a7c15
	return mix(uint64(*s))
}

// below returns a number of 0..n-1, each as likely as the others (Lemire 2019).
func (s *stream) below(n int) int {
	for {
		hi, lo := bits.Mul64(s.next(), uint64(n))
		if lo >= uint64(n) || lo >= -uint64(n)%uint64(n) {
			return int(hi)
		}
	}
}

// permute is a bijection of 0..n-1 for each key: a Feistel network over the
// smallest even number of bits that holds n, walked until it lands below n
// again (Black & Rogaway 2002). It needs no table, so any place of any epoch's
// order is had at once.
func permute(i, n int, key uint64) int {
	half := (bits.Len64(uint64(n-1)) + 1) / 2
	mask := uint64(1)<<half - 1
	x := uint64(i)
	for {
		left, right := x>>half, x&mask
		// Four rounds look random for large n; small ones, with halves of a bit or two, need more to reach all orders.
		for round := range uint64(12) {
			left, right = right, left^hash(key, round, right)&mask
		}
		x = left<<half | right
		if x < uint64(n) {
			return int(x)
		}
	}
}
