// Package float16 reads and writes 16-bit floating-point numbers (IEEE 754 binary16),
// which weights are often stored in.
//
//	x := float16.Float32(0x3c00) // 1
package float16

import "math"

// Float32 is the value of the number with these bits.
func Float32(h uint16) float32 {
	sign, exponent, mantissa := uint32(h>>15)<<31, uint32(h>>10&31), uint32(h&1023)
	switch exponent {
	case 0: // zero and subnormal: mantissa * 2^-24
		return math.Float32frombits(math.Float32bits(float32(mantissa)/(1<<24)) | sign)
	case 31: // infinity and NaN
		return math.Float32frombits(sign | 0xff<<23 | mantissa<<13)
	}
	return math.Float32frombits(sign | (exponent+127-15)<<23 | mantissa<<13)
}

// Bits are those of the number nearest to x; of two equally near ones the even
// one. What is larger than any becomes infinite.
func Bits(x float32) uint16 {
	b := math.Float32bits(x)
	sign := uint16(b >> 16 & 0x8000)
	exponent, mantissa := int(b>>23&255)-127+15, b&0x7fffff
	switch {
	case exponent == 255-127+15: // infinity and NaN
		if mantissa != 0 {
			return sign | 0x7e00
		}
		return sign | 0x7c00
	case exponent >= 31:
		return sign | 0x7c00
	case exponent < -10: // less than half of the smallest
		return sign
	case exponent <= 0: // subnormal
		return sign | rounded(mantissa|0x800000, uint(14-exponent))
	}
	return sign | (uint16(exponent)<<10 + rounded(mantissa, 13)) // a carry goes into the exponent, where it belongs
}

// rounded takes bits off the end of m.
func rounded(m uint32, bits uint) uint16 {
	out, rest, middle := m>>bits, m&(1<<bits-1), uint32(1)<<(bits-1)
	if rest > middle || rest == middle && out&1 == 1 {
		out++
	}
	return uint16(out)
}
