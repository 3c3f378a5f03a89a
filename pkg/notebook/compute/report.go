package compute

import (
	"rekindle/pkg/experiment"
	"rekindle/pkg/history"
	"rekindle/pkg/tensorboard"
	"rekindle/pkg/train"
)

// logged is a Reporter that also writes TensorBoard's event files. Training does
// not depend on them: an error is said once, and it goes on.
type logged struct {
	train.Reporter
	log  *tensorboard.Log
	said bool
}

func withTensorBoard(r train.Reporter, exp *experiment.Experiment) *logged {
	return &logged{Reporter: r, log: tensorboard.New(exp)}
}

func (l *logged) Start(startEpoch, numEpochs, batchesPerEpoch int) {
	l.Reporter.Start(startEpoch, numEpochs, batchesPerEpoch)
	l.say(l.log.Start(startEpoch))
}

func (l *logged) EpochDone(epoch int, e history.Epoch, bestEpoch int, bestLoss float64) {
	l.Reporter.EpochDone(epoch, e, bestEpoch, bestLoss)
	l.say(l.log.EpochDone(epoch, e))
}

func (l *logged) Close() {
	l.log.Close()
	l.Reporter.Close()
}

func (l *logged) say(err error) {
	if err == nil || l.said {
		return
	}
	l.said = true
	l.Message("⚠️  TensorBoard's event files cannot be written: %v", err)
	l.Message("   Training goes on; history.json has the same numbers, and the files catch up as soon as they can be written")
}
