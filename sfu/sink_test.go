package sfu

import (
	"testing"
	"time"

	"github.com/sluice-live/sluice/media"
)

// A sink tells loss by the numbers: padding has to fill them, or each bandwidth
// probe would look like a hole in the picture.
func TestPaddingIsNoHoleForSinks(t *testing.T) {
	b := newBench(t, "ffmpeg-9.0.2.offer.sdp", true)
	k := &sink{st: b.st, queue: make(chan parcel, 100)}
	k.want.Store(&media.Demand{Video: true})
	b.st.fan.Store(&[]*sink{k})
	seq := uint16(65530)
	for i := range 30 {
		b.now = b.now.Add(33 * time.Millisecond)
		b.give(seq, i, false)
		seq++
		if i%3 == 0 {
			b.give(seq, i, true)
			seq++
		}
	}
	var all []*media.Packet
	for len(k.queue) > 0 {
		all = append(all, wanted((<-k.queue).burst, k.want.Load())...)
	}
	frames, places := 0, 0
	for i, p := range all {
		if i > 0 && p.Seq != all[i-1].Seq+1 {
			t.Errorf("%d follows %d", p.Seq, all[i-1].Seq)
		}
		if len(p.Payload) > 0 {
			frames++
		} else {
			places++
		}
	}
	if frames != 30 || places != 10 {
		t.Errorf("%d frames and %d places came", frames, places)
	}
}

// give hands frame i, or padding after it, to the publisher, and the burst to the sinks.
func (b *bench) give(seq uint16, i int, padding bool) {
	p := h264(seq, uint32(3000*i), i == 0)
	if padding {
		p.Payload = nil
	}
	b.pub.rtp(&p.Header, p.Payload, b.now)
	b.pub.publishTracks(b.now)
	burst := b.pub.burst
	b.pub.burst = nil
	b.st.spread(b.pub.source, burst)
}

// Who is too slow is told of what it lost where it is missing, not before what
// still waited.
func TestBurstsThatWereDroppedAreToldWhereTheyAreMissing(t *testing.T) {
	k := &sink{queue: make(chan parcel, 3)}
	for range 5 {
		k.offer(nil, nil)
	}
	for i := range 3 {
		if p := <-k.queue; p.lost != 0 {
			t.Errorf("burst %d is told to follow %d lost ones", i, p.lost)
		}
	}
	for _, want := range []int{2, 0} {
		k.offer(nil, nil)
		if p := <-k.queue; p.lost != want {
			t.Errorf("%d lost, want %d", p.lost, want)
		}
	}
}
