package negotiate

import (
	"slices"
	"strconv"
	"strings"

	"github.com/sluice-live/sluice/media"
)

// named returns the codec of an encoding name in any case (GStreamer writes
// OPUS), or 0.
func named(f *format) media.Codec {
	for _, c := range [...]media.Codec{media.Opus, media.H264, media.AV1, media.VP9, media.H265, media.VP8} {
		if strings.EqualFold(f.name, c.String()) && clocked(f.clock, c) {
			return c
		}
	}
	return 0
}

// clocked reports whether the clock rate of a=rtpmap is the codec's. What
// follows it, the channels of Opus, is always 2 (RFC 7587 section 7) and not
// looked at.
func clocked(clock string, c media.Codec) bool {
	rate, _, _ := strings.Cut(clock, "/")
	if c == media.Opus {
		return rate == "48000"
	}
	return rate == "90000"
}

// ranks gives each codec its place in the configuration, from 1; 0 is not allowed.
func (c *Config) ranks() (rank [16]uint8) {
	rank[media.Opus] = 1
	for i, codec := range c.Codecs {
		if codec.Kind() == media.Video && rank[codec] == 0 && i < 255 {
			rank[codec] = uint8(i + 1)
		}
	}
	return rank
}

// codecs fills in those of an m-line that both sides know. Redundancy for video
// (ulpfec, flexfec, RED) is never accepted: it would have to be made anew for
// each viewer, and retransmission repairs better. RED for Opus is accepted:
// sound has no time to be asked for again. For viewers it is made from packets
// that passed; a publisher's is taken apart at the door, and repairs what its way
// loses although browsers answer no NACK for sound.
func (s *section) codecs(m *Media, c *Config, session *section) {
	rank, rtx := c.ranks(), s.retransmissions()
	allowed := feedbackNACK | feedbackPLI | feedbackFIR
	if c.TransportCC && m.Ext.TransportCC != 0 { // without the extension there is nothing to report
		allowed |= feedbackTransportCC
	}
	if c.REMB {
		allowed |= feedbackREMB
	}
	redundant := ""
	for i := range s.formats {
		f := &s.formats[i]
		if m.Kind == media.Audio && m.RED == 0 && strings.EqualFold(f.name, "red") && !rtcpRange(f.pt) {
			m.RED, redundant = f.pt, f.fmtp
		}
		codec := named(f)
		if codec.Kind() != m.Kind || rank[codec] == 0 || rtcpRange(f.pt) || !readable(codec, f.fmtp) {
			continue
		}
		m.Codecs = append(m.Codecs, newCodec(codec, f, rtx[f.pt], (f.feedback|s.feedback|session.feedback)&allowed))
	}
	slices.SortStableFunc(m.Codecs, func(a, b Codec) int {
		if d := int(rank[a.Codec]) - int(rank[b.Codec]); d != 0 {
			return d
		}
		return mode(b) - mode(a)
	})
	if m.Kind == media.Audio && len(m.Codecs) > 0 {
		fmtp := m.Codecs[0].Fmtp
		m.Stereo = param(fmtp, "stereo") == "1" || param(fmtp, "sprop-stereo") == "1"
		m.DTX, m.FEC = param(fmtp, "usedtx") == "1", param(fmtp, "useinbandfec") == "1"
		// RFC 2198 section 5: the payload types of the blocks; only Opus in Opus is made.
		if opus := strconv.Itoa(int(m.Codecs[0].PT)); redundant != "" && redundant != opus+"/"+opus {
			m.RED = 0
		}
	}
}

// retransmissions returns the RTX payload type of each payload type.
func (s *section) retransmissions() (rtx [128]uint8) {
	for i := range s.formats {
		f := &s.formats[i]
		if !strings.EqualFold(f.name, "rtx") || rtcpRange(f.pt) {
			continue
		}
		if apt, err := strconv.ParseUint(param(f.fmtp, "apt"), 10, 7); err == nil && rtx[apt] == 0 {
			rtx[apt] = f.pt
		}
	}
	return rtx
}

func newCodec(c media.Codec, f *format, rtx uint8, fb feedback) Codec {
	fmtp := strings.Clone(f.fmtp)
	return Codec{
		Codec: c, PT: f.pt, RTX: rtx, Fmtp: fmtp, Profile: profile(c, fmtp), feedback: fb,
		NACK: fb&feedbackNACK != 0, PLI: fb&feedbackPLI != 0, FIR: fb&feedbackFIR != 0,
		REMB: fb&feedbackREMB != 0, TransportCC: fb&feedbackTransportCC != 0,
	}
}

// rtcpRange tells the payload types that cannot be told from RTCP on one port
// (RFC 5761 section 4).
func rtcpRange(pt uint8) bool { return pt >= 64 && pt <= 95 }

// readable tells the H.264 that we cannot take: interleaved mode (2) sends out
// of decoding order, and a profile that is not six hex digits means nothing.
func readable(c media.Codec, fmtp string) bool {
	if c != media.H264 {
		return true
	}
	if pm := param(fmtp, "packetization-mode"); pm != "" && pm != "0" && pm != "1" {
		return false
	}
	id := param(fmtp, "profile-level-id")
	if id == "" {
		return true
	}
	_, err := strconv.ParseUint(id, 16, 32)
	return err == nil && len(id) == 6
}

// mode ranks the payload types of one codec: H.264 that may be fragmented
// first, as single NAL units must fit into a packet.
func mode(c Codec) int {
	if c.Codec == media.H264 && param(c.Fmtp, "packetization-mode") == "1" {
		return 1
	}
	return 0
}

// param returns the value of one parameter of an fmtp line.
func param(fmtp, key string) string {
	for p := range strings.SplitSeq(fmtp, ";") {
		k, v, _ := strings.Cut(strings.TrimSpace(p), "=")
		if strings.EqualFold(k, key) {
			return v
		}
	}
	return ""
}

// answered tells the parameters that an answer repeats, per codec. Left out is
// what describes one sender's stream (sprop-parameter-sets) or one receiver's
// limits (max-fs).
func answered(c media.Codec, key string) bool {
	switch c {
	case media.H264: // RFC 6184 section 8.2.2
		return key == "level-asymmetry-allowed" || key == "packetization-mode" || key == "profile-level-id"
	case media.VP9: // RFC 9628 section 6.1
		return key == "profile-id"
	case media.AV1: // AV1 RTP specification, section 7.2.3
		return key == "profile" || key == "level-idx" || key == "tier"
	case media.H265: // RFC 7798 section 7.2.2
		switch key {
		case "profile-space", "profile-id", "tier-flag", "level-id", "interop-constraints",
			"profile-compatibility-indicator", "tx-mode":
			return true
		}
	case media.Opus: // RFC 7587 section 7.1; stereo is written apart
		switch key {
		case "minptime", "useinbandfec", "usedtx", "maxaveragebitrate", "cbr":
			return true
		}
	}
	return false
}
