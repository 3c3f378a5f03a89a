package scenarios

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestInABrowser opens the notebook in a Jupyter server with a real browser,
// runs all cells from the menu, and looks for pictures on the page.
//
// With REKINDLE_SCREENSHOT=file.png the notebook runs at its own size, which
// takes minutes, and the training cell is photographed while it trains:
// docs/live.png was made so. Without a browser or the classic page it is
// skipped; with REKINDLE_BROWSER=1 it fails then.
func TestInABrowser(t *testing.T) {
	if os.Getenv("REKINDLE_SCENARIOS") == "" {
		t.Skip("this needs Jupyter and a browser; set REKINDLE_SCENARIOS=1 to run it")
	}
	miss := t.Skipf
	if os.Getenv("REKINDLE_BROWSER") != "" {
		miss = t.Fatalf
	}
	for _, program := range []string{"chromium", "chromedriver"} {
		if _, err := exec.LookPath(program); err != nil {
			miss("there is no %s; apt-get install chromium chromium-driver", program)
		}
	}
	m := setUp(t)
	if version := m.frontEnd(t); !strings.HasPrefix(version, "6.") {
		miss("this Jupyter's notebook is %q, and the test knows the menus of the classic page, version 6 (Debian's jupyter-notebook)", version)
	}
	screenshot, overrides := os.Getenv("REKINDLE_SCREENSHOT"), `{"num_epochs": 5, `+strings.TrimPrefix(tiny, "{")
	if screenshot != "" {
		overrides = ""
	}
	page := m.serve(t, overrides)
	b := newBrowser(t)
	b.do("POST", "/url", map[string]any{"url": page}, nil)
	b.until("the kernel is ready", time.Minute, `return !!(window.Jupyter && Jupyter.notebook && Jupyter.notebook.kernel && Jupyter.notebook.kernel.is_connected() && Jupyter.notebook._fully_loaded)`)
	b.script(`Jupyter.notebook.clear_all_output()`, nil) // what the file has stored

	b.click(`//a[normalize-space()="Cell"]`)
	b.click(`//*[@id="run_all_cells"]/a`)
	b.until("a cell runs", time.Minute, `return document.querySelectorAll(".code_cell.running").length > 0`)
	if screenshot != "" {
		b.until("some epochs are finished", 5*time.Minute, `return document.querySelectorAll(".output_html table tbody tr").length >= 4`)
		b.until("the next one is under way", time.Minute, `return /batch [2-4][0-9] of/.test(document.querySelector(".output_html table").closest(".output_html").innerText)`)
		b.photograph(screenshot)
	}
	b.until("all cells have run", 10*time.Minute, `return document.querySelectorAll(".code_cell.running").length == 0`)

	var errors []string
	b.script(`return [...document.querySelectorAll(".output_error, .output_stderr")].map(e => e.innerText)`, &errors)
	if len(errors) > 0 {
		t.Errorf("the page shows errors: %q", errors)
	}
	var pictures []int // their widths
	b.script(`return [...document.querySelectorAll(".output img")].map(i => i.complete ? i.naturalWidth : 0)`, &pictures)
	if len(pictures) < 6 {
		t.Errorf("the page shows %d pictures, want at least 6", len(pictures))
	}
	for i, width := range pictures {
		if width < 100 {
			t.Errorf("picture %d is %d pixels wide", i+1, width)
		}
	}
	var epochs int
	b.script(`return document.querySelectorAll(".output_html table tbody tr").length`, &epochs)
	if epochs == 0 {
		t.Error("the page shows no table of epochs")
	}
	var arrows int
	b.script(`return document.querySelectorAll(".cm-tab").length`, &arrows)
	if arrows > 0 {
		t.Errorf("cells hold %d tabs, which this front end shows as arrows", arrows)
	}
	t.Logf("%d pictures and a table of %d epochs", len(pictures), epochs)
}

// photograph writes a picture of the training cell, its code and its output.
func (b *browser) photograph(path string) {
	b.t.Helper()
	b.script(`const c = Jupyter.notebook.get_cells().find(c => c.get_text().includes("compute.Train")); Jupyter.notebook.get_cells().forEach(c => c.unselect()); c.element[0].id = "training"; c.element[0].scrollIntoView(); document.querySelector("#site").scrollTop -= 30`, nil)
	time.Sleep(500 * time.Millisecond) // until it is drawn
	var found map[string]string
	b.do("POST", "/element", map[string]any{"using": "css selector", "value": "#training"}, &found)
	for _, element := range found {
		var png string
		b.do("GET", "/element/"+element+"/screenshot", nil, &png)
		raw, err := base64.StdEncoding.DecodeString(png)
		must(b.t, err)
		must(b.t, os.WriteFile(path, raw, 0o666))
	}
}

