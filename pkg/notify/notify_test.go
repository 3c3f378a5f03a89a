package notify

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

const token = "123456:very-secret"

// telegram is a server that answers as Telegram does, or does not.
type telegram struct {
	*httptest.Server
	mu       sync.Mutex
	texts    []string
	asked    int
	response func(n int, w http.ResponseWriter) bool // n-th request, from 1; false: answer as usual
}

func newTelegram(t *testing.T, response func(n int, w http.ResponseWriter) bool) *telegram {
	s := &telegram{response: response}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/bot"+token+"/sendMessage" {
			http.Error(w, `{"ok":false,"error_code":404,"description":"Not Found"}`, http.StatusNotFound)
			return
		}
		chat, text := r.FormValue("chat_id"), r.FormValue("text")
		s.mu.Lock()
		s.asked++
		n := s.asked
		s.mu.Unlock()
		if s.response != nil && s.response(n, w) {
			return
		}
		s.mu.Lock()
		s.texts = append(s.texts, chat+": "+text)
		s.mu.Unlock()
		fmt.Fprint(w, `{"ok":true,"result":{"message_id":1,"date":1,"chat":{"id":42,"type":"private"}}}`)
	}))
	t.Cleanup(func() { s.CloseClientConnections(); s.Close() })
	return s
}

func (s *telegram) received() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.texts)
}

// complaints gathers what a Chat reports.
type complaints struct {
	mu   sync.Mutex
	list []string
}

func (c *complaints) add(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.list = append(c.list, err.Error())
}

func (c *complaints) all() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, text := range c.list {
		if strings.Contains(text, "very-secret") {
			panic("the token is in " + text)
		}
	}
	return slices.Clone(c.list)
}

func account(s *telegram) Account { return Account{token, "42", s.URL} }

func TestMessagesArriveInOrder(t *testing.T) {
	s, c := newTelegram(t, nil), &complaints{}
	chat := NewChat(account(s), c.add)
	for i := range 5 {
		chat.Send(fmt.Sprintf("epoch %d: val_loss 0.1 & <b>", i))
	}
	chat.Close(5 * time.Second)
	want := []string{}
	for i := range 5 {
		want = append(want, fmt.Sprintf("42: epoch %d: val_loss 0.1 & <b>", i))
	}
	if got := s.received(); !slices.Equal(got, want) || len(c.all()) > 0 {
		t.Errorf("received %q, complaints %q", got, c.all())
	}
}

func TestAServerThatIsBusyOrBrokenIsAskedAgain(t *testing.T) {
	s, c := newTelegram(t, func(n int, w http.ResponseWriter) bool {
		switch n {
		case 1:
			w.WriteHeader(http.StatusTooManyRequests)
			fmt.Fprint(w, `{"ok":false,"error_code":429,"description":"Too Many Requests","parameters":{"retry_after":1}}`)
		case 3:
			w.WriteHeader(http.StatusInternalServerError)
			fmt.Fprint(w, "<html>oops</html>")
		case 5: // the connection is dropped
			panic(http.ErrAbortHandler)
		default:
			return false
		}
		return true
	}), &complaints{}
	chat := NewChat(account(s), c.add)
	began := time.Now()
	for _, text := range []string{"a", "b", "c"} {
		chat.Send(text)
	}
	chat.Close(10 * time.Second)
	if got := s.received(); !slices.Equal(got, []string{"42: a", "42: b", "42: c"}) || len(c.all()) > 0 {
		t.Errorf("received %q, complaints %q", got, c.all())
	}
	if took := time.Since(began); took < time.Second {
		t.Errorf("retry_after was not waited for: all took %v", took)
	}
}

func TestAServerThatHangsHoldsNothingUp(t *testing.T) {
	release := make(chan struct{})
	s, c := newTelegram(t, func(int, http.ResponseWriter) bool { <-release; return false }), &complaints{}
	defer close(release)
	chat := NewChat(account(s), c.add)
	began := time.Now()
	for i := range 3 * queued {
		chat.Send(fmt.Sprint(i))
	}
	chat.Close(200 * time.Millisecond)
	if took := time.Since(began); took > patience {
		t.Errorf("it took %v, as long as waiting for an answer", took)
	}
	if got := c.all(); len(got) != 1 {
		t.Errorf("complaints %q, want one", got)
	}
}

