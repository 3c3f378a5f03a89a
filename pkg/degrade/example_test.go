package degrade_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"

	"rekindle/pkg/dataset/deadleaves"
	"rekindle/pkg/degrade"
)

// What happens to a picture depends on the degradation, the seed and the picture's
// name, wherever its file lies and whenever it is its turn.
func Example() {
	clean := deadleaves.Image(32, 32, rand.New(rand.NewPCG(1, 2)))
	noise, err := degrade.New("gaussian", degrade.Settings{NoiseSigma: 100})
	if err != nil {
		panic(err)
	}
	fmt.Println(noise.Name())
	a := noise.Apply(clean, degrade.Source(42, "train/0001.png"))
	again := noise.Apply(clean, degrade.Source(42, "elsewhere/0001.jpg"))
	other := noise.Apply(clean, degrade.Source(42, "train/0002.png"))
	fmt.Println(slices.Equal(a.Pix, again.Pix), slices.Equal(a.Pix, other.Pix))

	_, err = degrade.New("rain", degrade.Settings{})
	fmt.Println(errors.Is(err, degrade.ErrUnknown)) // its text lists those there are
	// Output:
	// gaussian/sigma_100
	// true false
	// true
}
