//go:build !(cgo && ((linux && (amd64 || arm64)) || (darwin && arm64)))

package backend

// hasXLA is false where there is no C compiler to build the plugin loader with.
const hasXLA = false
