package checkpoint

import (
	"rekindle/pkg/checkpoint/pth"
	"rekindle/pkg/config"
)

// Settings reads those that the newest checkpoint of a folder was saved with, of
// which nothing but the metadata is looked at. Where there is none, or only such as
// PyTorch made, from is the zero Entry. unread names keys whose value did not fit.
func (dir Folder) Settings() (cfg config.Config, unread []string, from Entry, err error) {
	entries, err := dir.List()
	for _, e := range entries {
		if e.Err != nil {
			continue
		}
		f, err := pth.Open(e.Path)
		if err != nil {
			continue // removed or damaged a moment ago
		}
		x, err := new(State).readNumbers(f.Root)
		f.Close()
		if err != nil || x.Format == 0 {
			continue
		}
		if cfg, unread, err = config.Decode(x.Config); err == nil {
			return cfg, unread, e, nil
		}
	}
	return cfg, nil, Entry{}, err
}
