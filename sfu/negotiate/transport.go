package negotiate

import (
	"slices"
	"strings"
)

// bundled returns the m-lines of the BUNDLE group in its order (RFC 9143), and
// whether each m-line is in it. A single m-line needs no group.
func (d *description) bundled() (order []int, in [maxMedia]bool, err error) {
	for i := range d.media {
		for j := range d.media[:i] {
			if mid := d.media[i].mid; mid != "" && mid == d.media[j].mid {
				return nil, in, bad("two m-lines have a=mid:%s; each needs a name of its own", mid)
			}
		}
	}
	if !d.grouped {
		if len(d.media) > 1 {
			return nil, in, unsupported("it has no a=group:BUNDLE; all media must share one transport (RFC 9143)")
		}
		in[0] = true
		return []int{0}, in, nil
	}
	listed := 0
	for mid := range strings.FieldsSeq(d.bundle) {
		if listed++; listed > maxMedia {
			break
		}
		i := slices.IndexFunc(d.media, func(s section) bool { return s.mid == mid })
		if i >= 0 && !in[i] {
			in[i] = true
			order = append(order, i)
		}
	}
	return order, in, nil
}

// transport takes ICE and DTLS of the bundle: from the first accepted m-line
// of the group, else from the session level, else from any other of the group,
// as a bundled m-line may leave them out (RFC 9143 section 7.1.3).
func (r *Remote) transport(d *description, order []int, c Config) error {
	levels := make([]*section, 0, maxMedia+1)
	for _, i := range order {
		if !r.Media[i].Rejected {
			levels = append(levels, &d.media[i])
		}
	}
	levels = slices.Insert(levels, 1, &d.session)
	for _, i := range order {
		if r.Media[i].Rejected {
			levels = append(levels, &d.media[i])
		}
	}
	var prints []string
	for _, s := range levels {
		if r.Ufrag == "" && r.Pwd == "" {
			r.Ufrag, r.Pwd = strings.Clone(s.ufrag), strings.Clone(s.pwd)
		}
		if prints == nil {
			prints = s.fingerprints
		}
		r.Setup = or(r.Setup, s.setup)
		for _, c := range s.candidates {
			if len(r.Candidates) < maxCandidates && d.session.lite {
				r.Candidates = append(r.Candidates, strings.Clone(c))
			}
		}
		r.options(s.options)
	}
	if err := r.fingerprints(prints); err != nil {
		return err
	}
	r.Lite = d.session.lite
	return r.check(c)
}

// options reads a=ice-options. OBS separates its tags with a comma where
// RFC 8839 section 5.6 wants a space.
func (r *Remote) options(value string) {
	for tag := range strings.FieldsFuncSeq(value, func(c rune) bool { return c == ' ' || c == ',' }) {
		r.Trickle = r.Trickle || tag == "trickle"
		r.ice2 = r.ice2 || tag == "ice2"
	}
}

// check judges ICE and turns the offered DTLS role into ours (RFC 8842
// section 5.3): passive, so that the client's hello opens the handshake, but
// for those who want to be the server themselves.
func (r *Remote) check(c Config) error {
	switch {
	case !token(r.Ufrag, 4) || strings.Contains(r.Ufrag, ":"):
		return bad("a=ice-ufrag is missing or not of 4 to 256 characters (RFC 8839 section 5.4)")
	case !token(r.Pwd, 22):
		return bad("a=ice-pwd is missing or not of 22 to 256 characters (RFC 8839 section 5.4)")
	case r.Lite && !c.Lite:
		return unsupported("it says a=ice-lite; this server is ICE-lite, too, so the client must be a full ICE agent")
	}
	switch r.Setup {
	case "actpass", "active", "": // none given means active (RFC 4145 section 4)
		r.Setup = "passive"
	case "passive":
		r.Setup = "active"
	default:
		return bad("a=setup:%.20s is none of actpass, active and passive", r.Setup)
	}
	return nil
}

// token reports whether s is between least and 256 visible ASCII characters.
func token(s string, least int) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return len(s) >= least && len(s) <= 256
}

// hashSize returns the size in bytes of the hashes that RFC 8122 section 5
// leaves in use; the rest (sha-1, md5) is passed over.
func hashSize(algorithm string) int {
	switch algorithm {
	case "sha-256":
		return 32
	case "sha-384":
		return 48
	case "sha-512":
		return 64
	}
	return 0
}

func (r *Remote) fingerprints(lines []string) error {
	for _, line := range lines {
		algorithm, value, _ := strings.Cut(line, " ")
		algorithm, value = strings.ToLower(strings.Clone(algorithm)), strings.ToUpper(strings.TrimSpace(strings.Clone(value)))
		size := hashSize(algorithm)
		if size == 0 {
			continue
		}
		if !colonHex(value, size) {
			return bad("a=fingerprint:%s is not followed by %d bytes in hex with colons between", algorithm, size)
		}
		r.Fingerprints = append(r.Fingerprints, Fingerprint{Algorithm: algorithm, Value: value})
	}
	if len(r.Fingerprints) == 0 && len(lines) > 0 {
		return unsupported("it has no a=fingerprint by sha-256, sha-384 or sha-512")
	}
	if len(r.Fingerprints) == 0 {
		return bad("it has no a=fingerprint; media is taken over DTLS-SRTP only")
	}
	return nil
}

// colonHex reports whether s is so many bytes as "0A:1B:…".
func colonHex(s string, size int) bool {
	for i := range len(s) {
		if c := s[i]; i%3 == 2 && c != ':' || i%3 < 2 && (c < '0' || c > '9') && (c < 'A' || c > 'F') {
			return false
		}
	}
	return len(s) == 3*size-1
}
