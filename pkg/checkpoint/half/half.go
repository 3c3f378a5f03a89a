// Package half reads 16-bit floating-point numbers (IEEE 754 binary16), which
// weights are often stored in.
//
//	x := half.Float32(0x3c00) // 1
package half

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
