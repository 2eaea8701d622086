// Package sdpfrag reads and writes SDP fragments, the bodies of trickle and
// restart PATCHes (RFC 8840 section 9). It promises to take every fragment that
// clients were seen to send, to read no more than it says, and that what it
// writes it reads again. Any goroutine may call it; it holds no state.
package sdpfrag

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/sluice-live/sluice/media"
)

// The bounds of what is read. Chromium on a machine with many networks sends
// about 30 candidates; ICE itself advises at most 100 pairs (RFC 8445 section 6.1.2.5).
const (
	maxCandidates = 64
	maxLines      = 1024
)

// Parse reads a fragment. Candidates that cannot be used here — a TCP active
// one, a name instead of an address, an unknown transport, one for RTCP — are
// left out without a word (RFC 9725 section 4.3.2). The m-line is matched by
// its mid alone: clients write any kind and protocol there, or no m-line at all.
// Of several m-lines the first counts, which is the BUNDLE-tagged one.
func Parse(b []byte) (media.Fragment, error) {
	var f media.Fragment
	p := parser{f: &f}
	text := strings.TrimPrefix(string(b), "\ufeff")
	for line := range strings.SplitSeq(text, "\n") {
		if p.lines++; p.lines > maxLines {
			return media.Fragment{}, fmt.Errorf("%w: it has more than %d lines", media.ErrBadFragment, maxLines)
		}
		if err := p.line(strings.TrimRight(line, "\r \t")); err != nil {
			return media.Fragment{}, fmt.Errorf("%w: line %d: %w", media.ErrBadFragment, p.lines, err)
		}
	}
	if f.Pwd != "" && f.Ufrag == "" {
		return media.Fragment{}, fmt.Errorf("%w: it has ice-pwd without ice-ufrag", media.ErrBadFragment)
	}
	return f, nil
}

type parser struct {
	f     *media.Fragment
	lines int
	media int // m-lines so far
}

func (p *parser) line(line string) error {
	if line == "" {
		return nil
	}
	if len(line) < 2 || line[1] != '=' {
		return errors.New("it is not of the form x=value")
	}
	switch line[0] {
	case 'm':
		p.media++
	case 'a':
		return p.attribute(line[2:])
	}
	return nil
}

func (p *parser) attribute(a string) error {
	name, value, valued := strings.Cut(a, ":")
	value = strings.TrimSpace(value)
	if p.media > 1 {
		return nil
	}
	switch strings.ToLower(name) {
	case "ice-ufrag":
		// RFC 8839 section 5.4: 4 to 256 ice-chars; shorter ones are let through,
		// they hurt nobody but their sender.
		return credential(&p.f.Ufrag, value)
	case "ice-pwd":
		return credential(&p.f.Pwd, value)
	case "ice-lite":
		p.f.Lite = true
	case "mid":
		return mid(&p.f.MID, value)
	case "end-of-candidates":
		p.f.End = true
	case "candidate":
		if !valued { // an empty value is how some browsers write the end
			return errors.New("it holds no candidate (RFC 8839 section 5.1)")
		}
		if len(p.f.Candidates) < maxCandidates && Usable(value) {
			p.f.Candidates = append(p.f.Candidates, value)
		}
	}
	return nil
}

// credential takes the first value; a second one, which clients repeat per
// m-line, must not differ.
func credential(to *string, value string) error {
	if value == "" || len(value) > 256 || !iceChars(value) {
		return errors.New("it holds no ICE credential (RFC 8839 section 5.4)")
	}
	if *to != "" && *to != value {
		return errors.New("it differs from the credential before")
	}
	*to = value
	return nil
}

func iceChars(s string) bool {
	for i := range len(s) {
		c := s[i]
		ok := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '+' || c == '/' ||
			// Not ice-chars, yet seen in the wild and harmless.
			c == '-' || c == '_' || c == '='
		if !ok {
			return false
		}
	}
	return true
}

func mid(to *string, value string) error {
	if value == "" || len(value) > 64 || strings.ContainsAny(value, " \t") {
		return errors.New("it holds no mid")
	}
	if *to == "" {
		*to = value
	}
	return nil
}

// Usable reports whether the value of an a=candidate line names a UDP or
// passive TCP transport address of the RTP component (RFC 8839 section 5.1).
func Usable(value string) bool {
	w := strings.Fields(value)
	if len(w) < 8 || !strings.EqualFold(w[6], "typ") || w[1] != "1" {
		return false
	}
	if _, err := strconv.ParseUint(w[3], 10, 32); err != nil {
		return false
	}
	port, err := strconv.ParseUint(w[5], 10, 16)
	if err != nil {
		return false
	}
	// A name, which mDNS candidates have, is not looked up: an answer would let
	// clients make this node ask the network (RFC 9725 section 4.3.2).
	if a, err := netip.ParseAddr(w[4]); err != nil || a.IsUnspecified() || a.IsMulticast() {
		return false
	}
	switch strings.ToLower(w[2]) {
	case "udp":
		return port > 0
	case "tcp":
		// RFC 6544 section 4.5: an active one is where connections come from, and
		// has the discard port.
		return port > 0 && strings.EqualFold(option(w, "tcptype"), "passive")
	}
	return false
}

func option(words []string, name string) string {
	for i := 8; i+1 < len(words); i += 2 {
		if strings.EqualFold(words[i], name) {
			return words[i+1]
		}
	}
	return ""
}

// Append writes a fragment as RFC 9725 section 4.3.3 shows it: credentials and
// candidates under one m-line, whose kind says nothing. A fragment without a
// mid has them at its top.
func Append(dst []byte, f media.Fragment) []byte {
	put := func(parts ...string) {
		for _, s := range parts {
			dst = append(dst, s...)
		}
		dst = append(dst, '\r', '\n')
	}
	if f.Lite {
		put("a=ice-lite")
	}
	if f.MID != "" {
		put("m=audio 9 UDP/TLS/RTP/SAVPF 0")
		put("a=mid:", f.MID)
	}
	if f.Ufrag != "" {
		put("a=ice-ufrag:", f.Ufrag)
		put("a=ice-pwd:", f.Pwd)
	}
	for _, c := range f.Candidates {
		put("a=candidate:", c)
	}
	if f.End {
		put("a=end-of-candidates")
	}
	return dst
}

// Credentials finds the ICE credentials of a whole offer: those of the first
// m-line that has some, which BUNDLE makes count for all, else the session's.
// They are empty when the offer has none; whether it is a good offer is not
// judged here.
func Credentials(offer []byte) (ufrag, pwd string) {
	for line := range strings.Lines(string(offer)) {
		line = strings.TrimRight(line, "\r\n \t")
		if v, ok := strings.CutPrefix(line, "a=ice-ufrag:"); ok && ufrag == "" {
			ufrag = v
		}
		if v, ok := strings.CutPrefix(line, "a=ice-pwd:"); ok && pwd == "" {
			pwd = v
		}
		if ufrag != "" && pwd != "" {
			break
		}
	}
	return strings.Clone(ufrag), strings.Clone(pwd) // the offer itself is not kept
}
