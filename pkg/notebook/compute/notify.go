package compute

import (
	"context"
	"fmt"
	"math"
	"os"
	"time"

	"rekindle/pkg/config"
	"rekindle/pkg/experiment"
	"rekindle/pkg/figures"
	"rekindle/pkg/history"
	"rekindle/pkg/notebook/cell"
	"rekindle/pkg/notify"
	"rekindle/pkg/train"
)

// notified is a Reporter that also writes to a Telegram chat. Training does not
// depend on it: what goes wrong is said once, and it goes on.
type notified struct {
	train.Reporter
	chat        *notify.Chat // nil: nobody is told
	failed      chan error
	cfg         config.Config
	name        string
	validations int // in this session
}

// How long the end of training waits for messages. GoNB kills a cell 5 s after
// it was interrupted, and the save before takes up to 4.
const (
	goodbye      = 10 * time.Second
	hastyGoodbye = 900 * time.Millisecond
)

func withTelegram(r train.Reporter, exp *experiment.Experiment, cfg config.Config) *notified {
	n := &notified{Reporter: r, failed: make(chan error, 1), cfg: cfg, name: cfg.Model + "/" + cfg.Degradation + "/" + exp.Name()}
	if cfg.NotifyEvery == 0 {
		return n
	}
	account, err := notify.Credentials(".env")
	if err != nil {
		cell.Say("⚠️  No messages to Telegram: %v", err)
		return n
	}
	cell.Say("📱 Telegram: a message after every %s", validations(cfg.NotifyEvery))
	n.chat = notify.NewChat(account, func(err error) { n.failed <- err })
	return n
}

func validations(n int) string {
	if n == 1 {
		return "validation"
	}
	return fmt.Sprintf("%d validations", n)
}

func (n *notified) Start(startEpoch, numEpochs, batchesPerEpoch int) {
	n.Reporter.Start(startEpoch, numEpochs, batchesPerEpoch)
	host, _ := os.Hostname()
	n.send("🚀 %s: training epochs %d to %d on %s, %d steps each, batches of %d", n.name, startEpoch, numEpochs, host, batchesPerEpoch, n.cfg.BatchSize)
}

func (n *notified) EpochDone(epoch int, e history.Epoch, bestEpoch int, bestLoss float64) {
	n.Reporter.EpochDone(epoch, e, bestEpoch, bestLoss)
	n.sayFailure(n.Message)
	if math.IsNaN(e.ValLoss) {
		return
	}
	if n.validations++; n.cfg.NotifyEvery > 0 && n.validations%n.cfg.NotifyEvery == 0 {
		n.send("📈 %s: epoch %d of %d\ntrain_loss %s, val_loss %s, val_ssim %s\nbest: epoch %d, val_loss %s",
			n.name, epoch, n.cfg.NumEpochs, figures.Loss(e.TrainLoss), figures.Loss(e.ValLoss), figures.Loss(e.ValSSIM), bestEpoch, figures.Loss(bestLoss))
	}
}

// finish tells how the run ended and waits for the message to leave; not for
// long where ctx has ended, or ends meanwhile: somebody has interrupted.
func (n *notified) finish(ctx context.Context, r *train.Result, err error) {
	if n.chat == nil {
		return
	}
	switch {
	case r == nil:
		n.send("❌ %s: %v", n.name, err)
	case r.Outcome == train.OutOfMemory:
		n.send("❌ %s: out of memory, nothing is lost\n%v", n.name, err)
	case err != nil:
		n.send("❌ %s: %v", n.name, err)
	case r.Outcome == train.Interrupted:
		n.send("⏸️ %s: interrupted after epoch %d, everything is saved", n.name, r.History.Len())
	case r.Outcome == train.LimitReached:
		n.send("⏸️ %s: the limit of this session is reached after epoch %d, everything is saved", n.name, r.History.Len())
	default:
		n.send("✅ %s: %s after epoch %d\nbest: epoch %d, val_loss %s", n.name, r.Outcome, r.History.Len(), r.BestEpoch, figures.Loss(r.BestLoss))
	}
	defer context.AfterFunc(ctx, func() { n.chat.Within(hastyGoodbye) })()
	n.chat.Close(goodbye)
	n.sayFailure(cell.Say)
}

func (n *notified) send(format string, args ...any) {
	if n.chat != nil {
		n.chat.Send(fmt.Sprintf(format, args...))
	}
}

// sayFailure prints what went wrong, which the chat tells once.
func (n *notified) sayFailure(say func(format string, args ...any)) {
	select {
	case err := <-n.failed:
		say("⚠️  Messages to Telegram were lost: %v", err)
	default:
	}
}
