package view

import (
	"slices"
	"time"

	"github.com/sluice-live/sluice/loadtest/source"
)

const captureURI = source.CaptureURI

// Summary is what a swarm measured: joins since the last Begin, media within
// the window.
type Summary struct {
	Viewers int            `json:"viewers"`           // at the end of the window
	Stalled int            `json:"stalled,omitempty"` // of them; what follows is of the others
	Joins   JoinSummary    `json:"joins"`
	Seconds float64        `json:"seconds"` // length of the window
	Packets uint64         `json:"packets"`
	Bytes   uint64         `json:"bytes"`
	Lost    uint64         `json:"lost"` // never filled
	Loss    float64        `json:"loss"` // share, 0–1
	NACKs   uint64         `json:"nacks"`
	Fixed   uint64         `json:"repaired"` // holes that were filled after a NACK
	PLIs    uint64         `json:"plis"`
	Frames  uint64         `json:"frames"`
	Broken  uint64         `json:"broken_frames"`
	FPS     float64        `json:"fps"` // per viewer
	Freezes uint64         `json:"freezes"`
	Frozen  int            `json:"frozen_viewers"` // with one freeze or more
	Bad     uint64         `json:"unreadable_packets"`
	Latency Quantiles      `json:"latency"`         // send time to the frame's last packet, all frames
	Spread  Quantiles      `json:"spread"`          // of one frame, from the first viewer that has it whole to the last
	Own     uint64         `json:"own_overflows"`   // datagrams lost by this process, too slow to read: not the server's
	Reports uint64         `json:"arrival_reports"` // transport-wide feedbacks
	Errors  map[string]int `json:"errors,omitempty"`
}

// JoinSummary counts from POST.
type JoinSummary struct {
	Tried      int            `json:"tried"`
	Failed     int            `json:"failed"`
	Refused    int            `json:"refused,omitempty"` // asked to come later (503, 429): no failure
	Answer     Quantiles      `json:"answer"`
	ICE        Quantiles      `json:"ice"`
	DTLS       Quantiles      `json:"dtls"`
	FirstRTP   Quantiles      `json:"first_rtp"`
	KeyFrame   Quantiles      `json:"key_frame"` // the first complete one
	LiveEdge   Quantiles      `json:"live_edge"` // within 50 ms of settled viewers
	FirstIsKey int            `json:"first_packet_is_key"`
	Profiles   map[string]int `json:"srtp_profiles"`
}

// totals are counts of tracks that are no longer there.
type totals struct{ lost, repaired, broken, received uint64 }

func (t *totals) add(v *Viewer) {
	for _, k := range []*Track{v.video, v.audio} {
		t.lost += k.Lost
		t.repaired += k.Repaired
		t.received += k.Packets
	}
	t.broken += v.video.Broken
}

func (c *counts) add(o counts) {
	c.packets += o.packets
	c.bytes += o.bytes
	c.frames += o.frames
	c.keys += o.keys
	c.freezes += o.freezes
	c.plis += o.plis
	c.nacks += o.nacks
	c.resent += o.resent
	c.feedbacks += o.feedbacks
	c.overflows += o.overflows
	c.undecrypted += o.undecrypted
}

// Begin starts a window of media: counters of all viewers go to zero. With
// forget, joins are counted from here too, and those of viewers that are
// there already no more.
func (s *Swarm) Begin(forget bool) error {
	return s.do(func() {
		s.began = InstantOf(time.Now())
		s.latency.reset()
		s.fan.reset()
		s.gone, s.tracks = counts{}, totals{}
		for _, v := range s.list {
			v.counts = counts{}
			for _, t := range []*Track{v.video, v.audio} {
				t.Lost, t.Repaired, t.Broken, t.Packets, t.Duplicates = 0, 0, 0, min(t.Packets, 1), 0
			}
			if forget {
				v.begun = time.Time{}
			}
		}
		if forget {
			s.joins = joins{}
		}
	})
}

// Summary ends nothing: it reads the window so far.
func (s *Swarm) Summary() (Summary, error) {
	var out Summary
	err := s.do(func() { out = s.summary(InstantOf(time.Now())) })
	return out, err
}

func (s *Swarm) summary(now Instant) Summary {
	total, tracks, j := s.gone, s.tracks, s.joins.clone()
	frozen, stalled := 0, 0
	for _, v := range s.list {
		if v.stalled {
			stalled++
			continue
		}
		if v.joined != 0 && now.Sub(v.lastFrame) > max(3*v.interval, v.interval+150*time.Millisecond) {
			v.counts.freezes++ // one that goes on
			v.lastFrame = now
		}
		total.add(v.counts)
		tracks.add(v)
		if v.counts.freezes > 0 {
			frozen++
		}
		j.left(v)
	}
	seconds := now.Sub(s.began).Seconds()
	out := Summary{Viewers: len(s.list), Stalled: stalled, Seconds: seconds, Packets: total.packets, Bytes: total.bytes,
		Lost: tracks.lost, NACKs: total.nacks, Fixed: tracks.repaired, PLIs: total.plis, Frames: total.frames, Broken: tracks.broken,
		Spread: s.fan.spread.quantiles(), Own: total.overflows, Reports: total.feedbacks, Freezes: total.freezes, Frozen: frozen, Bad: total.undecrypted, Latency: s.latency.quantiles(), Errors: j.errors, Joins: j.summary()}
	if all := tracks.lost + tracks.received; all > 0 {
		out.Loss = float64(tracks.lost) / float64(all)
	}
	if watching := len(s.list) - stalled; watching > 0 && seconds > 0 {
		out.FPS = float64(total.frames) / seconds / float64(watching)
	}
	return out
}

func (j joins) clone() joins {
	for _, d := range []*[]time.Duration{&j.answer, &j.ice, &j.dtls, &j.first, &j.joined, &j.edge} {
		*d = slices.Clone(*d)
	}
	return j
}

func (j *joins) summary() JoinSummary {
	return JoinSummary{Tried: j.tried, Failed: j.failed, Refused: j.refused, Answer: Of(j.answer), ICE: Of(j.ice), DTLS: Of(j.dtls), FirstRTP: Of(j.first),
		KeyFrame: Of(j.joined), LiveEdge: Of(j.edge), FirstIsKey: j.firstIsKey, Profiles: j.profiles}
}
