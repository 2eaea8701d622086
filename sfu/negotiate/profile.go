package negotiate

import (
	"strconv"

	"github.com/sluice-live/sluice/media"
)

// profile returns what Codec.Profile says, with the default of each RFC where
// the offer names none.
func profile(c media.Codec, fmtp string) string {
	switch c {
	case media.H264:
		return h264Profile(param(fmtp, "profile-level-id"))
	case media.VP9:
		return or(param(fmtp, "profile-id"), "0")
	case media.AV1:
		return or(param(fmtp, "profile"), "0")
	case media.H265:
		return or(param(fmtp, "profile-id"), "1")
	}
	return ""
}

func or(value, fallback string) string {
	if value == "" {
		return fallback
	}
	return value
}

// h264Profiles is RFC 6184 table 5: one profile may be written in several
// ways, as profile_idc and the bits of profile-iop that matter. The first row
// that fits counts.
var h264Profiles = [...]struct {
	idc, mask, iop uint8
	name           string
}{
	{0x42, 0b0100_0000, 0b0100_0000, "Constrained Baseline"},
	{0x4D, 0b1000_0000, 0b1000_0000, "Constrained Baseline"},
	{0x58, 0b1100_0000, 0b1100_0000, "Constrained Baseline"},
	{0x42, 0, 0, "Baseline"},
	{0x58, 0b1000_0000, 0b1000_0000, "Baseline"},
	{0x4D, 0, 0, "Main"},
	{0x58, 0, 0, "Extended"},
	{0x64, 0b0000_1100, 0b0000_1100, "Constrained High"}, // H.264 A.2.4.2; Safari's 640c1f
	{0x64, 0, 0, "High"},
	{0x6E, 0b0001_0000, 0b0001_0000, "High 10 Intra"},
	{0x6E, 0, 0, "High 10"},
	{0x7A, 0b0001_0000, 0b0001_0000, "High 4:2:2 Intra"},
	{0x7A, 0, 0, "High 4:2:2"},
	{0xF4, 0b0001_0000, 0b0001_0000, "High 4:4:4 Intra"},
	{0xF4, 0, 0, "High 4:4:4 Predictive"},
	{0x2C, 0, 0, "CAVLC 4:4:4 Intra"},
}

// h264Profile names the profile of a profile-level-id; empty when it is none
// that is known. A missing one means Baseline (RFC 6184 section 8.1).
func h264Profile(id string) string {
	if id == "" {
		return "Baseline"
	}
	n, err := strconv.ParseUint(id, 16, 24)
	if err != nil {
		return ""
	}
	idc, iop := uint8(n>>16), uint8(n>>8)
	for _, p := range h264Profiles {
		if p.idc == idc && iop&p.mask == p.iop {
			return p.name
		}
	}
	return ""
}

// h264Decodes reports whether a decoder of one profile shows streams of
// another (H.264 A.2): each profile's decoders take what is constrained more.
func h264Decodes(decoder, stream string) bool {
	switch decoder {
	case stream:
		return true
	case "Baseline", "Main", "Constrained High":
		return stream == "Constrained Baseline"
	case "Extended":
		return stream == "Constrained Baseline" || stream == "Baseline"
	case "High":
		return stream == "Constrained Baseline" || stream == "Main" || stream == "Constrained High"
	case "High 10", "High 4:2:2", "High 4:4:4 Predictive":
		return h264Decodes("High", stream) || stream == "High"
	}
	return false
}

// Match returns the viewer's payload type that fits a publisher's codec and
// its fmtp parameters best, or nil when the viewer cannot decode it. H.264 is
// matched leniently: encoders often declare another profile than they send,
// and decoders take more than they offer; so the best of those offered is
// returned, one that allows fragmentation (packetization-mode 1) if there is any.
func (m *Media) Match(c media.Codec, params string) *Codec {
	wanted, best, top := profile(c, params), (*Codec)(nil), 0
	for i := range m.Codecs {
		have := &m.Codecs[i]
		if have.Codec != c {
			continue
		}
		if s := score(have, wanted); s > top {
			best, top = have, s
		}
	}
	return best
}

// score is 0 where the viewer cannot decode the profile.
func score(have *Codec, wanted string) int {
	switch have.Codec {
	case media.H264:
		s := 1 + 4*mode(*have)
		switch {
		case have.Profile == wanted:
			s += 2
		case h264Decodes(have.Profile, wanted):
			s++
		}
		return s
	case media.VP9, media.AV1, media.H265:
		switch {
		case have.Profile == wanted:
			return 2
		case have.Codec == media.H265 && have.Profile == "2" && wanted == "1": // Main 10 takes Main (H.265 A.3.3)
			return 1
		}
		return 0
	}
	return 1
}
