package journal

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"slices"

	"github.com/sluice-live/sluice/media"
)

// scan reads the frames of a journal behind its head. It returns the records with
// their offsets, where the last whole one ends, and how many bytes before that
// were none: a power cut may lose a page in the middle of what was not yet synced,
// a bad disk anything.
func scan(b []byte) (found []framed, end int64, torn int64) {
	at := headSize
	end = int64(headSize)
	for at < len(b) {
		r, n, ok := readFrame(b[at:])
		if !ok {
			at++ // look for the next whole one
			continue
		}
		torn += int64(at) - end
		found = append(found, framed{int64(at), r})
		at += n
		end = int64(at)
	}
	return found, end, torn
}

// framed is a record and where it stands.
type framed struct {
	offset int64
	record
}

// content is what the records of a journal tell, before anybody looked whether the
// volumes hold it.
type content struct {
	start   Start
	epoch   media.Epoch
	strands map[string]*strand
	order   []string // of strands, as they were added
	holes   []Hole   // that were told
	said    []Caption
	synced  int64
	ended   bool
	finish  record // the end's
	dropped uint64 // segments below are gone
	removed uint64 // discontinuities of those
	highest uint64 // of the segments' numbers
	begun   bool   // there is one
	resumed bool   // since the newest part
	gone    Reason // why there was a break, when resumed
}

// strand is a rendition's parts in the order of the journal.
type strand struct {
	r       media.Rendition
	parts   []placed
	volumes uint32 // one above the highest number that was used
	why     Reason // of the break before the next part
}

// placed is a part and where its bytes are.
type placed struct {
	Part
	extent  media.Extent
	sum     uint32
	offset  int64  // of its record
	lost    bool   // the bytes are not there, or not the right ones; Why tells more
	because Reason // why something is missing before it, if something is
}

// fold goes through the records once.
func fold(records []framed) (*content, bool) {
	if len(records) == 0 || records[0].kind != kindStart {
		return nil, false
	}
	c := &content{start: records[0].start, strands: map[string]*strand{}}
	closed := false
	for i := range records[1:] {
		r := &records[1+i]
		switch r.kind {
		case kindClosed:
			closed = true
			continue
		case kindResumed:
			c.interrupt(closed)
		default:
			c.apply(r)
		}
		closed = false
	}
	return c, true
}

// interrupt tells all renditions that the server was away.
func (c *content) interrupt(closed bool) {
	c.gone, c.resumed = Crash, true
	if closed {
		c.gone = Interrupted
	}
	for _, s := range c.strands {
		s.why = c.gone
	}
}

func (c *content) apply(r *framed) {
	switch r.kind {
	case kindRendition:
		c.describe(r.rendition)
	case kindInit:
		if s := c.strands[r.name]; s != nil {
			s.r.Inits = append(s.r.Inits, r.init)
		}
	case kindPart:
		if s := c.strands[r.name]; s != nil && c.plausible(r.part.MSN) && s.add(r) {
			c.resumed = false
			c.highest, c.begun = max(c.highest, r.part.MSN), true
		}
	case kindLost:
		if s := c.strands[r.name]; s != nil {
			s.lose(r.msn, int(r.number), r.part.Why)
		}
	case kindHole:
		if c.strands[r.hole.Rendition] != nil && r.hole.To > r.hole.From {
			c.holes = append(c.holes, r.hole)
		}
	case kindCaption:
		c.said = append(c.said, r.caption)
	case kindEpoch:
		c.epoch = r.epoch
	case kindSynced:
		c.synced = max(c.synced, int64(r.number))
	case kindDropped:
		if r.msn > c.dropped {
			c.dropped, c.removed = r.msn, r.number
		}
	case kindEnd:
		c.ended, c.finish = true, r.record
	}
}

// maxJump bounds what one wrong number can make of itself: it is 36 hours of
// segments of two seconds.
const maxJump = 1 << 16

// plausible reports whether a segment's number may follow those before.
func (c *content) plausible(msn uint64) bool {
	return !c.begun || msn <= c.highest || msn-c.highest <= maxJump
}

func (c *content) describe(r *media.Rendition) {
	if s := c.strands[r.ID]; s != nil {
		inits := s.r.Inits
		s.r = *r
		s.r.Inits = inits
		return
	}
	c.strands[r.ID] = &strand{r: *r}
	c.order = append(c.order, r.ID)
}

