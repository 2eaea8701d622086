package journal

import (
	"bytes"
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
		gap := int64(at) - end
		torn += gap
		found = append(found, framed{offset: int64(at), behind: gap, record: r})
		at += n
		end = int64(at)
	}
	return found, end, torn
}

// framed is a record and where it stands.
type framed struct {
	offset int64
	behind int64 // bytes before it that are no record
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
	damaged int64  // bytes that were on disk, and are no records any more
	// What is told twice, for when the first time fell to damage.
	spare map[string]*spare
	// orphans are parts whose rendition is not described, by its name.
	orphans map[string]int
}

// spare is what a journal tells anywhere of a rendition.
type spare struct {
	rendition *media.Rendition
	inits     map[int]media.Init
}

// strand is a rendition's parts in the order of the journal.
type strand struct {
	r       media.Rendition
	parts   []placed
	volumes uint32 // one above the highest number that was used
	why     Reason // of the break before the next part
	harmed  bool   // since the newest part bytes of the journal fell to damage
	spare   map[int]media.Init
}

// maxInits bounds what one wrong number can make of itself: a publisher that changed
// its format every second for an hour.
const maxInits = 1 << 12

// init adds an initialisation section, behind those that fell to damage.
func (s *strand) init(i media.Init) {
	for {
		lost, ok := s.spare[len(s.r.Inits)]
		if !ok || bytes.Equal(lost.Data, i.Data) {
			break
		}
		s.r.Inits = append(s.r.Inits, lost)
	}
	s.r.Inits = append(s.r.Inits, i)
}

// decodable reports whether a part's section is there. One that fell to damage leaves
// its place empty, so that the others keep their numbers.
func (s *strand) decodable(p Part) bool {
	for p.Init < maxInits && len(s.r.Inits) <= p.Init {
		s.r.Inits = append(s.r.Inits, s.spare[len(s.r.Inits)])
	}
	return p.Init < len(s.r.Inits) && len(s.r.Inits[p.Init].Data) > 0
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

// fold goes through the records once. What the first of them tells is told again
// later, so that damage to it costs nothing else; without either nothing can be read.
func fold(records []framed) (*content, bool) {
	first := slices.IndexFunc(records, func(r framed) bool { return r.kind == kindStart })
	if first < 0 {
		return nil, false
	}
	c := &content{start: records[first].start, strands: map[string]*strand{}, spare: map[string]*spare{}, orphans: map[string]int{}}
	for i := range records {
		c.gather(&records[i])
	}
	closed := false
	for i := range records {
		r := &records[i]
		if r.behind > 0 {
			c.torn(r)
		}
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

// gather keeps what may be missing where it is needed.
func (c *content) gather(r *framed) {
	name := r.name
	switch r.kind {
	case kindRendition:
		name = r.rendition.ID
	case kindInitAgain:
	case kindSynced:
		c.synced = max(c.synced, int64(r.number))
		return
	default:
		return
	}
	s := c.spare[name]
	if s == nil {
		s = &spare{inits: map[int]media.Init{}}
		c.spare[name] = s
	}
	if r.kind == kindInitAgain {
		s.inits[int(r.number)] = r.init
	} else if s.rendition == nil {
		s.rendition = r.rendition
	}
}

// torn tells all renditions that something may be missing before r.
func (c *content) torn(r *framed) {
	why := Crash
	if r.offset-r.behind < c.synced {
		why = Damaged
		c.damaged += r.behind
	}
	for _, s := range c.strands {
		s.harmed = s.harmed || why == Damaged
		if s.why == Unknown {
			s.why = why
		}
	}
}

// strand returns a rendition's, described by whatever record is left of those that do.
func (c *content) strand(name string) *strand {
	if c.strands[name] == nil && c.spare[name] != nil && c.spare[name].rendition != nil {
		c.describe(c.spare[name].rendition)
	}
	s := c.strands[name]
	if s != nil && s.spare == nil && c.spare[name] != nil {
		s.spare = c.spare[name].inits
	}
	return s
}

func (c *content) apply(r *framed) {
	switch r.kind {
	case kindRendition:
		c.describe(r.rendition)
	case kindInit:
		if s := c.strand(r.name); s != nil {
			s.init(r.init)
		}
	case kindPart:
		s := c.strand(r.name)
		if s == nil && !r.part.Gap {
			c.orphans[r.name]++
		}
		if s != nil && c.plausible(r.part.MSN) && s.add(r) {
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
		p.lost = !s.decodable(p.Part)
	}
	s.parts = append(s.parts, p)
	s.why, s.harmed = Unknown, false
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
