package sfu

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sluice-live/sluice/media"
)

const (
	// longKeyInterval makes joining and recording slow; encoders' default is 2 s.
	longKeyInterval = 8 * time.Second
	// noticeableLoss is where pictures begin to suffer although most is repaired.
	noticeableLoss = 0.02
	// reportGrace is how long a publisher may send no sender report: browsers send
	// the first within a second.
	reportGrace = 10 * time.Second
)

// findings says in words what is wrong with a publisher.
func (p *publisher) findings(now time.Time, loss float64) []media.Finding {
	var found []media.Finding
	add := func(code, level, text, advice string) {
		found = append(found, media.Finding{Code: code, Level: level, Text: text, Advice: advice})
	}
	age := now.Sub(p.books.began)
	if p.firstMedia.Load() == 0 {
		if age > 5*time.Second {
			add("no_media", "error", "The encoder has connected but sends nothing.",
				"Look whether the encoder has started and whether a firewall blocks UDP.")
		}
		return found
	}
	if !p.flowing() {
		add("silent", "error", "Nothing has come for more than 2 s.", "Look at the encoder and its network.")
		return found
	}
	if loss >= noticeableLoss {
		add("uplink_loss", "warning", fmt.Sprintf("The uplink loses %.0f %% of packets.", loss*100),
			"Try a cable, or lower the bitrate.")
	}
	if p.books.reports == 0 && age > reportGrace {
		add("no_sender_reports", "warning", "The encoder sends no sender reports.",
			"Sound and picture may drift apart; update the encoder if you can.")
	}
	for _, u := range p.upstreams {
		if u.rtxOf != nil || u.codec.Kind() != media.Video {
			continue
		}
		for _, f := range u.findings(now, age) { // one word for all layers
			if !slices.ContainsFunc(found, func(o media.Finding) bool { return o.Code == f.Code }) {
				found = append(found, f)
			}
		}
	}
	if limit := p.st.policy.MaxBitrate; limit > 0 && float64(p.books.bitrate) > overShare*float64(limit) {
		add("too_fast", "error", fmt.Sprintf("The encoder sends %.1f Mbit/s; this stream may have %.1f.",
			float64(p.books.bitrate)/1e6, float64(limit)/1e6), "Lower the bitrate, or the session ends in a few seconds.")
	}
	return found
}

// findings says what is wrong with one layer.
func (u *upstream) findings(now time.Time, age time.Duration) []media.Finding {
	var found []media.Finding
	s := &u.seen
	if now.Sub(s.lastPacket) > flowTime {
		return nil
	}
	if since := u.sinceKey(now, age); since > longKeyInterval && (u.keys.Deaf() || !u.pli && !u.fir) {
		found = append(found, media.Finding{Code: "no_key_frame", Level: "warning",
			Text:   fmt.Sprintf("No key frame for %.0f s.", since.Seconds()),
			Advice: "Set the key frame interval to 2 s: new viewers wait for the next one."})
	}
	if s.bFrames {
		found = append(found, media.Finding{Code: "b_frames", Level: "error",
			Text: "The encoder sends B-frames: browsers stutter on them.", Advice: "Turn B-frames off."})
	}
	if text := u.lies(); text != "" {
		found = append(found, media.Finding{Code: "profile_mismatch", Level: "warning", Text: text,
			Advice: "Choose the Constrained Baseline or Main profile, or check playback in Safari."})
	}
	return found
}

func (u *upstream) sinceKey(now time.Time, age time.Duration) time.Duration {
	if u.seen.lastKey.IsZero() {
		return age
	}
	return now.Sub(u.seen.lastKey)
}

// lies compares the H.264 profile of the bitstream with the declared one.
func (u *upstream) lies() string {
	if u.codec != media.H264 || u.seen.profile == "" {
		return ""
	}
	for i := range u.line.Codecs {
		c := &u.line.Codecs[i]
		if c.Codec == media.H264 && c.Profile != "" {
			if strings.Contains(c.Profile, "Baseline") && !strings.Contains(u.seen.profile, "Baseline") {
				return fmt.Sprintf("H.264 %s declared as %s.", u.seen.profile, c.Profile)
			}
			return ""
		}
	}
	return ""
}
