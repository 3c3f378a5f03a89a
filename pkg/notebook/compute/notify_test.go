package compute

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"rekindle/pkg/notebook"
	"rekindle/pkg/notify"
	"rekindle/pkg/train"
)

// TestTelegramIsToldHowTrainingGoes trains with a server in Telegram's place.
func TestTelegramIsToldHowTrainingGoes(t *testing.T) {
	cfg, _ := small(t)
	cfg.NotifyEvery, cfg.ValEvery = 2, 1
	cfg.NumEpochs = 4
	var mu sync.Mutex
	var texts []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		texts = append(texts, r.FormValue("text"))
		fmt.Fprint(w, `{"ok":true,"result":{"message_id":1,"date":1,"chat":{"id":42,"type":"private"}}}`)
	}))
	defer server.Close()
	t.Setenv(notify.TokenVariable, "1:x")
	t.Setenv(notify.ChatVariable, "42")
	t.Setenv(notify.ServerVariable, server.URL)
	printed := trainedFor(t, cfg)
	want := []string{"🚀", "📈", "📈", "✅"}
	mu.Lock()
	defer mu.Unlock()
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

func TestAServerThatHangsCostsLessThanASecond(t *testing.T) {
	cfg, exp := small(t)
	cfg.NotifyEvery = 1
	release := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	defer server.Close()
	defer close(release)
	t.Setenv(notify.TokenVariable, "1:secret")
	t.Setenv(notify.ChatVariable, "42")
	t.Setenv(notify.ServerVariable, server.URL)
	out := notebook.Out
	defer func() { notebook.Out = out }()
	printed := &strings.Builder{}
	notebook.Out = printed
	n := withTelegram(quiet{}, exp, cfg)
	began := time.Now()
	n.Start(1, 2, 3)
	n.finish(nil, errors.New("the disk is full"))
	if took := time.Since(began); took > 1500*time.Millisecond {
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
