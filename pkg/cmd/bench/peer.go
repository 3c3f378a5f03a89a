package main

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

//go:embed peer.py
var peerSource []byte

// peer is PyTorch: a script that does what it is asked in a process of its own.
type peer struct {
	python, script string
	version        string // of PyTorch and Python
}

// installed is the Python of "make peers".
const installed = "build/python/bin/python"

// findPeer returns nil where there is no PyTorch.
func findPeer(python, dir string) (*peer, error) {
	if python == "" {
		python = "python3"
		if _, err := os.Stat(installed); err == nil {
			python = installed
		}
	}
	p := &peer{python: python, script: filepath.Join(dir, "peer.py")}
	if err := os.WriteFile(p.script, peerSource, 0o644); err != nil {
		return nil, err
	}
	raw, err := p.command(context.Background()).Output()
	if err != nil {
		return nil, nil
	}
	var hello struct {
		Torch, Python string
		Threads       int
	}
	if err := json.Unmarshal(raw, &hello); err != nil {
		return nil, fmt.Errorf("%s: %w", python, err)
	}
	p.version = fmt.Sprintf("PyTorch %s (%d threads), Python %s", hello.Torch, hello.Threads, hello.Python)
	return p, nil
}

func (p *peer) command(ctx context.Context, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, p.python, append([]string{p.script}, args...)...)
}

// ask lets PyTorch do what one line of words says; see peer.py.
func (p *peer) ask(ctx context.Context, request string) (measured, error) {
	return alone(p.command(ctx, strings.Fields(request)...))
}
