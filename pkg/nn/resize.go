package nn

import "rekindle/pkg/nn/lowering"

// MaxPool halves both sides, rounding down. Of equal largest values the first
// in row-major order gets the gradient.
func MaxPool(s *Scope, x Map) Map { return s.lower.MaxPool(x) }

// Upsample doubles both sides by bilinear interpolation with align_corners=True;
// see [Scope.Tiled] for where it does not.
func Upsample(s *Scope, x Map) Map {
	if s.tiled {
		return s.lower.Double(x)
	}
	return s.lower.Resize(x, lowering.AlignedCorners(x.H, 2*x.H), lowering.AlignedCorners(x.W, 2*x.W))
}

// ResizeTo interpolates bilinearly with align_corners=False.
func ResizeTo(s *Scope, x Map, h, w int) Map {
	if x.H == h && x.W == w {
		return x
	}
	return s.lower.Resize(x, lowering.HalfPixels(x.H, h), lowering.HalfPixels(x.W, w))
}

// PadTo adds zeros until the map is h high and w wide: half of them before,
// and where their number is odd one more behind.
func PadTo(s *Scope, x Map, h, w int) Map {
	dy, dx := h-x.H, w-x.W
	if dy == 0 && dx == 0 {
		return x
	}
	return s.lower.Pad(x, dx/2, dx-dx/2, dy/2, dy-dy/2)
}

// PixelUnshuffle makes four channels of each, one for each pixel of its blocks of
// 2x2: PyTorch's PixelUnshuffle(2), channel c*4 + 2*dy + dx. Both sides are even.
func PixelUnshuffle(s *Scope, x Map) Map { return s.lower.PixelUnshuffle(x) }

// PixelShuffle is the inverse of [PixelUnshuffle]: of C channels it makes C/4, of
// twice the height and width (Shi et al., CVPR 2016).
func PixelShuffle(s *Scope, x Map) Map { return s.lower.PixelShuffle(x) }
