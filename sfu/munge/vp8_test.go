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

// A long loss is a gap in the picture ids too: the receiver must know that pictures are missing.
func TestVP8LossKeepsItsGap(t *testing.T) {
	m := munge.New(munge.Config{})
	v := pictures{source: source{seq: 70000, ts: 1 << 32, at: start}, first: 32700}
	send(t, m, v.picture(), true)
	v.n += 99
	if o := send(t, m, v.picture(), false); o.PictureID != (32700+100)&0x7fff {
		t.Errorf("got picture %d", o.PictureID)
	}
}

func TestVP8DropsOfAFormerSourceDoNotCount(t *testing.T) {
	m := munge.New(munge.Config{})
	for layer := range media.Layer(2) {
		v := pictures{source: source{layer: layer, seq: 70000, ts: 1 << 32, at: start}, first: 100}
		first := send(t, m, v.picture(), true)
		late := v.picture()
		if layer == 0 {
			m.Drop(late)
		}
		m.Next(v.picture(), false, start)
		if layer == 1 {
			if o := send(t, m, late, false); o.PictureID != first.PictureID+1 {
				t.Errorf("got picture %d after %d", o.PictureID, first.PictureID)
			}
		}
	}
}

func TestVP8GoesOnOverARestartOfThePublishersClock(t *testing.T) {
	m := munge.New(munge.Config{})
	v := pictures{source: source{seq: 70000, ts: 1 << 32, at: start}, first: 100}
	x := send(t, m, v.picture(), true)
	p := v.picture()
	p.TS, p.Key, p.Payload = 9<<32, true, vp8Payload(5000, 77, 9, 0)
	if o := send(t, m, p, false); o.PictureID != x.PictureID+1 || o.TL0 != x.TL0+1 || o.KeyIdx != x.KeyIdx+1 {
		t.Errorf("%+v after %+v", o, x)
	}
}

// Whatever stands in a descriptor, the packet goes out once, under the number that is next, and as it is looked up.
func FuzzVP8Payloads(f *testing.F) {
	f.Add(vp8Payload(5, 1, 0, 0), vp8Payload(6, 2, 0, 1), true)
	f.Add([]byte{0x90, 0x80, 0x7f, 1}, []byte{0x90, 0x80, 0x00, 1}, false)
	f.Add([]byte{0x80}, []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, true)
	f.Add([]byte{0x90, 0x50, 3, 0x1f, 0}, []byte{0x90, 0x20, 0xc0, 0}, false)
	f.Fuzz(func(t *testing.T, a, b []byte, dropped bool) {
		if len(a) == 0 || len(b) == 0 {
			return // padding, which has a test of its own
		}
		m := munge.New(munge.Config{})
		next := uint64(0)
		for i := range 6 {
			p := &media.Packet{Codec: media.VP8, Layer: media.Layer(i / 4), Seq: 70000 + uint64(i), TS: 1<<32 + media.Ticks(i*3000), Arrival: start, Payload: a}
			if i%2 == 1 {
				p.Payload = b
			}
			if dropped && i == 2 {
				m.Drop(p)
				continue
			}
			o, ok := m.Next(p, i%4 == 0, start)
			if !ok {
				if !dropped || i != 3 { // the rest of the picture that was dropped
					t.Fatalf("packet %d was not taken", i)
				}
				continue
			}
			hole := o.Index == next+1 && i == 4 // the frame before the switch was not ended
			if o.Index != next && !hole || o.PictureID > 0x7fff || o.KeyIdx > 0x1f {
				t.Fatalf("packet %d: %+v, want index %d", i, o, next)
			}
			if ref, found := m.Lookup(o.Seq); !found || ref.Out != o {
				t.Fatalf("packet %d: %+v is looked up as %+v", i, o, ref)
			}
			next = o.Index + 1
		}
	})
}

// A picture is dropped as a whole: what follows of it in order costs no number either.
func TestRestOfADroppedVP8PictureInOrderClosesUp(t *testing.T) {
	m := munge.New(munge.Config{})
	v := pictures{source: source{seq: 70000, ts: 1 << 32, at: start}}
	send(t, m, v.picture(), true)
	begin := v.picture()
	rest, after := *begin, *begin
	rest.Seq, after.Seq = begin.Seq+1, begin.Seq+2
	after.Payload = vp8Payload(2, 1, 0, 0)
	m.Drop(begin)
	if o, ok := m.Next(&rest, false, start); ok {
		t.Errorf("the rest was sent as %+v", o)
	}
	if o := send(t, m, &after, false); o.Seq != 1 || o.PictureID != 1 {
		t.Errorf("got %+v", o)
	}
}
