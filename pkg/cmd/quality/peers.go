package main

import (
	"bufio"
	"context"
	_ "embed"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"rekindle/pkg/score"
)

//go:embed peers.py
var script []byte

// peers are the methods of peers.py, as the table calls them.
var peers = []struct{ method, name string }{
	{"bm3d", "BM3D"},
	{"nonlocal_means", "non-local means"},
	{"wavelets", "wavelets, BayesShrink"},
	{"total_variation", "total variation, Chambolle"},
	{"opencv", "fastNlMeansDenoisingColored"},
}

// peer is a process of Python that denoises one picture after the other.
type peer struct {
	version string
	dir     string
	cmd     *exec.Cmd
	in      io.WriteCloser
	out     *bufio.Scanner
	last    struct {
		Version string
		Seconds float64 `json:"seconds"`
		CPU     float64 `json:"cpu_seconds"`
	}
}

func startPeer(ctx context.Context, python, method string) (*peer, error) {
	dir, err := os.MkdirTemp("", "quality")
	if err != nil {
		return nil, err
	}
	p := &peer{dir: dir}
	path := filepath.Join(dir, "peers.py")
	if err := os.WriteFile(path, script, 0o644); err != nil {
		return nil, err
	}
	p.cmd = exec.CommandContext(ctx, python, path, method)
	p.cmd.Stderr = os.Stderr
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.out = bufio.NewScanner(out)
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	if err := p.answer(); err != nil {
		p.close()
		return nil, fmt.Errorf("%s does not run %s (%w): name a Python that has it with -python; pip install bm3d opencv-python-headless scikit-image PyWavelets", python, method, err)
	}
	p.version = p.last.Version
	return p, nil
}

func (p *peer) answer() error {
	if !p.out.Scan() {
		return fmt.Errorf("it ended")
	}
	return json.Unmarshal(p.out.Bytes(), &p.last)
}

func (p *peer) close() {
	p.in.Close()
	p.cmd.Wait()
	os.RemoveAll(p.dir)
}

// denoise is a [score.Denoiser].
func (p *peer) denoise(_ context.Context, noisy score.Image, sigma float64) (score.Image, error) {
	from, to := filepath.Join(p.dir, "noisy.npy"), filepath.Join(p.dir, "restored.npy")
	if err := os.WriteFile(from, npy(noisy), 0o644); err != nil {
		return score.Image{}, err
	}
	fmt.Fprintln(p.in, from, to, sigma)
	if err := p.answer(); err != nil {
		return score.Image{}, err
	}
	raw, err := os.ReadFile(to)
	if err != nil {
		return score.Image{}, err
	}
	return values(raw, noisy)
}

// npy is a picture as NumPy saves an array of float64 (format 1.0).
func npy(im score.Image) []byte {
	header := fmt.Sprintf("{'descr': '<f8', 'fortran_order': False, 'shape': (%d, %d, %d), }", im.Planes(), im.H, im.W)
	header += strings.Repeat(" ", 63-(10+len(header))%64) + "\n"
	raw := append([]byte("\x93NUMPY\x01\x00"), byte(len(header)), byte(len(header)>>8))
	raw = append(raw, header...)
	for _, v := range im.Values {
		raw = binary.LittleEndian.AppendUint64(raw, math.Float64bits(v))
	}
	return raw
}

// values reads the numbers behind a header of NumPy: as many as in like.
func values(raw []byte, like score.Image) (score.Image, error) {
	out := score.Image{W: like.W, H: like.H, Values: make([]float64, len(like.Values))}
	header := len(raw) - 8*len(out.Values)
	if header < 10 || 10+int(raw[8])+int(raw[9])<<8 != header || !strings.Contains(string(raw[:header]), "'<f8', 'fortran_order': False") {
		return out, fmt.Errorf("%d bytes are no array of %d numbers", len(raw), len(out.Values))
	}
	raw = raw[header:]
	for i := range out.Values {
		out.Values[i] = math.Float64frombits(binary.LittleEndian.Uint64(raw[8*i:]))
	}
	return out, nil
}
