package network

import (
	"os/exec"
	"strings"
	"testing"
)

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
