package setup

import (
	_ "embed"
	"os"
	"path/filepath"

	"rekindle/pkg/durable"
	"rekindle/pkg/tree"
)

//go:embed papermill/rekindle_papermill.py
var papermillModule string

// installTranslator puts what gives papermill's parameters to our notebooks beside the
// papermill in the clone's .venv, if there is one: the module, and the few files by
// which Python knows that it is installed. pip would need a network for the same.
func (s *Clone) installTranslator() error {
	for _, papermill := range tree.Glob(s.venv(), "lib/python3*/site-packages/papermill") {
		dir := filepath.Dir(papermill)
		info := filepath.Join(dir, "rekindle_papermill-1.0.dist-info")
		if err := os.MkdirAll(info, 0o777); err != nil {
			return err
		}
		for path, text := range map[string]string{
			filepath.Join(dir, "rekindle_papermill.py"): papermillModule,
			filepath.Join(info, "METADATA"):             "Metadata-Version: 2.1\nName: rekindle-papermill\nVersion: 1.0\n",
			filepath.Join(info, "INSTALLER"):            "rekindle\n",
			filepath.Join(info, "entry_points.txt"):     "[papermill.engine]\nrekindle = rekindle_papermill:engine\n",
			filepath.Join(info, "RECORD"):               "rekindle_papermill.py,,\nrekindle_papermill-1.0.dist-info/METADATA,,\nrekindle_papermill-1.0.dist-info/INSTALLER,,\nrekindle_papermill-1.0.dist-info/entry_points.txt,,\nrekindle_papermill-1.0.dist-info/RECORD,,\n",
		} {
			if old, err := os.ReadFile(path); err == nil && string(old) == text {
				continue
			}
			if err := durable.WriteFile(path, []byte(text)); err != nil {
				return err
			}
		}
	}
	return nil
}
