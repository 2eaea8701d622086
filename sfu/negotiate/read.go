package negotiate

import (
	"strconv"
	"strings"

	"github.com/sluice-live/sluice/media"
)

// reader turns one description into a Remote.
type reader struct {
	*description
	config  Config
	publish bool
	in      [maxMedia]bool       // is the m-line in the bundle
	taken   [256]extKind         // what a header extension id means in the bundle
	seen    [media.Video + 1]int // m-lines that were accepted, by kind
	names   []string             // of audio tracks
	channel bool                 // data channels were taken
}

func negotiate(offer []byte, c Config, publish bool) (*Remote, error) {
	d, err := scan(offer)
	if err != nil {
		return nil, err
	}
	order, in, err := d.bundled()
	if err != nil {
		return nil, err
	}
	n := &reader{description: d, config: c, publish: publish, in: in}
	r := &Remote{Media: make([]Media, len(d.media)), publish: publish, mixed: d.session.mixed, grouped: d.grouped}
	for i := range d.media {
		if err := n.read(&r.Media[i], i); err != nil {
			return nil, err
		}
	}
	for _, i := range order {
		if !r.Media[i].Rejected {
			r.bundle = append(r.bundle, i)
		}
	}
	if r.Audio() == nil && r.Video() == nil {
		return nil, unsupported("%s", r.reasons(d))
	}
	if err := r.transport(d, order, c); err != nil {
		return nil, err
	}
	return r, r.table()
}

// reasons tells why nothing of a viewer's offer is served.
func (r *Remote) reasons(d *description) string {
	var all []string
	for i := range r.Media[:min(len(r.Media), 3)] { // more would not help to read it
		all = append(all, label(&d.media[i])+": "+r.Media[i].Reason)
	}
	return strings.Join(all, "; ")
}

// label names an m-line in an error.
func label(s *section) string {
	name := "m=" + s.kind
	if len(name) > 20 {
		name = name[:20]
	}
	if s.mid != "" {
		name += " (mid " + s.mid + ")"
	}
	return name
}

// read judges one m-line. A publisher's offer is taken as a whole or not at all
// (RFC 9725 section 4.4.3); a viewer's m-lines may be rejected one by one.
func (n *reader) read(m *Media, i int) error {
	s := &n.media[i]
	*m = Media{Kind: mediaKind(s.kind), MID: strings.Clone(s.mid), Index: i}
	m.line = line{kind: strings.Clone(s.kind), proto: strings.Clone(s.proto), rsize: s.rsize, mixed: s.mixed}
	if m.Reason = n.refuse(s, i); n.channels(s, i) {
		m.Channel, m.Reason = true, ""
		m.line.fmts = channels
		n.channel = true
		return nil
	}
	if m.Reason == "" {
		n.accept(m, s)
	}
	if m.Reason == "" {
		n.seen[m.Kind]++
		return nil
	}
	if n.publish {
		return unsupported("%s: %s", label(s), m.Reason)
	}
	m.Rejected, m.Ext, m.exts, m.RED = true, Extensions{}, nil, 0
	m.line.fmts = strings.Clone(s.fmts)
	return nil
}

// channels is the format of an m-line of data channels (RFC 8841 section 4.3).
const channels = "webrtc-datachannel"

// channels reports whether an m-line carries data channels that are taken.
func (n *reader) channels(s *section, i int) bool {
	return n.config.Channels && !n.publish && !n.channel && s.kind == "application" && n.in[i] && (!s.portZero || s.bundleOnly) &&
		(s.proto == "UDP/DTLS/SCTP" || s.proto == "TCP/DTLS/SCTP") && strings.TrimSpace(s.fmts) == channels
}

// refuse says why an m-line cannot be served, or "".
func (n *reader) refuse(s *section, i int) string {
	kind := mediaKind(s.kind)
	direction := or(or(s.direction, n.session.direction), "sendrecv")
	switch {
	case kind == 0:
		return "only audio and video are taken; leave it out"
	case n.seen[kind] >= n.most(kind):
		return n.tooMany(kind)
	case s.portZero && !s.bundleOnly:
		return "its port is 0, so it is switched off; leave it out"
	case !overDTLS(s.proto):
		return "its protocol is " + s.proto[:min(len(s.proto), 40)] + "; offer UDP/TLS/RTP/SAVPF"
	case !n.in[i]:
		return "it is not in a=group:BUNDLE; all media must share one transport"
	case !s.mux && !s.bundleOnly: // those may leave it to the first m-line (RFC 9143 section 7.1.3)
		return "it has no a=rtcp-mux; RTP and RTCP must share one port"
	case n.publish && (direction == "recvonly" || direction == "inactive"):
		return "it is " + direction + "; a publisher's m-lines must be sendonly or sendrecv"
	case !n.publish && (direction == "sendonly" || direction == "inactive"):
		return "it is " + direction + "; a viewer's m-lines must be recvonly or sendrecv"
	}
	return ""
}

