package depack_test

import (
	"testing"

	"github.com/sluice-live/sluice/internal/testnet/clip"
	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/media/depack"
)

func FuzzH264(f *testing.F) { fuzz(f, media.H264) }
func FuzzH265(f *testing.F) { fuzz(f, media.H265) }
func FuzzVP8(f *testing.F)  { fuzz(f, media.VP8) }
func FuzzVP9(f *testing.F)  { fuzz(f, media.VP9) }
func FuzzAV1(f *testing.F)  { fuzz(f, media.AV1) }
func FuzzOpus(f *testing.F) { fuzz(f, media.Opus) }

// fuzz pushes a real key frame and three payloads from outside in all ways. Nothing
// may break, frames stay within bounds, and the stream recovers.
func fuzz(f *testing.F, c media.Codec) {
	film := clip.Make(f, c)
	packets := film.Packets(1200)
	for i := range min(len(packets)-2, 20) {
		f.Add(packets[i].Payload, packets[i+1].Payload, packets[i+2].Payload, uint8(i*11))
	}
	f.Fuzz(func(t *testing.T, x, y, z []byte, how uint8) {
		d := depack.NewConfig(depack.Config{Codec: c, MaxFrame: 1 << 20, Broken: how&0x40 != 0})
		var o depack.Order
		push := func(payload []byte, ts media.Ticks, marker, lost bool) (n int) {
			for f := d.Push(&media.Packet{Codec: c, TS: ts, Marker: marker, Payload: payload}, lost); f != nil; f = d.Next() {
				n++
				if f.Format == nil || len(f.Data) == 0 || len(f.Data) > 1<<20+100 {
					t.Fatalf("a frame of %d bytes, format %+v", len(f.Data), f.Format)
				}
				_, _ = o.DTS(f)
			}
			return n
		}
		if how&0x20 != 0 {
			for _, p := range packets[:min(len(packets), 5)] {
				push(p.Payload, p.TS, p.Marker, false)
			}
		}
		for i, b := range [][]byte{x, y, z} {
			push(b, media.Ticks(int(how>>2&3)*i), how>>i&1 != 0, how&0x80 != 0 && i == 1)
		}
		n := 0
		for i, p := range packets {
			n += push(p.Payload, p.TS+1<<30, p.Marker, i == 0)
		}
		if n == 0 {
			t.Fatal("the stream does not come back")
		}
	})
}
