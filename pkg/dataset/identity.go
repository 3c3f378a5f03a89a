package dataset

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/text/unicode/norm"

	"rekindle/pkg/dataset/deadleaves"
	"rekindle/pkg/derived"
	"rekindle/pkg/durable"
)

// Identity says which pictures a run is trained on and judged by. Its folders
// are only a help for people: pictures that were moved are the same pictures.
type Identity struct {
	Train Pictures `json:"train"`
	Val   Pictures `json:"val"`
}

// Pictures names the pictures of a set, in its order, by name and content.
type Pictures struct {
	Folder string `json:"folder"` // of the clean pictures, when they were looked at last
	// Drawn: the clean pictures are the built-in ones, which can be had anywhere.
	Drawn bool `json:"drawn,omitempty"`
	// Degraded is how the degraded pictures were made, such as
	// "gaussian/sigma_100, seed 42"; "" where none of them was made here.
	Degraded string    `json:"degraded,omitempty"`
	Pictures []Picture `json:"pictures"`
}

// Picture is one picture of a set. In JSON it is one string, as sha256sum writes
// it: checksum, two spaces, name. The checksum of a degraded picture stands
// behind that of the clean one, with one space between them.
type Picture struct {
	Name     string // of the clean file, as durable.Printable spells it
	SHA256   string // of the clean file, hexadecimal
	Degraded string // SHA-256 of the degraded file; "" if that was made here, and so follows from the clean one
}

// MarshalText writes the line.
func (p Picture) MarshalText() ([]byte, error) {
	sums := p.SHA256
	if p.Degraded != "" {
		sums += " " + p.Degraded
	}
	return []byte(sums + "  " + p.Name), nil
}

// UnmarshalText reads the line.
func (p *Picture) UnmarshalText(line []byte) error {
	sums, name, ok := strings.Cut(string(line), "  ")
	if !ok {
		return fmt.Errorf("dataset: %q is not a checksum, two spaces and a name", line)
	}
	p.Name = name
	p.SHA256, p.Degraded, _ = strings.Cut(sums, " ")
	return nil
}

// Pictures identifies the pictures that the set holds. Files are read once: their
// checksums are kept in the user's cache folder, see [machine.CacheFolder], and
// found again by path, size, time of change and inode.
func (s *Set) Pictures() (Pictures, error) { return identify(s.scenes) }

// CleanPictures identifies all pictures of a folder of clean ones.
func CleanPictures(dir string) (Pictures, error) {
	names, err := listFolder("clean", dir)
	if err != nil {
		return Pictures{}, err
	}
	scenes := make([]scene, len(names))
	for i, name := range names {
		path := filepath.Join(dir, name)
		scenes[i] = scene{clean: path, degraded: path}
	}
	return identify(scenes)
}

func identify(scenes []scene) (Pictures, error) {
	degradedDir, cleanDir := filepath.Dir(scenes[0].degraded), filepath.Dir(scenes[0].clean)
	p := Pictures{Folder: cleanDir, Drawn: deadleaves.Drew(cleanDir), Pictures: make([]Picture, len(scenes))}
	if abs, err := filepath.Abs(cleanDir); err == nil {
		p.Folder = abs
	}
	made := derived.Sources(degradedDir)
	if by, ok := derived.RecipeOf(degradedDir); ok && degradedDir != cleanDir && len(made) > 0 {
		p.Degraded = fmt.Sprintf("%s, seed %d", by.Name, by.Seed)
	}
	clean, degraded := openDigests(cleanDir), openDigests(degradedDir)
	err := parallel(len(scenes), func(i int) (err error) {
		scene, picture := scenes[i], &p.Pictures[i]
		picture.Name = durable.Printable(filepath.Base(scene.clean))
		if picture.SHA256, err = clean.of(filepath.Base(scene.clean)); err != nil {
			return err
		}
		name := filepath.Base(scene.degraded)
		if scene.degraded != scene.clean && made[durable.Printable(name)] != picture.Name {
			picture.Degraded, err = degraded.of(name)
		}
		return err
	})
	if err != nil {
		return p, fmt.Errorf("dataset: %w", err)
	}
	clean.save()
	degraded.save()
	return p, nil
}

// Save writes the identity for people to read, all or nothing.
func (id Identity) Save(path string) error {
	if err := durable.WriteJSON(path, id); err != nil {
		return fmt.Errorf("dataset: %w", err)
	}
	return nil
}

// LoadIdentity reads what [Identity.Save] wrote.
func LoadIdentity(path string) (id Identity, err error) {
	if err := durable.ReadJSON(path, &id); err != nil {
		return id, fmt.Errorf("dataset: %w", err)
	}
	return id, nil
}

// Changes counts how the pictures of a set differ from those of before.
type Changes struct {
	Added, Gone, Changed int
	Remain               int  // pictures of before whose content is still there, under whatever name
	Order                bool // the same pictures come in another order
}

// Since compares with the pictures of before. A picture is the same where name
// and content are; one of a new name is an added one.
func (p Pictures) Since(before Pictures) Changes {
	var c Changes
	was, contents := map[string]Picture{}, map[string]bool{}
	for _, picture := range before.Pictures {
		picture.Name = norm.NFC.String(picture.Name) // macOS spells accents in two letters
		was[picture.Name] = picture
	}
	for _, picture := range p.Pictures {
		contents[picture.SHA256] = true
		picture.Name = norm.NFC.String(picture.Name)
		old, there := was[picture.Name]
		switch {
		case !there:
			c.Added++
		case old != picture:
			c.Changed++
		}
		delete(was, picture.Name)
	}
	c.Gone = len(was)
	for _, picture := range before.Pictures {
		if contents[picture.SHA256] {
			c.Remain++
		}
	}
	c.Order = c.Added+c.Gone+c.Changed == 0 && !slices.Equal(p.Pictures, before.Pictures)
	return c
}

// Any says whether anything is not as it was.
func (c Changes) Any() bool { return c != Changes{Remain: c.Remain} }

// String lists the numbers, such as "2 added, 1 gone".
func (c Changes) String() string {
	var parts []string
	for _, part := range []struct {
		n    int
		what string
	}{{c.Added, "added"}, {c.Gone, "gone"}, {c.Changed, "changed"}} {
		if part.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", part.n, part.what))
		}
	}
	if c.Order {
		parts = append(parts, "in another order")
	}
	return strings.Join(parts, ", ")
}

// String says how many pictures these are, from where, and names a few.
func (p Pictures) String() string {
	var names []string
	for _, picture := range p.Pictures {
		names = append(names, picture.Name)
	}
	return fmt.Sprintf("%d pictures from %s (%s)", len(names), p.Folder, some(names))
}

// Continues says whether a run that used the pictures of before may go on with
// those of now. It may not where nothing is left of what it was trained on.
// Other pictures to validate with are no obstacle, except that built-in ones
// never stand in for photographs: these are more likely out of reach.
func Continues(before, now Pictures, validation bool) bool {
	if len(before.Pictures) == 0 || now.Since(before).Remain > 0 {
		return true
	}
	return validation && len(now.Pictures) > 0 && (before.Drawn || !now.Drawn)
}

// Remedy says what a person can do where a run may not go on. key names the
// setting for the folder of clean pictures.
func Remedy(key, experiment string) string {
	return fmt.Sprintf("mount their disk, put them back, or set %s to where they are; "+
		"to begin a new experiment with other pictures from these weights, set ForkExperiment = %q and ResumeFromCheckpoint = false", key, experiment)
}
