package experiment

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"rekindle/pkg/config"
	"rekindle/pkg/durable"
	"rekindle/pkg/history"
	"rekindle/pkg/internal/disk"
	"rekindle/pkg/internal/reference"
)

func settings(t *testing.T) config.Config {
	t.Helper()
	cfg := config.Default()
	cfg.ExperimentsDir = filepath.Join(t.TempDir(), "experiments")
	return cfg
}

func create(t *testing.T, cfg config.Config, now time.Time) *Experiment {
	t.Helper()
	e, err := Create(cfg, now)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

var noon = time.Date(2025, 12, 30, 15, 30, 45, 999, time.Local)

func TestAFreshExperimentHasTheGuidesFolders(t *testing.T) {
	cfg := settings(t)
	cfg.ExperimentName = "v1"
	e := create(t, cfg, noon)
	if want := filepath.Join(cfg.ExperimentsDir, "unet", "gaussian", "20251230_153045_v1"); e.Dir != want {
		t.Errorf("folder is %s, want %s", e.Dir, want)
	}
	for _, dir := range []string{"checkpoints", "samples", "logs/tensorboard_logs"} {
		if info, err := os.Stat(filepath.Join(e.Dir, dir)); err != nil || !info.IsDir() {
			t.Errorf("no folder %s", dir)
		}
	}
	saved, err := config.Load(e.ConfigPath())
	if err != nil || saved != cfg {
		t.Errorf("config.json holds %+v, %v", saved, err)
	}
}

func TestLatestIsTheOneCreatedLast(t *testing.T) {
	cfg := settings(t)
	for i, now := range []time.Time{noon, noon, noon.Add(time.Millisecond), noon.Add(-24 * time.Hour), noon.Add(time.Hour)} {
		e := create(t, cfg, now)
		found, err := Find(cfg)
		if err != nil || found.Dir != e.Dir {
			t.Errorf("run %d: created %s, latest is %v (%v)", i, e.Name(), found, err)
		}
	}
	if names, _ := List(cfg); len(names) != 5 {
		t.Errorf("five runs left %v", names)
	}
}

func TestLatestIsTheOneCreatedLastWhereAnHourComesTwice(t *testing.T) {
	zone, err := time.LoadLocation("America/New_York")
	if err != nil {
		t.Skip(err) // no time zones on this machine
	}
	cfg := settings(t)
	for i, hourUTC := range []int{5, 6} { // 01:45 EDT, then 01:30 EST
		e := create(t, cfg, time.Date(2025, 11, 2, hourUTC, 45-15*i, 0, 0, time.UTC).In(zone))
		if found, err := Find(cfg); err != nil || found.Dir != e.Dir {
			t.Errorf("created %s, latest is %v (%v)", e.Name(), found, err)
		}
	}
}

func TestOtherFoldersAreNeverLatest(t *testing.T) {
	cfg := settings(t)
	e := create(t, cfg, noon)
	for _, name := range []string{"backup_old", "zzz", "20261230", "99999999_99999x_v1", "20991231_000000.zip"} {
		if err := os.Mkdir(filepath.Join(filepath.Dir(e.Dir), name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(filepath.Dir(e.Dir), "20991231_000000_file"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if found, err := Find(cfg); err != nil || found.Dir != e.Dir {
		t.Errorf("latest is %v (%v), want %s", found, err, e.Name())
	}
	cfg.ResumeExperiment = "backup_old" // by its name any folder can be opened
	if found, err := Find(cfg); err != nil || found.Name() != "backup_old" {
		t.Errorf("by name: %v, %v", found, err)
	}
}

func TestAutoFindsAJobsOwnExperimentAmongThoseOfOthers(t *testing.T) {
	cfg := settings(t)
	cfg.ResumeExperiment = Auto
	named := func(name string) config.Config {
		c := cfg
		c.ExperimentName = name
		return c
	}
	for _, name := range []string{"seed_1", "seed_1", "seed_11", "1", ""} {
		e := create(t, named(name), noon)
		create(t, named("other_"+name), noon) // newer, and of somebody else
		if found, err := Find(named(name)); err != nil || found.Dir != e.Dir {
			t.Errorf("%q: got %v, %v, want %s", name, found, err, e.Dir)
		}
	}
	if _, err := Find(named("seed_2")); !errors.Is(err, ErrNone) || !strings.Contains(err.Error(), `"seed_2"`) {
		t.Errorf("no experiment of that name: %v, want ErrNone and the name", err)
	}
}

func TestAMissingExperimentIsNamedWithTheNearest(t *testing.T) {
	cfg := settings(t)
	if _, err := Find(cfg); !errors.Is(err, ErrNone) {
		t.Errorf("with nothing on disk: %v, want ErrNone", err)
	}
	if _, err := os.Stat(cfg.ExperimentsDir); !errors.Is(err, fs.ErrNotExist) {
		t.Error("looking for an experiment created a folder")
	}
	for i := range 8 {
		create(t, cfg, noon.Add(time.Duration(i)*time.Hour))
	}
	cfg.ResumeExperiment = "20251230_183046_bilinear"
	_, err := Find(cfg)
	var missing *NotFoundError
	if !errors.As(err, &missing) || missing.Have[0] != "20251230_183045_bilinear" || len(missing.Have) != 8 {
		t.Fatalf("got %v", err)
	}
	if !strings.Contains(err.Error(), "nearest: 20251230_183045_bilinear") || !strings.Contains(err.Error(), "and 3 more") {
		t.Errorf("message: %v", err)
	}
	for _, bad := range []string{"../x", "a/b", ".."} {
		cfg.ResumeExperiment = bad
		if _, err := Find(cfg); err == nil || !strings.Contains(err.Error(), "plain folder name") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func row(v, val float64) history.Epoch {
	return history.Epoch{TrainLoss: v, TrainL1: v, TrainSSIM: v, ValLoss: val, ValL1: val, ValSSIM: val, LR: v, EpochTime: 1, InferenceTime: math.NaN()}
}

func TestHistoryKeepsGapsAsNull(t *testing.T) {
	h := &history.History{}
	h.Append(row(0.5, math.NaN()))
	h.Append(row(0.1+0.2, 0.4))
	h.Append(row(math.Inf(1), 0.3))
	path := filepath.Join(t.TempDir(), "history.json")
	if err := h.Save(path); err != nil {
		t.Fatal(err)
	}
	raw, _ := os.ReadFile(path)
	var valid map[string][]*float64
	if err := json.Unmarshal(raw, &valid); err != nil {
		t.Fatalf("not JSON: %v", err)
	}
	if valid["val_loss"][0] != nil || valid["train_loss"][2] != nil || *valid["train_loss"][1] != 0.1+0.2 {
		t.Errorf("file holds %s", raw)
	}
	got, err := history.Load(path)
	if err != nil || got.Len() != 3 || !math.IsNaN(got.ValLoss[0]) || got.TrainLoss[1] != 0.1+0.2 {
		t.Errorf("read back %+v, %v", got, err)
	}
	if epoch, loss, ok := got.Best(); epoch != 3 || loss != 0.3 || !ok {
		t.Errorf("best is %d, %v, %v", epoch, loss, ok)
	}
	if _, _, ok := (&history.History{ValLoss: history.Series{math.NaN()}}).Best(); ok {
		t.Error("a history without validation has a best epoch")
	}
}

func TestHistoriesOfTheOriginalAreRead(t *testing.T) {
	h, err := history.Load(reference.Path(t, "history_example.json"))
	if err != nil || h.Len() == 0 {
		t.Fatalf("%v, %v", h, err)
	}
	path := filepath.Join(t.TempDir(), "history.json")
	python := `{"train_loss": [NaN, 1], "train_l1": [1, 2], "train_ssim": [1, 2], "val_loss": [null, Infinity], "val_l1": [1, -Infinity], "val_ssim": [1, 2], "lr": [1, 2], "other": 3}`
	if err := os.WriteFile(path, []byte(python), 0o644); err != nil {
		t.Fatal(err)
	}
	h, err = history.Load(path)
	if err != nil || h.Len() != 2 || !math.IsNaN(h.TrainLoss[0]) || !math.IsNaN(h.ValLoss[1]) || len(h.EpochTime) != 2 {
		t.Errorf("%+v, %v", h, err)
	}
}

func TestHistoriesThatCannotBeContinuedAreSaidToBeSo(t *testing.T) {
	path := filepath.Join(t.TempDir(), "history.json")
	for content, want := range map[string]string{
		`{"train_loss": [1`:   "not JSON",
		`[]`:                  "not JSON",
		`{"train_loss": [1]}`: "it lacks train_l1",
		`{"train_loss": [1], "train_l1": [1], "train_ssim": [1], "val_loss": [1, 2], "val_l1": [1], "val_ssim": [1], "lr": [1]}`:                       "val_loss has 2 epochs",
		`{"train_loss": [1], "train_l1": [1], "train_ssim": [1], "val_loss": ["x"], "val_l1": [1], "val_ssim": [1], "lr": [1]}`:                        "",
		`{"train_loss": [1], "train_l1": [1], "train_ssim": [1], "val_loss": [1], "val_l1": [1], "val_ssim": [1], "lr": [1], "epoch_time": [1, 2, 3]}`: "epoch_time has 3",
	} {
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := history.Load(path); !errors.Is(err, history.ErrInvalid) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want history.ErrInvalid with %q", content, err, want)
		}
	}
	if _, err := history.Load(path + "x"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing file: %v", err)
	}
	first, err1 := durable.Quarantine(path, durable.Invalid)
	os.WriteFile(path, nil, 0o644)
	second, err2 := durable.Quarantine(path, durable.Invalid)
	if err1 != nil || err2 != nil || first == second {
		t.Errorf("set aside as %s (%v) and %s (%v)", first, err1, second, err2)
	}
}

func TestHistoryIsCutAndFilledToAnEpoch(t *testing.T) {
	h := &history.History{}
	for i := range 5 {
		h.Append(row(float64(i), float64(i)))
	}
	copied := h.Clone()
	h.Resize(3)
	if h.Len() != 3 || len(h.MemoryReservedMB) != 3 || copied.Len() != 5 {
		t.Errorf("cut to %d, copy %d", h.Len(), copied.Len())
	}
	h.Append(row(9, 9))
	if copied.TrainLoss[3] != 3 {
		t.Error("appending after a cut changed the copy")
	}
	h.Resize(6)
	if h.Len() != 6 || !math.IsNaN(h.ValLoss[5]) || h.TrainLoss[3] != 9 {
		t.Errorf("filled to %+v", h)
	}
}

func TestLockRefusesASecondProcessAndNamesTheFirst(t *testing.T) {
	if dir := os.Getenv("LOCK_AND_WAIT"); dir != "" { // the other process
		if _, err := (&Experiment{dir}).Lock(); err != nil {
			os.Exit(3)
		}
		os.Stdout.WriteString("locked\n")
		time.Sleep(time.Minute)
	}
	e := create(t, settings(t), noon)
	other := exec.Command(os.Args[0], "-test.run", t.Name())
	other.Env = append(os.Environ(), "LOCK_AND_WAIT="+e.Dir)
	out, err := other.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	defer other.Process.Kill()
	if _, err := out.Read(make([]byte, 7)); err != nil {
		t.Fatal(err)
	}
	_, err = e.Lock()
	var locked *LockedError
	if !errors.As(err, &locked) || locked.Owner.PID != other.Process.Pid || !strings.Contains(err.Error(), "is being trained by pid") {
		t.Errorf("got %v, want the other process %d named", err, other.Process.Pid)
	}
	if _, err := history.Load(e.HistoryPath()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a reader is disturbed: %v", err)
	}
	if owner, died := e.Died(); died {
		t.Errorf("%+v counts as dead while it lives", owner)
	}
	other.Process.Kill()
	other.Wait()
	if owner, died := e.Died(); !died || owner.PID != other.Process.Pid {
		t.Errorf("got %+v, %v, want the killed process %d", owner, died, other.Process.Pid)
	}
	lock, err := e.Lock() // the lock of a dead process is free
	if err != nil {
		t.Fatal(err)
	}
	if _, died := e.Died(); died {
		t.Error("this process counts as dead")
	}
	if _, err := e.Lock(); err == nil {
		t.Error("one process took the lock twice")
	}
	lock.Release()
	if owner, died := e.Died(); died {
		t.Errorf("%+v released its lock, and counts as dead", owner)
	}
	if again, err := e.Lock(); err != nil {
		t.Error(err)
	} else {
		again.Release()
	}
}

func TestStatsAreKept(t *testing.T) {
	e := create(t, settings(t), noon)
	s, err := e.LoadStats()
	if err != nil || s.Status != "" {
		t.Fatalf("%+v, %v", s, err)
	}
	s.Status, s.EpochsCompleted = "interrupted", 3
	s.Sessions = append(s.Sessions, Session{Started: noon, Status: "interrupted", Changes: []config.Change{{Key: "batch_size", Old: "8", New: "4"}}})
	if err := e.SaveStats(s); err != nil {
		t.Fatal(err)
	}
	got, err := e.LoadStats()
	if err != nil || got.EpochsCompleted != 3 || !slices.Equal(got.Sessions[0].Changes, s.Sessions[0].Changes) {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestDamagedStatsAreKept(t *testing.T) {
	e := create(t, settings(t), noon)
	const damaged = `{"status": "completed", "sessions": [{"started"`
	if err := os.WriteFile(e.StatsPath(), []byte(damaged), 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := e.LoadStats(); !errors.Is(err, ErrInvalidStats) || !strings.Contains(err.Error(), e.StatsPath()+" is damaged (") {
		t.Errorf("got %v", err)
	}
	for range 2 {
		if err := e.SaveStats(Stats{Status: "completed"}); err != nil {
			t.Fatal(err)
		}
	}
	kept, err := filepath.Glob(e.StatsPath() + ".invalid-*")
	if err != nil || len(kept) != 1 {
		t.Fatalf("kept %q", kept)
	}
	if raw, err := os.ReadFile(kept[0]); err != nil || string(raw) != damaged {
		t.Errorf("kept %q, %v", raw, err)
	}
	if s, err := e.LoadStats(); err != nil || s.Status != "completed" {
		t.Errorf("saved %+v, %v", s, err)
	}
}

// Equal pictures were null in files of before.
func TestEvaluationIsValidJSONWithInfinities(t *testing.T) {
	e := &Evaluation{NImages: 2}
	e.PerImage = []ImageScores{{"a.png", Scores{PSNR: Number(math.Inf(1)), SSIM: 1}}, {"b.png", Scores{PSNR: 30, SSIM: 0.5, MAE: 0.1, MSE: 0.01}}}
	e.Degraded.PerImage = []ImageScores{{"a.png", Scores{PSNR: Number(math.NaN()), SSIM: 0.5, MSE: 0.1}}, {"b.png", Scores{PSNR: 20, MSE: 0.01}}}
	e.Summarise()
	e.Degraded.Summarise()
	if e.Mean.PSNR != 30 || e.Mean.SSIM != 0.75 || e.Std.SSIM != 0.25 {
		t.Errorf("mean %+v std %+v", e.Mean, e.Std)
	}
	path := filepath.Join(t.TempDir(), "m.json")
	if err := e.Save(path); err != nil {
		t.Fatal(err)
	}
	got, err := LoadEvaluation(path)
	if err != nil || got.NImages != 2 || got.PerImage[0].PSNR != 100 || got.Mean.PSNR != 65 || !math.IsNaN(float64(got.Degraded.PerImage[0].PSNR)) || got.PerImage[1].Filename != "b.png" || got.PerImage[1].PSNR != 30 {
		t.Errorf("%+v, %v", got, err)
	}
	raw, _ := os.ReadFile(path)
	for _, key := range []string{`"n_images"`, `"mean"`, `"std"`, `"per_image"`, `"psnr"`, `"ssim"`, `"mae"`, `"mse"`, `"degraded"`} {
		if !strings.Contains(string(raw), key) {
			t.Errorf("no %s in %s", key, raw)
		}
	}
}

func TestScoresAsATableForSpreadsheets(t *testing.T) {
	e := &Evaluation{}
	e.PerImage = []ImageScores{{Filename: "a, b.png", Scores: Scores{PSNR: Number(math.Inf(1)), SSIM: 1, MAE: 0}}}
	e.Degraded.PerImage = []ImageScores{{Filename: "a, b.png", Scores: Scores{PSNR: 20.5, SSIM: 0.5}}}
	path := filepath.Join(t.TempDir(), "scores.csv")
	if err := e.SaveCSV(path); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	want := "picture,psnr_degraded,psnr,ssim_degraded,ssim,ssim_box_degraded,ssim_box,mae,mse\n\"a, b.png\",20.5,,0.5,1,0,0,0,0\n"
	if string(raw) != want {
		t.Errorf("got %q, want %q", raw, want)
	}
}

func TestAHistoryThatIsSetAsideIsKept(t *testing.T) {
	e := &Experiment{t.TempDir()}
	if kept, err := e.QuarantineHistory(); kept != "" || err != nil {
		t.Errorf("without a history: %q, %v", kept, err)
	}
	for _, content := range []string{"first", "second"} {
		if err := os.WriteFile(e.HistoryPath(), []byte(content), 0o666); err != nil {
			t.Fatal(err)
		}
		kept, err := e.QuarantineHistory()
		if err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(kept); string(got) != content || filepath.Dir(kept) != e.Dir {
			t.Errorf("%s holds %q (%v), want %q", kept, got, err, content)
		}
	}
	if _, err := os.Stat(e.HistoryPath()); err == nil {
		t.Error("the history is still there")
	}
}

// TestAnExperimentAppearsWithItsConfig: whoever looks while it is made, or is
// killed making it, meets a whole one or none. An empty folder is taken over.
func TestAnExperimentAppearsWithItsConfig(t *testing.T) {
	cfg := config.Default()
	cfg.ExperimentsDir = t.TempDir()
	now := time.Date(2025, 12, 30, 15, 30, 45, 0, time.UTC)
	parent, err := Folder(cfg)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	var made sync.WaitGroup
	for range 4 {
		made.Go(func() {
			for range 20 {
				if _, err := Create(cfg, now); err != nil {
					t.Error(err)
				}
			}
		})
	}
	go func() { made.Wait(); close(done) }()
	for looking := true; looking; {
		select {
		case <-done:
			looking = false
		default:
		}
		names, err := List(cfg)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			if _, ours := (&Experiment{filepath.Join(parent, name)}).origin(); !ours {
				t.Fatalf("%s was there before its config.json", name)
			}
		}
		if !looking && len(names) != 80 {
			t.Errorf("%d experiments, want 80", len(names))
		}
	}
	if files, _ := os.ReadDir(parent); len(files) != 80 {
		t.Errorf("%d files and folders, want 80", len(files))
	}
}

func TestWithoutLocksTwoWritersAreWarned(t *testing.T) {
	tryLock = func(*os.File) (bool, error) { return true, fmt.Errorf("%w (%w)", durable.ErrNoLocks, syscall.EINVAL) }
	defer func() { tryLock = durable.TryLock }()
	e := create(t, settings(t), noon)
	first, err := e.Lock()
	if err != nil || !strings.HasPrefix(first.Warning, "This file system has no locks (invalid argument): see to it") {
		t.Fatalf("the first: %q, %v", first.Warning, err)
	}
	sign := func(o Owner) {
		t.Helper()
		raw, err := json.Marshal(o)
		if err == nil {
			err = os.WriteFile(filepath.Join(e.Dir, ".lock"), raw, 0o666)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	host, _ := os.Hostname()
	ended := exec.Command("true")
	if err := ended.Run(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		owner  Owner
		warned bool
	}{
		{Owner{PID: os.Getppid(), Host: host, Program: "cell"}, true},
		{Owner{PID: 7, Host: "another machine", Program: "cell"}, true},
		{Owner{PID: ended.Process.Pid, Host: host, Program: "cell"}, false},
	} {
		sign(c.owner)
		lock, err := e.Lock()
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(lock.Warning, fmt.Sprintf("pid %d (cell) on %s", c.owner.PID, c.owner.Host)); got != c.warned || lock.Warning == "" {
			t.Errorf("%+v: %q", c.owner, lock.Warning)
		}
		lock.Release()
	}
}

func TestACopyOfAnExperimentUnderWayWasNotKilled(t *testing.T) {
	e := create(t, settings(t), noon)
	lock, err := e.Lock()
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Release()
	to := filepath.Join(t.TempDir(), e.Name())
	if err := os.CopyFS(to, os.DirFS(e.Dir)); err != nil {
		t.Fatal(err)
	}
	if owner, died := (&Experiment{to}).Died(); died {
		t.Errorf("%+v is said to have died", owner)
	}
}

func TestWhatMayOnlyBeReadIsNotLocked(t *testing.T) {
	e := create(t, settings(t), noon)
	disk.ReadOnly(t, e.Dir)
	if _, died := e.Died(); died {
		t.Error("nobody trained it")
	}
	for what, lock := range map[string]func() error{
		"trained":   func() error { _, err := e.Lock(); return err },
		"evaluated": func() error { _, err := e.Draft(); return err },
	} {
		if err := lock(); !durable.MayOnlyRead(err) || !strings.Contains(err.Error(), "what is "+what+" writes there") || !strings.Contains(err.Error(), "copy the folder") {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestCheckpointsOnADiskThatIsNotMountedAreNotTakenForNone(t *testing.T) {
	cfg := settings(t)
	older, newer := create(t, cfg, noon), create(t, cfg, noon.Add(time.Hour))
	put(t, filepath.Join(older.CheckpointsDir(), "last_checkpoint.pth"))
	if err := errors.Join(os.Remove(newer.CheckpointsDir()), os.Symlink("/none/checkpoints", newer.CheckpointsDir())); err != nil {
		t.Fatal(err)
	}
	cfg.ResumeExperiment = Latest
	if got, err := Find(cfg); err != nil || got.Dir != newer.Dir {
		t.Errorf("the latest is %v (%v), want %s", got, err, newer.Name())
	}
}

func TestWhereNoExperimentCanBeMadeTheSettingIsNamed(t *testing.T) {
	cfg := settings(t)
	if err := os.MkdirAll(cfg.ExperimentsDir, 0o777); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the folder of all experiments, and one of those of the same kind
		writable := disk.ReadOnly(t, cfg.ExperimentsDir)
		if _, err := Create(cfg, noon); !durable.MayOnlyRead(err) || !strings.Contains(err.Error(), "name a folder of yours in ExperimentsDir") {
			t.Errorf("got %v", err)
		}
		writable()
		create(t, cfg, noon)
	}
}
