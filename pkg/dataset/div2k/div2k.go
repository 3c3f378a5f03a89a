// Package div2k puts the photographs of DIV2K into the folders that training
// reads: 800 pictures to train on and 100 to validate with, about 2000 x 1400
// pixels each (Agustsson and Timofte, "NTIRE 2017 Challenge on Single Image
// Super-Resolution: Dataset and Study", CVPR Workshops 2017; for academic
// research only, see https://data.vision.ee.ethz.ch/cvl/DIV2K).
//
//	err := div2k.Get(ctx, div2k.Parts("data/raw/train", "data/raw/val"), div2k.Options{Say: say})
//
// A folder appears when all its pictures are in it, and nothing of it before.
// What an interrupted call has done lies in a folder "downloads" beside it,
// where the next call goes on.
package div2k

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"rekindle/pkg/dataset/deadleaves"
	"rekindle/pkg/durable"
	"rekindle/pkg/fetch"
	"rekindle/pkg/machine"
	"rekindle/pkg/rgb"
)

// Home is where the archives come from.
const Home = "https://data.vision.ee.ethz.ch/cvl/DIV2K"

// Part is one of the two archives and the folder for its pictures.
type Part struct {
	Name        string     // of the archive, without .zip
	Archive     fetch.File // without an address: [Options.From] has it
	First, Last int        // the pictures' numbers: 0001.png …
	Dir         string
}

// Parts returns the two parts of DIV2K. Sizes and checksums are those that
// TensorFlow Datasets' catalogue has (datasets/div2k/checksums.tsv); several other
// projects that list them agree.
func Parts(trainDir, valDir string) []Part {
	return []Part{
		{"DIV2K_train_HR", fetch.File{Size: 3530603713, SHA256: "9d0b9c463f6e35b6c62cc6a930ee2224f670b34c1df841a57670f9acf0f6c335"}, 1, 800, trainDir},
		{"DIV2K_valid_HR", fetch.File{Size: 448993893, SHA256: "20dd31fd84d777bc1cf5d6b7654a3f569c0aec74458ae094122ad1d0489900fc"}, 801, 900, valDir},
	}
}

// Options is how [Get] goes about it.
type Options struct {
	fetch.Job
	From string                           // folder on a web server that has the archives; "": [Home]
	Free func(path string) (int64, error) // space on a disk; nil: [machine.FreeDisk]
}

// Get brings what is missing of the parts. Where a folder holds the built-in
// drawn set, that is moved aside, to the same name with ".drawn-1"; other pictures
// are never touched, and an error. The archive is removed when its pictures are
// in place. When several processes call it, one works and the others wait.
func Get(ctx context.Context, parts []Part, o Options) error {
	if o.From == "" {
		o.From = Home
	}
	if o.Say == nil {
		o.Say = func(string) {}
	}
	if o.Free == nil {
		o.Free = machine.FreeDisk
	}
	var missing []Part
	for _, p := range parts {
		complete, err := p.look()
		if err == nil && !complete {
			err = p.enoughSpace(o.Free)
		}
		if err != nil {
			return err
		}
		if complete {
			o.Say(fmt.Sprintf("✅ %s: its %d pictures are in %s", p.Name, p.pictures(), p.Dir))
			continue
		}
		p.Archive.URL = strings.TrimSuffix(o.From, "/") + "/" + p.Name + ".zip"
		missing = append(missing, p)
	}
	for _, p := range missing {
		if err := o.get(ctx, p); err != nil {
			return err
		}
	}
	return nil
}

func (p Part) pictures() int { return p.Last - p.First + 1 }

