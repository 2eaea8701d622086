package media_test

import (
	"testing"

	"github.com/sluice-live/sluice/media"
)

// A part is asked for by the name that was hinted, before and after it is known to
// which segment it belongs.
func TestAPartKeepsTheNameThatWasHinted(t *testing.T) {
	p := &media.Presentation{}
	two := []media.Part{{Start: 1}, {Start: 2}}
	r := &media.Rendition{Segments: []*media.Segment{{MSN: 7, Parts: two}}}
	if msn, part := p.NextPart(r); msn != 7 || part != 2 || p.Part(r, 7, 2) != nil {
		t.Errorf("behind segment 7 comes part %d.%d", msn, part)
	}
	r.Open = &media.Segment{MSN: 8, Behind: 2, Parts: []media.Part{{Start: 3}, {Start: 4}}}
	for name, start := range map[[2]int]media.Ticks{{7, 0}: 1, {7, 1}: 2, {7, 2}: 3, {8, 1}: 4} {
		if got := p.Part(r, uint64(name[0]), name[1]); got == nil || got.Start != start {
			t.Errorf("part %v is %v", name, got)
		}
	}
	for _, name := range [][2]int{{8, 0}, {7, 3}, {8, 2}, {6, 0}, {9, 0}} {
		if got := p.Part(r, uint64(name[0]), name[1]); got != nil {
			t.Errorf("part %v is %v", name, got)
		}
	}
	if msn, part := p.NextPart(r); msn != 8 || part != 2 {
		t.Errorf("next comes part %d.%d", msn, part)
	}
	r.Open = &media.Segment{MSN: 8} // it was resumed: nothing was hinted
	if msn, part := p.NextPart(r); msn != 8 || part != 0 {
		t.Errorf("behind a break comes part %d.%d", msn, part)
	}
	shared := &media.Presentation{Incarnation: "all", Recording: "mine"}
	r.Open = &media.Segment{MSN: 8, Behind: 2, Parts: []media.Part{{Start: 3}}}
	if got := shared.Part(r, 8, 0); got == nil || got.Start != 3 || shared.Part(r, 7, 2) != nil {
		t.Errorf("where others number alike, part 8.0 is %v", got)
	}
}
