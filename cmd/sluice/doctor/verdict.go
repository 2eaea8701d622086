package doctor

import (
	"fmt"
	"io"
	"strings"
)

// Level says how much a verdict matters.
type Level int

// From all is well to it will not work.
const (
	Fine Level = iota
	Note       // works, could be better, or cannot be known from here
	Problem
)

// String is the word that stands before a verdict.
func (l Level) String() string {
	return [...]string{"ok", "note", "PROBLEM"}[l]
}

// Verdict is what was found about one thing.
type Verdict struct {
	Level  Level
	Topic  string // one or two words
	Text   string // what is so
	Advice string // what to do; empty when all is well
}

// Print writes verdicts one beneath the other, and returns the worst level.
func Print(w io.Writer, verdicts []Verdict) Level {
	worst := Fine
	for _, v := range verdicts {
		worst = max(worst, v.Level)
		fmt.Fprintf(w, "%-8s %-13s %s\n", v.Level, v.Topic, v.Text)
		if v.Advice != "" {
			fmt.Fprintf(w, "%22s %s\n", "→", strings.ReplaceAll(v.Advice, "\n", "\n"+strings.Repeat(" ", 23)))
		}
	}
	return worst
}

func fine(topic, format string, args ...any) Verdict {
	return Verdict{Level: Fine, Topic: topic, Text: fmt.Sprintf(format, args...)}
}
