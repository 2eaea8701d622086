package rules

import (
	"math"
	"time"
)

// tick is what rounding of written durations may take.
const tick = 0.0011

// Watch holds one Media Playlist against the rules as it changes.
type Watch struct {
	Name string
	// Slack is how late news may be before the server is said to be late: what the
	// network and the machine take.
	Slack time.Duration
	// LowLatency tells that the playlist claims low latency, or has to.
	LowLatency bool

	last     *Playlist
	known    map[uint64]Segment
	parted   time.Time // when the newest part was first seen
	grown    time.Time // when the newest segment was
	hint     string
	hintMSN  uint64
	hintPart int
}

// Last is the newest full playlist, or nil.
func (w *Watch) Last() *Playlist { return w.last }

// Full takes a whole playlist that was read at now.
func (w *Watch) Full(l *List, p *Playlist, now time.Time) {
	w.shape(l, p)
	w.timing(l, p)
	w.parts(l, p)
	w.dates(l, p)
	w.hints(l, p)
	if w.last != nil {
		w.constant(l, p)
		w.moved(l, p)
	}
	w.history(l, p)
	w.pace(l, p, now)
	w.remember(p)
}

// shape checks what a playlist has to have at all.
func (w *Watch) shape(l *List, p *Playlist) {
	l.must(p.TargetDuration >= 1, "R1", "%s: EXT-X-TARGETDURATION is %d, and has to be at least 1 (section 4.4.3.1)", w.Name, p.TargetDuration)
	if w.LowLatency && !p.Ended {
		l.must(p.PartTarget > 0, "R2", "%s: there is no EXT-X-PART-INF", w.Name)
		l.must(p.Control["CAN-BLOCK-RELOAD"] == "YES", "R13", "%s: EXT-X-SERVER-CONTROL lacks CAN-BLOCK-RELOAD=YES (appendix B.1)", w.Name)
	}
	for _, d := range p.Defines {
		if d["QUERYPARAM"] != "" {
			l.must(p.Version >= 11, "R11", "%s: QUERYPARAM wants version 11, this is %d (section 8)", w.Name, p.Version)
		}
	}
	l.must(!p.Delta || p.Version >= 9, "R11", "%s: EXT-X-SKIP wants version 9, this is %d (section 8)", w.Name, p.Version)
	l.must(!p.Ended || len(p.Hints) == 0, "R12", "%s: EXT-X-PRELOAD-HINT beside EXT-X-ENDLIST", w.Name)
	target := float64(p.TargetDuration)
	if p.PartTarget > 0 && !p.Ended {
		hold := p.Control.Float("PART-HOLD-BACK")
		l.must(hold >= 2*p.PartTarget-tick, "R5", "%s: PART-HOLD-BACK is %g, at least twice PART-TARGET (%g) is needed (section 4.4.3.8)", w.Name, hold, p.PartTarget)
		l.should(hold >= 3*p.PartTarget-tick, "R5", "%s: PART-HOLD-BACK is %g, three times PART-TARGET (%g) should be", w.Name, hold, p.PartTarget)
	}
	if p.Control["HOLD-BACK"] != "" {
		l.must(p.Control.Float("HOLD-BACK") >= 3*target-tick, "R5", "%s: HOLD-BACK is %s, at least %g is needed (section 4.4.3.8)", w.Name, p.Control["HOLD-BACK"], 3*target)
	}
	if p.Control["CAN-SKIP-UNTIL"] != "" {
		l.must(p.Control.Float("CAN-SKIP-UNTIL") >= 6*target-tick, "R5", "%s: CAN-SKIP-UNTIL is %s, at least %g is needed (section 4.4.3.8)", w.Name, p.Control["CAN-SKIP-UNTIL"], 6*target)
	}
}

// timing checks durations of segments, and what has to stand before changes.
func (w *Watch) timing(l *List, p *Playlist) {
	section, jumped := "", false
	for i := range p.Segments {
		s := &p.Segments[i]
		l.must(math.Round(s.Duration) <= float64(p.TargetDuration), "R1", "%s: segment %d has %g s, the target duration is %d (section 4.4.3.1)", w.Name, s.MSN, s.Duration, p.TargetDuration)
		l.must(s.URI != "", "R7", "%s: segment %d has no URI", w.Name, s.MSN)
		jumped = jumped || s.Discontinuity
		if s.Map != section && section != "" && !s.Gap {
			l.must(jumped, "R10", "%s: EXT-X-MAP changes at segment %d without EXT-X-DISCONTINUITY (section 6.2.1)", w.Name, s.MSN)
		}
		if s.Map != "" && !s.Gap {
			section, jumped = s.Map, false
		}
		w.sums(l, s)
	}
}

