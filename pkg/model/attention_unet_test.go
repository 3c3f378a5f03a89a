package model

import (
	"math"
	"path/filepath"
	"strings"
	"testing"

	"rekindle/pkg/internal/python"
	"rekindle/pkg/internal/reference"
	"rekindle/pkg/optim"
)

// What PyTorch computed, see testdata/attention_unet.py.
const gatesFile = "attention_unet.safetensors"

func TestAGateOnEachSkipComputesWhatPyTorchDoes(t *testing.T) {
	compareGates(t, filepath.Join("testdata", gatesFile), Options{Features: 2, Bilinear: true})
}

func compareGates(t *testing.T, path string, o Options) {
	t.Helper()
	net, err := New("attention_unet", o)
	if err != nil {
		t.Fatal(err)
	}
	ref := reference.LoadFile(t, path)
	complain(t, compare[float64](t, net, ref, ref, advised[true], optim.Default()))
}

// With PyTorch at hand, its numbers for transposed convolutions are compared too.
func TestTheScriptStillWritesTheseNumbers(t *testing.T) {
	dir := t.TempDir()
	python.Run(t, "torch", "testdata/attention_unet.py", dir)
	compareGates(t, filepath.Join(dir, "attention_unet_transposed.safetensors"), Options{Features: 2, Bilinear: false})
	again, kept := reference.LoadFile(t, filepath.Join(dir, gatesFile)), reference.LoadFile(t, filepath.Join("testdata", gatesFile))
	if len(again) != len(kept) {
		t.Errorf("it writes %d tensors now, wrote %d", len(again), len(kept))
	}
	for name, want := range kept {
		if hasNoGradient(name) {
			continue
		}
		largest, off := 0.0, 0.0
		for i, v := range want.Data {
			largest, off = max(largest, math.Abs(v)), max(off, math.Abs(v-again[name].Data[i]))
		}
		if !(off <= 1e-9*largest) {
			t.Errorf("%s differs by %g now, its largest number is %g", name, off, largest)
		}
	}
}

func TestGatesAreToldFromACheckpointsTensors(t *testing.T) {
	for _, c := range []struct{ saved, tensors, want string }{
		{"attention_unet", "attention_unet", "attention_unet"},
		{"attention_unet", "attention_unet_bottleneck", "attention_unet_bottleneck"}, // of the time when there was only this one
		{"attention_unet_bottleneck", "attention_unet_bottleneck", "attention_unet_bottleneck"},
		{"attention_unet", "unet", "attention_unet"}, // whose error says what is missing
		{"unet", "unet", "unet"},
	} {
		net, err := New(c.tensors, Options{Features: 2, Bilinear: true})
		if err != nil {
			t.Fatal(err)
		}
		there := map[string]bool{}
		for _, e := range net.Entries() {
			there[e.Name] = true
		}
		if got := NameOf(c.saved, func(tensor string) bool { return there[tensor] }); got != c.want {
			t.Errorf("%s with the tensors of %s is taken for %s, want %s", c.saved, c.tensors, got, c.want)
		}
	}
}

func TestTheTwoAttentionUNetsDifferInGatesAlone(t *testing.T) {
	gates := func(name string) (levels, others string) {
		net, err := New(name, Options{Features: 2, Bilinear: true})
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range net.Entries() {
			if level, ok := strings.CutSuffix(e.Name, ".attention.psi.0.weight"); ok {
				levels += level
			}
			if !strings.Contains(e.Name, ".attention.") {
				others += e.Name + " "
			}
		}
		return levels, others
	}
	all, rest := gates("attention_unet")
	one, sameRest := gates("attention_unet_bottleneck")
	if all != "up1up2up3up4" || one != "up1" || rest != sameRest {
		t.Errorf("got gates at %s and at %s; the other tensors are the same: %v", all, one, rest == sameRest)
	}
}
