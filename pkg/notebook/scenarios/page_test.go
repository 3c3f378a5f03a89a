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
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// frontEnds are what people open notebooks with, and how the address of one begins.
var frontEnds = []struct{ name, prefix string }{{"lab", "lab/tree"}, {"notebook", "notebooks"}}

// TestInABrowser does in a real browser, in JupyterLab and in Notebook 7, what people
// do: Run All, completion and help, interrupt, restart and plot, SKIP_TRAINING, an
// edit after running out of memory, and a look in the dark. Screenshots are in
// build/screenshots.
//
// With REKINDLE_SCREENSHOT=file.png the notebook runs at its own size, which takes
// minutes, and the training cell is photographed while it trains: docs/live.png was
// made so. Without a browser, JupyterLab 4 or gopls it is skipped; with
// REKINDLE_BROWSER=1 it fails then.
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
	version, _ := exec.Command(m.jupyter(t), "lab", "--version").Output()
	if !strings.HasPrefix(string(version), "4.") {
		miss("this Jupyter has no JupyterLab 4; make jupyter")
	}
	if screenshot := os.Getenv("REKINDLE_SCREENSHOT"); screenshot != "" {
		p := m.openPage(t, "lab", "lab/tree", "")
		p.runAll()
		p.until("some epochs are finished", 10*time.Minute, `return (html("training").match(/<tr>/g) || []).length >= 5`)
		p.photograph(screenshot, "training")
		return
	}
	if _, err := os.Stat(filepath.Join(m.clone, "build/bin/gopls")); err != nil {
		miss("there is no gopls; make gopls")
	}
	for _, f := range frontEnds {
		t.Run(f.name, func(t *testing.T) {
			p := m.openPage(t, f.name, f.prefix, strings.Replace(tiny, `"patches_per_image": 1,`, `"patches_per_image": 4,`, 1))
			p.opensClean()
			p.completes()
			p.runsAll()
			if os.Getenv("CI") != "" && f.name != "lab" {
				return // built from the same parts; the rest takes minutes
			}
			p.interrupts()
			p.restartsAndPlots()
			p.looks()
			p.runsOutOfMemory()
		})
	}
}

// page is a notebook that is open in a browser.
type page struct {
	*browser
	front  string
	file   string // on disk
	server *words
	shots  int
	opened time.Time
}

// tools are JavaScript that scripts below begin with. The notebook's own model is
// read, because front ends take cells that are out of sight out of the page.
const tools = `
const panel = window.jupyterapp && jupyterapp.shell.currentWidget, nb = panel && panel.content;
const cell = id => nb.widgets.find(w => w.model.id === id);
const outputs = id => cell(id).model.outputs.toJSON();
const text = v => Array.isArray(v) ? v.join("") : (v || "");
const said = id => outputs(id).map(o => text(o.text) + text(o.traceback) + text((o.data || {})["text/plain"])).join("");
const html = id => outputs(id).map(o => text((o.data || {})["text/html"])).join("");
const codes = () => nb.widgets.filter(w => w.model.type === "code").map(w => w.model.id);
const kernel = () => panel.sessionContext.session && panel.sessionContext.session.kernel;
const idle = () => kernel() && kernel().status === "idle" && window.ran !== false;
const run = command => { window.ran = false; jupyterapp.commands.execute(command).then(() => window.ran = true, () => window.ran = true) };
const select = id => { nb.activeCellIndex = nb.widgets.indexOf(cell(id)); nb.deselectAll() };
`

func (p *page) script(text string, result any) {
	p.t.Helper()
	p.browser.script(tools+text, result)
}

func (p *page) until(what string, patience time.Duration, condition string) {
	p.t.Helper()
	p.browser.until(what, patience, tools+condition)
}

func (p *page) text(script string) (found string) {
	p.t.Helper()
	p.script(script, &found)
	return found
}