// jupyter is the program that set-up has found.
func (m *machine) jupyter(t *testing.T) string {
	t.Helper()
	program, err := os.ReadFile(filepath.Join(m.clone, "build/jupyter/program"))
	must(t, err)
	return string(program)
}

// frontEnd is the version of what "jupyter notebook" starts, "" if nothing does.
func (m *machine) frontEnd(t *testing.T) string {
	t.Helper()
	version, _ := exec.Command(m.jupyter(t), "notebook", "--version").Output()
	return strings.TrimSpace(string(version))
}

// serve starts a Jupyter server on a clone of its own, and returns the address
// of the notebook.
func (m *machine) serve(t *testing.T, overrides string) string {
	t.Helper()
	top, port := m.newClone(t, notebookFile), freePort(t)
	const token = "scenarios"
	background(t, m.environ(top, overrides), top, m.jupyter(t), "notebook", "--allow-root", "--no-browser", "--ip=127.0.0.1",
		fmt.Sprintf("--port=%d", port), "--NotebookApp.token="+token)
	server := fmt.Sprintf("http://127.0.0.1:%d", port)
	answers(t, server+"/api")
	return fmt.Sprintf("%s/notebooks/%s?token=%s", server, notebookFile, token)
}

// background starts a program that ends with the test.
func background(t *testing.T, env []string, dir, name string, args ...string) {
	t.Helper()
	var said bytes.Buffer
	cmd := exec.Command(name, args...)
	cmd.Env, cmd.Dir, cmd.Stdout, cmd.Stderr = env, dir, &said, &said
	cmd.WaitDelay = 5 * time.Second
	must(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		force := time.AfterFunc(20*time.Second, func() { _ = cmd.Process.Kill() })
		_ = cmd.Wait()
		force.Stop()
		if t.Failed() {
			t.Logf("%s said:\n%s", filepath.Base(name), said.String())
		}
	})
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// answers waits until a server answers.
func answers(t *testing.T, url string) {
	t.Helper()
	var err error
	for range 300 {
		var got *http.Response
		if got, err = http.Get(url); err == nil {
			got.Body.Close()
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Fatalf("%s does not answer: %v", url, err)
}

// browser is a Chromium that obeys the WebDriver protocol.
type browser struct {
	t       *testing.T
	session string // address
}

func newBrowser(t *testing.T) *browser {
	t.Helper()
	port := freePort(t)
	background(t, os.Environ(), t.TempDir(), "chromedriver", fmt.Sprintf("--port=%d", port))
	driver := fmt.Sprintf("http://127.0.0.1:%d", port)
	answers(t, driver+"/status")
	b := &browser{t, driver + "/session"}
	var opened struct{ SessionID string }
	b.do("POST", "", map[string]any{"capabilities": map[string]any{"alwaysMatch": map[string]any{
		"browserName":        "chrome",
		"goog:chromeOptions": map[string]any{"args": []string{"--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=1280,1500"}},
	}}}, &opened)
	b.session += "/" + opened.SessionID
	t.Cleanup(func() { b.do("DELETE", "", nil, nil) })
	return b
}

// do sends a command and stores its value in result, unless that is nil.
func (b *browser) do(method, path string, body, result any) {
	b.t.Helper()
	var send io.Reader
	if method == "POST" {
		raw, err := json.Marshal(body)
		must(b.t, err)
		send = bytes.NewReader(raw)
	}
	request, err := http.NewRequest(method, b.session+path, send)
	must(b.t, err)
	response, err := http.DefaultClient.Do(request)
	must(b.t, err)
	defer response.Body.Close()
	var answer struct{ Value json.RawMessage }
	must(b.t, json.NewDecoder(response.Body).Decode(&answer))
	if response.StatusCode != http.StatusOK {
		b.t.Fatalf("%s %s: %s", method, path, answer.Value)
	}
	if result != nil {
		must(b.t, json.Unmarshal(answer.Value, result))
	}
}

// script runs JavaScript in the page.
func (b *browser) script(text string, result any) {
	b.t.Helper()
	b.do("POST", "/execute/sync", map[string]any{"script": text, "args": []any{}}, result)
}

// until waits for a condition in JavaScript.
func (b *browser) until(what string, patience time.Duration, condition string) {
	b.t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(200 * time.Millisecond) {
		var holds bool
		if b.script(condition, &holds); holds {
			return
		}
	}
	b.t.Fatalf("waited %v until %s", patience, what)
}

// click presses what an XPath expression finds.
func (b *browser) click(xpath string) {
	b.t.Helper()
	var found map[string]string
	b.do("POST", "/element", map[string]any{"using": "xpath", "value": xpath}, &found)
	for _, element := range found {
		b.do("POST", "/element/"+element+"/click", map[string]any{}, nil)
	}
}
