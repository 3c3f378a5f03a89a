// Package figures writes measurements and durations as people read them, the same
// in cells, in tables and on terminals. What was not measured, NaN, is a dash.
package figures

import (
	"fmt"
	"math"
	"time"
)

// None stands for what was not measured.
const None = "–"

func measured(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }

// Loss shows a loss or an SSIM: "0.4211", and what that has no place for as "1.4e+25"
// or "3.0e-07".
func Loss(v float64) string {
	if !measured(v) {
		return None
	}
	if a := math.Abs(v); a >= 1e5 || a > 0 && a < 5e-5 {
		return fmt.Sprintf("%.1e", v)
	}
	return fmt.Sprintf("%.4f", v)
}

// Decibels shows a PSNR without its unit: "23.52".
func Decibels(v float64) string {
	if !measured(v) {
		return None
	}
	return fmt.Sprintf("%.2f", v)
}

// Rate shows a learning rate: "1.0e-03".
func Rate(v float64) string {
	if math.IsNaN(v) {
		return None
	}
	return fmt.Sprintf("%.1e", v)
}

// Speed shows images per second without the unit: "123.4"; 0 is not known.
func Speed(v float64) string {
	if v == 0 || math.IsNaN(v) {
		return None
	}
	return fmt.Sprintf("%.1f", v)
}

// Megabytes shows MB of 2^20 bytes: "812 MB"; 0 is not known.
func Megabytes(v float64) string {
	if math.IsNaN(v) || v == 0 {
		return None
	}
	return fmt.Sprintf("%.0f MB", v)
}

// Gigabytes is a number of bytes in powers of ten, "1.2 GB".
func Gigabytes(bytes int64) string { return fmt.Sprintf("%.1f GB", float64(bytes)/1e9) }

// Seconds is [Duration] of a number of seconds.
func Seconds(v float64) string {
	if math.IsNaN(v) {
		return None
	}
	return Duration(time.Duration(v * float64(time.Second)))
}

// Duration shows a time to two units: "41 s", "3 min 5 s", "2 h 10 min".
func Duration(d time.Duration) string {
	d = d.Round(time.Second)
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%d s", d/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%d min %d s", d/time.Minute, d%time.Minute/time.Second)
	default:
		return fmt.Sprintf("%d h %d min", d/time.Hour, d%time.Hour/time.Minute)
	}
}
