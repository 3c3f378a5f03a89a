package notebook

import (
	"rekindle/pkg/interrupt"
	"rekindle/pkg/notebook/cell"
	"rekindle/pkg/notebook/progress"
	"rekindle/pkg/watch"
)

// Watch shows a training run that goes on elsewhere, in another notebook or in one whose
// page was closed or loaded anew, as the training cell shows its own, until it is over
// or this cell is interrupted. It needs a kernel of its own: in the notebook that trains
// it would wait for the end of training. name is that of an experiment under root, a
// pattern, the path of a folder, or "latest", the one that trains now.
func Watch(root, name string) {
	cell.Check(cell.EnterClone())
	exp, err := watch.Choose(root, name)
	cell.Check(err)
	ctx, stop := interrupt.Context()
	defer stop()
	v := watch.Look(exp, nil)
	cell.Say("👀 %s %s", v.Name(), v.State())
	v = progress.Watch(ctx, v)
	switch {
	case !v.Ended():
		cell.Say("⏹️  This view has ended; training goes on")
	default:
		cell.Say("🏁 %s %s", exp.Name(), v.State())
	}
}
