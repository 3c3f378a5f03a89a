// Package tensorboard writes what training measures as event files, which
// TensorBoard shows as curves while training goes on.
//
// Each session of training writes a file of its own into the experiment's
// logs/tensorboard_logs; a step is an epoch. The tags are those of the Python
// original. history.json is the truth and the event files follow it: whatever
// epochs they lack (training before there were event files, a fork, a full disk,
// a kill in between) are filled in when the next session begins.
//
//	log := tensorboard.New(exp)
//	err := log.Start(firstEpoch)
//	err = log.EpochDone(epoch, row) // after history.json has been saved
//	log.Close()
//
// Nothing is flushed to the disk: a power cut may cost the newest epochs, which
// the next session fills in.
package tensorboard

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"rekindle/pkg/experiment"
	"rekindle/pkg/history"
)

// Log is an experiment's event files, seen by one session of training. After an
// error it can be used on: the next epoch begins a new file, and fills in what
// could not be written.
type Log struct {
	exp  *experiment.Experiment
	now  func() time.Time
	file *os.File // nil: none is open
}

// New returns the log of an experiment. Nothing is written before Start.
func New(exp *experiment.Experiment) *Log { return &Log{exp: exp, now: time.Now} }

// Start begins a file for a session whose first epoch, 1-based, is given.
func (l *Log) Start(first int) error {
	l.Close()
	past, err := l.exp.History()
	if err != nil {
		return fmt.Errorf("tensorboard: %w", err)
	}
	if err := os.MkdirAll(l.exp.LogsDir(), 0o777); err != nil {
		return fmt.Errorf("tensorboard: %w", err)
	}
	files, err := eventFiles(l.exp.LogsDir())
	if err != nil {
		return fmt.Errorf("tensorboard: %w", err)
	}
	last := min(first-1, past.Len())
	begin := covered(files) + 1
	if begin > last { // nothing to fill in
		begin = first
	}
	wall := seconds(l.now())
	text := appendRecord(nil, versionEvent(wall))
	text = appendRecord(text, startEvent(wall, begin))
	for epoch := begin; epoch <= last; epoch++ {
		text = appendRecord(text, scalarsEvent(wall, epoch, scalars(past.At(epoch-1))))
	}
	return l.create(l.exp.LogsDir(), files, text)
}

// EpochDone writes an epoch, 1-based. Where no file is open it begins one.
func (l *Log) EpochDone(epoch int, e history.Epoch) error {
	if l.file == nil {
		if err := l.Start(epoch); err != nil {
			return err
		}
	}
	text := appendRecord(nil, scalarsEvent(seconds(l.now()), epoch, scalars(e)))
	if _, err := l.file.Write(text); err != nil {
		l.Close() // behind half a record nothing can be read
		return fmt.Errorf("tensorboard: %w", err)
	}
	return nil
}

// Close ends the session's file.
func (l *Log) Close() {
	if l.file != nil {
		l.file.Close()
		l.file = nil
	}
}

// create opens a new file that begins with text, or leaves none. TensorBoard
// reads files in the order of their names, so its time is later than that of
// all others, even where the clock went back.
func (l *Log) create(dir string, files []string, text []byte) error {
	stamp := l.now().Unix()
	for _, path := range files {
		if t, ok := stampOf(path); ok && t >= stamp {
			stamp = t + 1
		}
	}
	host, err := os.Hostname()
	if err != nil || strings.ContainsRune(host, filepath.Separator) {
		host = "localhost"
	}
	name := fmt.Sprintf("%s%010d.%s.%d.0", prefix, stamp, host, os.Getpid())
	file, err := os.OpenFile(filepath.Join(dir, name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return fmt.Errorf("tensorboard: %w", err)
	}
	if _, err := file.Write(text); err != nil {
		file.Close()
		os.Remove(file.Name())
		return fmt.Errorf("tensorboard: %w", err)
	}
	l.file = file
	return nil
}

const prefix = "events.out.tfevents."

// eventFiles returns the paths of a folder's event files, oldest first.
func eventFiles(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var paths []string
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), prefix) && e.Type().IsRegular() {
			paths = append(paths, filepath.Join(dir, e.Name()))
		}
	}
	slices.Sort(paths)
	return paths, nil
}

// stampOf is the time in the name of an event file, in seconds since 1970.
func stampOf(path string) (int64, bool) {
	text, _, _ := strings.Cut(strings.TrimPrefix(filepath.Base(path), prefix), ".")
	stamp, err := strconv.ParseInt(text, 10, 64)
	return stamp, err == nil
}

// covered returns n where TensorBoard shows the epochs 1 to n without a gap.
func covered(files []string) int {
	n := 0
	eachEvent(files, func(o outline, _ []byte) {
		switch {
		case o.start:
			n = min(n, o.step-1)
		case o.summary != nil && o.step == n+1:
			n++
		}
	})
	return max(n, 0)
}

// eachEvent calls f with the events of files, in order. A file counts as far as
// it can be read.
func eachEvent(files []string, f func(o outline, event []byte)) {
	for _, path := range files {
		text, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		for {
			event, rest, ok := cutRecord(text)
			if !ok {
				break
			}
			text = rest
			if o, ok := parseOutline(event); ok {
				f(o, event)
			}
		}
	}
}

// scalars names an epoch's measurements as the Python original does. What was
// not measured is left out.
func scalars(e history.Epoch) []scalar {
	return slices.DeleteFunc([]scalar{
		{"Loss/train", e.TrainLoss}, {"L1/train", e.TrainL1}, {"SSIM/train", e.TrainSSIM},
		{"Loss/val", e.ValLoss}, {"L1/val", e.ValL1}, {"SSIM/val", e.ValSSIM}, {"PSNR/val", e.ValPSNR},
		{"Learning_Rate", e.LR},
		{"Time/epoch_seconds", e.EpochTime}, {"Time/inference_seconds", e.InferenceTime},
		{"Memory/allocated_mb", e.MemoryAllocatedMB}, {"Memory/reserved_mb", e.MemoryReservedMB},
	}, func(s scalar) bool { return math.IsNaN(s.value) || math.IsInf(s.value, 0) })
}

func seconds(t time.Time) float64 { return float64(t.UnixMicro()) / 1e6 }