// sums checks that the parts of a segment are the segment.
func (w *Watch) sums(l *List, s *Segment) {
	if len(s.Parts) == 0 {
		return
	}
	sum := 0.0
	for _, part := range s.Parts {
		sum += part.Duration
	}
	l.must(math.Abs(sum-s.Duration) < 0.02, "R3", "%s: the parts of segment %d have %.5f s, the segment has %.5f", w.Name, s.MSN, sum, s.Duration)
}

// parts checks the lengths of parts.
func (w *Watch) parts(l *List, p *Playlist) {
	tail := 0.0
	for i := range p.Open.Parts {
		tail += p.Open.Parts[i].Duration
	}
	for i := len(p.Segments) - 1; i >= 0; i-- {
		s := &p.Segments[i]
		if len(s.Parts) > 0 {
			l.should(tail <= 3*float64(p.TargetDuration)+tick, "R8", "%s: parts of segment %d are listed %.1f s before the end, three target durations should be the most (section 6.2.2)", w.Name, s.MSN, tail)
		}
		tail += s.Duration
		w.lengths(l, p, s, true)
	}
	w.lengths(l, p, &p.Open, false)
}

func (w *Watch) lengths(l *List, p *Playlist, s *Segment, whole bool) {
	for i, part := range s.Parts {
		l.must(part.Duration <= p.PartTarget+tick, "R3", "%s: part %d.%d has %.5f s, PART-TARGET is %g (section 4.4.4.9)", w.Name, s.MSN, i, part.Duration, p.PartTarget)
		last := i == len(s.Parts)-1 // of what may still grow: nobody knows yet whether it was the last
		excused := part.Independent || part.Gap || last || s.Parts[min(i+1, len(s.Parts)-1)].Gap
		if !excused {
			l.must(part.Duration >= 0.85*p.PartTarget-tick, "R3", "%s: part %d.%d has %.5f s, less than 85 %% of PART-TARGET %g (section 4.4.4.9)", w.Name, s.MSN, i, part.Duration, p.PartTarget)
		}
	}
	if whole && s.Gap {
		for i, part := range s.Parts {
			l.must(part.Gap, "R9", "%s: segment %d is a gap, and its part %d is not (section 4.4.4.7)", w.Name, s.MSN, i)
		}
	}
}

// dates checks EXT-X-PROGRAM-DATE-TIME.
func (w *Watch) dates(l *List, p *Playlist) {
	all := append(append([]Segment(nil), p.Segments...), p.Open)
	if len(p.Open.Parts) == 0 {
		all = all[:len(p.Segments)]
	}
	dated := false
	var next time.Time
	for i := range all {
		s := &all[i]
		dated = dated || !s.Date.IsZero()
		l.must(len(s.Late) == 0, "R6", "%s: %v after the first part of segment %d, and belongs before it (section 4.4.4.9)", w.Name, s.Late, s.MSN)
		if s.Discontinuity {
			l.must(!s.Date.IsZero(), "R6", "%s: segment %d has EXT-X-DISCONTINUITY and no EXT-X-PROGRAM-DATE-TIME (section 6.2.1)", w.Name, s.MSN)
		}
		if !s.Date.IsZero() && !next.IsZero() && !s.Discontinuity {
			off := s.Date.Sub(next).Abs()
			l.must(off < time.Second, "R6", "%s: the date of segment %d is %v from where the durations put it", w.Name, s.MSN, off)
		}
		if !s.Date.IsZero() {
			next = s.Date
		}
		if !next.IsZero() {
			next = next.Add(time.Duration(s.Duration * float64(time.Second)))
		}
	}
	if len(all) > 0 && (w.LowLatency || p.PartTarget > 0) && !p.Delta {
		l.must(dated, "R6", "%s: there is no EXT-X-PROGRAM-DATE-TIME (appendix B.1)", w.Name)
		l.must(p.Numbered, "R7", "%s: there is no EXT-X-DISCONTINUITY-SEQUENCE; where discontinuities may come it is needed (section 6.2.2)", w.Name)
	}
}

