// Package notify sends short messages about training to a Telegram chat.
//
// Training must not notice: messages wait in a bounded queue and are sent by a
// goroutine of their own; what cannot be sent is dropped and said once.
//
//	credentials, err := notify.Credentials(".env")
//	chat := notify.NewChat(credentials, func(err error) { fmt.Println(err) })
//	chat.Send("training started")
//	chat.Close(time.Second)
package notify

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"strings"
	"sync"
	"time"
	"unicode/utf16"

	"github.com/go-telegram/bot"

	"rekindle/pkg/durable"
)

// The variables that hold the credentials, in the environment or a .env file.
const (
	TokenVariable = "TELEGRAM_BOT_TOKEN"
	ChatVariable  = "TELEGRAM_CHAT_ID"
	// ServerVariable names another server of the same protocol, such as one's own.
	ServerVariable = "TELEGRAM_SERVER"
)

// ErrNoCredentials is returned, wrapped, where a variable is missing.
var ErrNoCredentials = errors.New("no Telegram credentials")

// Account is a bot and the chat it writes to. Its String hides the token.
type Account struct {
	token, chat string
	server      string // "" for Telegram's
}

func (a Account) String() string { return "chat " + a.chat }

// GoString hides the token from %#v.
func (a Account) GoString() string { return a.String() }

// tokenForm is that of @BotFather's tokens. Anything else would end up in an
// address, and from there, escaped, in errors.
var tokenForm = regexp.MustCompile(`^\d+:[\w-]+$`)

// Credentials reads the account from the environment and, where that lacks
// something, from a file of lines NAME=value, which may be missing. Space around
// a value does not count: secrets made with echo end with a line feed.
func Credentials(file string) (Account, error) {
	values, err := readEnv(file)
	if err != nil {
		return Account{}, fmt.Errorf("notify: %w", err)
	}
	var missing []string
	get := func(name string) string {
		value := strings.TrimSpace(os.Getenv(name))
		if value == "" {
			value = strings.TrimSpace(values[name])
		}
		if value == "" {
			missing = append(missing, name)
		}
		return value
	}
	a := Account{token: get(TokenVariable), chat: get(ChatVariable), server: os.Getenv(ServerVariable)}
	if len(missing) > 0 {
		return Account{}, fmt.Errorf("notify: %w: set %s in the environment or in %s", ErrNoCredentials, strings.Join(missing, " and "), file)
	}
	if !tokenForm.MatchString(a.token) {
		return Account{}, fmt.Errorf("notify: %s is no token of a Telegram bot; it must be digits, a colon, and then letters, digits, _ and - alone, without a comment behind", TokenVariable)
	}
	return a, nil
}

// readEnv reads lines NAME=value: "export" before, quotes around the value,
// comments and empty lines are allowed.
func readEnv(file string) (map[string]string, error) {
	text, err := durable.ReadText(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	values := map[string]string{}
	lines := bufio.NewScanner(bytes.NewReader(text))
	for lines.Scan() {
		line := strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(lines.Text()), "export "))
		name, value, ok := strings.Cut(line, "=")
		if !ok || strings.HasPrefix(line, "#") {
			continue
		}
		value = strings.TrimSpace(value)
		if n := len(value); n >= 2 && (value[0] == '"' || value[0] == '\'') && value[n-1] == value[0] {
			value = value[1 : n-1]
		}
		values[strings.TrimSpace(name)] = value
	}
	return values, lines.Err()
}

const (
	queued   = 16               // messages that can wait
	patience = 10 * time.Second // for the answer to one message
	longest  = 30 * time.Second // that a server may ask to wait
	most     = 4000             // UTF-16 units in a message; Telegram refuses more than 4096
)

// Chat sends messages in order. Its methods may be called from one goroutine.
type Chat struct {
	account Account
	onError func(error)

	queue  chan string
	done   chan struct{}
	ctx    context.Context
	cancel context.CancelFunc
	// hurry ends when it is time for the last message, whatever waits before it.
	hurry context.Context
	skip  context.CancelFunc
	said  sync.Once
}

// NewChat starts a sender. onError is told of the first message that could not
// be sent, from another goroutine.
func NewChat(a Account, onError func(error)) *Chat {
	c := &Chat{account: a, onError: onError, queue: make(chan string, queued), done: make(chan struct{})}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	c.hurry, c.skip = context.WithCancel(c.ctx)
	go c.work()
	return c
}