func TestAWrongTokenOrChatIsSaidOnceInOneSentence(t *testing.T) {
	for code, want := range map[int]string{401: TokenVariable, 404: TokenVariable, 403: ChatVariable, 400: ChatVariable} {
		s, c := newTelegram(t, func(_ int, w http.ResponseWriter) bool {
			w.WriteHeader(code)
			fmt.Fprintf(w, `{"ok":false,"error_code":%d,"description":"no"}`, code)
			return true
		}), &complaints{}
		chat := NewChat(account(s), c.add)
		chat.Send("a")
		chat.Send("b")
		chat.Close(5 * time.Second)
		if got := c.all(); len(got) != 1 || !strings.Contains(got[0], want) {
			t.Errorf("%d: complaints %q, want one naming %s", code, got, want)
		}
		if s.asked != 1 {
			t.Errorf("%d: asked %d times, want once", code, s.asked)
		}
	}
}

func TestALongMessageIsCutToWhatTelegramTakes(t *testing.T) {
	s, c := newTelegram(t, nil), &complaints{}
	chat := NewChat(account(s), c.add)
	chat.Send("❌ " + strings.Repeat("x", 5000))
	chat.Send(strings.Repeat("🚀", 3000)) // two units each
	chat.Send(strings.Repeat("y", 4000))
	chat.Close(5 * time.Second)
	got := s.received()
	if len(got) != 3 || len(c.all()) > 0 {
		t.Fatalf("%d messages, complaints %q", len(got), c.all())
	}
	for i, want := range []string{"❌ " + strings.Repeat("x", 3998) + "…", strings.Repeat("🚀", 2000) + "…", strings.Repeat("y", 4000)} {
		if got[i] != "42: "+want {
			t.Errorf("message %d has %d bytes, want %d", i, len(got[i])-4, len(want))
		}
	}
}

func TestTheLastMessageArrives(t *testing.T) {
	slow := func(d time.Duration) func(int, http.ResponseWriter) bool {
		return func(int, http.ResponseWriter) bool { time.Sleep(d); return false }
	}
	busy := func(seconds int) func(int, http.ResponseWriter) bool {
		return func(n int, w http.ResponseWriter) bool {
			if n == 1 {
				w.WriteHeader(http.StatusTooManyRequests)
				fmt.Fprintf(w, `{"ok":false,"error_code":429,"description":"x","parameters":{"retry_after":%d}}`, seconds)
			}
			return n == 1
		}
	}
	for name, c := range map[string]struct {
		response func(int, http.ResponseWriter) bool
		messages int
		wait     time.Duration
		lost     bool // some before the last
	}{
		"from a server that takes its time":   {slow(700 * time.Millisecond), 1, 5 * time.Second, false},
		"behind one that is being sent":       {slow(700 * time.Millisecond), 2, 5 * time.Second, false},
		"behind a backlog":                    {slow(500 * time.Millisecond), 12, 3 * time.Second, true},
		"though the server asked for a pause": {busy(30), 1, 2 * time.Second, false},
		"though a pause lies before it":       {busy(30), 2, 2 * time.Second, true},
		"though the queue is full":            {slow(300 * time.Millisecond), 2 * queued, 2 * time.Second, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, said := newTelegram(t, c.response), &complaints{}
			chat := NewChat(account(s), said.add)
			for i := range c.messages {
				chat.Send(fmt.Sprint(i + 1))
				time.Sleep(20 * time.Millisecond) // as epochs do
			}
			chat.Close(c.wait)
			got := s.received()
			if last := fmt.Sprintf("42: %d", c.messages); len(got) == 0 || got[len(got)-1] != last {
				t.Errorf("received %q, want %q to be the last", got, last)
			}
			if lost := len(got) < c.messages; lost != c.lost || (len(said.all()) == 1) != c.lost {
				t.Errorf("received %q of %d, complaints %q", got, c.messages, said.all())
			}
		})
	}
}

