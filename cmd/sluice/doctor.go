package main

import (
	"context"
	"fmt"

	"github.com/sluice-live/sluice/cmd/sluice/doctor"
)

// doctorCmd looks at the machine.
type doctorCmd struct{ nodeFlags }

// Run prints what was found; a problem makes the exit code 1.
func (c *doctorCmd) Run(ctx context.Context, term terminal) error {
	cfg, err := c.load(term, c.given())
	if err != nil {
		return err
	}
	worst := doctor.Print(term.out, doctor.Examine(ctx, cfg))
	if worst == doctor.Problem {
		fmt.Fprintln(term.out, "\nMend what says PROBLEM, then run it again.")
		return errFound
	}
	return nil
}
