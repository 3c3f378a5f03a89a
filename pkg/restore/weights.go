package restore

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"rekindle/pkg/experiment"
)

// ErrNone is returned, wrapped, where nothing was trained.
var ErrNone = errors.New("nothing was trained yet")

// Weights finds what to [Open]: the file or folder that which names, or an
// experiment under the folder experiments, by its name or "latest".
func Weights(experiments, which string) (path string, err error) {
	if info, err := os.Stat(which); err == nil && !info.IsDir() {
		return which, nil
	}
	if strings.HasSuffix(which, ".pth") || strings.HasSuffix(which, ".safetensors") {
		return "", fmt.Errorf("there is no file %s", which)
	}
	found, err := experiment.Select(experiments, which)
	if errors.Is(err, experiment.ErrNone) {
		return "", fmt.Errorf("%w under %s: run \"make run\" first, or name a .pth or .safetensors file as EXPERIMENT", ErrNone, experiments)
	}
	if err != nil {
		return "", err
	}
	if len(found) > 1 {
		return "", fmt.Errorf("%s means %d experiments; name one, such as %s", which, len(found), found[0].Dir)
	}
	return found[0].Dir, nil
}
