# make run      set up whatever is missing, then run all cells of a notebook without a browser
# make lab      the same set-up, then open the notebook in Jupyter; PORT=9000, FRONT=notebook, ARGS="--no-browser …" go to Jupyter, see docs/notebooks.md
# make kernel   the same set-up, and put the kernel where VS Code, papermill and any Jupyter find it; make unkernel takes it away
# make jupyter  JupyterLab 4, Notebook 7 and papermill into .venv, where another Jupyter was found; make gopls  what Tab and Shift-Tab ask
# make data     download the 900 photographs of DIV2K (4 GB) into data/raw; call it again to go on
# make watch    where a training run is that goes on elsewhere; EXPERIMENT=name, else the one that trains
# make restore  restore pictures with what was trained: IN=photo.jpg OUT=restored.png, or folders; see docs/restore.md
# make score    measure a network as papers do: NET=file-or-experiment SET=folder SIGMA=15,25,50 (GREY=1, CLIP=1, OUT=scores); see docs/quality.md
# make photographs  what the network was trained with that comes with this program, into data/photographs (230 MB of downloads)
# make export   the trained network for other programs, e.g. EXPERIMENT=latest FORMAT=onnx (or safetensors, fp16)
# make list     all experiments: what was trained, how far, how well
# make notebooks  run every notebook, or ONLY=notebooks/…, and store its outputs in it, for readers; make sync only spreads the main one's cells
# make peers    PyTorch, ONNX Runtime and TensorBoard for tests and benchmarks, into build/python (600 MB of downloads)
# make test     all tests
# make torture  the fault tests at length: training killed 200 times at random moments; every network on both engines
# make soak     one run in many sessions on a file system that fails now and then: MINUTES=60
# make fuzz     files of every kind, changed at random: FOR=10m each, or FOR=2000x
# make scenarios  the resume guide in a real kernel, every notebook, and a browser where there is one
# make bench    speed and memory beside PyTorch, written to docs/benchmarks.md; SHORT=1: a minute, nothing written
# make quality  docs/quality.md from what was measured; NET=file NAME="what it is" measures a network first, PEERS=all EVERY=6 BM3D and others
# make check    gofmt, go vet, staticcheck, deadcode, and whether notebooks are as they should be committed
# make vuln     known weaknesses of what we depend on; asks vuln.go.dev, so it needs a network
# make clean    remove what was built; data, experiments and .venv stay

NOTEBOOK ?= notebooks/unet/gaussian/unet_gaussian_bilinear.ipynb

# $(call given,IN,none) is what IN was set to as one word for the shell, whatever it is made of; $(call option,-in,IN) an option, where IN is set.
given = $(if $(value $1),'$(subst ','\'',$(value $1))',$2)
option = $(if $(value $2),$1 $(call given,$2))

# Vector instructions make the engine in pure Go several times faster.
export GOEXPERIMENT := $(if $(GOEXPERIMENT),$(GOEXPERIMENT),simd)

# -buildvcs=false: a clone in a container often belongs to another user, which git refuses to look at. -mod is about other modules.
export GOFLAGS := $(filter-out -mod=%,$(GOFLAGS)) -buildvcs=false

# A go.work in a folder above, and these two in an environment, are about other modules.
export GOWORK := off
export GO111MODULE := on

# XLA on the CPU is faster with huge pages (docs/engines.md); a notebook's kernel sets the same for its cells.
export GLIBC_TUNABLES := $(if $(GLIBC_TUNABLES),$(GLIBC_TUNABLES),glibc.malloc.hugetlb=1)

# Go keeps what it has built in the home folder. In a container there may be none, or one of somebody else.
ifeq ($(shell [ -n "$$HOME" ] && [ -d "$$HOME" ] && [ -w "$$HOME" ] && echo yes),)
export HOME := $(value CURDIR)/.home
endif

.PHONY: help run lab kernel unkernel jupyter gopls watch data setup photographs export list score notebooks sync peers test torture soak fuzz scenarios bench quality check vuln clean

help:
	@sed -n 's/^# make /make /p' $(firstword $(MAKEFILE_LIST))

run: build/bin/launch
	@build/bin/launch run $(call given,NOTEBOOK)

lab: build/bin/launch
	@build/bin/launch lab $(call given,NOTEBOOK) $(if $(FRONT),--front=$(FRONT)) $(if $(PORT),--port=$(PORT)) $(ARGS)

kernel unkernel jupyter gopls: build/bin/launch
	@build/bin/launch $@

data: build/bin/launch
	@build/bin/launch data

setup: build/bin/launch
	@build/bin/launch setup

photographs: build/bin/rekindle
	@build/bin/rekindle photographs

export: build/bin/rekindle
	@build/bin/rekindle export -experiment $(call given,EXPERIMENT,latest) -format $(call given,FORMAT,onnx) $(call option,-out,OUT)

list: build/bin/rekindle
	@build/bin/rekindle list -experiment $(call given,EXPERIMENT,"*")

watch: build/bin/rekindle
	@build/bin/rekindle watch -experiment $(call given,EXPERIMENT,latest)

