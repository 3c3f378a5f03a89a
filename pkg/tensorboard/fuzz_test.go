package tensorboard

import (
	"os"
	"path/filepath"
	"testing"

	"rekindle/pkg/internal/allocation"
)

// FuzzEvents: an event file of any content is read as far as it can be.
func FuzzEvents(f *testing.F) {
	text := appendRecord(nil, versionEvent(1))
	text = appendRecord(text, startEvent(1, 2))
	text = appendRecord(text, scalarsEvent(1, 1, []scalar{{"Loss/train", 0.5}, {"Loss/val", 0.25}}))
	f.Add(text, true)
	f.Add(imageEvent(1, 2, "Samples", 4, 4, []byte("png")), false)
	f.Add(scalarsEvent(1, -7, []scalar{{"x", 1}}), false)
	f.Add(text[:len(text)-3], true)
	path := filepath.Join(f.TempDir(), "events.out.tfevents.0000000001.host.1.0")
	f.Fuzz(func(t *testing.T, raw []byte, file bool) {
		if !file { // an event, behind the checksums that stop most others
			raw = appendRecord(appendRecord(nil, versionEvent(1)), raw)
		}
		if err := os.WriteFile(path, raw, 0o666); err != nil {
			t.Fatal(err)
		}
		allocation.Within(t, len(raw), 40, 1<<18, func() {
			if n := covered([]string{path}); n < 0 || n > len(raw) {
				t.Errorf("%d epochs in %d bytes", n, len(raw))
			}
			shown([]string{path})
		})
	})
}
