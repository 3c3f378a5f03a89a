package notify_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"time"

	"rekindle/pkg/notify"
)

// A server of one's own stands for Telegram's here.
func Example() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Printf("to %s: %s\n", r.FormValue("chat_id"), r.FormValue("text"))
		fmt.Fprint(w, `{"ok":true,"result":{"message_id":1,"date":1,"chat":{"id":42,"type":"private"}}}`)
	}))
	defer server.Close()
	for name, value := range map[string]string{notify.ServerVariable: server.URL, notify.TokenVariable: "123456:secret", notify.ChatVariable: "42"} {
		check(os.Setenv(name, value))
		defer os.Unsetenv(name)
	}

	account, err := notify.Credentials(".env") // for what is not in the environment
	check(err)
	fmt.Println(account) // without the token
	chat := notify.NewChat(account, func(err error) { fmt.Println(err) })
	chat.Send("training started") // returns at once
	chat.Send("36 epochs, 28.4 dB")
	chat.Close(time.Minute) // waits no longer than that
	// Output:
	// chat 42
	// to 42: training started
	// to 42: 36 epochs, 28.4 dB
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