// openPage starts "make lab" on a clone of its own, and opens the notebook.
func (m *machine) openPage(t *testing.T, front, prefix, overrides string) *page {
	t.Helper()
	top, port := m.newClone(t, notebookFile), freePort(t)
	const token = "scenarios"
	settings := filepath.Join(top, "jupyter/config/labconfig/default_setting_overrides.json")
	must(t, os.MkdirAll(filepath.Dir(settings), 0o777))
	must(t, os.WriteFile(settings, []byte(`{"@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": false}}`), 0o666))
	server := background(t, m.environ(top, overrides), m.clone, "build/bin/launch", "lab", filepath.Join(top, notebookFile), "--front="+front, "--no-browser", "--ip=127.0.0.1",
		fmt.Sprintf("--port=%d", port), "--IdentityProvider.token="+token, "--expose-app-in-browser", "--ServerApp.root_dir="+top)
	address := fmt.Sprintf("http://127.0.0.1:%d/", port)
	answers(t, address+"api")
	p := &page{browser: newBrowser(t), front: front, file: filepath.Join(top, notebookFile), server: server, opened: time.Now()}
	p.do("POST", "/url", map[string]any{"url": address + prefix + "/" + notebookFile + "?token=" + token}, nil)
	p.until("the kernel is ready", 5*time.Minute, `return !!(nb && nb.widgets && nb.widgets.length > 30 && panel.context.isReady && kernel() && kernel().status === "idle")`)
	t.Logf("%s: the kernel is ready %.1f s after the notebook was opened", front, time.Since(p.opened).Seconds())
	return p
}

// shoot keeps a screenshot with a cell in view.
func (p *page) shoot(name, id string) {
	p.t.Helper()
	p.scroll(id)
	p.shootHere(name)
}

func (p *page) scroll(id string) {
	p.t.Helper()
	p.script(`nb.scrollToCell(cell("`+id+`"), "start")`, nil)
	time.Sleep(time.Second) // until it is drawn
}

// photograph writes a picture of one cell, its code and its output.
func (p *page) photograph(path, id string) {
	p.t.Helper()
	p.scroll(id)
	p.script(`cell("`+id+`").node.id = "photographed"`, nil)
	var found map[string]string
	p.do("POST", "/element", map[string]any{"using": "css selector", "value": "#photographed"}, &found)
	for _, element := range found {
		var png string
		p.do("GET", "/element/"+element+"/screenshot", nil, &png)
		raw, err := base64.StdEncoding.DecodeString(png)
		must(p.t, err)
		must(p.t, os.WriteFile(path, raw, 0o666))
	}
}

// press sends keys to what has the focus.
func (p *page) press(keys ...string) {
	p.t.Helper()
	var actions []map[string]string
	for _, k := range keys {
		actions = append(actions, map[string]string{"type": "keyDown", "value": k})
	}
	for i := range keys {
		actions = append(actions, map[string]string{"type": "keyUp", "value": keys[len(keys)-1-i]})
	}
	p.do("POST", "/actions", map[string]any{"actions": []any{map[string]any{"type": "key", "id": "keyboard", "actions": actions}}}, nil)
}

// WebDriver's names of keys.
const (
	tabKey    = "\uE004"
	shiftKey  = "\uE008"
	escapeKey = "\uE00C"
)

func (p *page) runAll() {
	p.t.Helper()
	p.script(`run("notebook:run-all-cells")`, nil)
}

func (p *page) done(what string) {
	p.t.Helper()
	p.until(what, 10*time.Minute, `return idle()`)
}

// runCell runs one cell, without waiting for it.
func (p *page) runCell(id string) {
	p.t.Helper()
	p.script(`select("`+id+`"); run("notebook:run-cell")`, nil)
}

// set gives a key of the configuration a value, as in [notebook.set]; "" makes its
// line a comment again.
func (p *page) set(key, value string) {
	p.t.Helper()
	source := p.text(`return cell("configuration").model.sharedModel.getSource()`)
	line := regexp.MustCompile(`(?m)^ {4}(// )?cfg\.` + key + ` = [^ \n]+`)
	new := "    cfg." + key + " = " + value
	if value == "" {
		new = "    // cfg." + key + " = 1"
	}
	if !line.MatchString(source) {
		p.t.Fatalf("the configuration cell has no line for %s", key)
	}
	p.source("configuration", line.ReplaceAllLiteralString(source, new))
}

