package lowering

import "math"

// Matrix is a dense matrix of constants, row by row.
type Matrix struct {
	Rows, Columns int
	Values        []float64
}

// NewMatrix has zeros everywhere.
func NewMatrix(rows, columns int) Matrix {
	return Matrix{rows, columns, make([]float64, rows*columns)}
}

// Transposed exchanges rows and columns.
func (m Matrix) Transposed() Matrix {
	out := NewMatrix(m.Columns, m.Rows)
	for i := range m.Rows {
		for j := range m.Columns {
			out.Values[j*m.Rows+i] = m.Values[i*m.Columns+j]
		}
	}
	return out
}

// AlignedCorners interpolates n values at m places, the outermost on each other:
// PyTorch's align_corners=True.
func AlignedCorners(n, m int) Matrix {
	return interpolation(n, m, func(i int) float64 {
		if m == 1 {
			return 0
		}
		return float64(i) * float64(n-1) / float64(m-1)
	})
}

// HalfPixels is PyTorch's align_corners=False.
func HalfPixels(n, m int) Matrix {
	return interpolation(n, m, func(i int) float64 {
		return math.Max(0, (float64(i)+0.5)*float64(n)/float64(m)-0.5)
	})
}

func interpolation(n, m int, position func(i int) float64) Matrix {
	out := NewMatrix(m, n)
	for i := range m {
		at := position(i)
		low := min(int(at), n-1)
		high := min(low+1, n-1)
		out.Values[i*n+low] += 1 - (at - float64(low))
		out.Values[i*n+high] += at - float64(low)
	}
	return out
}
