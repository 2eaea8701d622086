package matrix

import (
	"testing"
	"time"

	"github.com/sluice-live/sluice/loadtest/view"
)

const msInstant = view.Instant(time.Millisecond)

// packets of frames of three packets each, 40 ms apart; a key frame each ten.
func packets(frames int) (out []view.Arrived) {
	for f := range frames {
		for k := range 3 {
			a := view.Arrived{Seq: uint16(len(out)), TS: uint32(f) * 3600, Marker: k == 2, At: view.Instant(1e15) + view.Instant(f)*40*msInstant}
			if k == 0 {
				a.Starts, a.Sent = f%10 == 0, a.At-5*msInstant
			}
			out = append(out, a)
		}
	}
	return out
}

func feed(p *player, all []view.Arrived, without ...int) {
	for i, a := range all {
		gone := false
		for _, w := range without {
			gone = gone || w == i
		}
		if !gone {
			height := 0
			if a.Sent != 0 {
				height = 720
			}
			p.receive(a, height, -1)
		}
	}
}

func TestEveryWholeFrameIsShownFromTheFirstKeyFrameOn(t *testing.T) {
	p := newPlayer()
	feed(p, packets(25)[3*5:]) // joined in the middle
	if len(p.pictures) != 15 || p.pictures[0].Height != 720 {
		t.Errorf("%d pictures", len(p.pictures))
	}
}

func TestALostFrameStopsThePictureUntilAKeyFrame(t *testing.T) {
	p := newPlayer()
	all := packets(25)
	feed(p, all, 3*4+1) // a packet of the fifth frame
	if len(p.pictures) != 4 {
		t.Fatalf("%d pictures before the loss is given up", len(p.pictures))
	}
	if !p.expire(all[len(all)-1].At + view.Instant(2*time.Second)) {
		// The eleventh frame is a key frame: all is well again.
		if len(p.pictures) != 4+15 {
			t.Errorf("%d pictures", len(p.pictures))
		}
		return
	}
	t.Error("a key frame came and is still wanted")
}

func TestALateRepairIsShownInItsOrder(t *testing.T) {
	p := newPlayer()
	all := packets(10)
	late := all[3*4+1]
	feed(p, all, 3*4+1)
	late.At = all[len(all)-1].At
	p.receive(late, 0, -1)
	if len(p.pictures) != 10 {
		t.Fatalf("%d pictures", len(p.pictures))
	}
	for i, picture := range p.pictures[1:] {
		if picture.At < p.pictures[i].At {
			t.Error("pictures are out of order")
		}
	}
}

func TestAPlayoutDelayHidesWhatComesLateWithinIt(t *testing.T) {
	longest := func(delay time.Duration) float64 {
		p := newPlayer()
		for i, a := range packets(50) {
			if i/3 == 30 {
				a.At += 300 * msInstant
			} else if i/3 > 30 && i/3 < 38 {
				a.At = view.Instant(1e15) + 1500*msInstant // behind it
			}
			height := 0
			if a.Sent != 0 {
				height = 720
			}
			p.receive(a, height, delay)
		}
		gap := 0.0
		for i := range p.pictures[1:] {
			gap = max(gap, p.pictures[i+1].At-p.pictures[i].At)
		}
		return gap
	}
	if short, long := longest(0), longest(400*time.Millisecond); short < 300 || long > 41 {
		t.Errorf("the longest gap is %v without a delay and %v with one", short, long)
	}
}

func TestSoundThatIsNotThereInTimeIsMadeUp(t *testing.T) {
	const n = 1000
	for _, tc := range []struct {
		name string
		late func(i int) (ms float64, comes bool)
		want float64
	}{
		{"all in time", func(int) (float64, bool) { return 0, true }, 0},
		{"one of ten lost", func(i int) (float64, bool) { return 0, i%10 != 5 }, 0.1},
		{"one of ten 150 ms late", func(i int) (float64, bool) { return map[bool]float64{true: 150}[i%10 == 5], true }, 0},
		{"one of ten 250 ms late", func(i int) (float64, bool) { return map[bool]float64{true: 250}[i%10 == 5], true }, 0.1},
	} {
		var s sound
		for i := range n {
			s.counts(1e6 + float64(i)*20)
			if late, comes := tc.late(i); comes {
				s.receive(uint16(65000+i), 1e6+float64(i)*20+late)
				s.receive(uint16(65000+i), 1e6+float64(i)*20+late) // twice counts once
			}
		}
		due, concealed := s.counts(1e6 + n*20)
		if due != n-9 || !near(concealed/due, tc.want, 0.005) {
			t.Errorf("%s: %v of %v were made up", tc.name, concealed, due)
		}
	}
}

func TestREDTellsWhichPacketsItCarries(t *testing.T) {
	two := []byte{0x80 | 111, 1920 >> 6, 1920 << 2 & 0xff, 10, 0x80 | 111, 960 >> 6, 960 << 2 & 0xff, 12, 111, 1, 2, 3}
	if got := earlier(two); len(got) != 2 || got[0] != 2 || got[1] != 1 {
		t.Errorf("%v", got)
	}
	if got := earlier([]byte{111, 1, 2}); got != nil {
		t.Errorf("a packet alone carries %v", got)
	}
}

func FuzzRED(f *testing.F) {
	f.Add([]byte{0x80 | 111, 15, 0, 10, 111, 1, 2})
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, n := range earlier(b) {
			if n == 0 || n > 1<<14/soundTicks {
				t.Errorf("%d packets before", n)
			}
		}
	})
}
