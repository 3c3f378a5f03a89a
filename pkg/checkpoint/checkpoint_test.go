package checkpoint

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"rekindle/pkg/config"
	"rekindle/pkg/history"
	"rekindle/pkg/internal/reference"
	"rekindle/pkg/schedule"
)

// sample is a small State at a moment of training.
func sample(epoch, position int) *State {
	r := rand.New(rand.NewPCG(uint64(epoch), uint64(position)))
	values := func(n int) []float32 {
		v := make([]float32, n)
		for i := range v {
			v[i] = r.Float32()
		}
		return v
	}
	s := &State{
		Cursor: Cursor{epoch, position, int64(epoch*10 + position)}, Seed: 42,
		Model: []Tensor{
			{Name: "a.weight", Shape: []int{4, 3, 3, 3}, Values: values(108), First: values(108), Second: values(108)},
			{Name: "b.weight", Shape: []int{4}, Values: values(4), First: values(4), Second: values(4)},
			{Name: "b.running_mean", Shape: []int{4}, Values: values(4)},
			{Name: "b.num_batches_tracked", Count: int64(epoch * 10)},
		},
		BestLoss: math.NaN(), Patience: 1, MicroBatch: 2,
		Partial: Partial{Samples: position, Loss: 0.1 + 0.2, Seconds: 1.5}, Anchor: schedule.Anchor{Epoch: 2, LR: 1e-5}, Config: config.Default(), Reason: "test",
		Data: json.RawMessage(`{"train":["a.png",1]}`),
	}
	if s.Step == 0 { // before the first step the moments are zero
		for _, t := range s.Model {
			clear(t.First)
			clear(t.Second)
		}
	}
	for i := range epoch {
		s.History.Append(history.Epoch{TrainLoss: 1 / float64(i+3), ValLoss: math.NaN(), LR: 1e-4})
	}
	if epoch > 1 {
		s.BestEpoch, s.BestLoss = 1, 0.1234567890123456789
	}
	return s
}

func save(t *testing.T, dir, name string, s *State) string {
	t.Helper()
	if err := Save(Folder(dir).Path(name), s); err != nil {
		t.Fatal(err)
	}
	return Folder(dir).Path(name)
}

func TestAStateComesBackAsItWas(t *testing.T) {
	for _, want := range []*State{sample(0, 0), sample(3, 0), sample(12, 7)} {
		got, err := Load(save(t, t.TempDir(), "a.pth", want))
		if err != nil {
			t.Fatal(err)
		}
		if got.Cursor != want.Cursor || got.Seed != want.Seed || got.Patience != want.Patience ||
			got.MicroBatch != want.MicroBatch || got.Partial != want.Partial || got.Anchor != want.Anchor || got.Config != want.Config ||
			got.BestEpoch != want.BestEpoch || got.Reason != want.Reason || string(got.Data) != string(want.Data) {
			t.Errorf("got %+v, want %+v", got, want)
		}
		if got.BestLoss != want.BestLoss && !(math.IsNaN(got.BestLoss) && math.IsNaN(want.BestLoss)) {
			t.Errorf("best loss %v, want %v", got.BestLoss, want.BestLoss)
		}
		if !slices.Equal(got.History.TrainLoss, want.History.TrainLoss) || len(got.History.ValLoss) != want.Epoch {
			t.Errorf("history %+v, want %+v", got.History, want.History)
		}
		for i, w := range want.Model {
			g := got.Model[i]
			if g.Name != w.Name || g.Count != w.Count || !slices.Equal(g.Values, w.Values) || !slices.Equal(g.Shape, w.Shape) {
				t.Errorf("tensor %+v, want %+v", g, w)
			}
			if !slices.Equal(g.First, w.First) || !slices.Equal(g.Second, w.Second) || g.Average != nil {
				t.Errorf("the moments or averages of %s are %v, %v, %v, want %v, %v, none", g.Name, g.First, g.Second, g.Average, w.First, w.Second)
			}
		}
	}
}

func TestTheAverageOfTheWeightsComesBackAndIsTheNetworkForUse(t *testing.T) {
	want := sample(3, 0)
	want.Model[0].Average, want.Model[1].Average = slices.Clone(want.Model[0].Values), []float32{9, 8, 7, 6}
	want.Model[0].Average[5] = 2.5
	want.Model[2].Average = slices.Repeat([]float32{0.5}, len(want.Model[2].Values))
	path := save(t, t.TempDir(), "a.pth", want)
	got, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	for i, w := range want.Model {
		if !slices.Equal(got.Model[i].Average, w.Average) {
			t.Errorf("the average of %s is %v, want %v", w.Name, got.Model[i].Average, w.Average)
		}
	}
	use := got.Network()
	if use[0].Values[5] != 2.5 || use[1].Values[0] != 9 || !slices.Equal(use[2].Values, want.Model[2].Average) || use[3].Count != 30 {
		t.Errorf("the network for use is %v", use)
	}
	if !slices.Equal(got.Model[1].Values, want.Model[1].Values) {
		t.Error("the trained weights were replaced")
	}
	if plain := sample(3, 0); len(plain.Network()) != 4 || plain.checksum() == want.checksum() {
		t.Error("a State without an average, or the checksum, is wrong")
	}
}

