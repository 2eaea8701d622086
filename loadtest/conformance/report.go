package conformance

import (
	"fmt"
	"strings"
	"text/tabwriter"
	"time"
)

// Report is the whole table.
type Report struct {
	Kind   string    `json:"kind"`
	URL    string    `json:"url"`
	Server string    `json:"server,omitempty"` // as its Server header says
	Strict bool      `json:"strict"`
	At     time.Time `json:"at"`
	Rows   []Row     `json:"rows"`
}

// Count returns how many rows have that verdict.
func (r Report) Count(v Verdict) int {
	n := 0
	for _, row := range r.Rows {
		if row.Verdict == v {
			n++
		}
	}
	return n
}

// Failed returns how many rows failed.
func (r Report) Failed() int { return r.Count(Fail) }

// Row returns the row with that id.
func (r Report) Row(id string) (Row, bool) {
	for _, row := range r.Rows {
		if row.ID == id {
			return row, true
		}
	}
	return Row{}, false
}

func (r Report) head() string {
	mode := "lenient"
	if r.Strict {
		mode = "strict"
	}
	return fmt.Sprintf("%s conformance of %s, %s mode, %s", strings.ToUpper(r.Kind), r.URL, mode, r.At.Format(time.DateOnly))
}

func (r Report) sum() string {
	return fmt.Sprintf("%d pass, %d fail, %d chosen deviation, %d not applicable, %d skipped",
		r.Count(Pass), r.Count(Fail), r.Count(Deviation), r.Count(NA), r.Count(Skipped))
}

// Text lays the table out for a terminal.
func (r Report) Text() string {
	var b strings.Builder
	b.WriteString(r.head() + "\n\n")
	w := tabwriter.NewWriter(&b, 2, 0, 2, ' ', 0)
	for _, row := range r.Rows {
		_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", mark(row.Verdict), row.ID, row.Section, row.Duty, row.Detail)
	}
	_ = w.Flush() // a strings.Builder takes everything
	return b.String() + "\n" + r.sum() + "\n"
}

func mark(v Verdict) string {
	if v == Fail {
		return "FAIL"
	}
	return string(v)
}

// Markdown lays the table out for a document.
func (r Report) Markdown() string {
	var b strings.Builder
	_, _ = fmt.Fprintf(&b, "## %s\n\n", r.head())
	if r.Server != "" {
		_, _ = fmt.Fprintf(&b, "Server: `%s`. ", r.Server)
	}
	b.WriteString(r.sum() + ".\n\n| id | section | duty | verdict | detail |\n|---|---|---|---|---|\n")
	cell := strings.NewReplacer("|", "\\|", "\n", " ", "\r", "", "<", "&lt;", ">", "&gt;").Replace
	for _, row := range r.Rows {
		verdict := string(row.Verdict)
		if row.Verdict == Fail {
			verdict = "**fail**"
		}
		_, _ = fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", row.ID, cell(row.Section), cell(row.Duty), verdict, cell(row.Detail))
	}
	return b.String()
}
