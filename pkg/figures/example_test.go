package figures_test

import (
	"fmt"
	"math"
	"time"

	"rekindle/pkg/figures"
)

func Example() {
	fmt.Println(figures.Loss(0.42108), figures.Decibels(23.519), figures.Rate(1e-3), figures.Megabytes(812.3))
	fmt.Println(figures.Duration(41*time.Second), "|", figures.Duration(3*time.Minute+5*time.Second), "|", figures.Seconds(7800))
	fmt.Println(figures.Loss(math.NaN())) // an epoch that was not validated
	// Output:
	// 0.4211 23.52 1.0e-03 812 MB
	// 41 s | 3 min 5 s | 2 h 10 min
	// –
}
