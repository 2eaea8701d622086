package loadtest

import (
	"strings"
	"testing"
)

func FuzzParseStat(f *testing.F) {
	f.Add("1 (a) b) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 7 18 19")
	f.Add("")
	f.Fuzz(func(_ *testing.T, s string) { _, _, _, _ = parseStat(s) })
}

func TestTheNameOfAProcessMayHoldBrackets(t *testing.T) {
	user, system, threads, err := parseStat("1 (a) b) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 7 18 19")
	if err != nil || user != 11 || system != 12 || threads != 7 {
		t.Errorf("%d %d %d %v", user, system, threads, err)
	}
}

func FuzzParseMetrics(f *testing.F) {
	f.Add("go_goroutines 7\n# HELP x y\nx{a=\"b c\"} 1\nbad\nnan NaN\n")
	f.Fuzz(func(t *testing.T, s string) {
		m, err := parseMetrics(strings.NewReader(s))
		if err == nil && m == nil {
			t.Error("no map and no error")
		}
	})
}
