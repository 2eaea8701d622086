package matrix

import (
	"strings"
	"testing"
)

func TestWhatWasRepairedUpstreamIsToldByKind(t *testing.T) {
	before := parseRepairs([]byte(`{"publisher":{"tracks":[{"kind":"audio","lost":1,"repaired":2},{"kind":"video","lost":10,"repaired":100}]}}`))
	after := parseRepairs([]byte(`{"publisher":{"tracks":[{"kind":"audio","lost":5,"repaired":2},{"kind":"video","lost":11,"repaired":299}]}}`))
	r := after.since(before)
	if got := r.column(); got != "99.50 (199 of 200) / 0.00 (0 of 4)" {
		t.Error(got)
	}
	for _, none := range []Repairs{parseRepairs([]byte(`{"live":false}`)), parseRepairs([]byte("<html>")), after.since(nil), Repairs(nil).since(before)} {
		if none != nil || none.column() != "–" {
			t.Errorf("%+v", none)
		}
	}
	row := func(lost uint64) Result {
		return Result{Rows: []Row{{Profile: "loss5", Leg: PublisherLeg, Viewer: Load, Publisher: Load, Upstream: Repairs{"video": {lost, 1000 - lost}}}}}
	}
	for lost, want := range map[uint64]string{4: "0.5 % | 0.40 % | yes", 6: "0.5 % | 0.60 % | no"} {
		if got := row(lost).bars(); !strings.Contains(got, "picture lost upstream and not repaired | load | 0 | "+want) {
			t.Error(got)
		}
	}
}
