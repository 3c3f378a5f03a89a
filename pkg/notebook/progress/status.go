package progress

import "rekindle/pkg/experiment"

// status keeps an experiment's progress.json. Training does not depend on it: on a
// disk that is full those who watch see that it grows old.
type status struct {
	exp   *experiment.Experiment
	owner experiment.Owner
}

func (s *status) write(r running) {
	if s == nil || r.closed || r.batches == 0 {
		return
	}
	_ = s.exp.SaveProgress(experiment.Progress{
		Owner: s.owner, Updated: r.asOf, Moved: r.moved,
		FromEpoch: r.fromEpoch, Epoch: r.epoch, NumEpochs: r.epochs, Batch: r.batch, Batches: r.batches,
		Loss: experiment.Number(r.loss), ImagesPerSecond: r.speed, MemoryMB: float64(r.memory) / (1 << 20), OnGPU: r.onGPU, SecondsLeft: r.left.Seconds(),
	})
}

func (s *status) remove() {
	if s != nil {
		_ = s.exp.RemoveProgress()
	}
}