// look reports whether the folder holds the pictures already. Pictures that are
// neither these nor the drawn set are an error.
func (p Part) look() (complete bool, err error) {
	names, err := rgb.List(p.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	there := 0
	for _, name := range names {
		if p.wanted(name) {
			there++
		}
	}
	switch {
	case there == p.pictures():
		return true, nil
	case len(names) > 0 && !deadleaves.Drew(p.Dir):
		return false, fmt.Errorf("%s holds %d pictures, %d of them with the names of DIV2K's %d; empty it, or choose another folder for DIV2K", p.Dir, len(names), there, p.pictures())
	}
	return false, nil
}

// wanted says whether a name is that of one of the pictures.
func (p Part) wanted(name string) bool {
	n, err := strconv.Atoi(strings.TrimSuffix(name, ".png"))
	return err == nil && name == fmt.Sprintf("%04d.png", n) && p.First <= n && n <= p.Last
}

// places are the folder for the pictures, and where things lie while they are unfinished.
type places struct{ dir, downloads, archive, unpacked string }

func (p Part) places() places {
	dir := p.Dir
	if real, err := filepath.EvalSymlinks(dir); err == nil {
		dir = real // a link, perhaps to a larger disk, stays
	}
	downloads := filepath.Join(filepath.Dir(dir), "downloads")
	return places{dir, downloads, filepath.Join(downloads, p.Name+".zip"), filepath.Join(downloads, p.Name)}
}

// enoughSpace compares the free space with what is missing of the archive, and its
// pictures, which are about as large.
func (p Part) enoughSpace(free func(string) (int64, error)) error {
	at := p.places()
	need := 2*p.Archive.Size - fetch.Arrived(at.archive)
	have, err := free(at.downloads)
	switch {
	case errors.Is(err, machine.ErrUnknown):
		return nil
	case err == nil && have < need:
		err = fmt.Errorf("%s needs %s under %s while it is unpacked, and there are %s; free some space, or name a folder on a larger disk", p.Name, fetch.Size(need), at.downloads, fetch.Size(have))
	}
	return err
}

// get brings one part.
func (o Options) get(ctx context.Context, p Part) error {
	at := p.places()
	if err := os.MkdirAll(filepath.Dir(at.downloads), 0o777); err != nil {
		return err
	}
	around, err := os.Open(filepath.Dir(at.downloads))
	if err != nil {
		return err
	}
	defer around.Close()
	if err := durable.Lock(ctx, around, func() {
		o.Say(fmt.Sprintf("⏳ %s: another process is at work in %s; waiting for it", p.Name, at.downloads))
	}); err != nil {
		return err
	}
	if complete, err := p.look(); complete || err != nil { // the other process may have done it
		return err
	}
	o.Say(fmt.Sprintf("📥 %s: %s from %s", p.Name, fetch.Size(p.Archive.Size), p.Archive.URL))
	if err := os.MkdirAll(at.downloads, 0o777); err != nil {
		return err
	}
	if err := o.Download(ctx, p.Archive, at.archive); err != nil {
		return err
	}
	n, err := o.Unzip(ctx, at.archive, at.unpacked, p.wanted)
	if err == nil && n != p.pictures() {
		err = fmt.Errorf("%s has %d pictures, want %d", at.archive, n, p.pictures())
	}
	if err != nil {
		return err
	}
	return o.finish(p, at)
}

// finish gives the pictures their folder and tidies up.
func (o Options) finish(p Part, at places) error {
	names, err := rgb.List(at.dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return err
	case len(names) > 0: // the drawn set, or look would have refused it
		aside, err := durable.Quarantine(at.dir, "drawn")
		if err != nil {
			return err
		}
		o.Say(fmt.Sprintf("🍂 The drawn pictures that were in %s are in %s now", p.Dir, aside))
	default:
		if err := os.Remove(at.dir); err != nil {
			return fmt.Errorf("%s holds no pictures but something else (%w); empty it and try again: the pictures are ready in %s", p.Dir, err, at.unpacked)
		}
	}
	if err := os.Rename(at.unpacked, at.dir); err != nil {
		return err
	}
	if err := durable.SyncDir(filepath.Dir(at.dir)); err != nil {
		return err
	}
	o.Say(fmt.Sprintf("✅ %s: %d pictures in %s", p.Name, p.pictures(), p.Dir))
	if err := os.Remove(at.archive); err != nil {
		return err
	}
	_ = os.Remove(at.downloads) // unless something else is unfinished in it
	return nil
}
