package tensorboard

import (
	"encoding/binary"
	"encoding/hex"
	"maps"
	"math"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"rekindle/pkg/experiment"
	"rekindle/pkg/history"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

// row is what session s measures in an epoch; even ones are not validated.
func row(s, epoch int) history.Epoch {
	x := float64(100*s + epoch)
	e := history.Epoch{
		TrainLoss: x + 0.125, TrainL1: x + 0.25, TrainSSIM: x + 0.375, ValLoss: x + 0.5, ValL1: x + 0.625, ValSSIM: x + 0.75, ValPSNR: x + 0.875, LR: 1 / x,
		EpochTime: 10 * x, InferenceTime: 20 * x, MemoryAllocatedMB: 30 * x, MemoryReservedMB: 40 * x,
	}
	if epoch%2 == 0 {
		e.ValLoss, e.ValL1, e.ValSSIM, e.ValPSNR, e.InferenceTime = math.NaN(), math.NaN(), math.NaN(), math.NaN(), math.NaN()
	}
	return e
}

// trial is an experiment that is trained without training.
type trial struct {
	*testing.T
	exp     *experiment.Experiment
	history history.History
	clock   time.Time
}

func newTrial(t *testing.T) *trial {
	return &trial{T: t, exp: &experiment.Experiment{Dir: t.TempDir()}, clock: noon}
}

// begin starts a session that resumes after so many epochs.
func (r *trial) begin(done int) *Log {
	r.Helper()
	r.history.Resize(done)
	if err := r.history.Save(r.exp.HistoryPath()); err != nil {
		r.Fatal(err)
	}
	l := New(r.exp)
	l.now = func() time.Time { return r.clock }
	if err := l.Start(done + 1); err != nil {
		r.Fatal(err)
	}
	r.Cleanup(l.Close)
	return l
}

// measure makes the next epoch, of session s, and saves the history, as
// training does before it reports the epoch.
func (r *trial) measure(s int) (int, history.Epoch) {
	r.Helper()
	epoch := r.history.Len() + 1
	r.history.Append(row(s, epoch))
	if err := r.history.Save(r.exp.HistoryPath()); err != nil {
		r.Fatal(err)
	}
	return epoch, row(s, epoch)
}

func (r *trial) epochs(l *Log, s, n int) {
	r.Helper()
	for range n {
		if err := l.EpochDone(r.measure(s)); err != nil {
			r.Fatal(err)
		}
	}
}

// shows checks that TensorBoard shows the history: all of it, each epoch once.
func (r *trial) shows() {
	r.Helper()
	r.showsOnly(r.history.Len())
}

// showsOnly is shows for the first n epochs of the history.
func (r *trial) showsOnly(n int) {
	r.Helper()
	want := map[string][]point{}
	for i := range n {
		e := r.history.At(i)
		for tag, v := range map[string]float64{
			"Loss/train": e.TrainLoss, "L1/train": e.TrainL1, "SSIM/train": e.TrainSSIM, "Loss/val": e.ValLoss, "L1/val": e.ValL1, "SSIM/val": e.ValSSIM, "PSNR/val": e.ValPSNR,
			"Learning_Rate": e.LR, "Time/epoch_seconds": e.EpochTime, "Time/inference_seconds": e.InferenceTime,
			"Memory/allocated_mb": e.MemoryAllocatedMB, "Memory/reserved_mb": e.MemoryReservedMB,
		} {
			if !math.IsNaN(v) {
				want[tag] = append(want[tag], point{i + 1, float32(v)})
			}
		}
	}
	if got := curves(r.T, r.exp); !maps.EqualFunc(got, want, slices.Equal) {
		r.Errorf("TensorBoard shows\n%v\nwant\n%v", got, want)
	}
}

// The bytes are the beginning of a file that TensorFlow wrote.
func TestAFileBeginsAsTensorFlowsDo(t *testing.T) {
	want, err := hex.DecodeString("1800000000000000" + "a37f4b22" + "090000803899d6d741" + "1a0d" + hex.EncodeToString([]byte("brain.Event:2")) + "124b36ab")
	if err != nil {
		t.Fatal(err)
	}
	wall := math.Float64frombits(binary.LittleEndian.Uint64(want[13:]))
	if got := appendRecord(nil, versionEvent(wall)); !slices.Equal(got, want) {
		t.Errorf("got  % x\nwant % x", got, want)
	}
}

func TestEpochsAreWrittenAsTheOriginalsTags(t *testing.T) {
	r := newTrial(t)
	l := r.begin(0)
	r.epochs(l, 1, 1)
	r.shows() // while the session goes on
	r.epochs(l, 1, 4)
	r.shows()
	names := paths(t, r.exp)
	if len(names) != 1 || !regexp.MustCompile(`^events\.out\.tfevents\.\d{10}\..+$`).MatchString(filepath.Base(names[0])) {
		t.Errorf("files: %q", names)
	}
	if got := len(curves(t, r.exp)["Loss/val"]); got != 3 {
		t.Errorf("%d validated epochs, want 3", got)
	}
}

func TestTrainingInPiecesShowsEachEpochOnce(t *testing.T) {
	r := newTrial(t)
	r.epochs(r.begin(0), 1, 4)
	r.epochs(r.begin(4), 2, 3) // at the same second
	r.shows()
	r.clock = noon.Add(-time.Minute) // the clock goes back
	r.epochs(r.begin(5), 3, 4)       // from an older checkpoint
	r.shows()
	r.begin(9) // stopped before its first epoch
	r.clock = noon.Add(time.Minute)
	r.epochs(r.begin(9), 5, 1)
	r.epochs(r.begin(0), 6, 2) // all over again
	r.shows()
	var wrote []int // epochs by session, those before it not among them
	for _, path := range paths(t, r.exp) {
		wrote = append(wrote, len(events(t, path))-2)
	}
	if want := []int{4, 3, 4, 0, 1, 2}; !slices.Equal(wrote, want) {
		t.Errorf("the sessions wrote %d epochs, want %d", wrote, want)
	}
}

func TestMissingEpochsAreTakenFromTheHistory(t *testing.T) {
	r := newTrial(t)
	for range 3 { // before there were event files
		r.measure(1)
	}
	l := r.begin(3)
	r.shows()
	r.epochs(l, 2, 2)
	r.measure(2) // killed between history.json and the event file
	r.showsOnly(5)
	r.epochs(r.begin(6), 3, 2)
	r.shows()
	if err := os.RemoveAll(r.exp.LogsDir()); err != nil {
		t.Fatal(err)
	}
	r.epochs(r.begin(7), 4, 2)
	r.shows()
	r.epochs(r.begin(9), 5, 2)
	if err := os.Remove(paths(t, r.exp)[0]); err != nil { // the epochs 1 to 9
		t.Fatal(err)
	}
	r.begin(11)
	r.shows()
}

func TestHalfARecordDoesNoHarm(t *testing.T) {
	for _, cut := range []int{1, 3, 4, 5, 100, 250} {
		r := newTrial(t)
		r.epochs(r.begin(0), 1, 3)
		r.cut(cut)
		r.showsOnly(2)
		r.epochs(r.begin(3), 2, 2)
		r.shows()
		r.epochs(r.begin(2), 3, 1) // from an older checkpoint, and killed again
		r.cut(cut)
		r.showsOnly(2)
		r.epochs(r.begin(3), 4, 1)
		r.shows()
	}
}

// cut takes bytes off the end of the newest file.
func (r *trial) cut(bytes int) {
	r.Helper()
	path := slices.Max(paths(r.T, r.exp))
	info, err := os.Stat(path)
	if err == nil {
		err = os.Truncate(path, info.Size()-int64(bytes))
	}
	if err != nil {
		r.Fatal(err)
	}
}

// A power cut can leave zeros or anything else in what was written last.
func TestADamagedFileCountsAsFarAsItCanBeRead(t *testing.T) {
	r := newTrial(t)
	r.epochs(r.begin(0), 1, 3)
	path := paths(t, r.exp)[0]
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for at, want := range map[int]int{0: 0, 9: 0, 20: 0, len(text) / 2: 1, len(text) - 2: 2, len(text) - 30: 2} {
		damaged := slices.Clone(text)
		clear(damaged[at:])
		damaged[at] = ^text[at]
		if err := os.WriteFile(path, damaged, 0o666); err != nil {
			t.Fatal(err)
		}
		if got := covered([]string{filepath.Join(t.TempDir(), "gone"), path}); got != want {
			t.Errorf("damaged at byte %d of %d: %d epochs count, want %d", at, len(text), got, want)
		}
	}
}

func TestAFullDiskIsMadeUpFor(t *testing.T) {
	if !alone(t) {
		return
	}
	r := newTrial(t)
	l := r.begin(0)
	r.epochs(l, 1, 1)
	info, err := os.Stat(paths(t, r.exp)[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, limit := range []int64{info.Size() + 100, 200, 60} { // first in the open file, then in new ones
		epoch, row := r.measure(1)
		limitFiles(t, limit, func() {
			if err := l.EpochDone(epoch, row); err == nil || !strings.HasPrefix(err.Error(), "tensorboard: ") {
				t.Errorf("epoch %d: got %v, want an error of the package", epoch, err)
			}
		})
		r.showsOnly(1)
	}
	if got := len(paths(t, r.exp)); got != 1 {
		t.Errorf("%d files, want those that could not be begun to be gone", got)
	}
	r.epochs(l, 1, 2)
	r.shows()
}

// alone runs the test in a process of its own, because go test writes a log that
// a limit on files would cut off, and reports whether this is that process.
func alone(t *testing.T) bool {
	t.Helper()
	const key = "REKINDLE_TEST_ALONE"
	if os.Getenv(key) == t.Name() {
		return true
	}
	cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), key+"="+t.Name())
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
		t.Errorf("%v\n%s", err, out)
	}
	return false
}

// limitFiles runs f while files of this process can have only so many bytes,
// which cuts writes off as a full disk does.
func limitFiles(t *testing.T, bytes int64, f func()) {
	t.Helper()
	signal.Ignore(unix.SIGXFSZ)
	var before unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_FSIZE, &before); err != nil {
		t.Fatal(err)
	}
	if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: uint64(bytes), Max: before.Max}); err != nil {
		t.Fatal(err)
	}
	defer unix.Setrlimit(unix.RLIMIT_FSIZE, &before)
	f()
}