// hints checks EXT-X-PRELOAD-HINT, and that what was hinted came.
func (w *Watch) hints(l *List, p *Playlist) {
	counts := make(map[string]int)
	for _, h := range p.Hints {
		counts[h["TYPE"]]++
	}
	for kind, n := range counts {
		l.should(n == 1, "R15", "%s: %d hints of type %s (section 6.2.6)", w.Name, n, kind)
	}
	if p.PartTarget > 0 && !p.Ended && !p.IFrames && !p.Text() && p.Type != "VOD" {
		l.must(counts["PART"] == 1, "R15", "%s: %d hints of type PART, one is needed (appendix B.1)", w.Name, counts["PART"])
	}
	if w.hint == "" {
		return
	}
	if part := p.part(w.hintMSN, w.hintPart); part != nil {
		l.must(part.URI == w.hint, "R15", "%s: part %d.%d was hinted as %s and is %s", w.Name, w.hintMSN, w.hintPart, w.hint, part.URI)
		w.hint = ""
	}
}

func (p *Playlist) part(msn uint64, n int) *Part {
	for i := range p.Segments {
		if p.Segments[i].MSN == msn && n < len(p.Segments[i].Parts) {
			return &p.Segments[i].Parts[n]
		}
	}
	if p.Open.MSN == msn && n < len(p.Open.Parts) {
		return &p.Open.Parts[n]
	}
	return nil
}

// constant checks what must not change as long as a stream lives.
func (w *Watch) constant(l *List, p *Playlist) {
	l.must(p.TargetDuration == w.last.TargetDuration, "R1", "%s: EXT-X-TARGETDURATION changed from %d to %d (section 6.2.1)", w.Name, w.last.TargetDuration, p.TargetDuration)
	if p.Ended {
		return
	}
	l.must(p.PartTarget == w.last.PartTarget, "R2", "%s: PART-TARGET changed from %g to %g; Apple's clients stop", w.Name, w.last.PartTarget, p.PartTarget)
	for _, name := range []string{"PART-HOLD-BACK", "HOLD-BACK", "CAN-SKIP-UNTIL", "CAN-BLOCK-RELOAD"} {
		l.must(p.Control[name] == w.last.Control[name], "R2", "%s: %s changed from %q to %q", w.Name, name, w.last.Control[name], p.Control[name])
	}
}

// moved checks that numbers only rise, and that a playlist stays long enough.
func (w *Watch) moved(l *List, p *Playlist) {
	l.must(p.MediaSequence >= w.last.MediaSequence, "R7", "%s: EXT-X-MEDIA-SEQUENCE fell from %d to %d (section 6.2.2)", w.Name, w.last.MediaSequence, p.MediaSequence)
	l.must(p.DiscontinuitySequence >= w.last.DiscontinuitySequence, "R7", "%s: EXT-X-DISCONTINUITY-SEQUENCE fell from %d to %d (section 6.2.2)", w.Name, w.last.DiscontinuitySequence, p.DiscontinuitySequence)
	l.must(w.last.Type != "EVENT" || p.MediaSequence == w.last.MediaSequence, "R7", "%s: an EVENT playlist lost segments (section 4.4.3.5)", w.Name)
	l.must(w.last.Type != "VOD", "R7", "%s: a VOD playlist was read twice; it never changes", w.Name)
	if p.MediaSequence > w.last.MediaSequence && !p.Ended {
		d := 0.0
		for _, s := range p.Segments {
			d += s.Duration
		}
		l.must(d >= 3*float64(p.TargetDuration)-tick, "R8", "%s: segments were removed and %.1f s are left, less than three target durations (section 6.2.2)", w.Name, d)
	}
	had, _ := w.last.newest()
	has, _ := p.newest()
	l.must(has >= had, "R7", "%s: the newest segment fell from %d to %d", w.Name, had, has)
}

// newest is the number of the newest part: of a finished segment without parts
// the part is -1.
func (p *Playlist) newest() (msn uint64, part int) {
	if n := len(p.Open.Parts); n > 0 {
		return p.Open.MSN, n - 1
	}
	if n := len(p.Segments); n > 0 {
		return p.Segments[n-1].MSN, len(p.Segments[n-1].Parts) - 1
	}
	return 0, -1
}

