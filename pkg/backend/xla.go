//go:build cgo && ((linux && (amd64 || arm64)) || (darwin && arm64))

package backend

import "github.com/gomlx/go-xla/compute/xla"

const hasXLA = true

// A download in the middle of a notebook cell hangs for a minute where the
// network does not answer, so plugins are installed by the user, not by us.
func init() { xla.EnableAutoInstall(false) }
