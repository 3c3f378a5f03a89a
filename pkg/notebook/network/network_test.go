package network

import (
	"os/exec"
	"slices"
	"strings"
	"testing"

	"rekindle/pkg/config"
	"rekindle/pkg/model"
)

func TestSection2KnowsAllNetworks(t *testing.T) {
	if known := slices.Sorted(slices.Values(config.Models)); !slices.Equal(known, model.Names()) {
		t.Errorf("config.Models are %q, package model makes %q", known, model.Names())
	}
}

// What the package does link of GoMLX, its graphs, costs the cell a tenth more
// processor time than one without; an engine would cost twice as much.
func TestDescribingLinksNoEngine(t *testing.T) {
	said, err := exec.Command("go", "list", "-deps", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, engine := range []string{"rekindle/pkg/backend", "go-xla", "gobackend"} {
		for line := range strings.Lines(string(said)) {
			if strings.Contains(line, engine) {
				t.Errorf("the cell that describes the network links %s", strings.TrimSpace(line))
			}
		}
	}
}
