// Command command writes the trained network of an experiment as a file for
// other programs:
//
//	go run ./pkg/export/command -experiment latest -format onnx
//
// make export does the same. What the files hold and how to use them is in
// docs/export.md.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"

	"rekindle/pkg/config"
	"rekindle/pkg/experiment"
	"rekindle/pkg/export"
)

func main() {
	switch err := run(os.Args[1:], os.Stdout, os.Stderr); {
	case errors.Is(err, flag.ErrHelp):
	case errors.Is(err, errUsage): // the flag package has said what is wrong
		os.Exit(2)
	case err != nil:
		fmt.Fprintln(os.Stderr, "❌ "+err.Error())
		os.Exit(1)
	}
}

var errUsage = errors.New("wrong call")

func run(args []string, out, messages io.Writer) error {
	flags := flag.NewFlagSet("export", flag.ContinueOnError)
	flags.SetOutput(messages)
	name := flags.String("experiment", "latest", "\"latest\", a name such as 20251230_153045_v1, or a folder")
	root := flags.String("dir", config.Default().ExperimentsDir, "folder of all experiments")
	format := flags.String("format", "onnx", strings.Join(export.Formats(), " or "))
	path := flags.String("o", "", "file to write (default: export/ in the experiment's folder)")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return err
		}
		return errUsage
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("what is %q? give the experiment as -experiment %s", flags.Arg(0), flags.Arg(0))
	}
	found, err := experiment.Select(*root, *name)
	if err != nil {
		return err
	}
	if len(found) > 1 {
		return fmt.Errorf("-experiment %s means %d experiments; name one, such as %s", *name, len(found), found[0].Dir)
	}
	made, err := export.Experiment(found[0], *format, *path, func(line string) { fmt.Fprintln(messages, "⚠️  "+line) })
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "✅ %s of %s: %s\n   → %s\n", made.From, found[0].Name(), made.About, made.Path)
	return nil
}
