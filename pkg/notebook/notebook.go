// Package notebook is what the cells of a notebook call: one function for each
// section that neither trains nor infers, and the glue to GoNB for those that do
// (their functions are in package notebook/compute).
//
//	%%
//	notebook.Configure(func(cfg *config.Config) { cfg.BatchSize = 4 })
//	%%
//	notebook.SetUp(notebook.Settings(), notebook.SkipsTraining())
//	%%
//	notebook.PlotCurves(notebook.Settings())
//
// GoNB runs every cell as a program of its own, so nothing stays in memory from
// one cell to the next. The settings of [Configure] and the experiment that [SetUp]
// chose are remembered in the kernel's own folder, and everything else is read from
// the experiment's folder. A new kernel starts with neither, and a cell that needs
// them says which cell to run first.
//
// What goes wrong is shown as one sentence that says what to do, and ends the
// cell with exit status 1. No function here needs the engine that computes, so
// a cell that only looks at results starts in well under a second.
//
// Folders in a configuration are relative to the clone, wherever in it the
// notebook lies.
package notebook

import "rekindle/pkg/notebook/cell"

// Check ends the cell with err's sentence and exit status 1; it does nothing when err
// is nil. It is for cells of your own.
func Check(err error) { cell.Check(err) }