func (p *page) source(id, text string) {
	p.t.Helper()
	raw, err := json.Marshal(text)
	must(p.t, err)
	p.script(`cell("`+id+`").model.sharedModel.setSource(`+string(raw)+`)`, nil)
}

// says checks that a cell's text or HTML has parts.
func (p *page) says(id string, parts ...string) {
	p.t.Helper()
	all := p.text(`return said("` + id + `") + html("` + id + `")`)
	for _, part := range parts {
		if !strings.Contains(all, part) {
			p.t.Errorf("the cell %s does not say %q:\n%s", id, part, all)
		}
	}
}

// errors are those that cells show.
func (p *page) errors() (found []string) {
	p.t.Helper()
	p.script(`return codes().flatMap(id => outputs(id).filter(o => o.output_type === "error" || o.name === "stderr").map(o => id + ": " + text(o.text) + text(o.traceback)))`, &found)
	return found
}

// opensClean checks what is seen before anything is run.
func (p *page) opensClean() {
	p.t.Helper()
	before, err := os.ReadFile("../../../" + notebookFile)
	must(p.t, err)
	if status := p.text(`return panel.sessionContext.kernelDisplayStatus + " " + document.body.innerText`); !strings.HasPrefix(status, "idle") || strings.Contains(status, "Unknown") {
		p.t.Errorf("before the first cell the kernel counts as %.60q", status)
	}
	p.shoot("opened", "title")
	var dirty bool
	if p.script(`return panel.context.model.dirty`, &dirty); dirty {
		p.t.Error("opening the notebook changed it")
	}
	p.script(`window.ran = false; panel.context.save().then(() => window.ran = true)`, nil)
	p.done("the notebook is saved")
	after, err := os.ReadFile(p.file)
	must(p.t, err)
	if !bytes.Equal(before, after) {
		p.t.Error("opening and saving the notebook changed the file")
	}
	began := time.Now()
	p.runCell("control")
	p.done("the first cell has run")
	p.t.Logf("%s: the first cell's output is there %.1f s after the notebook was opened; the cell itself took %.1f s", p.front, time.Since(p.opened).Seconds(), time.Since(began).Seconds())
	address := map[string]string{"lab": "/lab/tree/", "notebook": "/notebooks/"}[p.front] + notebookFile + "?token=scenarios"
	for end := time.Now().Add(time.Minute); !strings.Contains(p.server.String(), address) && time.Now().Before(end); {
		time.Sleep(200 * time.Millisecond)
	}
	if said := p.server.String(); !strings.Contains(said, address) || !strings.Contains(said, "ssh -N -L ") {
		p.t.Errorf("make lab does not say where the notebook is:\n%s", said)
	}
}

// completes presses Tab and Shift-Tab in a cell.
func (p *page) completes() {
	p.t.Helper()
	p.runCell("environment")
	p.done("the imports have run")
	source := p.text(`return cell("configuration").model.sharedModel.getSource()`)
	const at = "    // Memory"
	for _, c := range []struct{ typed, want string }{{"cfg.Num", "NumEpochs"}, {"cfg.", "BatchSize"}} {
		p.source("configuration", strings.Replace(source, at, "    "+c.typed+"\n"+at, 1))
		line := strings.Count(source[:strings.Index(source, at)], "\n")
		p.script(fmt.Sprintf(`select("configuration"); nb.mode = "edit"; const e = cell("configuration").editor; e.focus(); e.setCursorPosition({line: %d, column: %d})`, line, 4+len(c.typed)), nil)
		time.Sleep(500 * time.Millisecond)
		began := time.Now()
		p.press(tabKey)
		p.until("Tab after "+c.typed+" offers "+c.want, time.Minute, `return [...document.querySelectorAll(".jp-Completer .jp-Completer-item")].some(i => i.innerText.includes("`+c.want+`")) || cell("configuration").model.sharedModel.getSource().includes("`+c.want+`\n    // Memory")`)
		p.t.Logf("%s: Tab after %s answered in %.1f s", p.front, c.typed, time.Since(began).Seconds())
		p.shootHere("tab-" + strings.Trim(c.typed, "."))
		p.press(escapeKey)
	}
	p.source("configuration", source)
	p.script(`select("training"); nb.mode = "edit"; const e = cell("training").editor; e.focus(); e.setCursorPosition({line: 4, column: 14})`, nil)
	time.Sleep(500 * time.Millisecond)
	began := time.Now()
	p.press(shiftKey, tabKey)
	p.until("Shift-Tab explains compute.Train", time.Minute, `const t = document.querySelector(".jp-Tooltip"); return !!t && t.innerText.includes("Train runs the training loop")`)
	p.t.Logf("%s: Shift-Tab answered in %.1f s", p.front, time.Since(began).Seconds())
	p.shootHere("shift-tab")
	p.press(escapeKey)
	p.script(`nb.mode = "command"`, nil)
}

