package compute

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"rekindle/pkg/config"
	"rekindle/pkg/history"
	"rekindle/pkg/notebook"
	"rekindle/pkg/notebook/cell"
	"rekindle/pkg/notify"
	"rekindle/pkg/train"
)

// chat is a server in Telegram's place, which takes its time for each message.
func chat(t *testing.T, takes time.Duration) (texts func() []string) {
	t.Helper()
	var mu sync.Mutex
	var received []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text := r.FormValue("text")
		time.Sleep(takes)
		mu.Lock()
		defer mu.Unlock()
		received = append(received, text)
		fmt.Fprint(w, `{"ok":true,"result":{"message_id":1,"date":1,"chat":{"id":42,"type":"private"}}}`)
	}))
	t.Cleanup(server.Close)
	t.Setenv(notify.TokenVariable, "1:x")
	t.Setenv(notify.ChatVariable, "42")
	t.Setenv(notify.ServerVariable, server.URL)
	return func() []string {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(received)
	}
}

// printing gathers what is printed.
func printing(t *testing.T) *strings.Builder {
	t.Helper()
	out := cell.Out
	t.Cleanup(func() { cell.Out = out })
	printed := &strings.Builder{}
	cell.Out = printed
	return printed
}

// TestTelegramIsToldHowTrainingGoes trains with a server in Telegram's place.
func TestTelegramIsToldHowTrainingGoes(t *testing.T) {
	cfg, _ := small(t)
	cfg.NotifyEvery, cfg.ValEvery = 2, 1
	cfg.NumEpochs = 4
	received := chat(t, 0)
	printed := trainedFor(t, cfg)
	want := []string{"🚀", "📈", "📈", "✅"}
	texts := received()
	if len(texts) != len(want) {
		t.Fatalf("messages %q, want %q; printed %s", texts, want, printed)
	}
	for i := range want {
		if !strings.HasPrefix(texts[i], want[i]) {
			t.Errorf("message %d is %q, want %s", i, texts[i], want[i])
		}
	}
	if !strings.Contains(texts[1], "epoch 2 of 4") || !strings.Contains(texts[3], "after epoch 4") {
		t.Errorf("messages %q", texts)
	}
}

func TestASlowServerIsToldThatTrainingIsComplete(t *testing.T) {
	cfg, _ := small(t)
	cfg.NotifyEvery = 1
	received := chat(t, 1200*time.Millisecond)
	printed := trainedFor(t, cfg)
	if texts := received(); len(texts) == 0 || !strings.HasPrefix(texts[len(texts)-1], "✅") {
		t.Errorf("messages %q, printed %s", texts, printed)
	}
}

func TestWhatFailsBeforeTrainingIsToldToo(t *testing.T) {
	for name, spoil := range map[string]func(*config.Config){
		"missing data":           func(c *config.Config) { c.TrainDegradedDir = "/nowhere" },
		"an engine nobody knows": func(c *config.Config) { c.Device = "abacus" },
	} {
		cfg, exp := small(t)
		cfg.NotifyEvery = 1
		t.Setenv("GOMLX_BACKEND", "") // would decide instead
		spoil(&cfg)
		received := chat(t, 0)
		printing(t)
		err := trainLocked(t.Context(), cfg, exp, nil, notebook.OpenData)
		if texts := received(); err == nil || len(texts) != 1 || !strings.HasPrefix(texts[0], "❌") || !strings.Contains(texts[0], err.Error()) {
			t.Errorf("%s: ended with %v, messages %q", name, err, texts)
		}
	}
}

// messages is a Reporter that keeps them.
type messages struct {
	quiet
	list []string
}

func (m *messages) EpochDone(int, history.Epoch, int, float64) {}
func (m *messages) Message(format string, args ...any) {
	m.list = append(m.list, fmt.Sprintf(format, args...))
}

func TestAWrongTokenIsSaidAfterTheNextEpochAndOnce(t *testing.T) {
	cfg, exp := small(t)
	cfg.NotifyEvery = 1
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	chat(t, 0)
	t.Setenv(notify.ServerVariable, server.URL)
	printed := printing(t)
	m := &messages{}
	n := withTelegram(m, exp, cfg)
	n.Start(1, 3, 3)
	for epoch := 1; epoch <= 1000 && len(m.list) == 0; epoch++ {
		time.Sleep(10 * time.Millisecond)
		n.EpochDone(epoch, history.Epoch{ValLoss: math.NaN()}, 0, 0)
	}
	n.EpochDone(1001, history.Epoch{}, 1, 0)
	n.finish(context.Background(), nil, errors.New("the disk is full"))
	if len(m.list) != 1 || !strings.Contains(m.list[0], "Messages to Telegram were lost") || strings.Contains(printed.String(), "lost") {
		t.Errorf("messages %q, printed %q", m.list, printed)
	}
}

func TestNoOutputHoldsTheToken(t *testing.T) {
	cfg, exp := small(t)
	cfg.NotifyEvery = 1
	for _, end := range []string{"", "\n", " ", "\r", " # mine"} {
		chat(t, 0)
		t.Setenv(notify.TokenVariable, "123456:very-secret"+end)
		t.Setenv(notify.ServerVariable, "http://127.0.0.1:1")
		printed := printing(t)
		n := withTelegram(quiet{}, exp, cfg)
		n.Start(1, 2, 3)
		ctx, stop := context.WithCancel(context.Background())
		stop()
		n.finish(ctx, nil, errors.New("the disk is full"))
		if text := printed.String(); !strings.Contains(text, "⚠️") || strings.Contains(text, "secret") {
			t.Errorf("with %q behind the token: printed %q", end, text)
		}
	}
}

func TestAServerThatHangsDoesNotHoldAnInterruptedRunUp(t *testing.T) {
	cfg, exp := small(t)
	cfg.NotifyEvery = 1
	release := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	defer server.Close()
	defer close(release)
	t.Setenv(notify.TokenVariable, "1:secret")
	t.Setenv(notify.ChatVariable, "42")
	t.Setenv(notify.ServerVariable, server.URL)
	printed := printing(t)
	n := withTelegram(quiet{}, exp, cfg)
	interrupted, stop := context.WithCancel(context.Background())
	stop()
	began := time.Now()
	n.Start(1, 2, 3)
	n.finish(interrupted, nil, errors.New("the disk is full"))
	if took := time.Since(began); took > patience {
		t.Errorf("it took %v", took)
	}
	if text := printed.String(); !strings.Contains(text, "Messages to Telegram were lost") || strings.Contains(text, "secret") {
		t.Errorf("printed %q", text)
	}
}

func TestWithoutCredentialsTrainingSaysSoAndGoesOn(t *testing.T) {
	cfg, _ := small(t)
	t.Chdir(t.TempDir())
	t.Setenv(notify.TokenVariable, "")
	t.Setenv(notify.ChatVariable, "")
	cfg.NotifyEvery = 1
	if printed := trainedFor(t, cfg); !strings.Contains(printed, "No messages to Telegram") || !strings.Contains(printed, "Training completed") {
		t.Errorf("printed %s", printed)
	}
}

// quiet is a Reporter that does nothing.
type quiet struct{ train.Reporter }

func (quiet) Start(int, int, int) {}
