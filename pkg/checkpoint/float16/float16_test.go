package float16

import (
	"math"
	"testing"
)

func TestFloat16WidensExactly(t *testing.T) {
	for bits, want := range map[uint16]float64{
		0x0001: math.Ldexp(1, -24), 0x83ff: -math.Ldexp(1023, -24), 0x0400: math.Ldexp(1, -14), 0x7bff: 65504,
		0x7c00: math.Inf(1), 0xfc00: math.Inf(-1), 0x8000: math.Copysign(0, -1), 0x3555: 0.333251953125,
	} {
		if got := float64(Float32(bits)); math.Float64bits(got) != math.Float64bits(want) {
			t.Errorf("%04x: got %v, want %v", bits, got, want)
		}
	}
	if !math.IsNaN(float64(Float32(0x7e00))) {
		t.Errorf("half 7e00: got %v, want NaN", Float32(0x7e00))
	}
}

func TestNumbersGoToTheNearestFloat16(t *testing.T) {
	for bits := range 1 << 16 {
		if exact := Float32(uint16(bits)); exact == exact {
			if got := Bits(exact); got != uint16(bits) {
				t.Fatalf("%v, %04x, comes back as %04x", exact, bits, got)
			}
		}
	}
	for bits := range uint16(0x7bff) { // between each and the next one
		low, high := float64(Float32(bits)), float64(Float32(bits+1))
		even := bits + bits&1
		middle := (low + high) / 2
		for x, want := range map[float64]uint16{middle: even, middle - (high-low)/64: bits, middle + (high-low)/64: bits + 1} {
			if got := Bits(float32(x)); got != want {
				t.Fatalf("%v becomes %04x, want %04x", x, got, want)
			}
			if got := Bits(float32(-x)); got != want|0x8000 {
				t.Fatalf("%v becomes %04x, want %04x", -x, got, want|0x8000)
			}
		}
	}
	for x, want := range map[float32]uint16{65519: 0x7bff, 65520: 0x7c00, 1e38: 0x7c00, float32(math.Inf(-1)): 0xfc00, 1e-10: 0, -1e-10: 0x8000} {
		if got := Bits(x); got != want {
			t.Errorf("%v becomes %04x, want %04x", x, got, want)
		}
	}
	if !math.IsNaN(float64(Float32(Bits(float32(math.NaN()))))) {
		t.Error("NaN becomes a number")
	}
}
