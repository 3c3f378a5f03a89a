package figures

import (
	"math"
	"testing"
	"time"
)

func TestWhatWasNotMeasuredIsADash(t *testing.T) {
	for what, got := range map[string]string{
		"loss": Loss(math.NaN()), "an infinite PSNR": Decibels(math.Inf(1)), "rate": Rate(math.NaN()), "speed": Speed(0),
		"memory": Megabytes(0), "time": Seconds(math.NaN()),
	} {
		if got != None {
			t.Errorf("%s: %q", what, got)
		}
	}
}

func TestLossesOfAnySizeAreShortAndNoneIsZeroThatIsNot(t *testing.T) {
	for v, want := range map[float64]string{
		0: "0.0000", 0.42113: "0.4211", -0.5: "-0.5000", 99999: "99999.0000", 1.39e25: "1.4e+25", -1.7e308: "-1.7e+308", 3e-7: "3.0e-07", 1e-300: "1.0e-300",
	} {
		if got := Loss(v); got != want {
			t.Errorf("%g: got %q, want %q", v, got, want)
		}
	}
}

func TestDurationsHaveTwoUnits(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0 s", 59*time.Second + 499*time.Millisecond: "59 s", 59*time.Second + 500*time.Millisecond: "1 min 0 s",
		3*time.Minute + 5*time.Second: "3 min 5 s", 26*time.Hour + 10*time.Minute + 59*time.Second: "26 h 10 min",
	} {
		if got := Duration(d); got != want {
			t.Errorf("%v: got %q, want %q", d, got, want)
		}
	}
}