func TestTheOriginalsCheckpointsAreRead(t *testing.T) {
	for _, name := range []string{"unet_f4_zip.pth", "unet_f4_legacy.pth"} {
		s, err := Load(reference.Path(t, name))
		if err != nil {
			t.Fatal(err)
		}
		if s.Epoch != 3 || s.Step != 9 || s.BestEpoch != 3 || s.BestLoss != 0.48116472363471985 || len(s.Model) != 110 || len(s.Parameters()) != 56 {
			t.Errorf("%s: epoch %d step %d best %d %v, %d tensors, %d parameters", name, s.Epoch, s.Step, s.BestEpoch, s.BestLoss, len(s.Model), len(s.Parameters()))
		}
		for _, p := range s.Parameters() {
			if len(p.First) != len(p.Values) || len(p.Second) != len(p.Values) {
				t.Errorf("%s: moments of %s are missing", name, p.Name)
			}
		}
		if s.Config.Model != "" {
			t.Errorf("%s: a configuration from nowhere: %+v", name, s.Config)
		}
	}
}

func TestTheNewestStateIsTakenWhateverItsName(t *testing.T) {
	for _, c := range []struct {
		files map[string]*State
		want  string
	}{
		{map[string]*State{Best: sample(2, 0), Periodic(10): sample(10, 0), Periodic(9): sample(9, 0)}, Periodic(10)},
		{map[string]*State{Emergency("oom", 9): sample(8, 3), Periodic(30): sample(30, 0)}, Periodic(30)},
		{map[string]*State{Emergency("oom", 10): sample(9, 1), Emergency("oom", 9): sample(8, 5)}, Emergency("oom", 10)},
		{map[string]*State{Periodic(999): sample(999, 0), Periodic(1000): sample(1000, 0)}, Periodic(1000)},
		{map[string]*State{Last: sample(5, 0), Emergency("interrupt", 6): sample(5, 12)}, Emergency("interrupt", 6)},
		{map[string]*State{Best: sample(5, 0), Last: sample(5, 0)}, Last},
		{map[string]*State{Best: sample(5, 3), Emergency("oom", 6): sample(5, 3)}, Emergency("oom", 6)},
		{map[string]*State{"renamed by hand.pth": sample(7, 0), Last: sample(6, 0)}, "renamed by hand.pth"},
	} {
		dir := t.TempDir()
		for name, s := range c.files {
			save(t, dir, name, s)
		}
		_, entry, err := Folder(dir).Newest(func(line string) { t.Error(line) })
		if err != nil || entry.Name() != c.want {
			t.Errorf("took %s (%v), want %s", entry.Name(), err, c.want)
		}
	}
}

func bytesOf(values []float32) []byte {
	raw, _ := binary.Append(nil, binary.LittleEndian, values)
	return raw
}