// shootHere keeps a screenshot without scrolling.
func (p *page) shootHere(name string) {
	p.t.Helper()
	p.shots++
	dir := filepath.Join("../../../build/screenshots", p.front)
	must(p.t, os.MkdirAll(dir, 0o777))
	var png string
	p.do("GET", "/screenshot", nil, &png)
	raw, err := base64.StdEncoding.DecodeString(png)
	must(p.t, err)
	must(p.t, os.WriteFile(filepath.Join(dir, fmt.Sprintf("%02d-%s.png", p.shots, name)), raw, 0o666))
}

func (p *page) runsAll() {
	p.t.Helper()
	p.set("NumEpochs", "3")
	p.runAll()
	p.done("all cells have run")
	if found := p.errors(); len(found) > 0 {
		p.t.Errorf("the page shows errors: %q", found)
	}
	var pictures int
	if p.script(`return codes().flatMap(outputs).filter(o => o.data && (o.data["image/png"] || o.data["image/jpeg"])).length`, &pictures); pictures < 6 {
		p.t.Errorf("the page shows %d pictures, want at least 6", pictures)
	}
	var mute []string
	if p.script(`return codes().filter(id => outputs(id).some(o => o.data && (o.data["image/png"] || o.data["image/jpeg"]) && !(o.metadata || {}).alt))`, &mute); len(mute) > 0 {
		p.t.Errorf("pictures without an alternative text under the cells %q", mute)
	}
	p.says("training", "<td>3 / 3</td>", "Training completed: 3 epochs")
	for _, id := range []string{"training", "curves", "evaluation", "extremes"} {
		p.shoot("run-all-"+id, id)
		var width int
		if p.script(`const i = cell("`+id+`").node.querySelector("img"); return i ? (i.complete ? i.naturalWidth : 0) : -1`, &width); width >= 0 && width < 100 {
			p.t.Errorf("the picture of the cell %s is %d pixels wide", id, width)
		}
	}
}

// interrupts presses the button while a cell is compiled, and while it trains.
func (p *page) interrupts() {
	p.t.Helper()
	const stop = `//*[@data-command="notebook:interrupt-kernel"]`
	p.set("NumEpochs", "1000")
	p.set("ResumeFromCheckpoint", "true")
	source := p.text(`return cell("training").model.sharedModel.getSource()`)
	p.runCell("configuration")
	p.done("the configuration has run")
	p.runCell("directories")
	p.done("the experiment is chosen")

	p.source("training", source+"\n\n// compiled anew")
	p.runCell("training")
	p.click(stop)
	p.done("the cell that was compiled has stopped")
	p.says("training", "Interrupted while this cell was compiled")
	p.shoot("interrupted-in-compilation", "training")

	p.source("training", source)
	p.runCell("training")
	p.until("training is under way", 2*time.Minute, `return /<td>[4-9][0-9]* \/ 1000<\/td>/.test(html("training"))`)
	p.shoot("training", "training")
	p.theme("JupyterLab Dark")
	p.shoot("training-dark", "training")
	p.theme("JupyterLab Light")
	pressed := time.Now()
	p.click(stop)
	p.done("training has stopped")
	if took := time.Since(pressed); took > 20*time.Second {
		p.t.Errorf("training took %v to stop", took)
	}
	p.says("training", "Training interrupted in epoch", "ResumeFromCheckpoint = true")
	p.shoot("interrupted", "training")
}

