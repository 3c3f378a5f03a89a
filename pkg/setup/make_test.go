package setup

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"rekindle/pkg/durable"
	"rekindle/pkg/internal/disk"
	"rekindle/pkg/internal/standin"
)

// What a person gives make is neither make's nor the shell's to change.
func TestMakePassesNamesOnAsTheyAre(t *testing.T) {
	const name = "-a 'b' \"c\" $HOME ${X} $(Y) $$ 100% # [1]*? ~ x,y <z>&;|` \\ é"
	for call, want := range map[string]string{
		"run NOTEBOOK":                "run @",
		"lab NOTEBOOK":                "lab @",
		"notebooks ONLY":              "refresh @",
		"list EXPERIMENT":             "list -experiment @",
		"watch EXPERIMENT":            "watch -experiment @",
		"export EXPERIMENT OUT":       "export -experiment @ -format onnx -out @",
		"restore IN OUT EXPERIMENT":   "restore -in @ -out @ -experiment @",
		"restore IN":                  "restore -in @ -out  -experiment latest",
		"score NET SET OUT":           "score -net @ -set @ -sigma 25 -out @",
		"list":                        "list -experiment *",
		"export":                      "export -experiment latest -format onnx",
		"quality NET NAME SET PYTHON": "-net @ -name @ -set @ -python @",
		"run":                         "run notebooks/unet/gaussian/unet_gaussian_bilinear.ipynb",
	} {
		words := strings.Fields(call)
		args := []string{"--no-print-directory", "-C", "../..", "-n", words[0]}
		for _, variable := range words[1:] {
			args = append(args, variable+"="+name)
		}
		recipe, err := exec.Command("make", args...).Output()
		if err != nil {
			t.Errorf("%s: %v", call, err)
			continue
		}
		// The last command, its arguments a line each.
		from := max(strings.LastIndex(string(recipe), "\nbuild/bin/"), strings.LastIndex(string(recipe), "go run ./pkg/cmd/"))
		command := strings.TrimPrefix(strings.TrimLeft(string(recipe)[from:], "\n"), "go run ")
		_, command, _ = strings.Cut(command, " ")
		got, err := exec.Command("sh", "-c", "printf '%s\\n' "+command).Output()
		if want = strings.ReplaceAll(strings.ReplaceAll(want, " ", "\n"), "@", name); err != nil || string(got) != want+"\n" {
			t.Errorf("%s: %v, it gets\n%s", call, err, got)
		}
	}
}

func TestAHomeInTheCloneIsWhereTheCloneIs(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a clone $X (1)")
	makefile, err := filepath.Abs("../../Makefile")
	if err == nil {
		err = os.Mkdir(dir, 0o777)
	}
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("make", "--no-print-directory", "-C", dir, "-f", makefile, "where-home-is")
	cmd.Env = append(os.Environ(), "HOME=")
	if out, err := cmd.CombinedOutput(); err != nil || string(out) != filepath.Join(dir, ".home")+"\n" {
		t.Errorf("%q, %v", out, err)
	}
}

func TestACloneThatMayOnlyBeReadIsToBeCopied(t *testing.T) {
	s := clone(t)
	for range 2 { // without the folders that set-up makes, and with them
		writable := disk.ReadOnly(t, s.Dir)
		if err := s.All(t.Context()); !durable.MayOnlyRead(err) || !strings.Contains(err.Error(), "make a clone of your own: git clone "+s.Dir) || strings.Count(err.Error(), "\n") > 0 {
			t.Errorf("got %v", err)
		}
		writable()
		if err := errors.Join(os.MkdirAll(s.bin(), 0o777), os.MkdirAll(s.Data(), 0o777)); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAProgramThatCannotBeReplacedIsUsed(t *testing.T) {
	dir := t.TempDir()
	makefile, err := filepath.Abs("../../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	standin.Write(t, filepath.Join(dir, "build", "bin", "rekindle"), "#!/bin/sh\necho $@\n", 0o777)
	disk.ReadOnly(t, dir)
	out, err := exec.Command("make", "--no-print-directory", "-C", dir, "-f", makefile, "watch").CombinedOutput()
	if err != nil || string(out) != "watch -experiment latest\n" {
		t.Errorf("%q, %v", out, err)
	}
}
