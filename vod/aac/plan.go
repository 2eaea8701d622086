package aac

import (
	"time"

	"github.com/sluice-live/sluice/media"
)

const (
	// Frame is how many samples a frame of AAC-LC has.
	Frame = 1024
	// Rate is the sampling rate of all that is laid out, and its timescale.
	Rate = 48000
	// preRoll frames are encoded and thrown away before those that count: a decoder
	// of Opus converges in 80 ms (RFC 7845 section 4.6), an encoder of AAC in two
	// frames.
	preRoll = 8
	// priming is what an encoder puts in front: a frame that is decoded from what
	// precedes the first sample.
	priming = 1
	// A piece is made at once and kept as one object. The first is short: who begins
	// to play waits for it.
	firstPiece = 12 * time.Second
	laterPiece = time.Minute
)

// Piece is a run of segments that are encoded together.
type Piece struct {
	// Frames are how many each of its segments has.
	Frames []int
	// Start is the media time of the first, in ticks of Rate.
	Start media.Ticks
	// From and To bound the segments of the source, as indexes, that the encoder is
	// given: some before and behind what counts.
	From, To int
	// Begin is where those begin, in ticks of Rate. Skip is how many samples from there
	// on are left out before encoding, Drop how many frames of what is encoded.
	Begin, Skip media.Ticks
	Drop        int
}

// Samples is how many an encoder has to be given to make all of a piece, also when
// there is less sound than its segments are long.
func (p *Piece) Samples() int { return (p.Drop + p.Total() + 1) * Frame }

// Total is how many frames a piece has.
func (p *Piece) Total() (n int) {
	for _, f := range p.Frames {
		n += f
	}
	return n
}

// Plan is AAC for one rendition: its playlist, before anything is encoded.
type Plan struct {
	// Rendition has the segments of the source, with the same numbers, gaps and
	// discontinuities; each begins with the frame of AAC that is next to the source's
	// beginning. An Extent names the piece (Volume) and which of its segments (Offset);
	// its Size is -1, as nobody knows it yet.
	Rendition *media.Rendition
	Pieces    []Piece
}

// Lay makes the plan for a rendition of sound that has ended and whose timescale is
// Rate.
func Lay(of *media.Rendition, id string, init media.Init) *Plan {
	r := &media.Rendition{
		ID: id, Kind: media.AudioRendition, Codec: init.Codec, Timescale: Rate, Channels: 2,
		Language: of.Language, Name: of.Name, Default: of.Default, Removed: of.Removed, Inits: []media.Init{init},
	}
	p := &Plan{Rendition: r}
	all := of.Segments
	for i := 0; i < len(all); {
		j := i + 1
		if !sounds(all[i]) {
			s := *all[i]
			s.Parts, s.Init, s.Extent = nil, 0, media.Extent{}
			s.Gap = true
			r.Segments = append(r.Segments, &s)
			i = j
			continue
		}
		for j < len(all) && follows(all[j-1], all[j]) {
			j++
		}
		p.run(all, i, j)
		i = j
	}
	return p
}

func sounds(s *media.Segment) bool { return !s.Gap && s.Extent.Size > 0 }

// follows reports whether sound goes on from one segment to the next.
func follows(a, b *media.Segment) bool {
	return sounds(b) && !b.Discontinuity && a.Init == b.Init && a.Start+a.Duration == b.Start
}

// run lays out the segments [i, j), between which nothing is missing.
func (p *Plan) run(all []*media.Segment, i, j int) {
	base, end := all[i].Start, all[j-1].Start+all[j-1].Duration
	total := (end - base + Frame - 1) / Frame
	if j < len(all) && sounds(all[j]) && all[j].Start <= end {
		total = (end - base) / Frame // what follows begins where this ends
	}
	at := func(k int) media.Ticks { // the first frame of a segment
		if k == j {
			return total
		}
		return min((all[k].Start-base+Frame/2)/Frame, total)
	}
	for k := i; k < j; {
		long := laterPiece
		if len(p.Pieces) == 0 {
			long = firstPiece
		}
		first := k
		for k++; k < j && (at(k)-at(first))*Frame < media.Ticks(long.Seconds()*Rate); {
			k++
		}
		piece := Piece{Start: base + at(first)*Frame, From: first, To: k}
		for n := first; n < k; n++ {
			p.segment(all[n], base+at(n)*Frame, int(at(n+1)-at(n)), &piece)
		}
		if len(piece.Frames) > 0 {
			piece.feed(all, i, j)
			p.Pieces = append(p.Pieces, piece)
		}
	}
}

// segment lists one segment of n frames.
func (p *Plan) segment(of *media.Segment, start media.Ticks, n int, piece *Piece) {
	s := &media.Segment{MSN: of.MSN, Start: start, Duration: media.Ticks(n) * Frame, Discontinuity: of.Discontinuity, Independent: true}
	if n == 0 { // shorter than half a frame: its sound is in those beside it
		s.Gap, s.Duration = true, of.Duration
	} else {
		s.Extent = media.Extent{Volume: uint32(len(p.Pieces)), Offset: int64(len(piece.Frames)), Size: -1}
		piece.Frames = append(piece.Frames, n)
	}
	p.Rendition.Segments = append(p.Rendition.Segments, s)
}

// feed chooses what the encoder is given, of the run [i, j): enough before to
// converge, and a frame behind, whose beginning the last frame overlaps.
func (p *Piece) feed(all []*media.Segment, i, j int) {
	for p.From > i && p.Start-all[p.From].Start < preRoll*Frame {
		p.From--
	}
	until := p.Start + media.Ticks(p.Total()+1)*Frame
	for p.To < j && all[p.To-1].Start+all[p.To-1].Duration < until {
		p.To++
	}
	p.Begin = all[p.From].Start
	led := p.Start - p.Begin
	before := min(led/Frame, preRoll)
	p.Skip, p.Drop = led-before*Frame, int(before)+priming
}
