package munge_test

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/sfu/munge"
)

// vp8Payload writes a full descriptor with a 15-bit picture id (RFC 7741 section 4.2).
func vp8Payload(picture uint16, tl0, keyIdx, temporal uint8) []byte {
	return []byte{0x90, 0xf0, 0x80 | byte(picture>>8)&0x7f, byte(picture), tl0, temporal<<6 | keyIdx&0x1f, 0, 0}
}

// pictures makes a VP8 layer with two temporal layers, one packet per picture.
type pictures struct {
	source
	first uint16
	tl0   uint8
}

func (v *pictures) picture() *media.Packet {
	v.codec, v.perFrame = media.VP8, 1
	i := v.n
	p := v.next()
	p.Temporal = uint8(i % 2)
	p.Payload = vp8Payload(v.first+uint16(i), v.tl0+uint8(i/2), uint8(i/30), p.Temporal)
	return p
}

// Over switches and with the upper temporal layer dropped at random, picture ids go up by one, TL0PICIDX by one per
// base picture, and every packet says so again when it is looked up.
func TestVP8NumbersGoOnWithoutGaps(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := munge.New(munge.Config{})
		var last munge.Out
		sent := false
		for i := range rapid.IntRange(1, 8).Draw(t, "sources") {
			v := pictures{first: rapid.Uint16().Draw(t, "picture"), tl0: rapid.Uint8().Draw(t, "tl0")}
			v.layer, v.seq, v.ts, v.at = media.Layer(i), 1<<16, 1<<32, start
			for n := range rapid.IntRange(1, 200).Draw(t, "pictures") {
				p := v.picture()
				if p.Temporal == 1 && rapid.Bool().Draw(t, "drop") {
					m.Drop(p)
					continue
				}
				o, ok := m.Next(p, n == 0, start)
				if !ok || !o.Patch {
					t.Fatalf("picture %d: %v %+v", n, ok, o)
				}
				wantTL0 := last.TL0
				if p.Temporal == 0 {
					wantTL0++
				}
				if sent && (o.PictureID != (last.PictureID+1)&0x7fff || o.TL0 != wantTL0) {
					t.Fatalf("source %d picture %d: %+v after %+v", i, n, o, last)
				}
				if d := (o.KeyIdx - last.KeyIdx) & 0x1f; sent && (n == 0 && d != 1 || n > 0 && d > 1) {
					t.Fatalf("source %d picture %d: key index %d after %d", i, n, o.KeyIdx, last.KeyIdx)
				}
				last, sent = o, true
			}
		}
	})
}

func TestLateVP8PictureKeepsItsNumberOverDrops(t *testing.T) {
	m := munge.New(munge.Config{})
	v := pictures{source: source{seq: 70000, ts: 1 << 32, at: start}, first: 100}
	p := []*media.Packet{v.picture(), v.picture(), v.picture(), v.picture(), v.picture()}
	send(t, m, p[0], true) // 100
	m.Drop(p[1])
	m.Drop(p[3]) // p[2] is late: 101
	if o := send(t, m, p[4], false); o.PictureID != 102 {
		t.Errorf("got picture %d, want 102", o.PictureID)
	}
	if o := send(t, m, p[2], false); o.PictureID != 101 {
		t.Errorf("got picture %d, want 101", o.PictureID)
	}
}

// The rest of a picture that was dropped has no picture id of its own: it must not go out under another's.
func TestLateRestOfADroppedVP8PictureStaysOut(t *testing.T) {
	m := munge.New(munge.Config{})
	v := pictures{source: source{seq: 70000, ts: 1 << 32, at: start}}
	send(t, m, v.picture(), true)
	begin := v.picture()
	rest := *begin
	rest.Seq++
	v.n++
	m.Drop(begin)
	after := v.picture()
	after.Payload = vp8Payload(2, 1, 0, 0)
	send(t, m, after, false)
	if o, ok := m.Next(&rest, false, start); ok {
		t.Errorf("it was sent as %+v", o)
	}
}

func TestVP8WithoutNumbersIsLeftAlone(t *testing.T) {
	m := munge.New(munge.Config{})
	for i, payload := range [][]byte{{0x10, 0, 0}, {0x80}, {0x90, 0xff}} {
		p := &media.Packet{Codec: media.VP8, Seq: 70000 + uint64(i), Payload: payload}
		if o := send(t, m, p, i == 0); o.Patch {
			t.Errorf("%x: %+v", payload, o)
		}
	}
}
