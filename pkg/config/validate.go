package config

import (
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"rekindle/pkg/degrade"
)

// Validate reports everything that cannot work, one sentence for each key.
func (c Config) Validate() error {
	var problems []error
	bad := func(format string, args ...any) { problems = append(problems, fmt.Errorf("config: "+format, args...)) }

	t := reflect.TypeFor[Config]()
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Tag.Get("of") != "" {
			continue // the strength of a degradation: keys of other kinds may be anything
		}
		if wrong := outside(f, reflect.ValueOf(c).Field(i)); wrong != "" {
			bad("%s is %s; it must be %s", f.Name, show(reflect.ValueOf(c).Field(i).Interface()), wrong)
		}
	}
	oneOf := func(key, value string, allowed []string) bool {
		if !slices.Contains(allowed, value) {
			bad("%s is %q; it must be one of %q", key, value, allowed)
			return false
		}
		return true
	}
	oneOf("Model", c.Model, Models)
	if oneOf("Degradation", c.Degradation, degrade.Names()) {
		if _, err := c.NewDegradation(); err != nil {
			bad("%s", strings.TrimPrefix(err.Error(), "degrade: "))
		}
	}
	for _, f := range []struct{ key, value string }{
		{"ExperimentsDir", c.ExperimentsDir}, {"TrainCleanDir", c.TrainCleanDir}, {"ValCleanDir", c.ValCleanDir},
	} {
		if strings.TrimSpace(f.value) == "" {
			bad("%s is empty", f.key)
		}
	}
	for _, f := range []struct{ key, value string }{
		{"ExperimentName", c.ExperimentName}, {"ResumeExperiment", c.ResumeExperiment}, {"ForkExperiment", c.ForkExperiment},
	} {
		if strings.ContainsAny(f.value, `/\`) || f.value == ".." || f.value == "." {
			bad("%s is %q; it must be the plain name of a folder", f.key, f.value)
		}
	}
	if n := len(c.ExperimentName); n > longestName {
		bad("ExperimentName has %d bytes; with the date before it, file systems take no more than %d", n, longestName)
	}
	for _, contradiction := range c.contradictions() {
		bad("%s", contradiction)
	}
	return errors.Join(problems...)
}

// longestName is how long ExperimentName may be, in bytes: a name of a file may have
// 255, "20251230_153045_" takes 16, and the executed notebook is called after both.
const longestName = 150

// outside says what a value must be that is not in the range of its field, ""
// where it is.
func outside(f reflect.StructField, v reflect.Value) string {
	if list := f.Tag.Get("oneof"); list != "" {
		if allowed := strings.Split(list, ","); !slices.Contains(allowed, v.String()) {
			return fmt.Sprintf("one of %q", allowed)
		}
		return ""
	}
	tag := f.Tag.Get("range")
	if tag == "" {
		return ""
	}
	limits := parseRange(tag)
	if v.CanInt() {
		switch {
		case float64(v.Int()) < limits.low:
			return fmt.Sprintf("at least %.0f", limits.low)
		case float64(v.Int()) > limits.high:
			return fmt.Sprintf("at most %.0f", limits.high)
		}
		return ""
	}
	if x := v.Float(); !math.IsInf(x, 0) && (x > limits.low || x == limits.low && !limits.openLow) && (x < limits.high || x == limits.high && !limits.openHigh) {
		return ""
	}
	return "a number " + limits.String()
}

// limits are those of a tag such as "[0,1)": an interval as mathematics writes it.
type limits struct {
	low, high         float64
	openLow, openHigh bool
}

func parseRange(tag string) limits {
	low, high, _ := strings.Cut(tag[1:len(tag)-1], ",")
	l := limits{openLow: tag[0] == '(', openHigh: tag[len(tag)-1] == ')', high: math.Inf(1)}
	l.low, _ = strconv.ParseFloat(low, 64) // a test reads all tags
	if high != "" {
		l.high, _ = strconv.ParseFloat(high, 64)
	}
	return l
}

func (l limits) String() string {
	low, high := "of at least ", " and at most "
	if l.openLow {
		low = "above "
	}
	if l.openHigh {
		high = " and below "
	}
	text := low + strconv.FormatFloat(l.low, 'f', -1, 64)
	if !math.IsInf(l.high, 1) {
		text += high + strconv.FormatFloat(l.high, 'f', -1, 64)
	}
	return text
}

// contradictions lists keys that do not go together.
func (c Config) contradictions() (found []string) {
	say := func(format string, args ...any) { found = append(found, fmt.Sprintf(format, args...)) }
	if c.PatchSize >= 16 && c.TileOverlap >= c.PatchSize {
		say("TileOverlap is %d; it must be smaller than PatchSize (%d), or tiles never advance", c.TileOverlap, c.PatchSize)
	}
	if c.NumEpochs > 0 && c.WarmupEpochs > c.NumEpochs {
		say("WarmupEpochs is %d, longer than the whole run of %d epochs (NumEpochs), and the learning rate would never be reached; lower WarmupEpochs", c.WarmupEpochs, c.NumEpochs)
	}
	if c.Scheduler == "cosine" && c.MinLR > c.LearningRate && c.LearningRate > 0 {
		say("MinLR is %g, above LearningRate (%g), and the cosine falls from the one to the other; lower MinLR", c.MinLR, c.LearningRate)
	}
	if c.NoiseUnclipped > 0 && c.NoiseUnclipped <= 1 && c.Degradation == "gaussian" && !c.DegradeOnTheFly {
		say("NoiseUnclipped is %g, but the copies that are read without DegradeOnTheFly are all rounded and clipped; set DegradeOnTheFly = true", c.NoiseUnclipped)
	}
	if c.LossAlpha == 0 && c.LossBeta == 0 && c.LossGamma == 0 {
		say("LossAlpha, LossBeta and LossGamma are all 0; there is nothing to learn from")
	}
	if c.LossCharbonnier > 0 && c.LossAlpha == 0 {
		say("LossCharbonnier takes the place of L1, but LossAlpha, its weight, is 0; set LossAlpha, e.g. to 1, or LossCharbonnier to 0")
	}
	if c.LossGamma > 0 && strings.TrimSpace(c.VGGWeights) == "" {
		say("LossGamma is %g, but VGGWeights names no file; get torchvision's vgg16-397923af.pth and name it, or set LossGamma to 0", c.LossGamma)
	}
	if c.ForkExperiment != "" && c.InitialWeights != "" {
		say("ForkExperiment is %q and InitialWeights is %q; a run begins with the weights of one of them, so leave the other empty", c.ForkExperiment, c.InitialWeights)
	}
	folder := func(dir string) string {
		if strings.TrimSpace(dir) == "" {
			return ""
		}
		return filepath.Clean(dir)
	}
	if dir := folder(c.TrainDegradedDir); dir != "" && dir == folder(c.ValDegradedDir) && folder(c.TrainCleanDir) != folder(c.ValCleanDir) {
		say("TrainDegradedDir and ValDegradedDir are both %q; the copies of two sets need two folders", c.TrainDegradedDir)
	}
	for _, f := range []struct{ key, degraded, clean string }{
		{"Train", c.TrainDegradedDir, c.TrainCleanDir}, {"Val", c.ValDegradedDir, c.ValCleanDir},
	} {
		if dir := folder(f.degraded); dir != "" && dir == folder(f.clean) {
			say("%sDegradedDir and %sCleanDir are both %q; a network cannot learn from pictures that are their own originals", f.key, f.key, f.degraded)
		}
	}
	return found
}