// Send puts a message into the queue and returns at once. Where the queue is
// full the oldest message is dropped: the newest says most. What is too long for
// Telegram is cut.
func (c *Chat) Send(text string) {
	text = shortened(text)
	for {
		select {
		case c.queue <- text:
			return
		default:
		}
		select {
		case <-c.queue:
			c.fail(errors.New("too many messages wait, so some are dropped"))
		default:
		}
	}
}

func shortened(text string) string {
	units := 0
	for i, r := range text {
		if units += utf16.RuneLen(r); units > most {
			return text[:i] + "…"
		}
	}
	return text
}

// Close waits until everything is sent, but no longer than that. When half of
// the time has passed, what still waits gives way to the last message. Nothing
// is sent afterwards.
func (c *Chat) Close(wait time.Duration) {
	close(c.queue)
	c.Within(wait)
	<-c.done
	c.cancel()
}

// Within makes [Chat.Close], also one under way, end after no more than wait.
// It may be called from another goroutine.
func (c *Chat) Within(wait time.Duration) {
	time.AfterFunc(wait/2, c.skip)
	time.AfterFunc(wait, c.cancel)
}

func (c *Chat) work() {
	defer close(c.done)
	options := []bot.Option{bot.WithSkipGetMe(), bot.WithErrorsHandler(func(error) {})}
	if c.account.server != "" {
		options = append(options, bot.WithServerURL(c.account.server))
	}
	telegram, err := bot.New(c.account.token, options...)
	for text := range c.queue {
		if c.late() {
			c.fail(errors.New("time was short for all of them, and the last one went first"))
			continue
		}
		if err == nil {
			err = c.deliver(telegram, text)
		}
		if err != nil {
			c.fail(err)
		}
		if !permanent(err) {
			err = nil
		}
	}
}

// late says that the time left is for another message than the one under way.
func (c *Chat) late() bool { return c.hurry.Err() != nil && len(c.queue) > 0 }

// deliver tries a message twice, and waits where the server asks for it. A wait
// that [Chat.Close] cuts short is followed by one more try.
func (c *Chat) deliver(telegram *bot.Bot, text string) error {
	hurry := c.hurry.Done()
	for again := false; ; {
		err := c.try(telegram, text)
		if err == nil || again || permanent(err) || c.ctx.Err() != nil || c.late() {
			return err
		}
		if c.hurry.Err() != nil {
			hurry = nil // has been heeded
		}
		pause := time.Second
		var busy *bot.TooManyRequestsError
		if errors.As(err, &busy) {
			pause = min(time.Duration(busy.RetryAfter)*time.Second, longest)
		}
		select {
		case <-time.After(pause):
			again = true
		case <-hurry:
		case <-c.ctx.Done():
		}
		if c.late() {
			return err
		}
	}
}

// try sends a message once. It gives up where time is short and others wait.
func (c *Chat) try(telegram *bot.Bot, text string) error {
	ctx, cancel := context.WithTimeout(c.ctx, patience)
	defer cancel()
	defer context.AfterFunc(c.hurry, func() {
		if c.late() {
			cancel()
		}
	})()
	_, err := telegram.SendMessage(ctx, &bot.SendMessageParams{ChatID: c.account.chat, Text: text})
	return err
}

// permanent tells errors that the next message would meet as well.
func permanent(err error) bool {
	return errors.Is(err, bot.ErrorUnauthorized) || errors.Is(err, bot.ErrorNotFound) || errors.Is(err, bot.ErrorForbidden) || errors.Is(err, bot.ErrorBadRequest)
}

// tokenInAddress is the token however it is escaped.
var tokenInAddress = regexp.MustCompile(`/bot[^/ ]*`)

// fail reports the first error, in one line and without the token.
func (c *Chat) fail(err error) {
	c.said.Do(func() {
		text := err.Error()
		switch {
		case errors.Is(err, bot.ErrorUnauthorized), errors.Is(err, bot.ErrorNotFound):
			text = "Telegram does not know this bot; check " + TokenVariable
		case errors.Is(err, bot.ErrorBadRequest), errors.Is(err, bot.ErrorForbidden):
			text = "Telegram does not let the bot write to this chat; check " + ChatVariable + ", and write to the bot first"
		case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
			text = "Telegram does not answer"
		}
		text, _, _ = strings.Cut(tokenInAddress.ReplaceAllString(strings.ReplaceAll(text, c.account.token, "***"), "/bot***"), "\n")
		c.onError(fmt.Errorf("notify: %s", text))
	})
}
