package negotiate

import (
	"slices"
	"strconv"
	"strings"

	"github.com/sluice-live/sluice/media"
)

// rid is one a=rid:<id> send (RFC 8851).
type rid struct {
	id           string
	restrictions string // pt=…;max-width=…, as offered
}

const (
	maxRID          = 16  // bytes: what a one-byte header extension can carry (RFC 8285 section 4.2)
	maxRestrictions = 256 // bytes: every restriction of RFC 8851 once takes 150
)

// addEncoding reads <id> send [<restrictions>].
func (s *section) addEncoding(value string) error {
	id, rest, _ := strings.Cut(value, " ")
	direction, restrictions, _ := strings.Cut(strings.TrimSpace(rest), " ")
	if direction != "send" {
		return nil
	}
	if !ridName(id) {
		return bad("a=rid:%.40s is not a name of at most %d letters and digits", id, maxRID)
	}
	if len(s.rids) == media.MaxLayers {
		return unsupported("it has more than %d simulcast encodings; send fewer", media.MaxLayers)
	}
	if len(restrictions) > maxRestrictions {
		return unsupported("a=rid:%s has more than %d characters of restrictions", id, maxRestrictions)
	}
	s.rids = append(s.rids, rid{id: id, restrictions: strings.TrimSpace(restrictions)})
	return nil
}

func ridName(id string) bool {
	for i := range len(id) {
		c := id[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_' {
			return false
		}
	}
	return id != "" && len(id) <= maxRID
}

// addSimulcast keeps the send side of a=simulcast:send q;h;f recv ….
func (s *section) addSimulcast(value string) {
	direction := ""
	for word := range strings.FieldsSeq(value) {
		if direction == "send" && s.send == "" {
			s.send = word
		}
		direction = word
	}
}

// encodings accepts the simulcast encodings of an m-line, each of which the
// answer lists (RFC 8853 section 5.3.2; OBS gives up unless all are there). Of
// alternatives "a,b" the first is chosen. An encoding that a=simulcast lists
// without an a=rid, or that is bound to payload types of which none was
// accepted, is left out.
func (s *section) encodings(m *Media) {
	listed := 0
	for entry := range strings.SplitSeq(s.send, ";") {
		if listed++; listed > media.MaxLayers {
			return
		}
		first, _, _ := strings.Cut(entry, ",")
		id, paused := strings.CutPrefix(first, "~")
		r, ok := s.find(id)
		if !ok || slices.Contains(m.RIDs, id) {
			continue
		}
		r.restrictions, ok = m.restrict(r.restrictions)
		if !ok {
			continue
		}
		id = strings.Clone(id)
		m.RIDs = append(m.RIDs, id)
		m.restrictions = append(m.restrictions, strings.Clone(r.restrictions))
		if paused {
			m.Paused = append(m.Paused, id)
		}
	}
}

func (s *section) find(id string) (rid, bool) {
	for _, r := range s.rids {
		if r.id == id {
			return r, true
		}
	}
	return rid{}, false
}

// restrict keeps of pt= the payload types that were accepted, and all other
// restrictions as they are (RFC 8851 section 6.3). False when no payload type
// is left.
func (m *Media) restrict(restrictions string) (string, bool) {
	if !strings.Contains(restrictions, "pt=") {
		return restrictions, true
	}
	var kept []string
	for r := range strings.SplitSeq(restrictions, ";") {
		list, ok := strings.CutPrefix(r, "pt=")
		if !ok {
			kept = append(kept, r)
			continue
		}
		var pts []string
		for f := range strings.SplitSeq(list, ",") {
			if pt, err := strconv.ParseUint(f, 10, 7); err == nil && m.has(uint8(pt)) {
				pts = append(pts, f)
			}
		}
		if len(pts) == 0 {
			return "", false
		}
		kept = append(kept, "pt="+strings.Join(pts, ","))
	}
	return strings.Join(kept, ";"), true
}

func (m *Media) has(pt uint8) bool {
	for i := range m.Codecs {
		if m.Codecs[i].PT == pt {
			return true
		}
	}
	return false
}
