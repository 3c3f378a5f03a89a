package plots_test

import (
	"bytes"
	"errors"
	"fmt"
	"image/png"

	"rekindle/pkg/history"
	"rekindle/pkg/plots"
)

// A picture comes as the bytes of a PNG file.
func ExampleLive() {
	var h history.History
	_, err := plots.Live(&h)
	fmt.Println("no epoch yet:", errors.Is(err, plots.ErrEmpty))

	for epoch := range 5 {
		h.Append(history.Epoch{TrainLoss: 1 / float64(epoch+2), ValLoss: 1 / float64(epoch+2), ValPSNR: 20 + float64(epoch), LR: 1e-3})
	}
	encoded, err := plots.Live(&h)
	if err != nil {
		panic(err)
	}
	picture, err := png.DecodeConfig(bytes.NewReader(encoded))
	fmt.Println(picture.Width, picture.Height, err)
	// Output:
	// no epoch yet: true
	// 1000 340 <nil>
}