// most is how many m-lines of a kind are taken. A client of RFC 9725 offers one of each (section 4.4.2), which leaves it
// to endpoints to take more, and makes them refuse the whole of an offer that has more than they support. We take one
// audio m-line for each language of a stream. A viewer gets one of them: it would play all that it got at once.
func (n *reader) most(kind media.Kind) int {
	if n.publish && kind == media.Audio {
		return media.MaxAudio
	}
	return 1
}

func (n *reader) tooMany(kind media.Kind) string {
	if n.most(kind) > 1 {
		return strconv.Itoa(media.MaxAudio) + " audio tracks are taken at most; leave the others out"
	}
	return "one " + kind.String() + " is taken at most; leave the others out"
}

// overDTLS takes the names of RFC 8827, and those of older endpoints that mean
// the same when there is a fingerprint (RFC 9429 section 5.1.2).
func overDTLS(proto string) bool {
	switch proto {
	case "UDP/TLS/RTP/SAVPF", "UDP/TLS/RTP/SAVP", "TCP/DTLS/RTP/SAVPF", "TCP/DTLS/RTP/SAVP", "RTP/SAVPF", "RTP/SAVP":
		return true
	}
	return false
}

// accept fills in what both sides know; Reason is set when that is nothing.
func (n *reader) accept(m *Media, s *section) {
	want := n.config.toViewer
	if n.publish {
		want = n.config.fromPublisher
	}
	s.extensions(m, &n.session, &n.taken, want)
	s.codecs(m, &n.config, &n.session)
	if len(m.Codecs) == 0 {
		m.Reason = n.missing(s, m.Kind)
		return
	}
	m.RcvrRTT = s.rcvrRTT
	if !n.publish {
		return
	}
	n.identify(m, s)
	if m.Kind == media.Video && m.Ext.RID != 0 { // without the extension nothing tells the encodings apart
		s.encodings(m)
	}
	switch {
	case len(m.RIDs) > 0: // which SSRC is which encoding only the packets tell
	case s.fid.Media != 0:
		m.SSRC, m.RTXSSRC = s.fid.Media, s.fid.RTX
	default:
		m.SSRC = s.ssrc
	}
}

// missing says which codecs were offered and which would have been taken.
func (n *reader) missing(s *section, kind media.Kind) string {
	var offered, known []string
	have := func(list []string, name string) bool {
		for _, v := range list {
			if strings.EqualFold(v, name) {
				return true
			}
		}
		return false
	}
	for i := range s.formats {
		name := s.formats[i].name
		if name != "" && len(name) <= 20 && len(offered) < 10 && !have(offered, name) {
			offered = append(offered, name)
		}
	}
	if kind == media.Audio {
		known = []string{media.Opus.String()}
	} else {
		for _, c := range n.config.Codecs {
			known = append(known, c.String())
		}
	}
	return "no codec of it is taken (offered: " + or(strings.Join(offered, ", "), "none with a=rtpmap") +
		"); offer one of " + or(strings.Join(known, ", "), "none: this stream has no video")
}

// table fills in what ByPT and Find look up.
func (r *Remote) table() error {
	if !r.publish { // what a viewer's mean is ours to choose
		return nil
	}
	r.types = make([]typeRef, 128)
	for i := range r.Media {
		m := &r.Media[i]
		if m.Rejected {
			continue
		}
		for j := range m.Codecs {
			c := &m.Codecs[j]
			ref := typeRef{media: uint8(i), codec: uint8(j + 1)}
			if err := r.means(c.PT, ref); err != nil {
				return err
			}
			if ref.rtx = true; c.RTX != 0 {
				if err := r.means(c.RTX, ref); err != nil {
					return err
				}
			}
		}
		if m.RED != 0 {
			if err := r.means(m.RED, typeRef{media: uint8(i), codec: 1, red: true}); err != nil {
				return err
			}
		}
	}
	return nil
}

// means notes what a payload type means; an offer with two meanings of one is
// refused. Audio m-lines may share theirs, if they mean the same (RFC 9143 section 9.1).
func (r *Remote) means(pt uint8, ref typeRef) error {
	at := &r.types[pt]
	switch {
	case at.codec == 0:
		*at = ref
	case at.rtx != ref.rtx || at.media != ref.media && (at.red != ref.red || r.codec(*at) != r.codec(ref)):
		return bad("payload type %d means two things in one bundle (RFC 9143 section 9.1)", pt)
	case at.media != ref.media:
		at.shared = true
	}
	return nil
}

func (r *Remote) codec(ref typeRef) media.Codec { return r.Media[ref.media].Codecs[ref.codec-1].Codec }

// typeRef is what one payload type means in the bundle.
type typeRef struct {
	media, codec     uint8 // codec is its index plus 1; 0 is nothing
	rtx, red, shared bool
}
