package setup

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"rekindle/pkg/internal/standin"
)

// kernelOf makes a clone with a kernel that says whose it is, and the user's folder.
func kernelOf(t *testing.T) *Clone {
	t.Helper()
	s := clone(t)
	gonb := filepath.Join(s.bin(), "gonb")
	standin.Write(t, gonb, "#!/bin/sh\necho \"$0 $*\"; echo \"$GOEXPERIMENT\"; echo \"$PATH\"\n", 0o777)
	standin.Write(t, s.kernelSpec(), `{"argv": ["`+gonb+`", "--kernel", "{connection_file}", "-raw_error=true", "-go_work=`+s.Dir+`"], "display_name": "Go (gonb)", "language": "go", "interrupt_mode": "message"}`, 0o666)
	if err := s.installKernel(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *Clone) offer(t *testing.T, insist bool) string {
	t.Helper()
	var err error
	text := standin.Printed(t, func() { err = s.installUserKernel(insist) })
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// startedIn is what the user's kernel runs and prints for a notebook in a folder.
func startedIn(t *testing.T, dir string) string {
	t.Helper()
	folder, err := userKernel()
	if err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(filepath.Join(folder, "kernel.json"))
	if err != nil {
		t.Fatal(err)
	}
	var spec struct{ Argv []string }
	if err := json.Unmarshal(raw, &spec); err != nil || len(spec.Argv) != 2 || spec.Argv[1] != "{connection_file}" {
		t.Fatalf("the specification is %s (%v)", raw, err)
	}
	cmd := exec.Command(spec.Argv[0], "c o n.json")
	cmd.Dir, cmd.Env = dir, []string{"PATH=/usr/bin:/bin", "PWD=" + dir}
	said, err := cmd.CombinedOutput()
	if err != nil {
		return "failed: " + string(said)
	}
	return string(said)
}

func TestEachClonesNotebooksGetItsOwnKernel(t *testing.T) {
	t.Setenv("JUPYTER_DATA_DIR", t.TempDir())
	t.Setenv("GOEXPERIMENT", "simd")
	one, two, elsewhere := kernelOf(t), kernelOf(t), t.TempDir()
	one.offer(t, false)
	for _, second := range []bool{false, true} { // whether the second clone has been set up, too
		if second {
			two.offer(t, false)
		}
		for dir, owner := range map[string]*Clone{filepath.Join(one.Dir, "pkg"): one, two.Dir: two, elsewhere: one} {
			said := startedIn(t, dir)
			for _, part := range []string{filepath.Join(owner.bin(), "gonb") + " --kernel c o n.json -raw_error=true -go_work=" + owner.Dir + "\n", "\nsimd\n", "\n" + owner.bin() + ":"} {
				if !strings.Contains(said, part) {
					t.Errorf("in %s (second clone %v) the kernel said %q, want %q", dir, second, said, part)
				}
			}
		}
	}
	if text := two.offer(t, true); !strings.Contains(text, "every front end") {
		t.Errorf("make kernel said %q", text)
	}
	if said := startedIn(t, elsewhere); !strings.Contains(said, two.bin()) {
		t.Errorf("after make kernel in the second clone, elsewhere: %q", said)
	}
	// A clone that has a kernel but no set-up: its cells, with the other's kernel.
	bare := clone(t)
	if said := startedIn(t, bare.Dir); !strings.Contains(said, two.bin()+"/gonb") || !strings.Contains(said, "-go_work="+bare.Dir+"\n") {
		t.Errorf("in a clone that was not set up: %q", said)
	}
}

func TestAMovedCloneIsRepairedByTheNextSetUp(t *testing.T) {
	t.Setenv("JUPYTER_DATA_DIR", t.TempDir())
	s, elsewhere := kernelOf(t), t.TempDir()
	s.offer(t, false)
	moved := filepath.Join(t.TempDir(), "moved")
	if err := os.Rename(s.Dir, moved); err != nil {
		t.Fatal(err)
	}
	if said := startedIn(t, elsewhere); !strings.Contains(said, "failed") || !strings.Contains(said, s.Dir) || !strings.Contains(said, "make kernel") {
		t.Errorf("the clone is gone: %q, want a sentence", said)
	}
	if said := startedIn(t, moved); !strings.Contains(said, "-go_work="+moved+"\n") {
		t.Errorf("in the moved clone: %q", said)
	}
	s.Dir = moved
	s.offer(t, false)
	if said := startedIn(t, elsewhere); !strings.Contains(said, "-go_work="+moved+"\n") {
		t.Errorf("after the next set-up: %q", said)
	}
}

func TestAGoNBOfTheUsersOwnStaysUnlessAsked(t *testing.T) {
	data := t.TempDir()
	t.Setenv("JUPYTER_DATA_DIR", data)
	spec := filepath.Join(data, "kernels", "gonb", "kernel.json")
	own := `{"argv": ["/home/me/go/bin/gonb", "--kernel", "{connection_file}"]}`
	standin.Write(t, spec, own, 0o666)
	now := func() string {
		raw, err := os.ReadFile(spec)
		if err != nil {
			return err.Error()
		}
		return string(raw)
	}
	s := kernelOf(t)
	s.Insist = true
	if text := s.offer(t, false); now() != own || !strings.Contains(text, "make kernel") {
		t.Errorf("a set-up left %s and said %q", now(), text)
	}
	s.offer(t, true)
	if said := startedIn(t, s.Dir); !strings.Contains(said, s.bin()) {
		t.Errorf("make kernel left %s", now())
	}
	remove := func() {
		t.Helper()
		standin.Printed(t, func() {
			if err := s.RemoveUserKernel(); err != nil {
				t.Fatal(err)
			}
		})
	}
	remove()
	if now() != own {
		t.Errorf("make unkernel left %s, want what was there before", now())
	}
	remove() // it is not ours
	if now() != own {
		t.Errorf("a second make unkernel left %s", now())
	}
}

func TestAKernelThatWasTakenAwayStaysAway(t *testing.T) {
	data := t.TempDir()
	t.Setenv("JUPYTER_DATA_DIR", data)
	s := kernelOf(t)
	s.offer(t, false)
	standin.Printed(t, func() {
		if err := s.RemoveUserKernel(); err != nil {
			t.Fatal(err)
		}
	})
	s.offer(t, false)
	if left, _ := filepath.Glob(filepath.Join(data, "kernels", "*")); len(left) > 0 {
		t.Errorf("after make unkernel and a set-up there is %v", left)
	}
	s.offer(t, true)
	if said := startedIn(t, s.Dir); !strings.Contains(said, s.bin()) {
		t.Errorf("after make kernel: %q", said)
	}
}
