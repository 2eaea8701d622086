package view_test

import (
	"testing"
	"time"

	"github.com/sluice-live/sluice/loadtest/view"
	"pgregory.net/rapid"
)

const second = view.Instant(time.Second)

// film makes n frames of size packets each, from sequence number first, one
// packet a millisecond; each first packet tells when its frame was sent.
func film(first uint16, n, size int) []view.Arrived {
	var out []view.Arrived
	for f := range n {
		for p := range size {
			a := view.Arrived{Seq: first + uint16(len(out)), TS: uint32(f) * 3000, Marker: p == size-1, At: 100*second + view.Instant(len(out))*view.Instant(time.Millisecond)}
			if p == 0 {
				a.Sent = a.At - 5*view.Instant(time.Millisecond)
				a.Starts = f == 0
			}
			out = append(out, a)
		}
	}
	return out
}

func play(t *view.Track, packets []view.Arrived) (frames []view.Frame) {
	for _, a := range packets {
		frames = t.Receive(a, frames)
	}
	return frames
}

func TestFramesAreCompleteWithTheirLastPacket(t *testing.T) {
	frames := play(view.NewTrack(view.VideoWindow), film(65500, 20, 4)) // over the wrap
	if len(frames) != 20 {
		t.Fatalf("%d frames of 20", len(frames))
	}
	for i, f := range frames {
		if f.At.Sub(f.Sent) != 8*time.Millisecond || f.Key != (i == 0) {
			t.Errorf("frame %d: latency %v, key %v", i, f.At.Sub(f.Sent), f.Key)
		}
	}
}

func TestAJoinInTheMiddleOfAFrameWaitsForTheNext(t *testing.T) {
	frames := play(view.NewTrack(view.VideoWindow), film(1, 5, 4)[2:])
	if len(frames) != 4 || frames[0].TS != 3000 {
		t.Fatalf("%d frames, the first %+v", len(frames), frames)
	}
}

func TestAHoleIsAskedForAndFilled(t *testing.T) {
	track := view.NewTrack(view.VideoWindow)
	all := film(10, 5, 4)
	late := all[5]
	frames := play(track, append(append([]view.Arrived(nil), all[:5]...), all[6:]...))
	if len(frames) != 1 {
		t.Fatalf("%d frames came over a hole", len(frames))
	}
	now := all[len(all)-1].At
	if got := track.Missing(now, time.Millisecond, time.Second, nil); len(got) != 1 || got[0] != 15 {
		t.Fatalf("asked for %v", got)
	}
	if got := track.Missing(now, time.Millisecond, time.Second, nil); len(got) != 0 {
		t.Fatalf("asked again at once for %v", got)
	}
	late.At = now
	if frames = track.Receive(late, frames); len(frames) != 5 || track.Lost != 0 || track.Repaired != 1 {
		t.Fatalf("%d frames, %d lost, %d repaired", len(frames), track.Lost, track.Repaired)
	}
}

func TestAHoleThatStaysIsLossAndBreaksOneFrame(t *testing.T) {
	track := view.NewTrack(view.VideoWindow)
	all := film(10, 5, 4)
	frames := play(track, append(append([]view.Arrived(nil), all[:5]...), all[6:]...))
	now := all[len(all)-1].At
	if _, lost := track.Expire(now, nil); lost {
		t.Fatal("a young hole was given up")
	}
	frames, lost := track.Expire(now+2*second, frames)
	if !lost || len(frames) != 4 || track.Lost != 1 || track.Broken != 1 {
		t.Fatalf("%v, %d frames, %d lost, %d broken", lost, len(frames), track.Lost, track.Broken)
	}
}

// Whatever order packets come in, and whatever is lost: each packet counts as
// received or lost, and no frame that lacks a packet is complete.
func TestNothingIsCountedTwiceAndNoBrokenFramePasses(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := film(rapid.Uint16().Draw(t, "first"), rapid.IntRange(2, 30).Draw(t, "frames"), rapid.IntRange(1, 6).Draw(t, "size"))
		// The first packet comes first and the last is not lost: the ends of what can be known.
		end := len(all) - 1
		lost := map[int]bool{}
		for _, i := range rapid.SliceOfN(rapid.IntRange(1, end), 0, 20).Draw(t, "lost") {
			if i != end {
				lost[i] = true
			}
		}
		order := []view.Arrived{all[0]}
		broken := map[uint32]bool{}
		for i := 1; i <= end; i++ {
			if lost[i] {
				broken[all[i].TS] = true
				continue
			}
			order = append(order, all[i])
		}
		for _, i := range rapid.SliceOfN(rapid.IntRange(1, max(1, len(order)-2)), 0, 20).Draw(t, "swaps") {
			if i+1 < len(order) {
				order[i], order[i+1] = order[i+1], order[i]
			}
		}
		track := view.NewTrack(view.VideoWindow)
		frames := play(track, append(order, order...)) // everything twice
		frames, _ = track.Expire(1000*second, frames)
		if track.Lost != uint64(len(lost)) || track.Packets != uint64(len(order)) || track.Duplicates != uint64(len(order)) {
			t.Fatalf("%d lost of %d, %d packets of %d, %d twice", track.Lost, len(lost), track.Packets, len(order), track.Duplicates)
		}
		seen := map[uint32]bool{}
		for _, f := range frames {
			if broken[f.TS] || seen[f.TS] {
				t.Fatalf("the frame %d passed, though broken or for the second time", f.TS)
			}
			seen[f.TS] = true
		}
		whole := int(all[end].TS/3000) + 1 - len(broken)
		if len(seen) != whole {
			t.Fatalf("%d frames passed, %d are whole", len(seen), whole)
		}
	})
}

func TestQuantiles(t *testing.T) {
	var d []time.Duration
	for i := range 100 {
		d = append(d, time.Duration(100-i)*time.Millisecond)
	}
	q := view.Of(d)
	if q.N != 100 || q.P50 != 51 || q.P95 != 96 || q.P99 != 100 || q.Max != 100 {
		t.Errorf("%+v", q)
	}
	if view.Of(nil).N != 0 {
		t.Error("nothing has quantiles")
	}
}
