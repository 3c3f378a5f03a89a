// Package pretrained holds a network that restores photographs before anybody has
// trained one.
//
// It is the shuffle_unet of 48 features of notebooks/shuffle_unet/gaussian, blind:
// it takes Gaussian noise of any standard deviation from 0 to 55 grey levels off
// colour pictures. That notebook says what it was trained with and trains it again;
// docs/quality.md says how good it is.
package pretrained

import _ "embed"

// Blind is the network as a safetensors file with numbers of 16 bits, 4.7 MB.
//
//go:embed blind.safetensors
var Blind []byte
