package config

import (
	"encoding/json"
	"testing"

	"rekindle/pkg/internal/allocation"
)

// FuzzConfig: a config.json of any content is refused or can be checked, compared,
// written and read again to the same configuration.
func FuzzConfig(f *testing.F) {
	for _, c := range []Config{Default(), {}} {
		raw, err := json.Marshal(c)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	f.Add([]byte(`{"num_epochs": 2, "model": "unet", "unknown": [{}], "learning_rate": "x", "noise_sigma": 1e400}`))
	f.Add([]byte(`{"num_epochs": 9223372036854775807, "patch_size": -1, "model": "\ud800"}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		var c Config
		var err error
		allocation.Within(t, len(raw), 400, 1<<20, func() { c, _, err = Decode(raw) })
		if err != nil {
			return
		}
		_ = c.Validate()
		_, _ = c.NewDegradation()
		Diff(Default(), c)
		text, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		again, unread, err := Decode(text)
		if err != nil || len(unread) > 0 || again != c {
			t.Fatalf("written again it is another one: %v, %q", err, unread)
		}
	})
}
