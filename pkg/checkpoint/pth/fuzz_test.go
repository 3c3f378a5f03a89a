package pth

import (
	"archive/zip"
	"bytes"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"testing"
)

// FuzzOpen feeds whole files: changed zip directories, headers and legacy files.
func FuzzOpen(f *testing.F) {
	for _, name := range []string{"testdata/small_zip.pth", "testdata/small_legacy.pth"} {
		raw := read(f, name)
		f.Add(raw)
		f.Add(raw[:len(raw)/2])
	}
	var b bytes.Buffer
	if err := Write(&b, sample()); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	others, err := filepath.Glob("../weights/testdata/*.*t*") // .pth, .pt, .ckpt, .state
	if err != nil || len(others) < 10 {
		f.Fatalf("other programs' files: %v, %v", others, err)
	}
	for _, name := range others {
		f.Add(read(f, name))
	}
	f.Fuzz(tryFile)
}

// FuzzPickle puts changed pickles before whole storages, behind the checksum that
// stops most of FuzzOpen's: those of our own sample or those of PyTorch's.
func FuzzPickle(f *testing.F) {
	ours := &pickler{}
	if err := ours.pickle(sample()); err != nil {
		f.Fatal(err)
	}
	var ourStorages []string
	for i, t := range ours.tensors {
		ourStorages = append(ourStorages, fmt.Sprint("x/data/", i), string(t.raw))
	}
	archive, err := zip.OpenReader("testdata/small_zip.pth")
	if err != nil {
		f.Fatal(err)
	}
	defer archive.Close()
	var theirPickle []byte
	var theirStorages []string
	for _, e := range archive.File {
		r, err := e.Open()
		if err != nil {
			f.Fatal(err)
		}
		content, err := io.ReadAll(r)
		if err != nil {
			f.Fatal(err)
		}
		_, name, _ := strings.Cut(e.Name, "/")
		if name == "data.pkl" {
			theirPickle = content
		} else {
			theirStorages = append(theirStorages, "x/"+name, string(content))
		}
	}
	f.Add(true, ours.out)
	f.Add(false, theirPickle)
	f.Add(true, []byte("\x80\x02"+rebuild(6, 0, "K\x02K\x02\x86", "K\x01K\x02\x86")+"."))
	f.Add(true, []byte("\x80\x02"+rebuild(6, 1, "K\x03\x85", "K\x00\x85")+"q\x00h\x00\x86."))
	f.Add(true, []byte(manyObjects))
	for _, value := range foreignValues {
		f.Add(true, []byte("\x80\x02"+value.pickle+"."))
	}
	f.Fuzz(func(t *testing.T, our bool, pickle []byte) {
		storages := theirStorages
		if our {
			storages = ourStorages
		}
		tryFile(t, zipOf(append([]string{"x/data.pkl", string(pickle)}, storages...)...))
	})
}

// tryFile: a file of any content is refused or can be read, listed and written
// again to the same values, and opening it allocates no more than its size allows.
func tryFile(t *testing.T, raw []byte) {
	var root any
	var err error
	spent := allocated(func() { root, err = parseBytes(raw) })
	if limit := allocationLimit(raw); spent > limit {
		t.Errorf("opening %d bytes allocated %d, want at most %d", len(raw), spent, limit)
	}
	if err != nil || readEverything(root) != nil {
		return
	}
	(&File{Root: root}).Entries()
	var b bytes.Buffer
	if err := Write(&b, root); err != nil {
		return // a text that is not UTF-8
	}
	again, err := parseBytes(b.Bytes())
	if err != nil {
		t.Fatalf("written again: %v", err)
	}
	if d := difference(again, root); d != "" {
		t.Fatalf("written again it differs: %s", d)
	}
}
