package setup

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"rekindle/pkg/internal/standin"
)

// venvOf makes a .venv whose Python is a shell, with a Jupyter that answers.
func venvOf(t *testing.T, s *Clone) {
	t.Helper()
	bin := filepath.Join(s.venv(), "bin")
	if err := os.MkdirAll(bin, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/bin/sh", filepath.Join(bin, "python")); err != nil {
		t.Fatal(err)
	}
	standin.Write(t, filepath.Join(bin, "jupyter"), "#!"+bin+"/python\n[ \"$1\" = nbconvert ]\n", 0o755)
}

func TestACloneIsMovedTogetherWithItsVenv(t *testing.T) {
	s := clone(t)
	venvOf(t, s)
	// The long form of the first line, as pip writes it.
	standin.Write(t, filepath.Join(s.venv(), "bin", "long"), "#!/bin/sh\n'''exec' \""+s.venv()+"/bin/python\" \"$0\" \"$@\"\n' '''\nexit 3\n", 0o755)
	standin.Write(t, filepath.Join(s.venv(), "bin", "mine"), "#!/bin/sh\nexit 0\n", 0o755)
	t.Setenv("PATH", "/none")
	if err := s.findJupyter(t.Context()); err != nil {
		t.Fatal(err)
	}
	moved := filepath.Join(t.TempDir(), "moved")
	if err := os.Rename(s.Dir, moved); err != nil {
		t.Fatal(err)
	}
	s = &Clone{Dir: moved}
	said := standin.Printed(t, func() {
		for range 2 {
			if err := s.findJupyter(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	})
	if want := filepath.Join(moved, ".venv", "bin", "jupyter"); s.Jupyter != want || strings.Count(said, "its 2 programs are mended") != 1 {
		t.Errorf("got %q and said %q, want %q and once that two programs are mended", s.Jupyter, said, want)
	}
	for name, want := range map[string]string{
		"long": "#!" + moved + "/.venv/bin/python\nexit 3\n",
		"mine": "#!/bin/sh\nexit 0\n",
	} {
		path := filepath.Join(s.venv(), "bin", name)
		if text, err := os.ReadFile(path); err != nil || string(text) != want || !isProgram(path) {
			t.Errorf("%s holds %q (%v), want %q", name, text, err, want)
		}
	}
}

func TestAVenvIsMovedToAPathThatIsNoInterpreters(t *testing.T) {
	s := clone(t)
	venvOf(t, s)
	moved := filepath.Join(t.TempDir(), "with a blank")
	if err := os.Rename(s.Dir, moved); err != nil {
		t.Fatal(err)
	}
	s = &Clone{Dir: moved}
	standin.Printed(t, func() {
		if err := s.repairVenv(); err != nil {
			t.Fatal(err)
		}
	})
	want := "#!/bin/sh\n'''exec' \"" + moved + "/.venv/bin/python\" \"$0\" \"$@\"\n' '''\n[ \"$1\" = nbconvert ]\n"
	if text, err := os.ReadFile(filepath.Join(s.venv(), "bin", "jupyter")); err != nil || string(text) != want {
		t.Errorf("got %q (%v), want %q", text, err, want)
	}
	said := standin.Printed(t, func() { _ = s.repairVenv() })
	if said != "" {
		t.Errorf("mended twice: %q", said)
	}
}

func TestACopyOfACloneUsesItsOwnJupyter(t *testing.T) {
	s := clone(t)
	venvOf(t, s)
	t.Setenv("PATH", "/none")
	if err := s.findJupyter(t.Context()); err != nil {
		t.Fatal(err)
	}
	twin := &Clone{Dir: filepath.Join(t.TempDir(), "twin")}
	if err := os.CopyFS(twin.Dir, os.DirFS(s.Dir)); err != nil {
		t.Fatal(err)
	}
	standin.Printed(t, func() {
		if err := twin.findJupyter(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
	if want := filepath.Join(twin.venv(), "bin", "jupyter"); twin.Jupyter != want {
		t.Errorf("got %s, want %s", twin.Jupyter, want)
	}
}

// The Python that a .venv was made with is gone, and with it all that was installed.
func TestAVenvOfAPythonThatIsGoneIsMadeAnew(t *testing.T) {
	s := clone(t)
	bin, system, calls := filepath.Join(s.venv(), "bin"), t.TempDir(), filepath.Join(s.Dir, "calls")
	if err := os.MkdirAll(bin, 0o777); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"python", "python3"} {
		if err := os.Symlink("/none/python3.9", filepath.Join(bin, name)); err != nil {
			t.Fatal(err)
		}
	}
	standin.Write(t, filepath.Join(bin, "jupyter"), "#!"+bin+"/python\nexit 0\n", 0o755)
	standin.Write(t, filepath.Join(bin, "pip"), "#!"+bin+"/python\nexit 0\n", 0o755)
	standin.Write(t, filepath.Join(s.venv(), "notes.txt"), "somebody's", 0o666)
	// A Python that makes a .venv as the real one does: links that are there, even to nothing, stay.
	standin.Write(t, filepath.Join(system, "python3"), `#!/bin/sh
echo "$@" >> '`+calls+`'
case "$2" in
venv) [ -L '`+bin+`/python' ] || ln -s '`+system+`/python3' '`+bin+`/python';;
pip) printf '#!/bin/sh\nexit 0\n' > '`+bin+`/jupyter';;
esac
`, 0o755)
	t.Setenv("PATH", system+":/bin")
	t.Setenv("HOME", t.TempDir())
	said := standin.Printed(t, func() {
		if err := s.installWithPip(t.Context()); err == nil {
			t.Error("the real thing would not have succeeded before the links were removed")
		}
		if err := s.repairVenv(); err != nil {
			t.Fatal(err)
		}
		if err := s.installWithPip(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
	if s.Jupyter = s.workingJupyter(t.Context()); s.Jupyter != filepath.Join(bin, "jupyter") {
		text, _ := os.ReadFile(calls)
		t.Errorf("found %q after %q; calls:\n%s", s.Jupyter, said, text)
	}
	if _, err := os.Stat(filepath.Join(s.venv(), "notes.txt")); err != nil {
		t.Error("what somebody had put into the folder is gone")
	}
}

// The first Jupyter waits for something that never comes.
func TestAJupyterThatHangsIsPassedOver(t *testing.T) {
	was := patience
	patience = 2 * time.Second
	defer func() { patience = was }()
	s, hangs, works := clone(t), t.TempDir(), t.TempDir()
	standin.Write(t, filepath.Join(hangs, "jupyter"), "#!/bin/sh\nexec sleep 60\n", 0o755)
	standin.Write(t, filepath.Join(works, "jupyter"), "#!/bin/sh\nexit 0\n", 0o755)
	t.Setenv("PATH", hangs+":"+works+":/bin")
	said := standin.Printed(t, func() {
		if got, want := s.workingJupyter(t.Context()), filepath.Join(works, "jupyter"); got != want {
			t.Errorf("found %q, want %q", got, want)
		}
	})
	if want := filepath.Join(hangs, "jupyter") + " did not answer"; !strings.Contains(said, want) {
		t.Errorf("said %q, want %q", said, want)
	}
}

func TestAnUpgradedPythonIsAskedAgain(t *testing.T) {
	s := clone(t)
	dir := t.TempDir()
	python := filepath.Join(dir, "bin", "python3")
	standin.Write(t, python, "#!/bin/sh\nexec /bin/sh \"$@\"\n", 0o755)
	program := filepath.Join(dir, "jupyter")
	standin.Write(t, program, "#!"+python+"\nexit 0\n", 0o755)
	if err := os.WriteFile(filepath.Join(s.Data(), "program"), []byte(program+"\n"+fingerprint(program)), 0o666); err != nil {
		t.Fatal(err)
	}
	if got := s.knownJupyter(); got != program {
		t.Errorf("got %q, want %q", got, program)
	}
	standin.Write(t, python, "#!/bin/sh\nexit 1 # of another version\n", 0o755)
	if got := s.knownJupyter(); got != "" {
		t.Errorf("after the upgrade %q is still trusted", got)
	}
}
