package rules

import (
	"fmt"
	"slices"
)

// Finding is one departure from a rule.
type Finding struct {
	// Rule is its short name, "R3"; Text what was seen, and where the rule stands.
	Rule, Text string
	// Advice tells that the rule is a SHOULD.
	Advice bool
}

// String writes a finding in one line.
func (f Finding) String() string {
	if f.Advice {
		return f.Rule + " (advice): " + f.Text
	}
	return f.Rule + ": " + f.Text
}

// List gathers findings, each text once.
type List struct {
	Findings []Finding
	// Checked counts how often each rule was held against something.
	Checked map[string]int
}

func (l *List) looked(rule string) {
	if l.Checked == nil {
		l.Checked = make(map[string]int)
	}
	l.Checked[rule]++
}

// must notes a rule that is held against something, and whether it is broken.
func (l *List) must(ok bool, rule, format string, args ...any) {
	l.add(ok, Finding{Rule: rule}, format, args)
}

func (l *List) should(ok bool, rule, format string, args ...any) {
	l.add(ok, Finding{Rule: rule, Advice: true}, format, args)
}

// maxFindings bounds what is kept of a server that does everything wrong.
const maxFindings = 1000

func (l *List) add(ok bool, f Finding, format string, args []any) {
	l.looked(f.Rule)
	if ok {
		return
	}
	f.Text = fmt.Sprintf(format, args...)
	if len(l.Findings) < maxFindings && !slices.Contains(l.Findings, f) {
		l.Findings = append(l.Findings, f)
	}
}

// Add notes something that was found outside playlists.
func (l *List) Add(ok bool, rule, format string, args ...any) { l.must(ok, rule, format, args...) }

// Advise is Add for what should be.
func (l *List) Advise(ok bool, rule, format string, args ...any) {
	l.should(ok, rule, format, args...)
}

// Broken counts the findings that are no advice.
func (l *List) Broken() int {
	n := 0
	for _, f := range l.Findings {
		if !f.Advice {
			n++
		}
	}
	return n
}
