package restore

import "fmt"

// published are the noise levels that networks which take one were trained for by
// their authors, for files that do not say: FFDNet 0 to 75, DRUNet 0 to 50.
var published = map[string][2]float64{"ffdnet": {0, 75}, "ffdnet_merged": {0, 75}, "drunet": {0, 50}}

// Outside is a sentence for people where the network was not trained for a noise
// level, "" where it was or nothing is known.
func (a About) Outside(sigma float64) string {
	low, high := a.Levels[0], a.Levels[1]
	if high == 0 || sigma >= low && sigma <= high {
		return ""
	}
	trained := fmt.Sprintf("noise levels of %g to %g", low, high)
	if low == high {
		trained = fmt.Sprintf("a noise level of %g", low)
	}
	return fmt.Sprintf("%s was trained for %s, and %g is outside of that; expect worse results", a.Network, trained, sigma)
}

// TakesLevel says whether the network must be told the level of the noise, see [Restorer.At].
func (r *Restorer) TakesLevel() bool { return r.net.TakesSigma() }

// At returns a Restorer of the same network that tells it the level of the noise
// in the pictures: a standard deviation of 0 to 255 grey levels. Networks that take
// no level refuse it; those that take one restore nothing without it.
// [About.Outside] says whether the network was trained for the level.
func (r *Restorer) At(sigma float64) (*Restorer, error) {
	switch {
	case !r.TakesLevel():
		return nil, fmt.Errorf("restore: %s takes no noise level (SIGMA); leave it out: it restores what it was trained for", r.net.Name)
	case !(sigma >= 0 && sigma <= 255):
		return nil, fmt.Errorf("restore: the noise level (SIGMA) is %v; it must be 0 to 255 grey levels", sigma)
	}
	at := *r
	at.level = &sigma
	return &at, nil
}

// levels are those of n images; nil where the network takes none.
func (r *Restorer) levels(n int) ([]float32, error) {
	if !r.TakesLevel() {
		return nil, nil
	}
	if r.level == nil {
		return nil, fmt.Errorf("restore: %s must be told the level of the noise, such as SIGMA=25: its standard deviation in grey levels of 0 to 255", r.net.Name)
	}
	list := make([]float32, n)
	for i := range list {
		list[i] = float32(*r.level)
	}
	return list, nil
}
