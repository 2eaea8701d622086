package link

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/pion/sdp/v3"
)

// Answer is what a client needs to know of an SDP answer.
type Answer struct {
	Remote      Credentials
	Algorithm   string // of the fingerprint, lower case: "sha-256"
	Fingerprint string // hex with colons, as written
	Setup       string // "active", "passive", "actpass"
	Lite        bool
	Candidates  []netip.AddrPort // UDP, in the order of the answer
	Lines       int              // all a=candidate lines, of any transport
	Bundle      []string
	Media       []Section
}

// Section is one m-line.
type Section struct {
	Kind       string
	MID        string
	Port       int
	Direction  string
	Formats    []Format
	Extensions map[string]uint8 // URI to id
	SSRCs      []uint32
	FID        map[uint32]uint32 // media SSRC to repair SSRC
	RIDs       []string
	Simulcast  string
	Attributes []sdp.Attribute
}

// Format is one payload type.
type Format struct {
	PT    uint8
	Codec string // as SDP writes it
	Clock uint32
	FMTP  string
}

// ParseAnswer reads an answer. Session-level ICE and DTLS attributes count
// for every section; of sections, the first that has them counts (all are
// bundled).
func ParseAnswer(b []byte) (Answer, error) {
	var s sdp.SessionDescription
	if err := s.Unmarshal(b); err != nil {
		return Answer{}, fmt.Errorf("read the answer: %w", err)
	}
	var a Answer
	a.transport(s.Attributes)
	for _, m := range s.MediaDescriptions {
		a.transport(m.Attributes)
		a.Media = append(a.Media, section(m))
	}
	if a.Remote.Ufrag == "" || a.Remote.Pwd == "" {
		return a, errors.New("read the answer: it has no ICE credentials")
	}
	if a.Fingerprint == "" {
		return a, errors.New("read the answer: it has no fingerprint")
	}
	return a, nil
}

// First returns the first section of a kind that is not rejected, or nil.
func (a *Answer) First(kind string) *Section {
	for i := range a.Media {
		if a.Media[i].Kind == kind && a.Media[i].Port != 0 {
			return &a.Media[i]
		}
	}
	return nil
}

// Find returns the first format with that codec, in any case.
func (s *Section) Find(codec string) (Format, bool) {
	for _, f := range s.Formats {
		if strings.EqualFold(f.Codec, codec) {
			return f, true
		}
	}
	return Format{}, false
}

// Repair returns the RTX payload type of a format, or 0.
func (s *Section) Repair(pt uint8) uint8 {
	for _, f := range s.Formats {
		if strings.EqualFold(f.Codec, "rtx") && strings.Contains(f.FMTP, "apt="+strconv.Itoa(int(pt))) {
			return f.PT
		}
	}
	return 0
}

func (a *Answer) transport(attributes []sdp.Attribute) {
	set := func(dst *string, v string) {
		if *dst == "" {
			*dst = strings.TrimSpace(v)
		}
	}
	for _, at := range attributes {
		switch at.Key {
		case "ice-ufrag":
			set(&a.Remote.Ufrag, at.Value)
		case "ice-pwd":
			set(&a.Remote.Pwd, at.Value)
		case "ice-lite":
			a.Lite = true
		case "setup":
			set(&a.Setup, at.Value)
		case "group":
			if f := strings.Fields(at.Value); len(f) > 0 && f[0] == "BUNDLE" {
				a.Bundle = f[1:]
			}
		case "fingerprint":
			if algorithm, value, ok := strings.Cut(at.Value, " "); ok && a.Fingerprint == "" {
				a.Algorithm, a.Fingerprint = strings.ToLower(algorithm), strings.TrimSpace(value)
			}
		case "candidate":
			a.Lines++
			if addr, ok := ParseCandidate(at.Value); ok {
				a.Candidates = append(a.Candidates, addr)
			}
		}
	}
}

// ParseCandidate reads the address of a UDP candidate of component 1
// (RFC 8839 section 5.1). Names, TCP and other components give false.
func ParseCandidate(v string) (netip.AddrPort, bool) {
	f := strings.Fields(v)
	if len(f) < 8 || f[1] != "1" || !strings.EqualFold(f[2], "udp") {
		return netip.AddrPort{}, false
	}
	addr, err := netip.ParseAddr(f[4])
	port, err2 := strconv.ParseUint(f[5], 10, 16)
	if err != nil || err2 != nil {
		return netip.AddrPort{}, false
	}
	return netip.AddrPortFrom(addr, uint16(port)), true
}

func section(m *sdp.MediaDescription) Section {
	s := Section{Kind: m.MediaName.Media, Port: m.MediaName.Port.Value, Extensions: map[string]uint8{}, FID: map[uint32]uint32{}, Attributes: m.Attributes}
	for _, f := range m.MediaName.Formats {
		if pt, err := strconv.ParseUint(f, 10, 8); err == nil {
			s.Formats = append(s.Formats, Format{PT: uint8(pt)})
		}
	}
	for _, at := range m.Attributes {
		s.read(at)
	}
	return s
}

func (s *Section) read(at sdp.Attribute) {
	head, rest, _ := strings.Cut(at.Value, " ")
	switch at.Key {
	case "mid":
		s.MID = at.Value
	case "sendonly", "recvonly", "sendrecv", "inactive":
		s.Direction = at.Key
	case "rtpmap", "fmtp":
		s.format(at.Key, head, rest)
	case "extmap":
		id, _, _ := strings.Cut(head, "/")
		uri, _, _ := strings.Cut(rest, " ")
		if n, err := strconv.ParseUint(id, 10, 8); err == nil {
			s.Extensions[uri] = uint8(n)
		}
	case "ssrc":
		if n, err := strconv.ParseUint(head, 10, 32); err == nil && (len(s.SSRCs) == 0 || s.SSRCs[len(s.SSRCs)-1] != uint32(n)) {
			s.SSRCs = append(s.SSRCs, uint32(n))
		}
	case "ssrc-group":
		var media, repair uint32
		if n, _ := fmt.Sscanf(at.Value, "FID %d %d", &media, &repair); n == 2 {
			s.FID[media] = repair
		}
	case "rid":
		s.RIDs = append(s.RIDs, head)
	case "simulcast":
		s.Simulcast = at.Value
	}
}

func (s *Section) format(key, head, rest string) {
	for i := range s.Formats {
		if strconv.Itoa(int(s.Formats[i].PT)) != head {
			continue
		}
		if key == "fmtp" {
			s.Formats[i].FMTP = rest
			return
		}
		parts := strings.Split(rest, "/")
		s.Formats[i].Codec = parts[0]
		if len(parts) > 1 {
			n, _ := strconv.ParseUint(parts[1], 10, 32)
			s.Formats[i].Clock = uint32(n)
		}
	}
}
