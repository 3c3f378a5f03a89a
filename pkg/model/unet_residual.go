package model

import (
	"github.com/gomlx/gomlx/core/graph"

	"rekindle/pkg/nn"
)

// unetResidual predicts the noise: restored = degraded - network(degraded)
// (Zhang et al., "Beyond a Gaussian Denoiser", IEEE TIP 2017). Its transposed
// convolutions have kernel 4, U-Net's have 2.
type unetResidual struct{ *unet }

func newUNetResidual(o Options) architecture { return unetResidual{buildUNet(o, 4)} }

func (u unetResidual) Forward(s *nn.Scope, x, _ *graph.Node) *graph.Node {
	return graph.Sub(x, u.unet.Forward(s, x, nil))
}
