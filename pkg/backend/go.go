package backend

import (
	"fmt"
	"reflect"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/gobackend"
)

// startGo opens the pure Go engine with unlimited workers.
//
// The engine's default (two workers for each core) deadlocks: a large matrix
// product holds a worker while it waits for others, and when as many products
// are ready as there are workers nothing moves any more. Without a limit no
// product waits; the cores are shared by Go's scheduler.
//
// The configuration string "go:parallelism=-1" would do the same but prints a
// line to standard output, hence the reflection.
func startGo() (compute.Backend, error) {
	engine, err := gobackend.New("")
	if err != nil {
		return nil, err
	}
	workers := reflect.ValueOf(engine).Elem().FieldByName("Workers")
	if !workers.IsValid() {
		return nil, fmt.Errorf("this version of the Go engine has no worker pool to set; Rekindle needs github.com/gomlx/compute v0.1.6")
	}
	const unlimited = -1
	workers.MethodByName("SetMaxParallelism").Call([]reflect.Value{reflect.ValueOf(unlimited)})
	return engine, nil
}
