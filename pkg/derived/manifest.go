package derived

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"rekindle/pkg/durable"
)

// ManifestName is the file in a derived folder that says how each picture in it
// was made.
const ManifestName = "manifest.json"

// manifest lists the pictures of a folder that are known to be whole and right.
// A picture that is not listed counts as not there.
type manifest struct {
	Recipe   Recipe           `json:"recipe"`
	Pictures map[string]entry `json:"pictures"`
}

type entry struct {
	Source string `json:"source,omitempty"` // name of the file it was made from
	Made   Stamp  `json:"made"`
	MadeOf Stamp  `json:"made_of,omitzero"`
}

// Stamp identifies a file's content. Size, time and inode are a quick first
// look; when the size is right but another differs, as after copying a data set
// to another machine, the checksum decides.
type Stamp struct {
	Size   int64  `json:"size"`
	Time   int64  `json:"mtime_ns"`
	Inode  uint64 `json:"inode"` // two files written within one tick of the clock can share size and time
	SHA256 string `json:"sha256"`
}

// readManifest returns nil if there is none. One that cannot be understood is
// returned empty: nothing in the folder is trusted, and nothing known as ours.
func readManifest(dir string) (*manifest, error) {
	data, err := os.ReadFile(filepath.Join(dir, ManifestName))
	if os.IsNotExist(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("derived: %w", err)
	}
	m := new(manifest)
	if json.Unmarshal(data, m) != nil {
		return new(manifest), nil
	}
	return m, nil
}

// RecipeOf returns what the pictures of a folder were made by, and false for a
// folder that [Fill] never filled.
func RecipeOf(dir string) (Recipe, bool) {
	m, err := readManifest(dir)
	if err != nil || m == nil {
		return Recipe{}, false
	}
	return m.Recipe, true
}

// key is a picture's name as the manifest spells it: JSON has no way to write bytes
// that are no UTF-8.
func key(name string) string { return durable.Printable(name) }

// Sources returns the pictures that the manifest of a folder lists, by name, and
// the name of the file that each was made from, both as [durable.Printable] spells them; none for a folder that [Fill]
// never filled. A picture that has changed since is left out.
func Sources(dir string) map[string]string {
	m, err := readManifest(dir)
	if err != nil || m == nil {
		return nil
	}
	from := map[string]string{}
	for name, e := range m.Pictures {
		if _, ours := e.Made.Holds(filepath.Join(dir, durable.Unprintable(base(name)))); ours {
			from[name] = e.Source
		}
	}
	return from
}

func (m *manifest) write(dir string) error {
	data, err := json.MarshalIndent(m, "", " ")
	if err != nil {
		return fmt.Errorf("derived: %w", err)
	}
	if err := durable.WriteFile(filepath.Join(dir, ManifestName), append(data, '\n')); err != nil {
		return fmt.Errorf("derived: %w", err)
	}
	return nil
}

func stampOf(info fs.FileInfo, sum []byte) Stamp {
	s := Stamp{Size: info.Size(), Time: info.ModTime().UnixNano(), SHA256: hex.EncodeToString(sum)}
	if sys, ok := info.Sys().(*syscall.Stat_t); ok {
		s.Inode = sys.Ino
	}
	return s
}

// Take reads a file's stamp.
func Take(path string) (Stamp, error) {
	f, err := os.Open(path)
	if err != nil {
		return Stamp{}, err
	}
	defer f.Close()
	info, err := f.Stat() // before reading: if the file changes meanwhile, the stamp is already old
	if err != nil {
		return Stamp{}, err
	}
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return Stamp{}, err
	}
	return stampOf(info, h.Sum(nil)), nil
}

// Holds says whether path still has the stamped content. now is the stamp to
// keep: time and inode may have changed though the content did not.
func (s Stamp) Holds(path string) (now Stamp, ok bool) {
	info, err := os.Stat(path)
	if err != nil || info.Size() != s.Size {
		return s, false
	}
	now = stampOf(info, nil)
	now.SHA256 = s.SHA256
	if now == s {
		return now, true
	}
	now, err = Take(path)
	return now, err == nil && now.SHA256 == s.SHA256
}
