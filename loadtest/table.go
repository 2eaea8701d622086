package loadtest

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/sluice-live/sluice/loadtest/publish"
	"github.com/sluice-live/sluice/loadtest/view"
)

// table lays rows out in columns; the first row is the head.
func table(rows ...[]string) string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 2, 0, 2, ' ', tabwriter.AlignRight)
	for _, r := range rows {
		_, _ = fmt.Fprintln(w, strings.Join(r, "\t")+"\t")
	}
	_ = w.Flush() // a strings.Builder takes everything
	return b.String()
}

// stepTable is the media of each step.
func stepTable(steps []Step) string {
	rows := [][]string{{"viewers", "stalled", "fps", "kpps", "Mbit/s", "loss %", "freezes", "lat p50 ms", "p95", "p99", "max", "NACKs", "PLIs",
		"µs/pkt", "kernel", "cores", "RSS KiB/v", "thr", "fds", "load", "others"}}
	for _, s := range steps {
		m := s.Summary
		row := []string{fmt.Sprint(m.Viewers), fmt.Sprint(m.Stalled), num("%.2f", m.FPS), num("%.1f", float64(m.Packets)/m.Seconds/1000), num("%.1f", float64(m.Bytes)*8/m.Seconds/1e6),
			num("%.3f", m.Loss*100), fmt.Sprint(m.Freezes), num("%.1f", m.Latency.P50), num("%.1f", m.Latency.P95), num("%.1f", m.Latency.P99), num("%.1f", m.Latency.Max),
			fmt.Sprint(m.NACKs), fmt.Sprint(m.PLIs)}
		if u := s.Server; u != nil {
			row = append(row, num("%.2f", u.PerPacket), num("%.2f", u.KernelPer), num("%.2f", u.Cores), num("%.0f", u.RSSPerViewer), fmt.Sprint(u.Threads), fmt.Sprint(u.Files),
				num("%.2f", u.LoadTestCores), num("%.2f", u.OthersCores))
		} else {
			row = append(row, "-", "-", "-", "-", "-", "-", "-", "-")
		}
		rows = append(rows, row)
	}
	return table(rows...)
}

// stallLine compares the others before and while some viewers stalled.
func stallLine(before, during view.Summary) string {
	return fmt.Sprintf("with %d of %d stalled, the others: latency p50 %.1f → %.1f ms, p99 %.1f → %.1f ms, fps %.2f → %.2f, freezes %d → %d\n",
		during.Stalled, during.Viewers, before.Latency.P50, during.Latency.P50, before.Latency.P99, during.Latency.P99, before.FPS, during.FPS, before.Freezes, during.Freezes)
}

func num(format string, v float64) string { return fmt.Sprintf(format, v) }

// joinTable is how the viewers of each step joined.
func joinTable(steps []Step) string {
	rows := [][]string{{"joins", "failed", "answer p50 ms", "ICE", "DTLS", "first RTP", "key frame p50", "p95", "max", "live edge p50", "p95", "first is key", "publisher PLIs", "SRTP"}}
	for _, s := range steps {
		j := s.Summary.Joins
		var profiles []string
		for p := range j.Profiles {
			profiles = append(profiles, p)
		}
		slices.Sort(profiles)
		edge, edge95 := "-", "-"
		if j.LiveEdge.N > 0 {
			edge, edge95 = num("%.0f", j.LiveEdge.P50), num("%.0f", j.LiveEdge.P95)
		}
		rows = append(rows, []string{fmt.Sprint(j.Tried), fmt.Sprint(j.Failed), num("%.1f", j.Answer.P50), num("%.1f", j.ICE.P50), num("%.1f", j.DTLS.P50), num("%.1f", j.FirstRTP.P50),
			num("%.0f", j.KeyFrame.P50), num("%.0f", j.KeyFrame.P95), num("%.0f", j.KeyFrame.Max), edge, edge95, fmt.Sprint(j.FirstIsKey), fmt.Sprint(s.PLIs), strings.Join(profiles, " ")})
	}
	out := table(rows...)
	for _, s := range steps {
		out += reasons(s.Summary.Errors)
	}
	return out
}

// reasons says why joins failed.
func reasons(errs map[string]int) string {
	var out strings.Builder
	for _, why := range slices.Sorted(maps.Keys(errs)) {
		_, _ = fmt.Fprintf(&out, "  %d joins failed: %s\n", errs[why], why)
	}
	return out.String()
}

// publisherTable is what the server asked of a publisher.
func publisherTable(s publish.Stats) string {
	return table([]string{"shape", "answer ms", "connected ms", "packets", "frames", "late", "dropped", "PLIs", "NACKed", "resent", "RR", "cc feedback", "DELETE"},
		[]string{string(s.Shape), fmt.Sprint(s.Answered.Milliseconds()), fmt.Sprint(s.Connected.Milliseconds()), fmt.Sprint(s.Packets), fmt.Sprint(s.Frames), fmt.Sprint(s.Late), fmt.Sprint(s.Dropped),
			fmt.Sprint(s.PLIs), fmt.Sprint(s.NACKed), fmt.Sprint(s.Resent), fmt.Sprint(s.Reports), fmt.Sprint(s.Congestion), fmt.Sprint(s.Deleted)})
}
