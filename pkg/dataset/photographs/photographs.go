// Package photographs gathers the pictures that the network of package pretrained
// was trained with: some sixty photographs and paintings with free terms, from
// Debian's packages of wallpapers and elementary OS, in up to three sizes each,
// dead leaves, and texts.
//
//	err := photographs.Gather(ctx, "data/photographs", say)
//
// It takes dpkg-deb to open the packages: Debian, or one of its kind.
package photographs

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"image"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"syscall"

	"golang.org/x/image/draw"

	"rekindle/pkg/dataset/deadleaves"
	"rekindle/pkg/durable"
	"rekindle/pkg/fetch"
	"rekindle/pkg/rgb"
)

// sides are the longer sides that pictures are shrunk to, in pixels: what is fine in
// a large photograph a small one lacks, and the other way round.
var sides = []int{1500, 900, 520}

// held are the pictures to validate with, in the smallest size.
var held = map[int]bool{5: true, 34: true, 64: true, 81: true}

// Of drawn pictures: how many, and their sides.
const (
	drawn, texts  = 60, 12
	width, height = 640, 480
)

// Gather fills dir/train and dir/val; what is there already stays, downloads go on
// where they stopped. say is told what is done, a line each.
func Gather(ctx context.Context, dir string, say func(line string)) error {
	g := gathering{ctx: ctx, dir: dir}
	for _, part := range []string{"train", "val", "downloads"} {
		if err := os.MkdirAll(filepath.Join(dir, part), 0o777); err != nil {
			return fmt.Errorf("photographs: %w", err)
		}
	}
	unlock, err := durable.LockFolder(ctx, dir, func() { say(fmt.Sprintf("⏳ Another process gathers them in %s; waiting for it", dir)) })
	if err != nil {
		return fmt.Errorf("photographs: %w", err)
	}
	defer unlock()
	for _, part := range []string{"train", "val"} {
		if err := durable.Sweep(filepath.Join(dir, part)); err != nil {
			return fmt.Errorf("photographs: %w", err)
		}
	}
	if _, err := exec.LookPath("dpkg-deb"); err != nil {
		return errors.New("photographs: dpkg-deb is missing, which opens Debian's packages; use Debian, Ubuntu or a container of these")
	}
	for _, a := range archives {
		if err := g.archive(a, say); err != nil {
			return err
		}
	}
	var failed []error // one photograph that is not to be had does not hold up the others
	for _, number := range slices.Sorted(maps.Keys(single)) {
		if err := g.single(number, say); err != nil {
			failed = append(failed, err)
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	if err := g.draw(say); err != nil {
		return err
	}
	if len(failed) > 0 {
		return fmt.Errorf("photographs: all is there but %d of %d single photographs: %w", len(failed), len(single), failed[0])
	}
	return nil
}

// single fetches a photograph that is a file of its own.
func (g gathering) single(number int, say func(line string)) error {
	if g.complete(number) {
		return nil
	}
	at, err := g.download(single[number], say)
	if err != nil {
		return err
	}
	raw, err := os.ReadFile(at)
	if err != nil {
		return err
	}
	return g.shrink(number, raw)
}

type gathering struct {
	ctx context.Context
	dir string
}

func (g gathering) download(f fetch.File, say func(line string)) (at string, err error) {
	at = filepath.Join(g.dir, "downloads", path.Base(f.URL))
	say(fmt.Sprintf("⬇️  %s, %s", path.Base(f.URL), fetch.Size(f.Size)))
	return at, fetch.Job{Say: say}.Download(g.ctx, f, at)
}

// archive takes the pictures out of a package.
func (g gathering) archive(a archive, say func(line string)) error {
	missing := false
	for _, number := range a.pictures {
		missing = missing || !g.complete(number)
	}
	if !missing {
		return nil
	}
	at, err := g.download(a.File, say)
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(g.ctx, "dpkg-deb", "--fsys-tarfile", at)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl+C is for this program, which ends that one
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return fmt.Errorf("photographs: %w", err)
	}
	err = g.pictures(tar.NewReader(out), a.pictures)
	_, _ = io.Copy(io.Discard, out)
	e := cmd.Wait()
	if err := g.ctx.Err(); err != nil {
		return err
	}
	if err == nil && e != nil {
		err = fmt.Errorf("photographs: dpkg-deb %s: %w", at, e)
	}
	return err
}

func (g gathering) pictures(files *tar.Reader, wanted map[string]int) error {
	for {
		h, err := files.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("photographs: %w", err)
		}
		number, ok := wanted[path.Clean(h.Name)]
		if !ok || g.complete(number) {
			continue
		}
		raw, err := io.ReadAll(files)
		if err != nil {
			return fmt.Errorf("photographs: %w", err)
		}
		if err := g.shrink(number, raw); err != nil {
			return err
		}
	}
}

// file is where a picture of some size lies, or would.
func (g gathering) file(number, side int) string {
	part := "train"
	if held[number] {
		part = "val"
	}
	return filepath.Join(g.dir, part, fmt.Sprintf("photo_%03d_%d.png", number, side))
}

// complete says whether a picture is there: its smallest size is made last.
func (g gathering) complete(number int) bool {
	_, err := os.Stat(g.file(number, sides[len(sides)-1]))
	return err == nil
}

func (g gathering) shrink(number int, raw []byte) error {
	im, err := rgb.Decode(raw)
	if err != nil {
		return fmt.Errorf("photographs: picture %d: %w", number, err)
	}
	source, long := im.ToImage(), max(im.W, im.H)
	for i, side := range sides {
		if long < side*9/8 || held[number] && i < len(sides)-1 {
			continue
		}
		if err := g.ctx.Err(); err != nil {
			return err
		}
		to := image.NewRGBA(image.Rect(0, 0, im.W*side/long, im.H*side/long))
		draw.CatmullRom.Scale(to, to.Bounds(), source, source.Bounds(), draw.Src, nil)
		if err := rgb.FromImage(to).SavePNG(g.file(number, side)); err != nil {
			return err
		}
	}
	return nil
}

// draw makes what no camera did: dead leaves, of which every twentieth is for
// validation, and texts.
func (g gathering) draw(say func(line string)) error {
	say(fmt.Sprintf("🎨 %d pictures of dead leaves and %d of texts", drawn, texts))
	all := filepath.Join(g.dir, "leaves")
	if err := deadleaves.Folder(g.ctx, all, drawn, width, height, 7, nil); err != nil {
		return err
	}
	names, err := rgb.List(all)
	if err != nil {
		return err
	}
	for i, name := range names {
		if err := g.ctx.Err(); err != nil {
			return err
		}
		part := "train"
		if i%20 == 19 {
			part = "val"
		}
		im, err := rgb.Load(filepath.Join(all, name))
		if err == nil {
			err = im.SavePNG(filepath.Join(g.dir, part, fmt.Sprintf("leaves_%03d.png", i)))
		}
		if err != nil {
			return err
		}
	}
	r := rand.New(rand.NewPCG(5, 6))
	for i := range texts {
		if err := g.ctx.Err(); err != nil {
			return err
		}
		im, err := text(width, height, r)
		if err == nil {
			err = rgb.FromImage(im).SavePNG(filepath.Join(g.dir, "train", fmt.Sprintf("text_%02d.png", i)))
		}
		if err != nil {
			return err
		}
	}
	return nil
}