func TestDamagedFilesAreReportedKeptAndPassedOver(t *testing.T) {
	dir := t.TempDir()
	good := save(t, dir, Periodic(5), sample(5, 0))
	write := func(name string, content []byte) {
		if err := os.WriteFile(Folder(dir).Path(name), content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	newer, err := os.ReadFile(save(t, t.TempDir(), "x.pth", sample(9, 0)))
	if err != nil {
		t.Fatal(err)
	}
	write("cut.pth", newer[:len(newer)-100])
	write("empty.pth", nil)
	write("text.pth", []byte("hello"))
	flipped := slices.Clone(newer)
	copied := bytesOf(sample(9, 0).Model[0].Values) // a bit of the first tensor
	flipped[bytes.Index(flipped, copied)+5] ^= 1
	write("flipped.pth", flipped)
	if err := os.Mkdir(Folder(dir).Path("folder.pth"), 0o755); err != nil {
		t.Fatal(err)
	}
	var lines []string
	s, entry, err := Folder(dir).Newest(func(line string) { lines = append(lines, line) })
	if err != nil || s.Epoch != 5 || entry.Path != good {
		t.Fatalf("took %v, %v", entry, err)
	}
	for _, name := range []string{"cut", "empty", "text", "flipped", "folder"} {
		if !slices.ContainsFunc(lines, func(l string) bool { return strings.HasPrefix(l, name+".pth is damaged") }) {
			t.Errorf("%s.pth was not reported: %q", name, lines)
		}
		if _, err := os.Stat(Folder(dir).Path(name + ".pth")); err != nil {
			t.Errorf("%s.pth was not kept", name)
		}
	}
	os.Remove(good)
	if _, _, err := Folder(dir).Newest(func(string) {}); err == nil || !strings.Contains(err.Error(), "none of the 5 checkpoints") {
		t.Errorf("only damaged files: %v", err)
	}
}

// What programs leave that copy and synchronise: none of it is damage to what was
// saved here, and none of it is given another name.
func TestCopiesThatProgramsMakeAreNoDamage(t *testing.T) {
	dir := t.TempDir()
	good := save(t, dir, Last, sample(5, 0))
	raw, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	hidden := []string{"._last_checkpoint.pth", ".last_checkpoint.pth.Xa3Bc9", ".last_checkpoint.pth.icloud", ".syncthing.last_checkpoint.pth.tmp", "._unfinished.pth"}
	copies := []string{"last_checkpoint (conflicted copy 2026-11-28).pth", "last_checkpoint.sync-conflict-20261128-073500.pth", "last_checkpoint (1).pth", "last_checkpoint - Copy.pth", "last_checkpoint~1.pth"}
	for _, name := range slices.Concat(hidden, copies) {
		if err := os.WriteFile(Folder(dir).Path(name), raw[:len(raw)/2], 0o644); err != nil {
			t.Fatal(err)
		}
	}
	var lines []string
	_, entry, err := Folder(dir).Recover(func(line string) { lines = append(lines, line) })
	if err != nil || entry.Path != good {
		t.Errorf("took %v, %v", entry, err)
	}
	if len(lines) != len(copies) || strings.Contains(strings.Join(lines, ""), "damaged") {
		t.Errorf("reported %q, want a line for each of the %d copies, and no damage", lines, len(copies))
	}
	for _, name := range slices.Concat(hidden, copies) {
		if _, err := os.Stat(Folder(dir).Path(name)); err != nil {
			t.Errorf("%s was touched: %v", name, err)
		}
	}
}

// TestNoDamageIsTakenForAState cuts a checkpoint at many places and flips bits
// all over it: it is refused, or it is read as it was saved.
func TestNoDamageIsTakenForAState(t *testing.T) {
	dir := t.TempDir()
	want := sample(4, 3)
	raw, err := os.ReadFile(save(t, dir, "a.pth", want))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "b.pth")
	check := func(what string, at int, content []byte) {
		if err := os.WriteFile(path, content, 0o644); err != nil {
			t.Fatal(err)
		}
		s, err := Load(path)
		if err != nil {
			if !errors.Is(err, ErrDamaged) {
				t.Errorf("%s at %d: error is not ErrDamaged: %v", what, at, err)
			}
			return
		}
		if s.Cursor != want.Cursor || s.checksum() != want.checksum() || s.Partial != want.Partial || s.Config != want.Config {
			t.Errorf("%s at byte %d of %d is read as another State", what, at, len(raw))
		}
	}
	for at := 0; at < len(raw); at += 53 {
		check("cut", at, raw[:at])
	}
	r := rand.New(rand.NewPCG(7, 7))
	for range 500 {
		at := r.IntN(len(raw))
		changed := slices.Clone(raw)
		changed[at] ^= 1 << r.IntN(8)
		check("bit flip", at, changed)
	}
}

func TestAFailedSaveLeavesTheOldFile(t *testing.T) {
	dir := t.TempDir()
	path := save(t, dir, Last, sample(1, 0))
	before, _ := os.ReadFile(path)
	bad := sample(2, 0)
	bad.Model[0].Shape = []int{5, 5} // does not fit its values
	if err := Save(path, bad); err == nil {
		t.Fatal("a State that makes no sense was saved")
	}
	after, _ := os.ReadFile(path)
	if !slices.Equal(before, after) {
		t.Error("the old file was changed")
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 1 {
		t.Errorf("left behind: %v", entries)
	}
}

func TestAnUnwritableFolderIsSaidSo(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := Save(Folder(file).Path(Last), sample(1, 0)); err == nil || !strings.Contains(err.Error(), Last) {
		t.Errorf("got %v", err)
	}
	if _, err := TrialSave(file, sample(1, 0)); err == nil {
		t.Error("a trial save into a file succeeded")
	}
}

func TestTrialSaveTellsTheSizeAndLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	size, err := TrialSave(dir, sample(1, 0))
	if err != nil {
		t.Fatal(err)
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 0 {
		t.Errorf("left behind: %v", entries)
	}
	info, err := os.Stat(save(t, dir, Last, sample(1, 0)))
	if err != nil || info.Size() != size {
		t.Errorf("a checkpoint has %d bytes, the trial said %d", info.Size(), size)
	}
}

func TestEnsureBestCopiesTheNewest(t *testing.T) {
	dir := t.TempDir()
	if err := Folder(dir).EnsureBest(func(string) {}); err == nil {
		t.Error("an empty folder has a best model")
	}
	save(t, dir, Emergency("oom", 10), sample(9, 2))
	save(t, dir, Emergency("oom", 9), sample(8, 2))
	var lines []string
	if err := Folder(dir).EnsureBest(func(l string) { lines = append(lines, l) }); err != nil {
		t.Fatal(err)
	}
	s, err := Load(Folder(dir).Path(Best))
	if err != nil || s.Epoch != 9 {
		t.Errorf("best is %+v, %v", s, err)
	}
	want := []string{
		"⚠️  best_model.pth not found in " + dir,
		"   📋 Found alternative checkpoint: emergency_checkpoint_oom_epoch_10.pth",
		"   🔄 Copying to best_model.pth...",
		"   ✅ Successfully created best_model.pth",
		"   ⚠️  Note: This may not be the actual best model, just the most recent checkpoint",
	}
	if !slices.Equal(lines, want) {
		t.Errorf("printed %q, want the guide's %q", lines, want)
	}
	lines = nil
	if err := Folder(dir).EnsureBest(func(l string) { lines = append(lines, l) }); err != nil || len(lines) > 0 {
		t.Errorf("an existing best model: %v, %q", err, lines)
	}
}

func TestNothingIsTheBestBeforeAValidation(t *testing.T) {
	dir := t.TempDir()
	save(t, dir, Emergency("interrupt", 1), sample(0, 320))
	if err := Folder(dir).EnsureBest(func(l string) { t.Errorf("said %q", l) }); err != nil {
		t.Error(err)
	}
	var lines []string
	s, err := Folder(dir).LoadBest(func(l string) { lines = append(lines, l) })
	want := "ℹ️  No epoch is validated yet, so there is no best model: the weights are those of emergency_checkpoint_interrupt_epoch_1.pth, epoch 0 and 320 patches"
	if err != nil || s.Position != 320 || len(lines) != 1 || lines[0] != want {
		t.Errorf("got %v, %v and %q, want the newest State and %q", s, err, lines, want)
	}
	if got := names(t, dir); !slices.Equal(got, []string{Emergency("interrupt", 1)}) {
		t.Errorf("the folder holds %q", got)
	}
	// A file of PyTorch does not say what was validated: the guide's way.
	foreign := sample(1, 0)
	foreign.Config = config.Config{}
	if foreign.neverValidated() {
		t.Error("a file of PyTorch counts as never validated")
	}
}

// TestPyTorchGoesOnAlongTheSameCurve applies the recursion of CosineAnnealingLR to
// what is saved, also where the curve was planned anew.
func TestPyTorchGoesOnAlongTheSameCurve(t *testing.T) {
	for _, c := range []struct {
		epoch  int
		anchor schedule.Anchor
	}{{5, schedule.Anchor{}}, {12, schedule.Anchor{}}, {20, schedule.Anchor{Epoch: 20, LR: 5e-5}}, {33, schedule.Anchor{Epoch: 20, LR: 5e-5}}} {
		s := sample(c.epoch, 0)
		s.Anchor, s.Config.NumEpochs, s.Config.MinLR = c.anchor, 40, 1e-7
		root, err := encode(s)
		if err != nil {
			t.Fatal(err)
		}
		plan := lookup(root, "scheduler_state_dict")
		rate := lookup(only(lookup(root, "optimizer_state_dict", "param_groups")), "lr").(float64)
		if told := only(lookup(plan, "_last_lr")); told != rate {
			t.Errorf("epoch %d: the scheduler's last rate is %v, the optimizer's %g", c.epoch, told, rate)
		}
		done, epochs := float64(lookup(plan, "last_epoch").(int64)), float64(lookup(plan, "T_max").(int64))
		least := lookup(plan, "eta_min").(float64)
		for epoch := c.epoch + 1; epoch <= 40; epoch++ {
			if want := schedule.Rate(s.Config, s.Anchor, epoch); math.Abs(rate-want) > 1e-12 {
				t.Errorf("anchor %+v, saved after epoch %d: PyTorch uses %g in epoch %d, want %g", c.anchor, c.epoch, rate, epoch, want)
			}
			rate = (1+math.Cos(math.Pi*(done+1)/epochs))/(1+math.Cos(math.Pi*done/epochs))*(rate-least) + least
			done++
		}
	}
}
