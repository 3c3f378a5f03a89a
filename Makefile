# make run      set up whatever is missing, then run all cells of a notebook without a browser
# make lab      the same set-up, then open the notebook in Jupyter
# make notebooks  run every notebook and store its outputs in it, for readers; make sync only spreads the main one's cells
# make test     all tests
# make torture  the fault tests at length: training killed 200 times at random moments
# make scenarios  the resume guide in a real kernel, every notebook, and a browser where there is one
# make bench    speed and memory beside PyTorch, written to docs/benchmarks.md
# make check    gofmt, go vet, and whether notebooks are as they should be committed
# make clean    remove what was built; data, experiments and .venv stay

NOTEBOOK ?= notebooks/unet/gaussian/unet_gaussian_bilinear.ipynb

# Vector instructions make the engine in pure Go several times faster.
export GOEXPERIMENT := $(if $(GOEXPERIMENT),$(GOEXPERIMENT),simd)

# -buildvcs=false: a clone in a container often belongs to another user, which git refuses to look at.
export GOFLAGS := $(GOFLAGS) -buildvcs=false

.PHONY: help run lab setup notebooks sync test torture scenarios bench check clean

help:
	@sed -n 's/^# make /make /p' $(firstword $(MAKEFILE_LIST))

run: build/bin/launch
	@build/bin/launch run $(NOTEBOOK)

lab: build/bin/launch
	@build/bin/launch lab $(NOTEBOOK)

setup: build/bin/launch
	@build/bin/launch setup

notebooks: build/bin/launch
	@build/bin/launch refresh

sync: build/bin/launch
	@build/bin/launch sync

# Go knows best whether it is up to date.
.PHONY: build/bin/launch
build/bin/launch:
	@command -v go >/dev/null || { echo "❌ Go is missing; install Go 1.26 from https://go.dev/dl and try again"; exit 1; }
	@go build -o $@ ./pkg/notebook/launch

test:
	go test ./...

torture:
	REKINDLE_TORTURE=$(or $(KILLS),200) go test -count=1 -timeout 30m -v -run 'Killed|OutOfMemory|Damage|Disk|Interrupted' ./pkg/train ./pkg/checkpoint ./pkg/notebook/compute

scenarios:
	REKINDLE_SCENARIOS=1 go test -count=1 -timeout 20m -v ./pkg/notebook/scenarios

bench:
	go run ./pkg/bench

check:
	@files=$$(gofmt -l pkg); [ -z "$$files" ] || { echo "gofmt wants to change: $$files"; exit 1; }
	go vet ./...
	REKINDLE_CHECK_NOTEBOOKS=1 go test -count=1 ./pkg/notebook/ipynb

clean:
	rm -rf build
