package derived

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"rekindle/pkg/internal/allocation"
)

// FuzzManifest: whatever lies in a folder under the names of its manifest and record,
// the pictures that are wanted come out right, and nothing else is touched, inside of
// the folder or outside.
func FuzzManifest(f *testing.F) {
	const sum = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
	entry := `{"source":"a.png","made":{"size":4,"mtime_ns":1,"inode":2,"sha256":"` + sum + `"}}`
	f.Add([]byte(`{"recipe":{"name":"r","seed":1,"format":1},"pictures":{"a.png":`+entry+`}}`), []byte(sum+"\n"))
	f.Add([]byte(`{"recipe":{"name":"r","seed":2,"format":1},"pictures":{"../outside.png":`+entry+`,"mine.png":`+entry+`,"":`+entry+`,".":`+entry+`,"/etc":`+entry+`}}`), []byte("x"))
	f.Add([]byte(`{"pictures":{"sub/deep.png":{"made":{"size":4}},"\u0000":{}}}`), []byte{})
	f.Fuzz(func(t *testing.T, manifest, record []byte) {
		root := t.TempDir()
		dir := filepath.Join(root, "made")
		kept := map[string]string{"outside.png": "outside", "made/mine.png": "mine", "made/sub/deep.png": "deep"}
		if err := os.MkdirAll(filepath.Join(dir, "sub"), 0o777); err != nil {
			t.Fatal(err)
		}
		write := func(path, content string) {
			if err := os.WriteFile(path, []byte(content), 0o666); err != nil {
				t.Fatal(err)
			}
		}
		for name, content := range kept {
			write(filepath.Join(root, name), content)
		}
		write(filepath.Join(dir, ManifestName), string(manifest))
		write(filepath.Join(dir, recordName), string(record))
		want := Folder{Dir: dir, Recipe: Recipe{Name: "r", Seed: 1, Format: 1}, Items: []Item{{Name: "a.png"}, {Name: "b.png"}},
			Make: func(item Item, _ []byte, w io.Writer) error {
				_, err := fmt.Fprint(w, "picture ", item.Name)
				return err
			}}
		var err error
		allocation.Within(t, len(manifest)+len(record), 600, 1<<20, func() { _, err = Fill(context.Background(), want) })
		for name, content := range kept {
			if got, err := os.ReadFile(filepath.Join(root, name)); err != nil || string(got) != content {
				t.Fatalf("%s is %q (%v), want %q", name, got, err, content)
			}
		}
		if err != nil {
			return
		}
		for _, name := range []string{"a.png", "b.png"} {
			if got, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(got) != "picture "+name {
				t.Fatalf("%s is %q (%v)", name, got, err)
			}
		}
		if made, err := Fill(context.Background(), want); made != 0 || err != nil {
			t.Fatalf("the second time %d are made (%v)", made, err)
		}
		Sources(dir)
		RecipeOf(dir)
	})
}
