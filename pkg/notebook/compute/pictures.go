package compute

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"rekindle/pkg/config"
	"rekindle/pkg/dataset/deadleaves"
	"rekindle/pkg/degrade"
	"rekindle/pkg/experiment"
	"rekindle/pkg/notebook"
	"rekindle/pkg/notebook/cell"
	"rekindle/pkg/restore"
	"rekindle/pkg/rgb"
)

// RestorePictures restores a picture, or all pictures of a folder, with the best
// weights of the current experiment, writes the results under another name and
// shows some before and after. Without a picture it says how to name one.
func RestorePictures(cfg config.Config, pictures, results string) {
	if pictures == "" {
		cell.Say("ℹ️  No picture is named: write the path of a picture or folder of yours between the quotation marks, and where the restored ones go")
		return
	}
	if cell.PassedOver("pictures", "restoring pictures") {
		return
	}
	exp := notebook.Experiment(cfg)
	cell.Check(restorePictures(exp.Dir, cfg.Device, pictures, results))
}

// RestoreWith is [RestorePictures] with any network: "latest", the name or folder
// of an experiment, or a .pth or .safetensors file. Without a picture it draws
// some, with the noise that the network was trained for.
func RestoreWith(network, pictures, results string) {
	cell.Check(restoreWith(network, pictures, results))
}

func restoreWith(network, pictures, results string) error {
	if err := cell.EnterClone(); err != nil {
		return err
	}
	root := config.Default().ExperimentsDir
	weights, err := restore.Weights(root, network, cell.Warn)
	if err != nil {
		return err
	}
	if network == experiment.Latest && weights == restore.Pretrained {
		cell.Say("ℹ️  %s", restore.NothingTrained)
	}
	if pictures == "" {
		cell.Say("ℹ️  No picture is named: these are drawn ones, with noise. Name a picture or folder of yours in PICTURES")
		if pictures, err = drawn(weights); err != nil {
			return err
		}
	}
	return restorePictures(weights, "", pictures, results)
}

// drawn makes two pictures with the noise that a network was trained for.
func drawn(weights string) (dir string, err error) {
	cfg := config.Default()
	cfg.NoiseSigma = 25 // what Pretrained takes; others say for themselves
	if exp, err := experiment.Open(weights); err == nil {
		if own, err := config.Load(exp.ConfigPath()); err == nil {
			cfg = own
		}
	}
	degradation, err := cfg.NewDegradation()
	if err != nil {
		return "", err
	}
	const seed = 2026 // of pictures that training has not seen
	root := filepath.Join("data", "drawn")
	clean, dir := filepath.Join(root, "clean"), filepath.Join(root, filepath.FromSlash(degradation.Name()))
	if err := os.MkdirAll(root, 0o777); err != nil {
		return "", err
	}
	if err := deadleaves.Folder(context.Background(), clean, 2, 360, 240, seed, nil); err != nil {
		return "", err
	}
	_, err = degrade.Folder(context.Background(), clean, dir, degradation, seed, nil)
	return dir, err
}

// slidersShown is how many pictures are shown before and after.
const slidersShown = 3

// largestShown bounds the memory that showing a picture takes, in pixels.
const largestShown = 50e6

func restorePictures(weights, device, pictures, results string) error {
	for _, path := range []*string{&pictures, &results} {
		expanded, err := config.ExpandPath(*path)
		if err != nil {
			return err
		}
		*path = expanded
	}
	work, passed, err := restore.Plan(pictures, results)
	if err != nil {
		return err
	}
	for _, why := range passed {
		cell.Warn(fmt.Sprintf("Passed over: %v", why))
	}
	r, err := restore.Opening{Device: device, Say: cell.Warn}.Open(weights)
	if err != nil {
		return err
	}
	about := r.About
	about.Path = cell.Short(about.Path)
	cell.Say("🔥 %s\n🖥️  %s", about, about.Engine)
	ctx, stop := interruptible()
	defer stop()
	var all int64
	count := cell.NewCounter("restored, in per cent:")
	failed, err := r.Files(ctx, work, restore.FileOptions{
		Begin: func(_, there int, pixels int64) {
			all = pixels
			if there > 0 {
				cell.Say("⏭️  %d of %d are there already; to restore them again, remove them from %s", there, len(work), cell.Short(results))
			}
		},
		Pixels: func(done int64) { count.Set(int(100*done/max(all, 1)), 100) },
		Done: func(d restore.FileDone) {
			if d.Err != nil {
				return
			}
			count.End()
			if d.There {
				cell.Say("⏭️  %s was made meanwhile", cell.Short(d.To))
				return
			}
			lost := ""
			if d.Lost != "" {
				lost = "  (" + d.Lost + ")"
			}
			cell.Say("✅ %s  %dx%d  %.1f s%s", cell.Short(d.To), d.W, d.H, d.Seconds, lost)
		},
	})
	count.End()
	switch {
	case errors.Is(err, context.Canceled):
		cell.Say("⏹️  Stopped; what is restored stays. Run the cell again for the rest")
		return nil
	case err != nil:
		return err
	}
	var unreadable []error
	for _, d := range failed {
		unreadable = append(unreadable, d.Err)
	}
	shown := 0
	for _, w := range work {
		if shown == slidersShown {
			cell.Say("   The other %d are in %s", len(work)-shown, cell.Short(results))
			break
		}
		if ok, err := show(w); err != nil {
			unreadable = append(unreadable, err)
		} else if ok {
			shown++
		}
	}
	return errors.Join(unreadable...)
}

// show shows a picture before and after; a large one also at full size, where
// restoring changed most.
func show(w restore.Work) (shown bool, err error) {
	if width, height, err := rgb.Size(w.To); err != nil || float64(width)*float64(height) > largestShown {
		return false, nil
	}
	before, err := rgb.Load(w.From)
	if err != nil {
		return false, nil // named already
	}
	after, err := rgb.Load(w.To)
	if err != nil || before.W != after.W || before.H != after.H {
		return false, err
	}
	return true, notebook.ShowRestored(filepath.Base(w.To), before, after)
}
