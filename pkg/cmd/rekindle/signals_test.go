//go:build linux

package main

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"rekindle/pkg/checkpoint"
	"rekindle/pkg/config"
	"rekindle/pkg/dataset/deadleaves"
	"rekindle/pkg/durable"
	"rekindle/pkg/experiment"
	"rekindle/pkg/internal/faults"
	"rekindle/pkg/model"
)

// TestMain lets the test binary be the program, whose system calls its parent watches.
func TestMain(m *testing.M) {
	if os.Getenv("REKINDLE_PROGRAM") != "" {
		if err := faults.Enter(os.NewFile(3, "faults")); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		main()
	}
	os.Exit(m.Run())
}

// program is the program in a process of its own.
func program(args ...string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), "REKINDLE_PROGRAM=1", "GOMLX_BACKEND=go")
	return cmd
}

// An end within 4 s is promised; a machine that is busy with other tests gets longer.
const ceiling = 30 * time.Second

// untrained is an experiment with a checkpoint, under a folder of all.
func untrained(t *testing.T, root string) *experiment.Experiment {
	t.Helper()
	cfg := config.Default()
	cfg.ExperimentsDir, cfg.ModelFeatures = root, 2
	exp, err := experiment.Create(cfg, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	net, err := model.New(cfg.Model, model.OptionsOf(cfg))
	if err != nil {
		t.Fatal(err)
	}
	s := &checkpoint.State{Config: cfg, BestLoss: math.NaN()}
	values := net.Init(1)
	for _, e := range net.Entries() {
		tensor := checkpoint.Tensor{Name: e.Name, Shape: e.Shape, Values: values[e.Name]}
		if tensor.IsParameter() {
			tensor.First, tensor.Second = make([]float32, len(tensor.Values)), make([]float32, len(tensor.Values))
		}
		s.Model = append(s.Model, tensor)
	}
	if err := checkpoint.Save(exp.Checkpoints().Path(checkpoint.Last), s); err != nil {
		t.Fatal(err)
	}
	return exp
}

// leaves are pictures a.png, b.png, c.png, of which the first is the smallest.
func leaves(t *testing.T, dir string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	for i, name := range []string{"a.png", "b.png", "c.png"} {
		if err := deadleaves.Image(30+20*i, 24, rand.New(rand.NewPCG(1, 1))).SavePNG(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
}

// contents are the files below a folder by name, locks left out.
func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() || e.Name() == ".lock" {
			return err
		}
		raw, err := os.ReadFile(path)
		name, _ := filepath.Rel(dir, path)
		files[name] = string(raw)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// begins finds the call by which a file that is to have some name is begun, writes
// those by which it is written.
func begins(name string) func(faults.Call) bool { return calls("openat", name) }
func writes(name string) func(faults.Call) bool { return calls("write", name) }

func calls(what, name string) func(faults.Call) bool {
	return func(c faults.Call) bool {
		return c.Name == what && strings.HasPrefix(filepath.Base(c.Path), durable.TempPrefix+name+"-")
	}
}

func same(files, before map[string]string) bool { return maps.Equal(files, before) }

// sameOrWith accepts that a file was finished before the signal reached the program.
func sameOrWith(name string) func(files, before map[string]string) bool {
	return func(files, before map[string]string) bool {
		rest := maps.Clone(files)
		delete(rest, name)
		return same(rest, before)
	}
}

// TestSignalsLeaveNothingHalfDone sends each signal to each command in the middle of its
// work. What lies on the disk is as it was, or whole, and the same call goes on.
func TestSignalsLeaveNothingHalfDone(t *testing.T) {
	t.Setenv("GOMLX_BACKEND", "go")
	weights := weights(t)
	for _, m := range []struct {
		name     string
		at       func(c faults.Call) bool
		args     func(t *testing.T, dir string) []string
		sentence string
		left     func(files, before map[string]string) bool // what may lie in the folder out
		whole    []string                                   // after the same call again
	}{
		{
			"restoring a folder", begins("b.png"),
			func(t *testing.T, dir string) []string {
				leaves(t, filepath.Join(dir, "in"))
				return []string{"restore", "-in", filepath.Join(dir, "in"), "-out", filepath.Join(dir, "out"), "-experiment", weights}
			},
			"what is restored stays, and the same call goes on with the rest",
			func(files, _ map[string]string) bool { return len(files) == 1 && len(files["a.png"]) > 100 },
			[]string{"a.png", "b.png", "c.png"},
		},
		{
			"restoring over an older picture", begins("x.png"),
			func(t *testing.T, dir string) []string {
				leaves(t, filepath.Join(dir, "in"))
				photo(t, filepath.Join(dir, "out", "x.png"))
				return []string{"restore", "-in", filepath.Join(dir, "in", "c.png"), "-out", filepath.Join(dir, "out", "x.png"), "-experiment", weights, "-overwrite"}
			},
			"what is restored stays", same, []string{"x.png"},
		},
		{
			"exporting", writes("net.onnx"),
			func(t *testing.T, dir string) []string {
				untrained(t, filepath.Join(dir, "experiments"))
				photo(t, filepath.Join(dir, "out", "net.onnx"))
				return []string{"export", "-dir", filepath.Join(dir, "experiments"), "-out", filepath.Join(dir, "out", "net.onnx")}
			},
			"nothing half-written is left", same, []string{"net.onnx"},
		},
		{
			"flushing an export", func(c faults.Call) bool { return c.Name == "fsync" && strings.Contains(c.Path, "net.safetensors") },
			func(t *testing.T, dir string) []string {
				untrained(t, filepath.Join(dir, "experiments"))
				photo(t, filepath.Join(dir, "out", "other"))
				return []string{"export", "-dir", filepath.Join(dir, "experiments"), "-format", "safetensors", "-out", filepath.Join(dir, "out", "net.safetensors")}
			},
			"nothing half-written is left", sameOrWith("net.safetensors"), []string{"net.safetensors", "other"},
		},
		{
			"scoring", func(c faults.Call) bool { return strings.HasSuffix(c.Path, "/in/b.png") },
			func(t *testing.T, dir string) []string {
				leaves(t, filepath.Join(dir, "in"))
				photo(t, filepath.Join(dir, "out", "scores.json"))
				return []string{"score", "-net", weights, "-set", filepath.Join(dir, "in"), "-out", filepath.Join(dir, "out", "scores")}
			},
			"no scores were written", same, []string{"scores.csv", "scores.json"},
		},
	} {
		t.Run(m.name, func(t *testing.T) {
			for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} {
				dir := t.TempDir()
				out := filepath.Join(dir, "out")
				args := m.args(t, dir)
				if err := os.MkdirAll(out, 0o777); err != nil {
					t.Fatal(err)
				}
				before := contents(t, out)
				status, said, took := faults.SignalAt(t, program(args...), signal, m.at)
				if status != 128+int(signal) || strings.Count(said, "⏹️  Stopped; ") != 1 || !strings.Contains(said, m.sentence) || strings.Contains(said, "❌") {
					t.Errorf("%v: exit status %d, and it says\n%s", signal, status, said)
				}
				if took > ceiling {
					t.Errorf("%v: it took %v", signal, took)
				}
				files := contents(t, out)
				if !m.left(files, before) {
					t.Errorf("%v: it leaves %q, before there were %q", signal, slices.Sorted(maps.Keys(files)), slices.Sorted(maps.Keys(before)))
				}
				if status, _, messages := call(context.Background(), args...); status != 0 {
					t.Errorf("%v: the same call again ends with %d\n%s", signal, status, messages)
				}
				finished := contents(t, out)
				if names := slices.Sorted(maps.Keys(finished)); !slices.Equal(names, m.whole) {
					t.Errorf("%v: then there are %q, want %q", signal, names, m.whole)
				}
				for name, content := range files {
					if _, older := before[name]; !older && content != finished[name] {
						t.Errorf("%v: it leaves a %s that is not the finished one", signal, name)
					}
				}
			}
		})
	}
}

// TestWhatAKilledCallLeavesIsRemovedByTheNext kills it while it writes.
func TestWhatAKilledCallLeavesIsRemovedByTheNext(t *testing.T) {
	t.Setenv("GOMLX_BACKEND", "go")
	dir := t.TempDir()
	leaves(t, filepath.Join(dir, "in"))
	untrained(t, filepath.Join(dir, "experiments"))
	out := filepath.Join(dir, "out")
	for name, args := range map[string][]string{
		"b.png":    {"restore", "-in", filepath.Join(dir, "in"), "-out", out, "-experiment", weights(t)},
		"net.onnx": {"export", "-dir", filepath.Join(dir, "experiments"), "-out", filepath.Join(out, "net.onnx")},
	} {
		if err := os.MkdirAll(out, 0o777); err != nil {
			t.Fatal(err)
		}
		unfinished := func() int { found, _ := filepath.Glob(filepath.Join(out, durable.TempPrefix+"*")); return len(found) }
		faults.SignalAt(t, program(args...), syscall.SIGKILL, writes(name))
		if _, err := os.Lstat(filepath.Join(out, name)); err == nil || unfinished() != 1 {
			t.Errorf("%s: killed, it leaves %d unfinished files, want 1; and under its own name %v", name, unfinished(), err)
		}
		if status, _, messages := call(context.Background(), args...); status != 0 || unfinished() > 0 {
			t.Errorf("%s: the next call ends with %d and leaves %d unfinished files\n%s", name, status, unfinished(), messages)
		}
	}
}

// gathered makes it look as if all photographs were downloaded.
func gathered(t *testing.T, dir string) {
	t.Helper()
	for i := range 120 {
		for _, part := range []string{"train", "val"} {
			photo(t, filepath.Join(dir, part, fmt.Sprintf("photo_%03d_520.png", i)))
		}
	}
}

// TestSignalsWhilePhotographsAreGathered stops it when leaves are drawn and when a server
// sends nothing more.
func TestSignalsWhilePhotographsAreGathered(t *testing.T) {
	if _, err := exec.LookPath("dpkg-deb"); err != nil {
		t.Skip(err)
	}
	for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} {
		dir := t.TempDir()
		gathered(t, dir)
		status, said, took := faults.SignalAt(t, program("photographs", "-out", dir), signal, writes("leaf_0001.png"))
		stopped(t, fmt.Sprintf("%v while leaves are drawn", signal), dir, signal, status, said, took)
		if drawn, err := filepath.Glob(filepath.Join(dir, "train", "leaves_*.png")); len(drawn) > 0 {
			t.Errorf("%v: leaves are in place before all are drawn: %q, %v", signal, drawn, err)
		}

		dir = t.TempDir()
		proxy := silentServer(t)
		cmd := program("photographs", "-out", dir)
		cmd.Env = append(cmd.Env, "http_proxy="+proxy, "HTTP_PROXY="+proxy)
		arrived := 0
		status, said, took = faults.SignalAt(t, cmd, signal, func(c faults.Call) bool {
			if c.Name == "write" && strings.HasSuffix(c.Path, ".deb.part") {
				arrived++
			}
			return arrived > 0
		})
		stopped(t, fmt.Sprintf("%v in a download", signal), dir, signal, status, said, took)
		if part, err := filepath.Glob(filepath.Join(dir, "downloads", "*.deb.part")); len(part) != 1 {
			t.Errorf("%v: what has arrived is not kept: %q, %v", signal, part, err)
		}
	}
}

// stopped checks how gathering ended, that nothing unfinished lies there, and that
// another process may go on.
func stopped(t *testing.T, when, dir string, signal syscall.Signal, status int, said string, took time.Duration) {
	t.Helper()
	if status != 128+int(signal) || strings.Count(said, "⏹️  Stopped; what is there stays") != 1 || strings.Contains(said, "❌") || took > ceiling {
		t.Errorf("%s: exit status %d after %v, and it says\n%s", when, status, took, said)
	}
	for name := range contents(t, dir) {
		if strings.Contains(name, durable.TempPrefix) {
			t.Errorf("%s: %s is left", when, name)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	unlock, err := durable.LockFolder(ctx, dir, cancel)
	if err != nil {
		t.Fatalf("%s: its lock is still held: %v", when, err)
	}
	unlock()
}

// silentServer sends the beginning of any file, and nothing more.
func silentServer(t *testing.T) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			c.Read(make([]byte, 4096))
			fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: 32546832\r\n\r\n%s", bytes.Repeat([]byte{1}, 1000))
		}
	}()
	return "http://" + l.Addr().String()
}
