package compute

import (
	"bytes"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"rekindle/pkg/notify"
)

// A server that says the token back, a run, its evaluation and its exports: of the
// token there is nothing in what is printed, and in no file that is left.
func TestNoFileOfAnExperimentHoldsTheToken(t *testing.T) {
	const token = "123456:very-secret"
	cfg, exp := small(t)
	cfg.NotifyEvery = 1
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusUnauthorized)
		fmt.Fprintf(w, `{"ok":false,"error_code":401,"description":"no bot at %s"}`, r.URL.Path)
	}))
	defer server.Close()
	t.Setenv(notify.TokenVariable, token)
	t.Setenv(notify.ChatVariable, "42")
	t.Setenv(notify.ServerVariable, server.URL)
	said := trainedFor(t, cfg)
	printed := printing(t)
	Evaluate(cfg)
	Export(cfg, "onnx")
	Export(cfg, "safetensors")
	if said += printed.String(); strings.Contains(said, "secret") || !strings.Contains(said, "Messages to Telegram") {
		t.Errorf("printed %s", said)
	}
	files := 0
	for _, dir := range []string{exp.Dir, os.Getenv("GONB_TMP_DIR")} {
		err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
			if err != nil || !e.Type().IsRegular() {
				return err
			}
			raw, err := os.ReadFile(path)
			if files++; bytes.Contains(raw, []byte("secret")) {
				t.Errorf("%s holds the token", path)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if files < 10 {
		t.Errorf("only %d files were looked at", files)
	}
}
