package negotiate

import (
	"strconv"
	"strings"

	"github.com/sluice-live/sluice/media"
)

// MaxMessage is the largest message in bytes that a data channel of ours takes.
const MaxMessage = 16 << 10

// writer builds an answer line by line.
type writer struct{ b []byte }

func (w *writer) text(parts ...string) *writer {
	for _, p := range parts {
		w.b = append(w.b, p...)
	}
	return w
}

func (w *writer) num(n uint64) *writer {
	w.b = strconv.AppendUint(w.b, n, 10)
	return w
}

func (w *writer) line(parts ...string) {
	w.text(parts...).text("\r\n")
}

// Answer writes the answer to the side that the offer was read for.
func (r *Remote) Answer(l Local) []byte {
	size := 2048 // all but the codecs of the longest answer
	for i := range r.Media {
		size += 256 * len(r.Media[i].Codecs)
	}
	w := &writer{b: make([]byte, 0, size)}
	w.line("v=0")
	w.text("o=- ").num(l.Origin & (1<<63 - 1)).line(" 0 IN IP4 127.0.0.1") // the id has its high bit clear (RFC 9429 section 5.2.1)
	w.line("s=-")
	w.line("t=0 0")
	if r.grouped {
		w.text("a=group:BUNDLE")
		for _, i := range r.bundle {
			w.text(" ", r.Media[i].MID)
		}
		w.line()
	}
	if !l.Full {
		w.line("a=ice-lite")
	}
	switch {
	case r.ice2 && r.Trickle:
		w.line("a=ice-options:ice2 trickle")
	case r.Trickle:
		w.line("a=ice-options:trickle")
	case r.ice2:
		w.line("a=ice-options:ice2")
	}
	if r.mixed {
		w.line("a=extmap-allow-mixed")
	}
	for i := range r.Media {
		switch m := &r.Media[i]; {
		case m.Rejected:
			w.rejected(m)
		case m.Channel:
			w.channels(r, m, &l)
		default:
			w.media(r, m, &l)
		}
	}
	return w.b
}

// rejected answers an m-line with port 0 (RFC 3264 section 6). It keeps its
// name, which browsers compare, and stays out of the bundle.
func (w *writer) rejected(m *Media) {
	w.line("m=", m.line.kind, " 0 ", m.line.proto, " ", m.line.fmts)
	w.line("c=IN IP4 0.0.0.0")
	if m.MID != "" {
		w.line("a=mid:", m.MID)
	}
	w.line("a=inactive")
}

func (w *writer) media(r *Remote, m *Media, l *Local) {
	w.text("m=", m.line.kind, " 9 ", m.line.proto)
	if r.publish && m.RED != 0 { // in front: browsers send what is listed first
		w.text(" ").num(uint64(m.RED))
	}
	for i := range m.Codecs {
		c := &m.Codecs[i]
		w.text(" ").num(uint64(c.PT))
		if c.RTX != 0 {
			w.text(" ").num(uint64(c.RTX))
		}
	}
	if !r.publish && m.RED != 0 {
		w.text(" ").num(uint64(m.RED))
	}
	w.line()
	w.line("c=IN IP4 0.0.0.0")
	if m.MID != "" {
		w.line("a=mid:", m.MID)
	}
	w.transport(r, m, l)
	w.flags(r, m)
	for i := range m.exts {
		w.extmap(&m.exts[i])
	}
	for i := range m.Codecs {
		w.codec(m, &m.Codecs[i], l)
	}
	if m.RED != 0 {
		opus := uint64(m.Codecs[0].PT)
		w.text("a=rtpmap:").num(uint64(m.RED)).line(" red/48000/2")
		w.text("a=fmtp:").num(uint64(m.RED)).text(" ").num(opus).text("/").num(opus).line()
	}
	w.simulcast(m)
	if !r.publish {
		w.streams(m, l)
	}
}

// channels answers an m-line of data channels (RFC 8841 section 10.3).
func (w *writer) channels(r *Remote, m *Media, l *Local) {
	w.line("m=", m.line.kind, " 9 ", m.line.proto, " ", m.line.fmts)
	w.line("c=IN IP4 0.0.0.0")
	if m.MID != "" {
		w.line("a=mid:", m.MID)
	}
	w.transport(r, m, l)
	w.line("a=sctp-port:5000")
	w.line("a=max-message-size:", strconv.Itoa(MaxMessage))
}