func TestAnEndThatHurriesWaitsNoLonger(t *testing.T) {
	release := make(chan struct{})
	s, c := newTelegram(t, func(int, http.ResponseWriter) bool { <-release; return false }), &complaints{}
	defer close(release)
	chat := NewChat(account(s), c.add)
	chat.Send("a")
	time.AfterFunc(100*time.Millisecond, func() { chat.Within(200 * time.Millisecond) })
	began := time.Now()
	chat.Close(time.Minute)
	if took := time.Since(began); took > patience {
		t.Errorf("closing took %v, as long as waiting for an answer", took)
	}
}

func TestTheTokenIsInNoError(t *testing.T) {
	c := &complaints{}
	chat := NewChat(Account{token, "42", "http://127.0.0.1:1"}, c.add)
	chat.Send("a")
	chat.Close(3 * time.Second)
	if got := c.all(); len(got) != 1 {
		t.Errorf("complaints %q, want one", got)
	}
	for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
		if text := fmt.Sprintf(format, Account{token: token, chat: "42"}); strings.Contains(text, "secret") {
			t.Errorf("%s shows %s", format, text)
		}
	}
}

func TestCredentials(t *testing.T) {
	file := filepath.Join(t.TempDir(), ".env")
	t.Setenv(TokenVariable, "")
	t.Setenv(ChatVariable, "")
	_, err := Credentials(file)
	if !errors.Is(err, ErrNoCredentials) || !strings.Contains(err.Error(), TokenVariable+" and "+ChatVariable) {
		t.Errorf("without anything: %v", err)
	}
	if err := os.WriteFile(file, []byte("# mine\n\nexport TELEGRAM_BOT_TOKEN=\"12:ab-c_\"\nTELEGRAM_CHAT_ID = '-100=0'\nOTHER=1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if a, err := Credentials(file); err != nil || a.token != "12:ab-c_" || a.chat != "-100=0" {
		t.Errorf("from the file: %q %q, %v", a.token, a.chat, err)
	}
	utf16 := "\xFF\xFE" // as PowerShell's echo writes
	for _, c := range "TELEGRAM_BOT_TOKEN=12:ab-c_\r\nTELEGRAM_CHAT_ID=42\r\n" {
		utf16 += string(c) + "\x00"
	}
	for _, text := range []string{"\xEF\xBB\xBFTELEGRAM_BOT_TOKEN=12:ab-c_\nTELEGRAM_CHAT_ID=42", utf16} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if a, err := Credentials(file); err != nil || a.token != "12:ab-c_" || a.chat != "42" {
			t.Errorf("from a file of Windows: %q %q, %v", a.token, a.chat, err)
		}
	}
	t.Setenv(ChatVariable, "7")
	if a, err := Credentials(file); err != nil || a.token != "12:ab-c_" || a.chat != "7" {
		t.Errorf("the environment comes first: %q %q, %v", a.token, a.chat, err)
	}
}

// Secrets come with what echo, Windows and people add to them.
func TestATokenIsCleanOrRefusedAndShownNowhere(t *testing.T) {
	t.Setenv(ChatVariable, " 42\n")
	for given, fits := range map[string]bool{
		token + "\n": true, token + " ": true, token + "\r": true,
		token + " # my bot": false, "very-secret": false, "bot" + token: false, token + "/very": false,
	} {
		for _, from := range []string{"environment", "file"} {
			file := filepath.Join(t.TempDir(), ".env")
			t.Setenv(TokenVariable, "")
			if from == "environment" {
				t.Setenv(TokenVariable, given)
			} else if err := os.WriteFile(file, []byte(TokenVariable+"="+given), 0o600); err != nil {
				t.Fatal(err)
			}
			a, err := Credentials(file)
			if fits && (err != nil || a.token != token || a.chat != "42") {
				t.Errorf("%q from the %s: %v, chat %q; want it to be trimmed", given, from, err, a.chat)
			}
			if !fits && (err == nil || !strings.Contains(err.Error(), TokenVariable) || strings.Contains(err.Error(), "secret")) {
				t.Errorf("%q from the %s: %v, want an error that names %s alone", given, from, err, TokenVariable)
			}
		}
		// Even if it came so far, it would not show.
		c := &complaints{}
		chat := NewChat(Account{given, "42", "http://127.0.0.1:1"}, c.add)
		chat.Send("a")
		chat.Close(200 * time.Millisecond)
		if got := c.all(); len(got) != 1 {
			t.Errorf("%q: complaints %q, want one", given, got)
		}
	}
}
