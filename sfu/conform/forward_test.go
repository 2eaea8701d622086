package conform_test

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/media/codec/descriptor"
)

// What Chromium sent, with its own descriptors and references, forwarded under limits that change at random.
func TestChromiumsStreamsUnderRandomLimits(t *testing.T) {
	for _, name := range captured {
		t.Run(name, func(t *testing.T) {
			stream := capture(t, name)
			rapid.Check(t, func(t *rapid.T) {
				rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
				v := newViewer(uint16(rng.Uint32N(1<<15)), rng.Uint32())
				v.checker.Unmarked = strings.HasPrefix(name, "vp9-l3")
				var source descriptor.Source
				d := v.door(0)
				start := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
				for i, c := range stream {
					p := &media.Packet{Epoch: 1, Track: media.VideoTrack, Codec: c.Codec, Seq: 1<<16 + uint64(i), TS: 1<<32 + media.Ticks(c.TS-stream[0].TS),
						Marker: c.Marker, FrameEnd: c.Marker, Descriptor: c.Descriptor, Payload: c.Payload}
					p.Arrival = start.Add(time.Duration(p.TS-1<<32) * time.Second / 90000)
					p.Key = descriptor.HasStructure(c.Descriptor)
					if len(p.Payload) == 0 {
						v.drop(made{Packet: p})
						continue
					}
					if !source.Apply(p) {
						t.Fatalf("% x", c.Descriptor)
					}
					if rng.IntN(40) == 0 {
						caps := []uint8{0, 1, 2, 255}
						v.selector.Limit(media.AnyLayer, caps[rng.IntN(4)], caps[rng.IntN(4)])
					}
					m := made{Packet: p}
					d.ring[p.Seq], v.newest[0] = m, p.Seq
					v.decide(m)
				}
				if n := len(v.sent); n == 0 {
					t.Errorf("%d of %d packets went out", n, len(stream))
				}
				for i, f := range v.checker.Faults() {
					if t.Errorf("%s", f); i > 5 {
						break
					}
				}
			})
		})
	}
}