func (w *writer) flags(r *Remote, m *Media) {
	if r.publish {
		w.line("a=recvonly")
	} else {
		w.line("a=sendonly")
	}
	w.line("a=rtcp-mux")
	w.line("a=rtcp-mux-only") // RFC 9725 section 4.4.1: in each bundled m-line
	if m.line.rsize {
		w.line("a=rtcp-rsize")
	}
	if m.RcvrRTT {
		w.line("a=rtcp-xr:rcvr-rtt=all")
	}
	if m.line.mixed && !r.mixed {
		w.line("a=extmap-allow-mixed")
	}
	if m.said { // RFC 8373 section 5.2
		w.line("a=hlang-recv:", m.Language)
	}
}

// transport is repeated in each m-line for clients that read only media level
// (FFmpeg) or the m-line that they look at; candidates stand once, in the
// m-line that leads the bundle.
func (w *writer) transport(r *Remote, m *Media, l *Local) {
	w.line("a=ice-ufrag:", l.Ufrag)
	w.line("a=ice-pwd:", l.Pwd)
	w.line("a=fingerprint:sha-256 ", l.Fingerprint)
	w.line("a=setup:", r.Setup)
	if m.Index != r.bundle[0] {
		return
	}
	for _, c := range l.Candidates {
		w.line("a=candidate:", c)
	}
	w.line("a=end-of-candidates")
}

func (w *writer) extmap(e *extmap) {
	w.text("a=extmap:").num(uint64(e.id))
	if e.reverse != "" {
		w.text("/", e.reverse)
	}
	w.line(" ", uris[e.kind])
}

func (w *writer) codec(m *Media, c *Codec, l *Local) {
	w.text("a=rtpmap:").num(uint64(c.PT))
	if c.Codec == media.Opus {
		w.line(" opus/48000/2")
	} else {
		w.line(" ", c.Codec.String(), "/90000")
	}
	for _, f := range feedbackNames {
		if c.feedback&f.bit != 0 {
			w.text("a=rtcp-fb:").num(uint64(c.PT)).line(" ", f.name)
		}
	}
	w.fmtp(m, c, l)
	if c.RTX != 0 {
		w.text("a=rtpmap:").num(uint64(c.RTX)).line(" rtx/", strconv.Itoa(int(c.Codec.ClockRate())))
		w.text("a=fmtp:").num(uint64(c.RTX)).text(" apt=").num(uint64(c.PT)).line()
	}
}

func (w *writer) fmtp(m *Media, c *Codec, l *Local) {
	before := len(w.b)
	w.text("a=fmtp:").num(uint64(c.PT))
	sep := " "
	for p := range strings.SplitSeq(c.Fmtp, ";") {
		p = strings.TrimSpace(p)
		if key, _, ok := strings.Cut(p, "="); ok && answered(c.Codec, strings.ToLower(key)) {
			w.text(sep, p)
			sep = ";"
		}
	}
	if c.Codec == media.Opus && m.Stereo {
		w.text(sep, "stereo=1")
		sep = ";"
	}
	if c.Codec == media.Opus && (m.Stereo || l.Stereo) {
		w.text(sep, "sprop-stereo=1")
		sep = ";"
	}
	if sep == " " { // nothing to say
		w.b = w.b[:before]
		return
	}
	w.line()
}

func (w *writer) simulcast(m *Media) {
	if len(m.RIDs) == 0 {
		return
	}
	for i, id := range m.RIDs {
		w.text("a=rid:", id, " recv")
		if m.restrictions[i] != "" {
			w.text(" ", m.restrictions[i])
		}
		w.line()
	}
	w.text("a=simulcast:recv ")
	paused := m.Paused // in the order of RIDs
	for i, id := range m.RIDs {
		if i > 0 {
			w.text(";")
		}
		if len(paused) > 0 && paused[0] == id {
			w.text("~")
			paused = paused[1:]
		}
		w.text(id)
	}
	w.line()
}

// streams announces what a viewer gets: one MediaStream, and SSRCs that a
// client may learn before the first packet.
func (w *writer) streams(m *Media, l *Local) {
	if l.MSID != "" {
		w.line("a=msid:", l.MSID, " ", m.Kind.String())
	}
	pair := l.SSRC[m.Kind]
	if pair.Media == 0 {
		return
	}
	rtx := false
	for i := range m.Codecs {
		rtx = rtx || m.Codecs[i].RTX != 0
	}
	if !rtx {
		pair.RTX = 0
	}
	if pair.RTX != 0 {
		w.text("a=ssrc-group:FID ").num(uint64(pair.Media)).text(" ").num(uint64(pair.RTX)).line()
	}
	for _, id := range [...]uint32{pair.Media, pair.RTX} {
		if id != 0 {
			w.text("a=ssrc:").num(uint64(id)).line(" cname:", l.CNAME)
		}
	}
}
