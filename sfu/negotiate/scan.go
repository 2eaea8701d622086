package negotiate

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/sluice-live/sluice/media"
)

// Limits of one offer. The longest one seen, a browser's WHEP offer, has 8 KB,
// 2 m-lines, 44 payload types and 12 header extensions per m-line.
const (
	maxOffer        = 64 << 10 // bytes
	maxMedia        = 16
	maxFormats      = 256 // over all m-lines
	maxExtensions   = 32  // per m-line
	maxFingerprints = 8
	maxCandidates   = 16 // per m-line; more are passed over
	maxMID          = 64 // bytes; browsers write one digit, some libraries a UUID
)

// description is an offer, read once, of which nothing has been judged yet.
// Its strings are slices of one copy of the offer.
type description struct {
	session section
	bundle  string // what a=group:BUNDLE lists
	grouped bool   // there is such a line
	media   []section
	formats int
}

// section is one m-line with its attributes, or the session level.
type section struct {
	kind      string
	portZero  bool
	proto     string
	fmts      string // the format list as offered
	direction string
	mid       string

	bundleOnly, mux, rsize, mixed, lite, rcvrRTT bool

	ufrag, pwd, setup, options string
	fingerprints, candidates   []string

	formats  []format
	index    [128]uint8 // of a payload type in formats, plus 1
	feedback feedback   // a=rtcp-fb:*
	exts     []extmap
	rids     []rid
	send     string // the send side of a=simulcast
	ssrc     uint32 // of the first a=ssrc
	fid      Pair   // of the first FID group
	hlang    string // a=hlang-send (RFC 8373)
	lang     string // a=lang (RFC 8866 section 6.12)
}

// format is one payload type of an m-line.
type format struct {
	pt       uint8
	name     string // of the encoding; empty without rtpmap
	clock    string
	fmtp     string
	feedback feedback
}

func bad(why string, args ...any) error {
	return fmt.Errorf("%w: %s", media.ErrBadOffer, fmt.Sprintf(why, args...))
}

func unsupported(why string, args ...any) error {
	return fmt.Errorf("%w: %s", media.ErrUnsupported, fmt.Sprintf(why, args...))
}

// scan reads the offer in one pass. It is lenient about line ends, blank
// lines, the order of attributes and attributes that it does not know, and
// strict about the shape of lines.
func scan(offer []byte) (*description, error) {
	if len(offer) > maxOffer {
		return nil, bad("it has %d bytes, at most %d are taken", len(offer), maxOffer)
	}
	if !strings.HasPrefix(string(offer[:min(len(offer), 2)]), "v=") {
		return nil, bad("it does not begin with v=0; send the offer itself as the request's body")
	}
	d := &description{}
	at := &d.session
	rest := string(offer)
	for n := 1; rest != ""; n++ {
		var line string
		line, rest, _ = strings.Cut(rest, "\n")
		line = strings.TrimSuffix(line, "\r")
		if line == "" {
			continue
		}
		if len(line) < 2 || line[1] != '=' || !printable(line) {
			return nil, bad("line %d is not of the form a=value", n)
		}
		var err error
		switch line[0] {
		case 'm':
			at, err = d.open(line[2:])
		case 'a':
			err = d.attribute(at, line[2:])
		}
		if err != nil {
			return nil, err
		}
	}
	if len(d.media) == 0 {
		return nil, bad("it has no m-line; add an audio or a video track before the offer is made")
	}
	return d, nil
}

// printable reports whether the line holds no control character, so that no
// part of it that goes into an answer can begin a line of its own.
func printable(line string) bool {
	for i := range len(line) {
		if line[i] < ' ' && line[i] != '\t' {
			return false
		}
	}
	return true
}

// open begins a section: m=<media> <port>[/<n>] <proto> <fmt> ….
func (d *description) open(value string) (*section, error) {
	if len(d.media) == maxMedia {
		return nil, unsupported("it has more than %d m-lines; send fewer", maxMedia)
	}
	kind, rest, _ := strings.Cut(value, " ")
	port, rest, _ := strings.Cut(rest, " ")
	proto, fmts, ok := strings.Cut(rest, " ")
	port, _, _ = strings.Cut(port, "/")
	number, err := strconv.ParseUint(port, 10, 16)
	if !ok || err != nil || !token(kind, 1) || !token(proto, 1) || strings.TrimSpace(fmts) == "" {
		return nil, bad("m=%.40s is not a media line: it needs a medium, a port, a protocol and formats", value)
	}
	if d.media == nil {
		d.media = make([]section, 0, 4) // two in nearly every offer
	}
	d.media = append(d.media, section{kind: kind, portZero: number == 0, proto: proto, fmts: fmts})
	s := &d.media[len(d.media)-1]
	if mediaKind(kind) == 0 {
		return s, nil
	}
	return s, d.list(s)
}

// list reads the payload types of an m-line.
func (d *description) list(s *section) error {
	s.formats = make([]format, 0, 1+strings.Count(s.fmts, " "))
	for f := range strings.FieldsSeq(s.fmts) {
		d.formats++
		if d.formats > maxFormats {
			return unsupported("it lists more than %d payload types; offer fewer codecs", maxFormats)
		}
		pt, err := strconv.ParseUint(f, 10, 7)
		if err != nil {
			return bad("payload type %.20q in m=%s is not a number up to 127", f, s.kind)
		}
		if s.index[pt] == 0 {
			s.formats = append(s.formats, format{pt: uint8(pt)})
			s.index[pt] = uint8(len(s.formats))
		}
	}
	return nil
}

func mediaKind(name string) media.Kind {
	switch name {
	case "audio":
		return media.Audio
	case "video":
		return media.Video
	}
	return 0
}
