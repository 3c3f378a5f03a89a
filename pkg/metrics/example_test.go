package metrics_test

import (
	"fmt"

	"rekindle/pkg/metrics"
	"rekindle/pkg/rgb"
)

func ExampleCompare() {
	clean, restored := rgb.New(32, 32), rgb.New(32, 32)
	for i := range restored.Pix {
		restored.Pix[i] = 2 // two levels too bright
	}
	s, err := metrics.Compare(restored, clean)
	if err != nil {
		panic(err)
	}
	fmt.Printf("%.2f dB, mean error %.4f\n", s.PSNR, s.MAE)

	_, err = metrics.Compare(restored, rgb.New(16, 16))
	fmt.Println(err)
	// Output:
	// 42.11 dB, mean error 0.0078
	// metrics: pictures of 32x32 and 16x16 cannot be compared; they must have one size
}
