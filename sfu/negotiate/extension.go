package negotiate

import (
	"strconv"
	"strings"
)

// extKind is a header extension that we know; 0 is any other.
type extKind uint8

const (
	extMID extKind = iota + 1
	extRID
	extRRID
	extAbsCapture
	extTransportCC
	extAbsSendTime
	extPlayoutDelay
	extAudioLevel
	extOrientation
	extDescriptor
)

// uris of the header extensions that we know. The experimental ones are
// documented under docs/native-code/rtp-hdrext in libwebrtc.
var uris = [...]string{
	extMID:          "urn:ietf:params:rtp-hdrext:sdes:mid",
	extRID:          "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id",
	extRRID:         "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id",
	extAbsCapture:   "http://www.webrtc.org/experiments/rtp-hdrext/abs-capture-time",
	extTransportCC:  "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01",
	extAbsSendTime:  "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time",
	extPlayoutDelay: "http://www.webrtc.org/experiments/rtp-hdrext/playout-delay",
	extAudioLevel:   "urn:ietf:params:rtp-hdrext:ssrc-audio-level",
	extOrientation:  "urn:3gpp:video-orientation",
	extDescriptor:   "https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension",
}

// extmap is one a=extmap of an m-line (RFC 8285 section 5).
type extmap struct {
	id      uint8 // 0 for one that cannot be accepted
	kind    extKind
	reverse string // the direction that the answer gives; empty where the offer has none
}

func kindOf(uri string) extKind {
	for k := extMID; int(k) < len(uris); k++ {
		if uris[k] == uri {
			return k
		}
	}
	return 0
}

// field returns where the id of a kind is kept.
func (e *Extensions) field(k extKind) *uint8 {
	return [...]*uint8{
		extMID: &e.MID, extRID: &e.RID, extRRID: &e.RRID, extAbsCapture: &e.AbsCapture,
		extTransportCC: &e.TransportCC, extAbsSendTime: &e.AbsSendTime, extPlayoutDelay: &e.PlayoutDelay,
		extAudioLevel: &e.AudioLevel, extOrientation: &e.Orientation, extDescriptor: &e.Descriptor,
	}[k]
}

// addExtension reads <id>[/<direction>] <uri> [<attributes>]. Ids out of range are
// passed over: 4096 and more is how an offer lists more than it has ids for.
func (s *section) addExtension(value string) error {
	if len(s.exts) == maxExtensions {
		return unsupported("it has more than %d header extensions for one m-line", maxExtensions)
	}
	head, rest, _ := strings.Cut(value, " ")
	uri, _, _ := strings.Cut(strings.TrimSpace(rest), " ")
	id, direction, _ := strings.Cut(head, "/")
	n, err := strconv.ParseUint(id, 10, 16)
	if err != nil || uri == "" {
		return bad("a=extmap:%.60s needs a number and a URI", value)
	}
	e := extmap{id: uint8(n), kind: kindOf(uri)}
	switch direction {
	case "":
	case "sendrecv":
		e.reverse = "sendrecv"
	case "sendonly":
		e.reverse = "recvonly"
	case "recvonly":
		e.reverse = "sendonly"
	default: // inactive: nobody sends it
		e.id = 0
	}
	if n > 255 {
		e.id = 0
	}
	s.exts = append(s.exts, e)
	return nil
}

// extensions accepts header extensions of one m-line. Within the bundle an id
// means one extension (RFC 9143 section 9.2): taken holds what each id means
// so far, and the first one wins.
func (s *section) extensions(m *Media, session *section, taken *[256]extKind, want func(*extmap, bool) bool) {
	mixed := s.mixed || session.mixed
	for _, level := range [...]*section{s, session} {
		for i := range level.exts {
			e := &level.exts[i]
			switch {
			case e.id == 0 || e.kind == 0 || !want(e, mixed):
				continue
			case e.id > 14 && (!mixed || e.id == 15): // needs two-byte headers; 15 is reserved (RFC 8285 section 4.2)
				continue
			case taken[e.id] != 0 && taken[e.id] != e.kind:
				continue
			}
			if at := m.Ext.field(e.kind); *at == 0 {
				*at, taken[e.id] = e.id, e.kind
				m.exts = append(m.exts, *e)
			}
		}
	}
}

// fromPublisher says what is read from a publisher.
func (c *Config) fromPublisher(e *extmap, _ bool) bool {
	return e.reverse != "sendonly" && (e.kind != extTransportCC || c.TransportCC)
}

// toViewer says what may be written to a viewer: encodings are chosen here, so
// no RID, and send times only for transport-wide feedback. A dependency
// descriptor with its structure is longer than the 16 bytes of one-byte headers,
// so that it wants both forms in one stream (RFC 8285 section 4.1.2).
func (c *Config) toViewer(e *extmap, mixed bool) bool {
	switch e.kind {
	case extDescriptor:
		return e.reverse != "recvonly" && mixed
	case extRID, extRRID, extAbsSendTime:
		return false
	case extTransportCC:
		return e.reverse != "recvonly" && c.TransportCC
	}
	return e.reverse != "recvonly"
}
