package negotiate

import (
	"strconv"
	"strings"
)

// feedback is a set of RTCP feedback kinds (a=rtcp-fb).
type feedback uint8

const (
	feedbackNACK feedback = 1 << iota
	feedbackPLI
	feedbackFIR
	feedbackREMB
	feedbackTransportCC
)

// feedbackNames in the order in which answers list them.
var feedbackNames = [...]struct {
	bit  feedback
	name string
}{
	{feedbackTransportCC, "transport-cc"},
	{feedbackREMB, "goog-remb"},
	{feedbackFIR, "ccm fir"},
	{feedbackNACK, "nack"},
	{feedbackPLI, "nack pli"},
}

// attribute reads one a= line of the session or of an m-line.
func (d *description) attribute(s *section, a string) error {
	key, value, _ := strings.Cut(a, ":")
	switch key {
	case "group":
		if mids, ok := strings.CutPrefix(value, "BUNDLE"); ok && s == &d.session && !d.grouped {
			d.bundle, d.grouped = mids, true
		}
	case "mid":
		if len(value) > maxMID || strings.ContainsAny(value, " \t") {
			return bad("a=mid:%.40s is not a name of at most %d characters", value, maxMID)
		}
		s.mid = value
	case "sendrecv", "sendonly", "recvonly", "inactive":
		s.direction = key
	case "ice-ufrag":
		s.ufrag = value
	case "ice-pwd":
		s.pwd = value
	case "ice-options":
		s.options = value
	case "ice-lite":
		s.lite = true
	case "candidate":
		if len(s.candidates) < maxCandidates {
			s.candidates = append(s.candidates, value)
		}
	case "setup":
		s.setup = value
	case "fingerprint":
		if len(s.fingerprints) == maxFingerprints {
			return unsupported("it has more than %d fingerprints for one m-line", maxFingerprints)
		}
		s.fingerprints = append(s.fingerprints, value)
	default:
		return s.stream(key, value)
	}
	return nil
}

// stream reads what an attribute says of RTP and RTCP. Lines for payload types that the
// m-line does not list are passed over: Firefox leaves the feedback of those
// that setCodecPreferences removed.
func (s *section) stream(key, value string) error {
	switch key {
	case "bundle-only":
		s.bundleOnly = true
	case "rtcp-mux", "rtcp-mux-only":
		s.mux = true
	case "rtcp-rsize":
		s.rsize = true
	case "extmap-allow-mixed":
		s.mixed = true
	case "rtpmap":
		if f, rest := s.format(value); f != nil && f.name == "" {
			f.name, f.clock, _ = strings.Cut(rest, "/")
		}
	case "fmtp":
		if f, rest := s.format(value); f != nil && f.fmtp == "" {
			f.fmtp = rest
		}
	case "rtcp-fb":
		if rest, ok := strings.CutPrefix(value, "* "); ok {
			s.feedback |= feedbackOf(rest)
		} else if f, rest := s.format(value); f != nil {
			f.feedback |= feedbackOf(rest)
		}
	case "rtcp-xr":
		s.rcvrRTT = s.rcvrRTT || strings.Contains(value, "rcvr-rtt=")
	case "extmap":
		return s.addExtension(value)
	case "rid":
		return s.addEncoding(value)
	case "simulcast":
		s.addSimulcast(value)
	case "hlang-send":
		s.hlang = value
	case "lang":
		s.lang = value
	case "ssrc", "ssrc-group":
		s.source(key, value)
	}
	return nil
}

// source keeps the first SSRC and the first retransmission group (RFC 5576).
// FFmpeg's group names an SSRC that has no a=ssrc of its own.
func (s *section) source(key, value string) {
	if key == "ssrc" && s.ssrc == 0 {
		id, _, _ := strings.Cut(value, " ")
		s.ssrc = ssrc(id)
	}
	if ids, ok := strings.CutPrefix(value, "FID "); ok && key == "ssrc-group" && s.fid == (Pair{}) {
		m, rest, _ := strings.Cut(ids, " ")
		r, _, _ := strings.Cut(rest, " ")
		s.fid = Pair{Media: ssrc(m), RTX: ssrc(r)}
	}
}

// format returns the payload type that the value begins with, and what follows.
func (s *section) format(value string) (*format, string) {
	pt, rest, _ := strings.Cut(value, " ")
	n, err := strconv.ParseUint(pt, 10, 7)
	if err != nil || s.index[n] == 0 {
		return nil, ""
	}
	return &s.formats[s.index[n]-1], strings.TrimSpace(rest)
}

func feedbackOf(name string) feedback {
	for _, f := range feedbackNames {
		if strings.TrimSpace(name) == f.name {
			return f.bit
		}
	}
	return 0
}

func ssrc(s string) uint32 {
	n, err := strconv.ParseUint(s, 10, 32)
	if err != nil {
		return 0
	}
	return uint32(n)
}
