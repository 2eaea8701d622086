package sfu

import (
	"testing"
	"time"

	"github.com/sluice-live/sluice/media"
)

// hurrying is a viewer in a fast start of two seconds.
func hurrying(t testing.TB) *bench {
	b := newBench(t, "ffmpeg-9.0.2.offer.sdp", true)
	b.v.link = nil
	for i := range 60 {
		b.now = b.now.Add(33 * time.Millisecond)
		p := h264(uint16(1000+i), uint32(90000+3000*i), i == 0)
		b.pub.rtp(&p.Header, p.Payload, b.now)
	}
	b.pub.burst = nil
	b.pub.publishTracks(b.now)
	b.v.adopt(b.pub.source, b.now)
	return b
}

// A fast start is hurried until it has caught up, and its viewer is not looked at after it.
func TestOnlyWhoHasSomethingToHurryForIsLookedAt(t *testing.T) {
	b := hurrying(t)
	sh := b.v.shard
	if len(sh.busy) != 1 {
		t.Fatalf("%d viewers hurry", len(sh.busy))
	}
	for range 400 {
		b.now = b.now.Add(replayTick)
		sh.hurry(b.now)
	}
	if n := len(b.out.sent); n != 60 {
		t.Errorf("%d packets were sent", n)
	}
	if len(sh.busy) != 0 || b.v.busy {
		t.Errorf("%d viewers are still looked at", len(sh.busy))
	}
	b.v.src = nil
	b.v.adopt(b.pub.source, b.now)
	if len(sh.busy) != 1 {
		t.Error("the next fast start is not hurried")
	}
}

func TestWhoLeavesInAHurryIsForgotten(t *testing.T) {
	b := hurrying(t)
	b.v.shard.remove(b.v)
	if len(b.v.shard.busy) != 0 || b.v.shard.replaying != 0 {
		t.Errorf("%d viewers hurry", len(b.v.shard.busy))
	}
}

// BenchmarkHurry is one tick of a shard with 2,000 viewers of which one hurries.
func BenchmarkHurry(b *testing.B) {
	bench := hurrying(b)
	sh := bench.v.shard
	g := sh.groups[bench.st]
	for range 2000 {
		v := newViewer(bench.st, media.Offer{Stream: "demo"}, bench.v.remote)
		v.joined, v.src, v.out = true, bench.pub.source, bench.out
		g.viewers = append(g.viewers, v)
	}
	b.ReportAllocs()
	for b.Loop() {
		sh.hurry(bench.now)
	}
}