// add takes a part that comes after all others of the rendition, and no other.
func (s *strand) add(r *framed) bool {
	p := placed{Part: r.part, extent: r.extent, sum: r.sum, offset: r.offset, because: s.why}
	if n := len(s.parts); n > 0 {
		last := s.parts[n-1]
		if p.MSN < last.MSN || p.MSN == last.MSN && p.Number <= last.Number {
			return false
		}
		if s.why == Unknown && !last.next(p.Part) {
			p.because = DiskFailed // numbers are missing: parts were made and not written
		}
	}
	if !p.Gap {
		s.volumes = max(s.volumes, p.extent.Volume+1)
		p.Why = Damaged
		p.lost = p.Init >= len(s.r.Inits) // its section fell to damage: nobody can decode it
	}
	s.parts = append(s.parts, p)
	s.why = Unknown
	return true
}

// next reports whether q's numbers follow p's.
func (p placed) next(q Part) bool {
	return q.MSN == p.MSN && q.Number == p.Number+1 || q.MSN == p.MSN+1 && q.Number == 0
}

// lose marks the parts of a segment from number on.
func (s *strand) lose(msn uint64, number int, why Reason) {
	for i := len(s.parts) - 1; i >= 0 && s.parts[i].MSN >= msn; i-- {
		if s.parts[i].MSN == msn && s.parts[i].Number >= number && !s.parts[i].Gap {
			s.parts[i].lost, s.parts[i].Why = true, why
		}
	}
}

// position says how far the strand got.
func (s *strand) position() Position {
	p := Position{Inits: len(s.r.Inits), Volume: s.volumes}
	h := sha256.New()
	var b []byte
	for i := range s.parts {
		q := &s.parts[i]
		p.End = max(p.End, q.Start+q.Duration)
		if !q.Gap {
			p.age(q)
		}
		if q.Gap || q.lost {
			continue
		}
		p.Parts++
		p.Bytes += q.extent.Size
		b = binary.BigEndian.AppendUint64(b[:0], q.MSN)
		b = binary.BigEndian.AppendUint32(b, uint32(q.Number))
		b = binary.BigEndian.AppendUint32(b, q.extent.Volume)
		b = binary.BigEndian.AppendUint64(b, uint64(q.extent.Offset))
		b = binary.BigEndian.AppendUint64(b, uint64(q.extent.Size))
		b = binary.BigEndian.AppendUint32(b, q.sum)
		h.Write(b)
	}
	p.Digest = hex.EncodeToString(h.Sum(nil))
	return p
}

// age keeps the last segment of each volume; q comes after all before.
func (p *Position) age(q *placed) {
	if n := len(p.old); n > 0 && p.old[n-1].number == q.extent.Volume {
		p.old[n-1].last = q.MSN
		return
	}
	p.old = append(p.old, old{number: q.extent.Volume, last: q.MSN})
}

// settle makes the parts of each segment one run of bytes: where one is missing,
// those behind it in the segment do not count. It returns what it took out.
func (s *strand) settle() (lost []placed) {
	broken, why := false, Damaged
	var run *placed // the part with media before, of the same segment
	for i := range s.parts {
		p := &s.parts[i]
		if i == 0 || p.MSN != s.parts[i-1].MSN {
			broken, run, why = false, nil, Damaged
		}
		if p.Gap {
			continue
		}
		if run != nil && (p.extent.Volume != run.extent.Volume || p.extent.Offset != run.extent.Offset+run.extent.Size) {
			broken = true
		}
		if p.lost {
			broken, why = true, p.Why
		}
		if broken {
			if !p.lost {
				p.lost, p.Why = true, why
				lost = append(lost, *p)
			}
			continue
		}
		run = p
	}
	return lost
}

// numbers returns the first and last segment's number.
func (s *strand) numbers(dropped uint64) (first, last uint64, ok bool) {
	i := slices.IndexFunc(s.parts, func(p placed) bool { return p.MSN >= dropped })
	if i < 0 {
		return 0, 0, false
	}
	return s.parts[i].MSN, s.parts[len(s.parts)-1].MSN, true
}
