package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"rekindle/pkg/internal/standin"
)

func TestArgumentsForJupyterBeginWithADash(t *testing.T) {
	for _, c := range []struct{ args, mine, forJupyter []string }{
		{[]string{"lab"}, []string{"lab"}, nil},
		{[]string{"lab", "n.ipynb"}, []string{"lab", "n.ipynb"}, nil},
		{[]string{"lab", "n.ipynb", "--port=9000", "--ip", "0.0.0.0"}, []string{"lab", "n.ipynb"}, []string{"--port=9000", "--ip", "0.0.0.0"}},
		{[]string{"lab", "-n.ipynb", "-y"}, []string{"lab", "-n.ipynb"}, []string{"-y"}},
		{[]string{"lab", "--no-browser"}, []string{"lab"}, []string{"--no-browser"}},
	} {
		mine, forJupyter := labArguments(c.args)
		if !slices.Equal(mine, c.mine) || !slices.Equal(forJupyter, c.forJupyter) {
			t.Errorf("%q: got %q and %q", c.args, mine, forJupyter)
		}
	}
}

// TestTheNotebooksAddressIsPrinted plays a Jupyter that writes about itself what
// servers do, on another port than it was asked for.
func TestTheNotebooksAddressIsPrinted(t *testing.T) {
	t.Setenv("SSH_CONNECTION", "192.0.2.9 50000 192.0.2.1 2222")
	for _, c := range []struct{ front, file, token, want string }{
		{"lab", "jpserver", "abc", "http://localhost:9001/base/lab/tree/n.ipynb?token=abc\n"},
		{"notebook", "jpserver", "abc", "http://localhost:9001/base/notebooks/n.ipynb?token=abc\n"},
		{"notebook", "nbserver", "", "http://localhost:9001/base/notebooks/n.ipynb\n"},
	} {
		s := clone(t)
		standin.Write(t, filepath.Join(filepath.Join(s.Dir, "build", "bin"), "gopls"), "", 0o777)
		standin.Write(t, filepath.Join(s.Data(), "no-gopls"), "not now\nmake gopls", 0o666) // or it would be built
		calls := filepath.Join(s.Dir, "calls")
		jupyter(t, s, `case "$*" in
--runtime-dir) echo "`+s.Dir+`";;
"lab --version") [ `+c.front+` = lab ];;
"notebook --version") ;;
*) echo "$*" >> `+calls+`; echo "$JUPYTER_CONFIG_PATH" >> `+calls+`
echo '{"pid": 1, "port": 7, "url": "http://localhost:7/", "token": "others"}' > "`+s.Dir+`/`+c.file+`-1.json"
echo '{"pid": '$$', "port": 9001, "url": "http://192.0.2.1:9001/base/", "token": "`+c.token+`"}' > "`+s.Dir+`/`+c.file+`-$$.json"
sleep 4;;
esac`)
		var err error
		text := standin.Printed(t, func() { err = lab(t.Context(), s, "n.ipynb", []string{"--port=9000", "--no-browser"}) })
		if err != nil {
			t.Fatal(err)
		}
		for _, part := range []string{c.want, "ssh -N -L 9001:localhost:9001 -p 2222 "} {
			if !strings.Contains(text, part) {
				t.Errorf("%s: got %q, want it to say %q", c.front, text, part)
			}
		}
		said, _ := os.ReadFile(calls)
		if got := string(said); !strings.HasPrefix(got, c.front+" --notebook-dir="+s.Dir) || !strings.Contains(got, " --port=9000 --no-browser /") || !strings.Contains(got, "/n.ipynb\n") {
			t.Errorf("Jupyter was called with %q", got)
		}
		if settings, err := os.ReadFile(filepath.Join(s.Data(), "config", "labconfig", "default_setting_overrides.json")); err != nil || !strings.Contains(string(settings), "providerTimeout") || !strings.Contains(string(said), filepath.Join(s.Data(), "config")) {
			t.Errorf("the front end's defaults are %q (%v)", settings, err)
		}
	}
}

func TestAFrontEndThatIsNotThereIsNamed(t *testing.T) {
	s := clone(t)
	jupyter(t, s, "exit 1")
	for _, asked := range []string{"", "lab", "code"} {
		err := lab(t.Context(), s, "n.ipynb", []string{frontFlag + asked})
		if err == nil || asked == "lab" && !strings.Contains(err.Error(), "make jupyter") || asked == "code" && !strings.Contains(err.Error(), `"code"`) {
			t.Errorf("%q: got %v", asked, err)
		}
	}
}

func TestAFolderOfTheUsersOwnIsTheOnlyOne(t *testing.T) {
	for _, c := range []struct {
		args []string
		ours bool
	}{{nil, true}, {[]string{"--port=1"}, true}, {[]string{"--notebook-dir=/x"}, false}, {[]string{"--ServerApp.root_dir=/x"}, false}, {[]string{"--NotebookApp.notebook_dir", "/x"}, false}} {
		s := clone(t)
		calls := filepath.Join(s.Dir, "calls")
		jupyter(t, s, `case "$*" in *--version) ;; *) echo "$*" >> `+calls+`;; esac`)
		if err := lab(t.Context(), s, "", c.args); err != nil {
			t.Fatal(err)
		}
		said, _ := os.ReadFile(calls)
		if got := strings.Contains(string(said), "--notebook-dir="+s.Dir); got != c.ours {
			t.Errorf("%q: Jupyter was called with %q", c.args, said)
		}
	}
}

func TestANotebookOutsideTheServersFolderHasNoAddress(t *testing.T) {
	at := server{URL: "http://localhost:8888/", Port: 8888, Token: "t", Root: "/clone/notebooks"}
	for notebook, want := range map[string]string{
		"notebooks/a b.ipynb": "http://localhost:8888/lab/tree/a%20b.ipynb?token=t\n",
		"other/a.ipynb":       "Jupyter is at\n      http://localhost:8888/lab?token=t\n",
		"":                    "Jupyter is at\n      http://localhost:8888/lab?token=t\n",
	} {
		if got := at.directions("lab", "/clone", notebook); !strings.Contains(got, want) {
			t.Errorf("%q: got %q, want it to say %q", notebook, got, want)
		}
	}
}

// A supervisor's signal reaches this program alone; what Jupyter does with SIGUSR1, say,
// is its own matter.
func TestASignalToLabAloneEndsJupyter(t *testing.T) {
	stdin := os.Stdin
	defer func() { os.Stdin = stdin }()
	none, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer none.Close()
	os.Stdin = none
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGUSR1} {
		ended := filepath.Join(t.TempDir(), "ended")
		cmd := exec.Command("bash", "-c", `trap 'echo by TERM > "$0"; exit 3' TERM; trap '' USR1; while true; do sleep 0.05; done`, ended)
		err := passSignals(t.Context(), cmd, func() {
			time.AfterFunc(300*time.Millisecond, func() { _ = syscall.Kill(os.Getpid(), sig) })
			time.AfterFunc(10*time.Second, func() { _ = cmd.Process.Kill() })
		})
		if said, _ := os.ReadFile(ended); !errors.Is(err, exitStatus(3)) || string(said) != "by TERM\n" {
			t.Errorf("%v: ended with %v, %q", sig, err, said)
		}
	}
}
