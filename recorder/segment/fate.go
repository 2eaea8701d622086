package segment

import "time"

// fate is what becomes of a segment at a key frame that could end it.
type fate uint8

const (
	ends    fate = iota // with this key frame
	passes              // it goes on: another rendition passed this key frame by
	expects             // it goes on to where its key frame is expected anyway
	follows             // it goes on to the encoder's next key frame, by the beat of its own
	asks                // it goes on to one that is asked for now
)

// sight is a key frame that could end a segment, and what the segment's fate rests on
// besides its course, in media time.
type sight struct {
	at       time.Duration
	interval time.Duration // between pictures
	sliver   bool          // what was shown of the segment would end with one
	next     time.Duration // where the encoder's next is by its own beat; 0: it has none
	late     time.Duration // from where on a sliver is better than to pass a second one by
	most     time.Duration // where the segment ends at the latest
}

// meets decides what becomes of a segment of this course. One that would end with a sliver
// goes on with the key frame, once, and another ends it.
func (k course) meets(s sight) fate {
	switch {
	case k.passed > 0 && (s.at-k.passed).Abs() < 2*s.interval:
		return passes
	case !s.sliver, k.step == 0, k.passed > 0 && s.at > s.late:
		return ends
	case k.until > s.at+s.interval:
		return expects
	case s.next > s.most:
		return ends
	case s.next > 0:
		return follows
	}
	return asks
}

// wish is how the key frame stands that the segment behind one shall begin with.
type wish uint8

const (
	unasked  wish = iota // also where what was asked for is to be asked for again
	open                 // asked for, and not there
	answered             // one has come since
)

// wish returns how that behind segment msn stands.
func (k *keys) wish(msn uint64) wish {
	switch {
	case k.asked != msn+1:
		return unasked
	case k.open:
		return open
	}
	return answered
}

// again tells that one is to be asked for anew, whatever came.
func (k *keys) again() { k.asked = 0 }

// wasted tells that a key frame came too early for an end of segment msn: if one was asked
// for already, others' wish was answered in its place.
func (k *keys) wasted(msn uint64) {
	if k.wish(msn) == answered {
		k.again()
	}
}
