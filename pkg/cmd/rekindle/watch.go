package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	tea "github.com/charmbracelet/bubbletea"
	"golang.org/x/term"

	"rekindle/pkg/config"
	"rekindle/pkg/experiment"
	"rekindle/pkg/watch"
)

const watchHelp = `Watch a training run that goes on elsewhere: in a notebook, in a queue, on another
machine that shares the folder.

  rekindle watch
  rekindle watch -experiment 20251230_153045_bilinear
  rekindle watch -dir /shared/experiments >> watched.log

"latest" is the run that trains now, else the newest experiment. It only reads: no
lock is taken and nothing is written. q or Ctrl+C ends the view, training goes on; it
ends by itself when the run is over, with exit status 1 for one that failed or was
killed. Without a terminal it prints a line for each epoch, and now and then one between.

`

func runWatch(ctx context.Context, args []string, s streams) error {
	flags := newFlags("watch", watchHelp, s)
	name := flags.String("experiment", experiment.Latest, "\"latest\", or the name, a pattern of names or the folder of an experiment")
	dir := flags.String("dir", config.Default().ExperimentsDir, "folder of all experiments")
	if err := parse(flags, args, "name the experiment with -experiment"); err != nil {
		return err
	}
	exp, err := watch.Choose(*dir, *name)
	if err != nil {
		return err
	}
	v := watch.Look(exp, nil)
	out := s.out
	if r, ok := out.(*results); ok {
		out = r.Writer
	}
	if f, ok := out.(*os.File); ok && term.IsTerminal(int(f.Fd())) && term.IsTerminal(int(os.Stdin.Fd())) {
		v, err = watchOnScreen(ctx, v, f)
	} else {
		v, err = watchInLines(ctx, v, s.out)
	}
	if err != nil {
		return err
	}
	if v.Ended() && !v.Good() {
		return errFailed
	}
	return nil
}

// lookEvery is how often files are read.
var lookEvery = time.Second

const (
	lineBetween = 30 * time.Second // epochs that take long
	givenUp     = 10 * time.Minute // without a sign of life
)

// watchInLines prints a line for each epoch, now and then one between, and what
// became of the run.
func watchInLines(ctx context.Context, v *watch.View, out io.Writer) (*watch.View, error) {
	fmt.Fprintf(out, "👀 %s %s\n", v.Name(), v.State())
	epochs, phase, said, problem := -1, v.Phase, time.Time{}, ""
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	for {
		if v.Problem != problem {
			if problem = v.Problem; problem != "" {
				fmt.Fprintln(out, "⚠️  "+problem)
			}
		}
		if v.Ended() {
			fmt.Fprintln(out, v.Line())
			return v, nil
		}
		if v.Phase == watch.Silent && v.Now.Sub(v.Seen) > givenUp {
			fmt.Fprintln(out, v.Line())
			return v, fmt.Errorf("%s: no sign of life for %s; it is not waited for any longer", v.Exp.Name(), v.Now.Sub(v.Seen).Round(time.Minute))
		}
		if v.History.Len() != epochs || v.Phase != phase || v.Now.Sub(said) >= lineBetween {
			epochs, phase, said = v.History.Len(), v.Phase, v.Now
			fmt.Fprintln(out, v.Line())
		}
		select {
		case <-ctx.Done():
			return v, ctx.Err()
		case <-ticker.C:
		}
		v = watch.Look(v.Exp, v)
	}
}

// watchOnScreen shows the run in place, in as many lines as it takes; the last
// state stays on the terminal.
func watchOnScreen(ctx context.Context, v *watch.View, out *os.File) (*watch.View, error) {
	end, err := tea.NewProgram(screen{view: v, columns: 80}, tea.WithContext(ctx), tea.WithoutSignalHandler(), tea.WithOutput(out)).Run()
	if errors.Is(err, tea.ErrProgramKilled) && ctx.Err() != nil {
		return v, ctx.Err()
	}
	if err != nil {
		return v, err
	}
	return end.(screen).view, nil
}

// screen is the state of the view, as bubbletea wants it.
type screen struct {
	view    *watch.View
	columns int
	left    bool // by a key
}

type look time.Time

func lookSoon() tea.Cmd { return tea.Tick(lookEvery, func(t time.Time) tea.Msg { return look(t) }) }

func (s screen) Init() tea.Cmd {
	if s.view.Ended() {
		return tea.Quit
	}
	return lookSoon()
}

func (s screen) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		s.columns = msg.Width
	case tea.KeyMsg:
		switch msg.String() {
		case "q", "esc", "ctrl+c", "ctrl+d":
			s.left = true
			return s, tea.Quit
		}
	case look:
		s.view = watch.Look(s.view.Exp, s.view)
		if s.view.Ended() {
			return s, tea.Quit
		}
		return s, lookSoon()
	}
	return s, nil
}

func (s screen) View() string {
	strong := func(text string) string { return "\x1b[1m" + text + "\x1b[0m" }
	weak := func(text string) string { return "\x1b[2m" + text + "\x1b[0m" }
	lines := s.view.Screen(s.columns, strong, weak)
	now := "as of " + s.view.Now.Local().Format("15:04:05")
	switch {
	case s.left:
		lines = append(lines, weak(now+"; training goes on"))
	case !s.view.Ended():
		lines = append(lines, "", weak(now+"   q ends the view, training goes on"))
	}
	return strings.Join(lines, "\n") + "\n"
}
