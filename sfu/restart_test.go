package sfu_test

import (
	"testing"
	"time"

	"github.com/sluice-live/sluice/media/codec/descriptor"
)

// Over an ICE restart, at which the client also gets another address, a viewer's numbers go on: descriptors count each
// frame that its timestamps count, and can be read with the structure that came before.
func TestDescriptorsGoOnThroughAnICERestart(t *testing.T) {
	s := start(t, nil)
	e := publish(t, s, "demo", "pub")
	e.described, e.number = descriptorID(t, e.pc), 65530
	defer e.play(30)()
	v := watch(t, s, "demo", "view")
	id := descriptorID(t, v.pc)
	var structure descriptor.Structure
	var f descriptor.Frame
	first := v.next(t)
	if err := structure.Read(first.GetExtension(id), &f); err != nil || !f.HasStructure {
		t.Fatalf("%v: % x", err, first.GetExtension(id))
	}
	number, last := f.Number, first
	for round := range 2 {
		began := time.Now()
		for time.Since(began) < 1500*time.Millisecond {
			p := v.next(t)
			if err := structure.Read(p.GetExtension(id), &f); err != nil {
				t.Fatalf("packet %d: %v: % x", p.SequenceNumber, err, p.GetExtension(id))
			}
			if frames := (p.Timestamp - first.Timestamp) / 3000; f.Number-number != uint16(frames) || p.SSRC != first.SSRC {
				t.Fatalf("%d frames on, the number went from %d to %d", frames, number, f.Number)
			}
			goesOn(t, last, p)
			last = p
		}
		if round == 0 {
			restart(t, s, v)
		}
	}
}