// history checks that a segment stays what it was.
func (w *Watch) history(l *List, p *Playlist) {
	for i := range p.Segments {
		s := &p.Segments[i]
		old, ok := w.known[s.MSN]
		if !ok {
			continue
		}
		l.must(old.URI == s.URI && old.Range == s.Range && old.Duration == s.Duration && old.Gap == s.Gap && (old.Map == s.Map || p.Delta && s.Map == ""), "R7",
			"%s: segment %d changed from %s (%g s) to %s (%g s)", w.Name, s.MSN, old.URI, old.Duration, s.URI, s.Duration)
		l.must(old.Number == s.Number, "R7", "%s: segment %d changed its discontinuity number from %d to %d", w.Name, s.MSN, old.Number, s.Number)
		if !old.Date.IsZero() && !s.Date.IsZero() {
			l.must(old.Date.Equal(s.Date), "R6", "%s: segment %d changed its date", w.Name, s.MSN)
		}
		for n := range min(len(old.Parts), len(s.Parts)) {
			l.must(old.Parts[n] == s.Parts[n], "R7", "%s: part %d.%d changed", w.Name, s.MSN, n)
		}
	}
}

// pace checks that news comes in time.
func (w *Watch) pace(l *List, p *Playlist, now time.Time) {
	if w.last == nil {
		w.parted, w.grown = now, now
		return
	}
	hadMSN, hadPart := w.last.newest()
	hasMSN, hasPart := p.newest()
	if hasMSN != hadMSN || hasPart != hadPart || p.Ended {
		if p.PartTarget > 0 && !p.Ended && !p.IFrames && !p.Text() {
			limit := time.Duration(p.PartTarget*float64(time.Second)) + w.Slack
			l.must(now.Sub(w.parted) <= limit, "R4", "%s: a part came %v after the one before; PART-TARGET is %g s (section 6.2.1)", w.Name, now.Sub(w.parted).Round(time.Millisecond), p.PartTarget)
		}
		w.parted = now
	}
	if hasMSN != hadMSN || p.Ended {
		limit := time.Duration(1.5*float64(p.TargetDuration)*float64(time.Second)) + w.Slack
		l.must(p.Ended || now.Sub(w.grown) <= limit, "R4", "%s: a segment came %v after the one before; 1.5 target durations are the most (section 6.2.1)", w.Name, now.Sub(w.grown).Round(time.Millisecond))
		w.grown = now
	}
}

func (w *Watch) remember(p *Playlist) {
	w.last = p
	known := make(map[uint64]Segment, len(p.Segments)+1)
	for _, s := range p.Segments {
		known[s.MSN] = s
	}
	w.known = known
	for _, h := range p.Hints {
		if h["TYPE"] == "PART" {
			w.hint, w.hintMSN, w.hintPart = h["URI"], p.Open.MSN, len(p.Open.Parts)
		}
	}
}

// Delta takes a Playlist Delta Update that was asked for after the last full
// playlist, and checks that it can be put together with it.
func (w *Watch) Delta(l *List, p *Playlist) {
	if w.last == nil || p.Ended {
		return
	}
	w.shape(l, p)
	until := w.last.Control.Float("CAN-SKIP-UNTIL")
	if !p.Delta {
		return // nothing was old enough to be left out
	}
	end := 0.0 // of what is there, from its first segment on
	for _, s := range p.Segments {
		end += s.Duration
	}
	l.must(end >= until-tick || p.Skipped == 0, "R14", "%s: a delta update shows %.1f s, and CAN-SKIP-UNTIL is %g (section 6.2.5.1)", w.Name, end, until)
	l.must(len(p.Segments) == 0 || p.Segments[0].Map != "" || p.Segments[0].Gap || w.known[p.Segments[0].MSN].Map == "", "R14", "%s: a delta update does not say which EXT-X-MAP its first segment has", w.Name)
	l.must(p.MediaSequence >= w.last.MediaSequence, "R7", "%s: EXT-X-MEDIA-SEQUENCE fell in a delta update", w.Name)
	for msn := p.MediaSequence; msn < p.MediaSequence+min(p.Skipped, uint64(len(w.known))); msn++ {
		_, ok := w.known[msn]
		l.must(ok, "R14", "%s: a delta update leaves out segment %d, which the playlist before did not have", w.Name, msn)
	}
	numbered := *p // skipped discontinuities are counted by those who have them
	numbered.Segments = append([]Segment(nil), p.Segments...)
	shift := uint64(0)
	for msn := p.MediaSequence; msn < p.MediaSequence+min(p.Skipped, uint64(len(w.known))); msn++ {
		if w.known[msn].Discontinuity {
			shift++
		}
	}
	for i := range numbered.Segments {
		numbered.Segments[i].Number += shift
	}
	w.history(l, &numbered)
}
