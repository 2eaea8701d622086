package segment

import "github.com/sluice-live/sluice/media"

// A locked grid lets several Cutters that see the same frames in the same media time
// make the same segments, although one of them began later or lost its memory
// (redundant recorders: RFC 8216bis section 6.2.4 wants the same numbers and times of
// redundant Variant Streams). For that nothing that is published may rest on what came
// before its segment:
//
//   - Segment n begins with the first key frame between a quarter of Nominal before
//     and half of Nominal behind n times Nominal; else there, with what comes. Sound
//     is cut at n times Nominal.
//   - A lane is muted until it comes to its first boundary: half a segment under the
//     name of a whole one would be another thing in each cache.
//   - Nothing is foretold of where a segment begins: the part before it waits for its
//     key frame, and has room for that.
//   - The interval between pictures is learned anew in each segment.
//   - Sound begins at whole frames of media time.

// spare is the part of a second by which parts are shorter than they may be, so that
// a key frame some ticks late still ends the part before it: at the usual rates of 20
// to 60 pictures a second, whole pictures leave 1.5 ms and more of it.
const spare = 80

// locked reports whether what the lane publishes must not rest on its past. What is
// derived is made by an encoder, which does.
func (l *lane) locked() bool { return l.c.cfg.Locked && !l.derived }

// hidden reports whether nobody is told of the lane yet. One that was there before it
// was resumed has gaps instead.
func (l *lane) hidden() bool { return l.muted && l.begins == 0 }

// open ends the silence of a lane at a boundary, if it has heard all the key frames
// that could have been that.
func (l *lane) open(b bound) {
	if l.heard < b.at-l.c.cfg.Nominal/4 {
		l.muted = false
	}
}

// learn takes the time between two pictures.
func (l *lane) learn(d media.Ticks) {
	if l.young {
		l.young, l.interval = false, max(d, l.least)
		return
	}
	l.interval = max(l.interval+(d-l.interval)/4, l.least)
}

// renew forgets what was learned, where a segment begins.
func (l *lane) renew() {
	if l.locked() && !l.audio {
		l.young, l.interval = true, l.scale/30
	}
}

// awaits reports whether the part that could end at end waits for the next picture,
// which may be the key frame of the next segment: where the end is foretold wrong, or a
// picture is missing, that may be some intervals later.
func (c *Cutter) awaits(l *lane, end media.Ticks) bool {
	if !l.locked() {
		return false
	}
	b, _ := c.grid.next(l.msn)
	return l.time(end+2*l.interval) >= b.at-c.cfg.Nominal/4
}

// align moves the first sound behind a gap to a whole number of its frames since
// media time 0, of 20 ms at most.
func (l *lane) align(f *Frame) {
	if !l.locked() {
		return
	}
	frame := min(f.Duration, l.scale/50)
	f.Time = (f.Time + frame/2) / frame * frame
}