restore: build/bin/rekindle
	@build/bin/rekindle restore -in $(call given,IN,"") -out $(call given,OUT,"") -experiment $(call given,EXPERIMENT,latest) $(if $(OVERWRITE),-overwrite) \
		$(call option,-shard,SHARD) $(call option,-sigma,SIGMA) $(call option,-network,NETWORK) $(call option,-tile,TILE) $(if $(BGR),-bgr)

score: build/bin/rekindle
	@build/bin/rekindle score -net $(call given,NET,latest) -set $(call given,SET,"") -sigma $(call given,SIGMA,25) $(if $(CLIP),-clip) $(if $(GREY),-grey) $(if $(BGR),-bgr) \
		$(call option,-seed,SEED) $(call option,-every,EVERY) $(call option,-network,NETWORK) $(call option,-out,OUT)

notebooks: build/bin/launch
	@build/bin/launch refresh $(call given,ONLY)

sync: build/bin/launch
	@build/bin/launch sync

# Go knows best whether it is up to date. In a clone that may only be read there is what its owner has built.
.PHONY: build/bin/launch build/bin/rekindle
build/bin/launch: package := ./pkg/cmd/launch
build/bin/rekindle: package := ./pkg/cmd/rekindle
build/bin/launch build/bin/rekindle:
	@command -v go >/dev/null || { echo "❌ Go is missing; install Go 1.26 from https://go.dev/dl and try again"; exit 1; }
	@[ "$$(pwd | wc -l)" = 1 ] && { ! command -v iconv >/dev/null || pwd | iconv -f UTF-8 -t UTF-8 >/dev/null 2>&1; } || { echo "❌ Go does not build in a folder whose path is no UTF-8 or has a line break in it; move this clone and try again"; exit 1; }
	@dir=$${TMPDIR:-/tmp}; [ -d "$$dir" ] && [ -w "$$dir" ] || { echo "❌ TMPDIR is $$dir, where no files can be made; set TMPDIR to a folder on a disk of yours, for example: mkdir -p build/tmp && TMPDIR=$$PWD/build/tmp make run"; exit 1; }
	@[ -x $@ ] && ! [ -w $@ ] || go build -o $@ $(package) || { mkdir -p $(@D) 2>/dev/null && [ -w $(@D) ] || echo "❌ What is built goes into $$PWD/build, where you may not write; make a clone of your own: git clone $$PWD"; exit 1; }
	@[ -x $@ ] || { echo "❌ $$PWD is on a disk where no programs can be started (it is mounted with noexec); move this clone to another one"; exit 1; }

.PHONY: where-home-is
where-home-is:
	@echo "$$HOME"

peers:
	@.ci/peers

# pkg/train takes longest, so it begins first.
test:
	go test -timeout 20m ./pkg/train ./...

torture:
	REKINDLE_TORTURE=$(or $(KILLS),200) go test -count=1 -timeout 30m -v -run 'Killed|OutOfMemory|Damage|Disk|Interrupted|XLATrains' ./pkg/train ./pkg/checkpoint ./pkg/notebook/compute

soak:
	REKINDLE_SOAK=$(or $(MINUTES),60) go test -count=1 -timeout 0 -v -run '^TestSoak$$' ./pkg/train

# Go before 1.27 now and then reports the end of a duration itself as a failure (go.dev/issue/75804): without a failing input it is none.
fuzz:
	@mkdir -p build; grep -rn '^func Fuzz' pkg --include=*_test.go | sed 's|/[^/]*:.*func \(Fuzz[A-Za-z]*\)(.*| \1|' | sort | while read -r package name; do \
		echo "$$package $$name"; \
		go test -run '^$$' -fuzz "^$$name\$$" -fuzztime $(or $(FOR),10m) -fuzzminimizetime 10x $(if $(PARALLEL),-parallel $(PARALLEL)) "./$$package" 2>&1 | tee build/fuzz.log; \
		grep -q '^ok' build/fuzz.log && continue; \
		grep -q 'context deadline exceeded' build/fuzz.log && ! grep -q -e 'Failing input' -e panic build/fuzz.log || exit 1; done

scenarios:
	REKINDLE_SCENARIOS=1 go test -count=1 -timeout 40m -v ./pkg/notebook/scenarios
	REKINDLE_SCENARIOS=1 go test -count=1 -timeout 20m -v -run TestShellBlocks ./pkg/internal/documents

bench:
	go run ./pkg/cmd/bench $(if $(SHORT),-short)

check:
	@files=$$(gofmt -l pkg); [ -z "$$files" ] || { echo "gofmt wants to change: $$files"; exit 1; }
	go vet ./...
	go tool staticcheck ./...
	REKINDLE_CHECK_DEAD=1 go test -count=1 -run NothingIsDead ./pkg/internal/documents
	REKINDLE_CHECK_NOTEBOOKS=1 go test -count=1 ./pkg/notebook/ipynb

quality:
	go run ./pkg/cmd/quality $(call option,-net,NET) $(call option,-name,NAME) $(call option,-set,SET) $(call option,-sigma,SIGMA) $(call option,-every,EVERY) \
		$(call option,-peers,PEERS) $(call option,-python,PYTHON) $(if $(CLIP),-clip) $(if $(GREY),-grey) $(if $(BGR),-bgr)

vuln:
	go run golang.org/x/vuln/cmd/govulncheck@v1.9.0 ./...

clean:
	rm -rf build
