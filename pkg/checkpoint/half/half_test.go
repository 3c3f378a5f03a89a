package half

import (
	"math"
	"testing"
)

func TestHalfPrecisionWidensExactly(t *testing.T) {
	for bits, want := range map[uint16]float64{
		0x0001: math.Ldexp(1, -24), 0x83ff: -math.Ldexp(1023, -24), 0x0400: math.Ldexp(1, -14), 0x7bff: 65504,
		0x7c00: math.Inf(1), 0xfc00: math.Inf(-1), 0x8000: math.Copysign(0, -1), 0x3555: 0.333251953125,
	} {
		if got := float64(Float32(bits)); math.Float64bits(got) != math.Float64bits(want) {
			t.Errorf("half %04x: got %v, want %v", bits, got, want)
		}
	}
	if !math.IsNaN(float64(Float32(0x7e00))) {
		t.Errorf("half 7e00: got %v, want NaN", Float32(0x7e00))
	}
}
