package setup

import (
	"context"
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

const gonbModule = "github.com/janpfeifer/gonb"

// correction replaces a piece of GoNB's source that occurs once in a file of it.
type correction struct{ file, old, new string }

// corrections mend what GoNB's version in go.mod does not do as Jupyter expects. They
// are made in a copy of its source when it is built; the module itself stays as it
// was published. One that no longer fits, after a new version of GoNB, ends the build
// with a sentence that names it; then it is mended, or no longer needed.
var corrections = []correction{
	// Front ends write what the kernel says of its language into the notebook, and
	// nbconvert colours code by it. GoNB names no lexer, and a version that differs
	// from machine to machine and so changes a committed notebook when it is opened.
	{"internal/kernel/messages.go",
		"				Version:       runtime.Version(),\n",
		"				Version:       languageVersion(),\n				PygmentsLexer: \"go\",\n				CodeMirrorMode: \"go\",\n"},
	{"internal/kernel/messages.go", "	\"runtime\"\n", "	\"runtime\"\n	\"strings\"\n"},
	{"internal/kernel/messages.go",
		"// SendKernelInfo sends a kernel_info_reply message.\n",
		`// languageVersion is the version of the language, without that of the toolchain.
func languageVersion() string {
	return strings.Join(strings.FieldsFunc(strings.TrimPrefix(runtime.Version(), "go"), func(r rune) bool { return r < '0' || r > '9' })[:2], ".")
}

// SendKernelInfo sends a kernel_info_reply message.
`},

	// A message carried the session of whom it answers instead of the kernel's own, and
	// JupyterLab throws away what has another session than the newest message. It also
	// passes over a state that belongs to a question for the kernel's name, so that
	// "Kernel Unknown" stood until a cell ran: the state is said once more, by itself.
	{"internal/dispatcher/dispatcher.go",
		"		klog.V(2).Infof(\"> kernel status set to idle.\")\n",
		"		if msgType == \"kernel_info_request\" && err == nil {\n			err = kernel.PublishIdle(msg)\n		}\n		klog.V(2).Infof(\"> kernel status set to idle.\")\n"},
	{"internal/kernel/messages.go",
		"// PublishExecuteInput publishes a status",
		`// PublishIdle says that the kernel is idle, in answer to nothing.
func PublishIdle(msg Message) error {
	return PublishKernelStatus(&MessageImpl{kernel: msg.Kernel()}, StatusIdle)
}

// PublishExecuteInput publishes a status`},
	{"internal/kernel/messages.go", "	msg.Header.Session = parent.Header.Session\n", "	msg.Header.Session = session\n"},
	{"internal/kernel/messages.go",
		"// zmqMsgHeader encodes header info for ZMQ messages.\n",
		"// session is the kernel's own.\nvar session = uuid.Must(uuid.NewV4()).String()\n\n// zmqMsgHeader encodes header info for ZMQ messages.\n"},

	// An interruption reached only a program that ran. Now it is remembered from the
	// moment that a cell begins, ends "go build", and meets a program that was started
	// in the same moment.
	{"internal/dispatcher/dispatcher.go",
		"			msg.Kernel().CallInterruptSubscribers()\n			replyContent",
		"			msg.Kernel().Interrupted.Store(true)\n			msg.Kernel().CallInterruptSubscribers()\n			replyContent"},
	{"internal/goexec/execcode.go",
		"	cmd := exec.Command(\"go\", args...)\n",
		`	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	interruption := msg.Kernel().SubscribeInterrupt(func(kernel.SubscriptionId) { cancel() })
	defer msg.Kernel().UnsubscribeInterrupt(interruption)
	if msg.Kernel().Interrupted.Load() {
		return s.interrupted()
	}
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 5 * time.Second
`},
	{"internal/goexec/execcode.go",
		"	output, err := cmd.CombinedOutput()\n	if err != nil {\n		klog.Errorf(\"Failed %q:",
		"	output, err := cmd.CombinedOutput()\n	if msg.Kernel().Interrupted.Load() {\n		return s.interrupted()\n	}\n	if err != nil {\n		klog.Errorf(\"Failed %q:"},
	{"internal/goexec/execcode.go",
		"// Compile compiles the currently generate go files",
		`// errInterrupted is for a cell that was stopped before its program ran.
var errInterrupted = errors.New("❌ Interrupted while this cell was compiled: nothing of it has run. Run it again when you want it")

// interrupted leaves a mark by which heavy cells know that they were queued behind this
// one (package cell of Rekindle).
func (s *State) interrupted() error {
	_ = os.WriteFile(path.Join(s.TempDir, "rekindle_interrupted.json"), []byte("{}"), 0o666)
	return errInterrupted
}

// Compile compiles the currently generate go files`},
	{"internal/goexec/execcode.go", "import (\n", "import (\n	\"context\"\n	\"time\"\n"},
	{"internal/jpyexec/jpyexec.go",
		"	interruptId = exec.Msg.Kernel().SubscribeInterrupt(func(id kernel.SubscriptionId) {\n		// Sent interrupt to process.\n		err := cmd.Process.Signal(os.Interrupt)\n		exec.Msg.Kernel().UnsubscribeInterrupt(interruptId)\n",
		"	var once sync.Once\n	interrupt := func() { once.Do(func() {\n		err := cmd.Process.Signal(os.Interrupt)\n"},
	{"internal/jpyexec/jpyexec.go",
		"				klog.Errorf(\"failed to kill process %s (%v): %+v\", cmd, cmd.Process, err)\n			}\n		}\n	})\n",
		`				klog.Errorf("failed to kill process %s (%v): %+v", cmd, cmd.Process, err)
			}
		}
	}) }
	interruptId = exec.Msg.Kernel().SubscribeInterrupt(func(kernel.SubscriptionId) { interrupt() })
	if exec.Msg.Kernel().Interrupted.Load() { // before the line above
		go interrupt()
	}
`},

	// Cleaners of temporary files take what nobody has touched for some days, such as the
	// files of a kernel whose cell trains for weeks: systemd's passes over a folder that is
	// locked. Where the folder is gone all the same, no cell could be written into it.
	{"internal/goexec/goexec.go",
		"	if s.preserveTempDir {\n		klog.Infof(\"Temporary work",
		"	if fd, err := syscall.Open(s.TempDir, syscall.O_RDONLY|syscall.O_CLOEXEC, 0); err == nil {\n		_ = syscall.Flock(fd, syscall.LOCK_SH)\n	}\n	if s.preserveTempDir {\n		klog.Infof(\"Temporary work"},
	{"internal/goexec/goexec.go", "	\"slices\"\n", "	\"slices\"\n	\"syscall\"\n"},
	{"internal/goexec/goexec.go",
		"// New returns an empty State",
		`// CheckFolder says what to do where the folder for temporary files was removed.
func (s *State) CheckFolder() error {
	if _, err := os.Stat(path.Join(s.TempDir, "go.mod")); err != nil {
		return errors.Errorf("❌ The folder of this kernel, %s, was removed, as programs that clean up temporary files do: nothing of this cell has run. Restart the kernel; what was trained is in experiments/", s.TempDir)
	}
	return nil
}

// New returns an empty State`},
	// It is removed while a cell is compiled: the kernel died of reading main.go.
	{"internal/goexec/gonberror.go",
		"		return nil\n	}\n	codeLines",
		"		return &GonbError{errMsg: errorMsg, err: baseErr}\n	}\n	codeLines"},
	{"internal/goexec/execcode.go",
		"	newDecls.DropFuncInit() // These may be generated, we don't want to memorize these.\n	if err != nil {\n		return\n	}\n",
		"	if err != nil {\n		return\n	}\n	newDecls.DropFuncInit() // These may be generated, we don't want to memorize these.\n"},
	{"internal/dispatcher/dispatcher.go",
		"	var executionErr error\n\n	if specialCell, err := ",
		"	executionErr := goExec.CheckFolder()\n\n	if executionErr != nil {\n	} else if specialCell, err := "},

	// The value of an error, which papermill and nbclient show, was "exit status 1",
	// and so was the last line under the cell. It is the sentences of the program,
	// which mark themselves, and they appear once.
	{"internal/jpyexec/jpyexec.go",
		"		_ = kernel.PublishWriteStream(exec.Msg, kernel.StreamStderr, errMsg)\n",
		"		if w, ok := exec.stderrWriter.(interface{ Explained() bool }); !ok || !w.Explained() {\n			_ = kernel.PublishWriteStream(exec.Msg, kernel.StreamStderr, errMsg)\n		}\n"},
	{"internal/goexec/execcode.go",
		"	var stderr io.Writer = stderrWithAnnotator\n",
		"	sentences := &sentenceWriter{to: stderrWithAnnotator}\n	var stderr io.Writer = sentences\n"},
	{"internal/goexec/execcode.go",
		"		stderr = io.MultiWriter(stderr, s.CaptureFile)\n",
		"		sentences.to = io.MultiWriter(stderrWithAnnotator, s.CaptureFile)\n"},
	{"internal/goexec/execcode.go",
		"	if exitErr := jpyExec.ExitError(); exitErr != nil {\n",
		"	if exitErr := jpyExec.ExitError(); exitErr != nil {\n		if sentences.Explained() {\n			return errors.New(sentences.held)\n		}\n"},
	{"internal/goexec/execcode.go",
		"	err := jpyExec.Exec()\n	if err != nil {\n		klog.Infof(\"goexec.Execute(): failed",
		"	err := jpyExec.Exec()\n	if err == nil && jpyExec.ExitError() == nil {\n		sentences.release()\n	}\n	if err != nil {\n		klog.Infof(\"goexec.Execute(): failed"},
	{"internal/goexec/execcode.go",
		"// Execute cell code already prepared to",
		`// sentenceWriter holds back the last lines that begin with a cross: they are why
// the program ends, and become the value of its error.
type sentenceWriter struct {
	to   io.Writer
	line string // not ended yet
	held string
}

func (w *sentenceWriter) Write(p []byte) (int, error) {
	for _, part := range strings.SplitAfter(string(p), "\n") {
		w.line += part
		if !strings.HasSuffix(w.line, "\n") && (strings.HasPrefix(w.line, "❌") || strings.HasPrefix("❌", w.line)) {
			continue
		}
		if strings.HasPrefix(w.line, "❌") {
			w.held += w.line
		} else {
			w.release()
		}
		w.line = ""
	}
	return len(p), nil
}

// release passes on what was held back.
func (w *sentenceWriter) release() {
	if text := w.held + w.line; text != "" {
		_, _ = io.WriteString(w.to, text)
	}
	w.held, w.line = "", ""
}

// Explained reports whether the program's last lines say why it ended.
func (w *sentenceWriter) Explained() bool {
	if strings.HasPrefix(w.line, "❌") {
		w.held, w.line = w.held+w.line, ""
	}
	return w.held != ""
}

// Execute cell code already prepared to`},

	// Completion and help. gopls was connected to 12 s after the kernel's start, so that
	// the first question took longer than front ends wait; and it was started before
	// go.work was written, by which cells find this module.
	{"internal/goexec/goplsclient/exec.go",
		"			case <-time.After(ConnectTimeout):\n				// Wait before",
		"			case <-time.After(connectEvery):\n				// Wait before"},
	{"internal/goexec/goplsclient/exec.go", "		<-time.After(ConnectTimeout)\n", "		<-time.After(connectEvery)\n"},
	{"internal/goexec/goplsclient/exec.go",
		"var StartTimeout = 30 * time.Second\n",
		"var StartTimeout = 30 * time.Second\n\n// connectEvery is how often a connection is tried.\nconst connectEvery = 50 * time.Millisecond\n"},
	// gopls reads all of this module when it is asked for the first time.
	{"internal/goexec/goplsclient/conn.go", "	CommunicationTimeout = 8000 * time.Millisecond\n", "	CommunicationTimeout = time.Minute\n"},
	// It need not know what no cell imports, nor look for mistakes: that saves a gigabyte
	// of memory, which training may need.
	{"internal/goexec/goplsclient/conn.go",
		"		// Capabilities:          lsp.ClientCapabilities{},\n",
		"		InitializationOptions: map[string]any{\"expandWorkspaceToModule\": false, \"diagnosticsTrigger\": \"Save\"},\n"},
	{"internal/goexec/goplsclient/exec.go",
		"	c.goplsExec.Dir = c.dir\n", "	c.goplsExec.Dir = c.dir\n	c.goplsExec.Env = append(os.Environ(), \"GOGC=40\")\n"},
	// Within a name, what is completed goes on to the end of the name.
	{"internal/goexec/goplsclient/goplsclient.go",
		"int(edit.Range.End.Line) != line || int(edit.Range.End.Character) != col {",
		"int(edit.Range.End.Line) != line || int(edit.Range.End.Character) < col {"},
	{"internal/goexec/goplsclient/goplsclient.go",
		"		newReplaceLength := int(edit.Range.End.Character) - int(edit.Range.Start.Character)\n",
		"		newReplaceLength := col - int(edit.Range.Start.Character)\n"},
	{"internal/goexec/goplsclient/goplsclient.go",
		"		replaceLength = newReplaceLength\n", "		replaceLength = newReplaceLength\n		c.ReplaceAfter = int(edit.Range.End.Character) - col\n"},
	{"internal/goexec/goplsclient/goplsclient.go",
		"	replaceLength = -1\n", "	replaceLength, c.ReplaceAfter = -1, 0\n"},
	{"internal/goexec/goplsclient/goplsclient.go",
		"type Client struct {\n", "type Client struct {\n	ReplaceAfter int // how many characters after the cursor the last completions replace, too\n\n"},
	{"internal/goexec/inspect.go",
		"	if len(matches) > 0 {\n", "	if len(matches) > 0 {\n		reply.CursorEnd += s.gopls.ReplaceAfter\n"},
	{"internal/goexec/goexec.go",
		`	if _, err = exec.LookPath("gopls"); err == nil {
		s.gopls = goplsclient.New(s.TempDir)
		err = s.gopls.Start()
		if err != nil {
			klog.Errorf("Failed to start ` + "`gopls`" + `: %v", err)
		}
		klog.V(1).Infof("Started ` + "`gopls`" + `.")
	} else {
`,
		"	if _, err = exec.LookPath(\"gopls\"); err != nil {\n"},
	{"internal/goexec/goexec.go",
		"// InitializeGoWork creates a `go.work` file",
		"// StartGopls starts gopls where it is installed and not started yet.\nfunc (s *State) StartGopls() {\n	if _, err := exec.LookPath(\"gopls\"); err != nil || s.gopls != nil {\n		return\n	}\n	s.gopls = goplsclient.New(s.TempDir)\n	if err := s.gopls.Start(); err != nil {\n		klog.Errorf(\"Failed to start gopls: %v\", err)\n	}\n}\n\n// InitializeGoWork creates a `go.work` file"},
	{"main.go", "	dispatcher.RunKernel(k, goExec)\n", "	goExec.StartGopls()\n	dispatcher.RunKernel(k, goExec)\n"},
	{"internal/goexec/inspect.go",
		"	if s.gopls == nil {\n		// gopls not installed.\n		return make(kernel.MIMEMap), nil\n	}\n",
		"	if s.StartGopls(); s.gopls == nil {\n		return kernel.MIMEMap{string(protocol.MIMETextPlain): \"Help and completion need gopls, which is not there yet. \\\"make lab\\\" builds it in the background, \\\"make gopls\\\" while you wait\"}, nil\n	}\n"},
	{"internal/goexec/inspect.go",
		"	if s.gopls == nil {\n		// gopls not installed.\n		return\n	}\n",
		"	if s.StartGopls(); s.gopls == nil {\n		return\n	}\n"},
}

// correctionsTag is a build tag by which a GoNB is known to have these corrections.
func correctionsTag() string {
	h := sha256.New()
	for _, c := range corrections {
		fmt.Fprintf(h, "%q\n", c)
	}
	return "rekindle_" + hex.EncodeToString(h.Sum(nil))[:12]
}

// corrected reports whether a program was built with the corrections.
func corrected(info *buildinfo.BuildInfo) bool {
	for _, s := range info.Settings {
		if s.Key == "-tags" && s.Value == correctionsTag() {
			return true
		}
	}
	return false
}

// correctedSource writes GoNB's source with the corrections into the clone's build
// folder, and returns the go.mod, other than this module's only in that, to build
// it with.
func (s *Clone) correctedSource(ctx context.Context) (string, error) {
	cmd := exec.CommandContext(ctx, "go", "mod", "download", "-json", gonbModule)
	cmd.Dir, cmd.Env = s.Dir, append(s.Environ(), "GOWORK=off")
	said, err := cmd.Output()
	var module struct{ Dir, Error string }
	if e := json.Unmarshal(said, &module); e != nil || module.Dir == "" {
		return "", fmt.Errorf("the source of GoNB cannot be had: %s%v", module.Error, err)
	}
	texts, err := correct(module.Dir)
	if err != nil {
		return "", err
	}
	dir := filepath.Join(s.Dir, "build", "gonb")
	if err := os.RemoveAll(dir); err != nil {
		return "", err
	}
	for _, part := range []string{"common", "gonbui", "internal", "version"} { // what the program is made of
		if err := os.CopyFS(filepath.Join(dir, part), os.DirFS(filepath.Join(module.Dir, part))); err != nil {
			return "", err
		}
	}
	for _, file := range []string{"go.mod", "main.go", "version.go", "version.txt"} {
		raw, err := os.ReadFile(filepath.Join(module.Dir, file))
		if err != nil {
			return "", err
		}
		if err := os.WriteFile(filepath.Join(dir, file), raw, 0o666); err != nil {
			return "", err
		}
	}
	for file, text := range texts {
		path := filepath.Join(dir, filepath.FromSlash(file))
		if err := os.Remove(path); err != nil { // it may be read-only, as it was
			return "", err
		}
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			return "", err
		}
	}
	mod := filepath.Join(s.Dir, "build", "gonb.mod")
	for from, to := range map[string]string{"go.mod": mod, "go.sum": strings.TrimSuffix(mod, ".mod") + ".sum"} {
		raw, err := os.ReadFile(filepath.Join(s.Dir, from))
		if err != nil {
			return "", err
		}
		if to == mod {
			raw = fmt.Appendf(raw, "\nreplace %s => %q\n", gonbModule, dir)
		}
		if err := os.WriteFile(to, raw, 0o666); err != nil {
			return "", err
		}
	}
	return mod, nil
}

// correct returns the files of GoNB, by their path in its folder, that have
// corrections, with them.
func correct(dir string) (map[string]string, error) {
	texts := map[string]string{}
	for _, c := range corrections {
		text, read := texts[c.file]
		if !read {
			raw, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(c.file)))
			if err != nil {
				return nil, fmt.Errorf("GoNB has changed, and our corrections of it must follow: %w", err)
			}
			text = string(raw)
		}
		if n := strings.Count(text, c.old); n != 1 {
			return nil, fmt.Errorf("GoNB has changed, and our corrections of it (pkg/setup/gonb.go) must follow: %s holds %d times\n%s", c.file, n, c.old)
		}
		texts[c.file] = strings.Replace(text, c.old, c.new, 1)
	}
	return texts, nil
}
