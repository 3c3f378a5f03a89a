package machine

import "testing"

func TestOneVariableMovesAllCaches(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", "/home/me/.cache")
	for _, c := range []struct{ variable, want string }{
		{"", "/home/me/.cache/rekindle/pixels"}, {"/scratch/me", "/scratch/me/pixels"}, {"off", ""},
	} {
		t.Setenv("REKINDLE_CACHE_DIR", c.variable)
		if got, err := CacheFolder("pixels"); got != c.want || err != nil {
			t.Errorf("REKINDLE_CACHE_DIR=%q: got %q, %v; want %q", c.variable, got, err, c.want)
		}
	}
}
