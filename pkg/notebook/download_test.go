package notebook

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"rekindle/pkg/rgb"
)

// noArchives is where DIV2K is looked for, and nothing is found.
func noArchives(t *testing.T) (asked *int) {
	t.Helper()
	asked = new(int)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		*asked++
		w.WriteHeader(http.StatusNotFound)
	}))
	t.Cleanup(server.Close)
	t.Setenv(DIV2KVariable, server.URL)
	return asked
}

func TestDIV2KIsAskedForOnlyWhereTheConfigurationSaysSo(t *testing.T) {
	asked := noArchives(t)
	cfg, _ := kernelIn(t)
	if err := prepareData(context.Background(), cfg, small); err != nil || *asked > 0 {
		t.Fatalf("by default: %v, asked the server %d times", err, *asked)
	}
	cfg.DownloadDIV2K = true
	wants(t, prepareData(context.Background(), cfg, small), "DIV2K: ", "404", "DIV2K_train_HR.zip")
	if *asked != 1 {
		t.Errorf("asked the server %d times, want once", *asked)
	}
	if names, err := rgb.List(cfg.TrainCleanDir); err != nil || len(names) != small.pictures[0] {
		t.Errorf("the drawn set is no longer whole after a download that failed: %d pictures, %v", len(names), err)
	}
}

func TestFoldersOfOnesOwnForDIV2KNeedNotExist(t *testing.T) {
	asked := noArchives(t)
	cfg, _ := kernelIn(t)
	cfg.DownloadDIV2K = true
	cfg.TrainCleanDir, cfg.ValCleanDir = "elsewhere/train", "elsewhere/val"
	if _, err := setUp(cfg, false, noon); err != nil {
		t.Errorf("before the download: %v", err)
	}
	wants(t, prepareData(context.Background(), cfg, small), "DIV2K: ", "404")
	if _, err := os.Stat(cfg.TrainCleanDir); err == nil || *asked == 0 {
		t.Errorf("after a download that failed the folder exists (%v), or nothing was asked for", err)
	}
}

func TestPhotographsAreNotReplacedByDIV2K(t *testing.T) {
	asked := noArchives(t)
	cfg, _ := kernelIn(t)
	cfg.DownloadDIV2K = true
	for _, dir := range []string{cfg.TrainCleanDir, cfg.ValCleanDir} {
		if err := os.MkdirAll(dir, 0o777); err != nil {
			t.Fatal(err)
		}
		if err := rgb.New(64, 64).SavePNG(filepath.Join(dir, "holiday.png")); err != nil {
			t.Fatal(err)
		}
	}
	wants(t, prepareData(context.Background(), cfg, small), "DIV2K: ", cfg.TrainCleanDir, "choose another folder")
	if *asked > 0 {
		t.Errorf("asked the server %d times", *asked)
	}
}

func TestAnInterruptedDownloadSaysHowToGoOn(t *testing.T) {
	noArchives(t)
	cfg, _ := kernelIn(t)
	cfg.DownloadDIV2K = true
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	err := prepareData(ctx, cfg, small)
	wants(t, err, "interrupted", "run the cell again to go on")
	if strings.Contains(err.Error(), "canceled") {
		t.Errorf("got %q, want plain words", err)
	}
}

func TestAMissingFileOfVGG16IsNamedBeforeAnExperimentIsMade(t *testing.T) {
	cfg, _ := kernelIn(t)
	cfg.LossGamma, cfg.VGGWeights = 0.1, "data/vgg16.pth"
	_, err := setUp(cfg, false, noon)
	wants(t, err, "VGGWeights: there is no file data/vgg16.pth", "https://download.pytorch.org/")
	if _, err := os.Stat(cfg.ExperimentsDir); err == nil {
		t.Error("an experiment was made all the same")
	}
}
