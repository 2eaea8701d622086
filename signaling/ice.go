package signaling

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/signaling/problem"
)

// iceState is where a session's ICE stands: the entity-tag and the client's
// credentials of now, and the ufrags of before.
type iceState struct {
	tag        string // without quotes
	ufrag, pwd string
	past       []string
}

// patchKind is what a PATCH asks for.
type patchKind uint8

const (
	trickle patchKind = iota
	restart
	late // candidates for credentials that a restart has replaced
)

// maxPast ufrags are remembered: a late trickle comes at most a few restarts late.
const maxPast = 8

// kind tells trickle from restart by the credentials (RFC 9725 section 4.3.3):
// new ones restart, the present ones or none add candidates.
func (s *iceState) kind(f media.Fragment) (patchKind, error) {
	switch {
	case f.Ufrag == "":
		return trickle, nil
	case f.Ufrag == s.ufrag && (f.Pwd == "" || f.Pwd == s.pwd):
		return trickle, nil
	case slices.Contains(s.past, f.Ufrag):
		return late, nil
	case f.Pwd == "":
		return 0, fmt.Errorf("%w: a restart needs a=ice-pwd", media.ErrBadFragment)
	}
	return restart, nil
}

// restarted takes over the credentials of a restart that has worked.
func (s *iceState) restarted(f media.Fragment, tag string) {
	if f.Ufrag != s.ufrag {
		s.past = append(s.past, s.ufrag)
	}
	if len(s.past) > maxPast {
		s.past = s.past[1:]
	}
	s.ufrag, s.pwd, s.tag = f.Ufrag, f.Pwd, tag
}

// match holds If-Match against the entity-tag (RFC 9110 section 13.1.1). A star
// is taken quoted and bare, as RFC 9725 and its clients write both; a tag
// without quotes is taken too. Weak tags never match. No If-Match counts as a
// star, unless strict: libraries send none and throw at a 428.
func (s *iceState) match(values []string, strict bool) error {
	if len(values) == 0 {
		if strict {
			return fmt.Errorf("%w: name the session's ETag, or * to restart ICE (RFC 9725 section 4.3.1)", problem.ErrNoMatch)
		}
		return nil
	}
	for tag := range strings.SplitSeq(strings.Join(values, ","), ",") {
		tag = strings.TrimSpace(tag)
		if bare := strings.Trim(tag, `"`); bare == "*" || bare == s.tag {
			return nil
		}
	}
	return problem.ErrStale
}

func quote(tag string) string { return `"` + tag + `"` }
