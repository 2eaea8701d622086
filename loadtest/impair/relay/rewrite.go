package relay

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"github.com/sluice-live/sluice/loadtest/link"
)

// ErrNoCandidate says that an answer has no UDP address to stand in for.
var ErrNoCandidate = errors.New("the answer has no UDP candidate with an address")

// Candidate finds where the server wants its media: the first UDP candidate
// with an IPv4 address, or else the first one.
func Candidate(answer []byte) (netip.AddrPort, error) {
	var found netip.AddrPort
	for line := range bytes.Lines(answer) {
		addr, ok := candidate(line)
		if ok && (!found.IsValid() || addr.Addr().Is4() && !found.Addr().Is4()) {
			found = addr
		}
	}
	if !found.IsValid() {
		return found, ErrNoCandidate
	}
	return found, nil
}

// candidate reads a line that is a UDP candidate of the first component.
func candidate(line []byte) (netip.AddrPort, bool) {
	v, ok := bytes.CutPrefix(bytes.TrimSpace(line), []byte("a=candidate:"))
	if !ok {
		return netip.AddrPort{}, false
	}
	addr, ok := link.ParseCandidate(string(v))
	return addr, ok && addr.Port() != 0
}

// Rewrite puts one address in the place of all candidates of an SDP answer or
// an ICE fragment: each section that had a UDP candidate has this one, and none
// over TCP. Everything else stays as it is.
func Rewrite(answer []byte, to netip.AddrPort) []byte {
	var out []byte
	done := false // in this section
	for line := range bytes.Lines(answer) {
		if bytes.HasPrefix(line, []byte("m=")) {
			done = false
		}
		if !bytes.HasPrefix(line, []byte("a=candidate:")) {
			out = append(out, line...)
			continue
		}
		if _, ok := candidate(line); !ok || done {
			continue
		}
		done = true
		f := strings.Fields(strings.TrimPrefix(string(line), "a=candidate:")) // foundation, component, transport, priority …
		out = fmt.Appendf(out, "a=candidate:%s 1 udp %s %s %d typ host", f[0], f[3], to.Addr(), to.Port())
		out = append(out, line[len(bytes.TrimRight(line, "\r\n")):]...)
	}
	return out
}

// Strip takes all candidates out of an offer or of a client's ICE fragment: a
// server with a full ICE agent would check them, and find a way past the relay.
// What is left is a client whose address only its own checks tell.
func Strip(offer []byte) []byte {
	var out []byte
	for line := range bytes.Lines(offer) {
		if !bytes.HasPrefix(line, []byte("a=candidate:")) {
			out = append(out, line...)
		}
	}
	return out
}
