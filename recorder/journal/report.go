package journal

import (
	"slices"
	"time"

	"github.com/sluice-live/sluice/media"
)

// Report says how complete a recording is: what is there, how to tell whether it
// still is, and every stretch that is missing, with its reason.
type Report struct {
	Stream      media.StreamID    `json:"stream"`
	Incarnation string            `json:"incarnation"`
	Start       time.Time         `json:"start"`
	Ended       bool              `json:"ended"`
	Complete    bool              `json:"complete"` // nothing is missing
	Renditions  []RenditionReport `json:"renditions"`
	// Torn counts bytes that belong to nothing whole, Lost parts that the journal
	// names and the volumes do not hold.
	Torn int64 `json:"torn,omitempty"`
	Lost int   `json:"lost,omitempty"`
}

// RenditionReport is a Report's part on one rendition. Times count from the
// recording's start, in nanoseconds.
type RenditionReport struct {
	ID       string        `json:"id"`
	Codec    string        `json:"codec"`
	From     time.Duration `json:"from"`
	To       time.Duration `json:"to"`
	Missing  time.Duration `json:"missing"` // of that
	Segments int           `json:"segments"`
	Parts    uint64        `json:"parts"`
	Bytes    int64         `json:"bytes"`
	// Digest is over number, place, size and checksum of each part (SHA-256, hex).
	Digest  string      `json:"digest"`
	Holes   []media.Gap `json:"holes,omitempty"`
	Volumes []Upload    `json:"volumes,omitempty"` // that a blob store holds
}

// MakeReport makes the report of what Recover or Read returned; uploaded may be nil.
func MakeReport(p *media.Presentation, s *State, uploaded map[string]Upload) Report {
	p, holes := trim(p, s.Holes)
	r := Report{
		Stream: p.Stream, Incarnation: p.Incarnation, Start: p.Start, Ended: s.Ended,
		Complete: len(s.Nameless) == 0, Torn: s.Torn, Lost: s.Lost,
	}
	for _, rendition := range p.Renditions {
		at := s.Renditions[rendition.ID]
		q := RenditionReport{
			ID: rendition.ID, Codec: rendition.Codec, Segments: len(rendition.Segments),
			Parts: at.Parts, Bytes: at.Bytes, Digest: at.Digest,
		}
		if n := len(rendition.Segments); n > 0 {
			last := rendition.Segments[n-1]
			q.From, q.To = rendition.Time(rendition.Segments[0].Start), rendition.Time(last.Start+last.Duration)
		}
		q.Holes, q.Missing = gaps(rendition, holes)
		for _, u := range uploaded {
			if u.Rendition == rendition.ID {
				q.Volumes = append(q.Volumes, u)
			}
		}
		slices.SortFunc(q.Volumes, func(a, b Upload) int { return int(a.Volume) - int(b.Volume) })
		r.Complete = r.Complete && (len(q.Holes) == 0 || rendition.OnDemand)
		r.Renditions = append(r.Renditions, q)
	}
	return r
}

// gaps returns a rendition's holes, and how much they are together; where two
// overlap it counts once.
func gaps(r *media.Rendition, holes []Hole) (out []media.Gap, missing time.Duration) {
	var end time.Duration
	for _, h := range holes { // sorted
		if h.Rendition != r.ID {
			continue
		}
		g := media.Gap{Rendition: r.ID, Start: r.Time(h.From), End: r.Time(h.To), Why: h.Why.String()}
		out = append(out, g)
		missing += max(g.End-max(g.Start, end), 0)
		end = max(end, g.End)
	}
	return out, missing
}

// brief is what may be missing of a rendition that was made on demand, and is part of
// the recording all the same: how long an encoder takes to begin, and to be replaced.
const brief = time.Second

// Lasting returns what of a recording that has ended is worth playing: nothing after
// its last picture and sound, and what was made on demand, while somebody watched,
// only if that was all the time.
func Lasting(p *media.Presentation, s *State) *media.Presentation {
	if !p.Ended {
		return p
	}
	p, holes := trim(p, s.Holes)
	out := *p
	out.Renditions = slices.DeleteFunc(slices.Clone(p.Renditions), func(r *media.Rendition) bool {
		_, missing := gaps(r, holes)
		return r.OnDemand && missing > brief
	})
	return &out
}

// Gaps returns all holes of a presentation in the order of time. Nothing is missing
// where nobody wanted it.
func Gaps(p *media.Presentation, holes []Hole) []media.Gap {
	var out []media.Gap
	p, holes = trim(p, holes)
	for _, r := range p.Renditions {
		if r.OnDemand {
			continue
		}
		some, _ := gaps(r, holes)
		out = append(out, some...)
	}
	slices.SortStableFunc(out, func(a, b media.Gap) int { return int(min(max(a.Start-b.Start, -1), 1)) })
	return out
}

// Missing is Gaps of a folder: it tells of renditions too of which nothing is known
// but that there was one.
func Missing(p *media.Presentation, s *State) []media.Gap {
	out := Gaps(p, s.Holes)
	end := time.Duration(0)
	for _, r := range p.Renditions {
		end = max(end, r.Time(s.Renditions[r.ID].End))
	}
	for _, name := range s.Nameless {
		out = append(out, media.Gap{Rendition: name, End: max(end, s.Start.PartTarget), Why: Damaged.String()})
	}
	return out
}

// Manifest is what is kept beside the volumes of a recording that has ended: the
// presentation without parts, the holes, and how complete it is.
type Manifest struct {
	media.Manifest
	Report Report
}

// MakeManifest makes the manifest of what Recover or Read returned. Parts are left
// out: a recording that has ended is played by segments.
func MakeManifest(p *media.Presentation, s *State, uploaded map[string]Upload) *Manifest {
	show := *p
	show.Renditions = nil
	for _, r := range Lasting(p, s).Renditions {
		c := *r
		c.Segments = make([]*media.Segment, len(r.Segments))
		for i, segment := range r.Segments {
			bare := *segment
			bare.Parts, bare.Behind = nil, 0
			c.Segments[i] = &bare
		}
		show.Renditions = append(show.Renditions, &c)
	}
	return &Manifest{
		Manifest: media.Manifest{Presentation: &show, Gaps: Missing(p, s), Captions: s.Said()},
		Report:   MakeReport(p, s, uploaded),
	}
}

// Said are the captions with the times that they were given.
func (s *State) Said() []media.Caption {
	var all []media.Caption
	for _, c := range s.Captions {
		all = append(all, c.Caption)
	}
	return all
}