func (p *page) theme(name string) {
	p.t.Helper()
	p.script(`jupyterapp.commands.execute("apputils:change-theme", {theme: "`+name+`"})`, nil)
	p.until("the theme is "+name, time.Minute, `return document.body.dataset.jpThemeName === "`+name+`"`)
	time.Sleep(time.Second)
}

// restartsAndPlots restarts the kernel, and runs only what plotting needs.
func (p *page) restartsAndPlots() {
	p.t.Helper()
	p.script(`jupyterapp.commands.execute("notebook:restart-kernel")`, nil)
	p.until("it is asked whether to restart", time.Minute, `return !!document.querySelector(".jp-Dialog .jp-mod-accept")`)
	p.browser.script(`document.querySelector(".jp-Dialog .jp-mod-accept").click()`, nil)
	time.Sleep(time.Second)
	p.until("the kernel is back", time.Minute, `return idle()`)
	p.script(`cell("curves").model.clearExecution(); cell("curves").model.outputs.clear()`, nil)
	for _, id := range []string{"control", "environment", "configuration", "skip", "directories", "curves"} {
		p.runCell(id)
		p.done("the cell " + id + " has run")
	}
	p.says("directories", "RESUME MODE")
	var pictures int
	if p.script(`return outputs("curves").filter(o => o.data && o.data["image/png"]).length`, &pictures); pictures < 1 { // a strip of restored patches may stand below
		p.t.Errorf("after a restart the curves are %d pictures, want at least 1: %s", pictures, p.text(`return said("curves")`))
	}
	p.shoot("restarted", "curves")
}

func (p *page) looks() {
	p.t.Helper()
	source := p.text(`return cell("skip").model.sharedModel.getSource()`)
	p.source("skip", strings.Replace(source, "SKIP_TRAINING = false", "SKIP_TRAINING = true", 1))
	p.runAll()
	p.done("all cells have been looked at")
	if found := p.errors(); len(found) > 0 {
		p.t.Errorf("with SKIP_TRAINING the page shows errors: %q", found)
	}
	p.says("training", "SKIP_TRAINING = true")
	p.shoot("skip-training", "training")
	p.source("skip", source)
}

// runsOutOfMemory goes on with one edit, the kernel still running.
func (p *page) runsOutOfMemory() {
	p.t.Helper()
	p.set("ResumeFromCheckpoint", "false")
	p.set("NumEpochs", "2")
	p.set("BatchSize", "16")
	p.set("MemoryLimitMB", "5")
	for _, id := range []string{"configuration", "skip", "directories", "training"} {
		p.runCell(id)
		p.done("the cell " + id + " has run")
	}
	p.says("training", "OUT OF MEMORY", "BatchSize", "ResumeFromCheckpoint")
	p.shoot("out-of-memory", "training")
	p.set("ResumeFromCheckpoint", "true")
	p.set("BatchSize", "4")
	p.set("MemoryLimitMB", "")
	for _, id := range []string{"configuration", "training"} {
		p.runCell(id)
		p.done("the cell " + id + " has run again")
	}
	p.says("training", "Training completed: 2 epochs")
	p.shoot("after-out-of-memory", "training")
}

// jupyter is the program that set-up has found.
func (m *machine) jupyter(t *testing.T) string {
	t.Helper()
	program, err := os.ReadFile(filepath.Join(m.clone, "build/jupyter/program"))
	must(t, err)
	path, _, _ := strings.Cut(string(program), "\n")
	return path
}

// background starts a program that ends with the test, and returns what it says.
func background(t *testing.T, env []string, dir, name string, args ...string) *words {
	t.Helper()
	said := new(words)
	cmd := exec.Command(name, args...)
	cmd.Env, cmd.Dir, cmd.Stdout, cmd.Stderr = env, dir, said, said
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
	return said
}

// words are what a program says while it runs.
type words struct {
	sync.Mutex
	text bytes.Buffer
}

func (w *words) Write(p []byte) (int, error) {
	w.Lock()
	defer w.Unlock()
	return w.text.Write(p)
}

func (w *words) String() string {
	w.Lock()
	defer w.Unlock()
	return w.text.String()
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
	for range 1800 {
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
