package progress

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"rekindle/pkg/durable"
	"rekindle/pkg/experiment"
	"rekindle/pkg/metrics"
	"rekindle/pkg/plots"
	"rekindle/pkg/rgb"
)

// Crops are the same few validation patches degraded, restored by the weights of
// one epoch, and clean, in the same order.
type Crops struct{ Degraded, Restored, Clean []*rgb.Image }

// row is what a network made of the crops, with the mean PSNR as a title.
func row(name string, images, clean []*rgb.Image) (plots.Row, error) {
	r := plots.Row{Images: images}
	for k, im := range images {
		s, err := metrics.Compare(im, clean[k])
		if err != nil {
			return r, err
		}
		r.Titles = append(r.Titles, fmt.Sprintf("%s, %.1f dB, SSIM %.3f", name, s.PSNR, s.SSIM))
	}
	return r, nil
}

// picture draws the crops: a row each for degraded, restored and clean.
func (c Crops) picture(epoch int) ([]byte, error) {
	degraded, err := row("Degraded", c.Degraded, c.Clean)
	if err != nil {
		return nil, err
	}
	restored, err := row(fmt.Sprintf("Epoch %d", epoch), c.Restored, c.Clean)
	if err != nil {
		return nil, err
	}
	clean := plots.Row{Images: c.Clean}
	for range c.Clean {
		clean.Titles = append(clean.Titles, "Clean")
	}
	return plots.Grid("", []plots.Row{degraded, restored, clean})
}

// course keeps what the network made of the crops after each validated epoch, as
// small pictures in the folder samples/course of the experiment, and from them
// draws the strip samples/training_course.png: from degraded over some epochs to
// clean. A session that goes on adds to what earlier ones have kept.
type course struct {
	dir, strip string
	crops      Crops // of the last epoch
}

func newCourse(exp *experiment.Experiment) *course {
	return &course{dir: exp.CourseDir(), strip: filepath.Join(exp.SamplesDir(), "training_course.png")}
}

const (
	keptEpochs  = 64 // more are thinned out to half as many
	shownEpochs = 6  // columns of the strip
)

func (c *course) path(epoch int) string {
	return filepath.Join(c.dir, fmt.Sprintf("epoch_%03d.png", epoch))
}

// add keeps the crops of a validated epoch and draws the strip again.
func (c *course) add(epoch int, crops Crops) error {
	c.crops = crops
	// Not the experiment's folder: one that was renamed would have another beside it.
	for _, dir := range []string{filepath.Dir(c.dir), c.dir} {
		if err := os.Mkdir(dir, 0o777); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	if err := stacked(crops.Restored).SavePNG(c.path(epoch)); err != nil {
		return err
	}
	epochs, err := c.epochs(epoch)
	if err != nil {
		return err
	}
	if epochs, err = c.thin(epochs); err != nil {
		return err
	}
	return c.draw(epochs)
}

// epochs lists what is kept, in order. Later ones than last are of a course that
// training has gone back behind: they are removed.
func (c *course) epochs(last int) ([]int, error) {
	files, err := os.ReadDir(c.dir)
	if err != nil {
		return nil, err
	}
	var epochs []int
	for _, f := range files {
		var epoch int
		if _, err := fmt.Sscanf(f.Name(), "epoch_%d.png", &epoch); err != nil || f.Name() != filepath.Base(c.path(epoch)) {
			continue
		}
		if epoch > last {
			if err := os.Remove(c.path(epoch)); err != nil {
				return nil, err
			}
			continue
		}
		epochs = append(epochs, epoch)
	}
	slices.Sort(epochs)
	return epochs, nil
}

// thin removes every second one of too many, but neither the first nor the last.
func (c *course) thin(epochs []int) ([]int, error) {
	if len(epochs) <= keptEpochs {
		return epochs, nil
	}
	var kept []int
	for i, epoch := range epochs {
		if i%2 == 0 || i == len(epochs)-1 {
			kept = append(kept, epoch)
		} else if err := os.Remove(c.path(epoch)); err != nil {
			return nil, err
		}
	}
	return kept, nil
}

// draw writes the strip: a row for each crop, a column for each of a few epochs
// between the degraded and the clean one.
func (c *course) draw(epochs []int) error {
	rows := make([]plots.Row, len(c.crops.Clean))
	add := func(title string, images []*rgb.Image) {
		for k, im := range images {
			rows[k].Images = append(rows[k].Images, im)
			t := ""
			if k == 0 {
				t = title
			}
			rows[k].Titles = append(rows[k].Titles, t)
		}
	}
	add("Degraded", c.crops.Degraded)
	for _, epoch := range evenly(epochs, shownEpochs) {
		im, err := rgb.Load(c.path(epoch))
		if err != nil {
			return err
		}
		images := unstacked(im, c.crops.Clean)
		if images == nil { // kept with another PatchSize
			continue
		}
		add(fmt.Sprintf("Epoch %d", epoch), images)
	}
	add("Clean", c.crops.Clean)
	png, err := plots.Grid("", rows)
	if err != nil {
		return err
	}
	return durable.WriteFile(c.strip, png)
}

// evenly takes n of a sorted list: the first, the last and some between, evenly.
func evenly(list []int, n int) []int {
	if len(list) <= n {
		return list
	}
	var chosen []int
	for i := range n {
		chosen = append(chosen, list[i*(len(list)-1)/(n-1)])
	}
	return chosen
}

// stacked lays pictures of one width under each other.
func stacked(images []*rgb.Image) *rgb.Image {
	out := &rgb.Image{W: images[0].W}
	for _, im := range images {
		out.H += im.H
		out.Pix = append(out.Pix, im.Pix...)
	}
	return out
}

// unstacked cuts what stacked made into pictures of the sizes of like; nil where
// they are not those.
func unstacked(im *rgb.Image, like []*rgb.Image) []*rgb.Image {
	var out []*rgb.Image
	y := 0
	for _, l := range like {
		if im.W != l.W || y+l.H > im.H {
			return nil
		}
		out = append(out, im.Crop(0, y, l.W, l.H))
		y += l.H
	}
	if y != im.H {
		return nil
	}
	return out
}

// Strip is the path of the picture of an experiment's course of training.
func Strip(exp *experiment.Experiment) string { return newCourse(exp).strip }
