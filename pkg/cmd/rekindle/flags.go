package main

import (
	"errors"
	"flag"
	"fmt"
)

// newFlags are the flags of a sub-command, which -help explains below a text.
func newFlags(name, help string, s streams) *flag.FlagSet {
	flags := flag.NewFlagSet(name, flag.ContinueOnError)
	flags.SetOutput(s.messages)
	flags.Usage = func() {
		fmt.Fprint(s.messages, help)
		flags.PrintDefaults()
	}
	return flags
}

// parse reads flags. Whatever is no flag is an error, whose end, instead, says how
// to say it.
func parse(flags *flag.FlagSet, args []string, instead string) error {
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return err
		}
		return errUsage
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("what is %q? %s", flags.Arg(0), instead)
	}
	return nil
}
