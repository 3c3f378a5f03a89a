package restore

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"rekindle/pkg/experiment"
)

// Pretrained is the name of the network that comes with this program; see package
// pretrained. [Open] takes it for a path.
const Pretrained = "pretrained"

// NothingTrained tells a person why it is Pretrained that restores.
const NothingTrained = "Nothing was trained here yet, so the network that comes with this program restores: for noise of a standard deviation up to 55 grey levels in colour pictures"

// Weights finds what to [Open]: the file or folder that which names, [Pretrained],
// or an experiment under the folder experiments, by its name or "latest". While
// nothing was trained there, "latest" is [Pretrained].
func Weights(experiments, which string, say func(line string)) (path string, err error) {
	if info, err := os.Stat(which); err == nil && !info.IsDir() {
		return which, nil
	}
	if strings.HasSuffix(which, ".pth") || strings.HasSuffix(which, ".safetensors") {
		return "", fmt.Errorf("there is no file %s", which)
	}
	if which == Pretrained {
		return Pretrained, nil
	}
	found, err := experiment.Select(experiments, say, which)
	if errors.Is(err, experiment.ErrNone) && which == experiment.Latest {
		return Pretrained, nil
	}
	if err != nil {
		return "", err
	}
	if len(found) > 1 {
		return "", fmt.Errorf("%s means %d experiments; name one, such as %s", which, len(found), found[0].Dir)
	}
	return found[0].Dir, nil
}
