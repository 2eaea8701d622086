package depack_test

import (
	"bytes"
	"encoding/base64"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/sluice-live/sluice/internal/testnet/clip"
	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/media/depack"
)

var codecs = []media.Codec{media.H264, media.H265, media.VP8, media.VP9, media.AV1, media.Opus}

// Whatever is lost: only whole frames come out, none that needs a lost one, and a
// hole is told exactly once.
func TestOnlyWholeFramesLeave(t *testing.T) {
	for _, c := range codecs {
		film := clip.Make(t, c)
		packets := film.Packets(300)
		byTS := map[media.Ticks]int{}
		for i, f := range film.Frames {
			byTS[f.TS()] = i
		}
		rapid.Check(t, func(t *rapid.T) {
			gone := map[int]bool{}
			for range rapid.IntRange(0, 6).Draw(t, "holes") {
				at := rapid.IntRange(0, len(packets)-1).Draw(t, "at")
				for i := range rapid.IntRange(1, 12).Draw(t, "length") {
					gone[at+i] = true
				}
			}
			holes := make([]bool, len(film.Frames)+1)
			for i := range packets {
				if gone[i] {
					holes[byTS[packets[i].TS]] = true
				}
			}
			d := depack.New(c, "")
			frames := depacketize(d, packets, func(i int) bool { return gone[i] })
			var want []int
			waiting := true
			for i, f := range film.Frames {
				if c == media.Opus {
					waiting = false
				}
				switch {
				case holes[i]:
					waiting = true
				case f.Key || !waiting:
					waiting = false
					want = append(want, i)
				}
			}
			if len(frames) != len(want) {
				t.Fatalf("%v: %d frames, expected %d", c, len(frames), len(want))
			}
			for k, f := range frames {
				if !bytes.Equal(f.Data, film.Frames[want[k]].Data) {
					t.Fatalf("%v: frame %d is not the encoder's %d", c, k, want[k])
				}
				if skipped := k > 0 && want[k] != want[k-1]+1; f.Lost != skipped {
					t.Fatalf("%v: frame %d: lost %v", c, want[k], f.Lost)
				}
			}
			if c.Kind() == media.Video && d.Waiting() != waiting && !gone[len(packets)-1] {
				t.Fatalf("%v: waiting %v", c, d.Waiting())
			}
		})
	}
}

// An owner that wants pictures at any price gets what is whole.
func TestBrokenPicturesForWhoWantsThem(t *testing.T) {
	film := clip.Make(t, media.VP8)
	packets := film.Packets(1200)
	at := slices.IndexFunc(packets, func(p *media.Packet) bool { return p.TS == film.Frames[5].TS() })
	frames := depacketize(depack.NewConfig(depack.Config{Codec: media.VP8, Broken: true}), packets, func(i int) bool { return i == at })
	if len(frames) != len(film.Frames)-1 || !frames[5].Lost || frames[5].Key || frames[6].Lost {
		t.Errorf("%d frames of %d", len(frames), len(film.Frames))
	}
}

// Two resolutions one after the other: a format for each, and none for what only
// repeats itself.
func TestAFormatForEachChange(t *testing.T) {
	for _, c := range []media.Codec{media.H264, media.H265, media.VP8, media.VP9, media.AV1} {
		small, large := clip.Make(t, c), clip.Make(t, c, "-s", "320x192")
		packets := small.Packets(1200)
		for _, again := range [][]*media.Packet{small.Packets(1200), large.Packets(1200), small.Packets(1200)} {
			last := packets[len(packets)-1]
			for _, p := range again {
				p.TS += last.TS - packets[0].TS + 3000
				p.Seq += last.Seq + 1 - packets[0].Seq
			}
			packets = append(packets, again...)
		}
		var formats []*media.Format
		for _, f := range depacketize(depack.New(c, ""), packets, nil) {
			if len(formats) == 0 || formats[len(formats)-1] != f.Format {
				if !f.Key {
					t.Errorf("%v: a format changed without a key frame", c)
				}
				formats = append(formats, f.Format)
			}
		}
		if len(formats) != 3 {
			t.Fatalf("%v: %d formats", c, len(formats))
		}
		for i, want := range []int{160, 320, 160} {
			if formats[i].Width != want || formats[i].Codec != c {
				t.Errorf("%v: format %d is %+v", c, i, formats[i])
			}
		}
	}
}

// Encoders that never send parameter sets tell them by SDP.
func TestParameterSetsOfSDP(t *testing.T) {
	for _, c := range []media.Codec{media.H264, media.H265} {
		film := clip.Make(t, c)
		text := func(i int) string { return base64.StdEncoding.EncodeToString(film.Sets[i]) }
		params := "packetization-mode=1;profile-level-id=4d401f; sprop-parameter-sets=" + text(0) + "," + text(1)
		if c == media.H265 {
			params = "sprop-vps=" + text(0) + ";sprop-sps=" + text(1) + ";sprop-pps=" + text(2)
		}
		sets := film.Sets
		film.Sets = nil // none in the stream
		packets := film.Packets(1200)
		if frames := depacketize(depack.New(c, ""), packets, nil); len(frames) != 0 {
			t.Errorf("%v: %d frames that nobody can decode", c, len(frames))
		}
		frames := depacketize(depack.New(c, params), packets, nil)
		if len(frames) != len(film.Frames) || !slices.EqualFunc(frames[0].Format.Parameters, sets, bytes.Equal) {
			t.Errorf("%v: %d frames of %d", c, len(frames), len(film.Frames))
		}
		// What is lost just before a key frame cannot have been parameter sets.
		at := slices.IndexFunc(packets, func(p *media.Packet) bool { return p.TS == film.Frames[20].TS() })
		frames = depacketize(depack.New(c, params), packets, func(i int) bool { return i == at-1 })
		if len(frames) != len(film.Frames)-1 || !frames[19].Key {
			t.Errorf("%v: %d frames of %d after a loss", c, len(frames), len(film.Frames))
		}
	}
}

// svc makes the packets of pictures with spatial layers. Layers below the top are
// needed by those above in key pictures only.
func svc(pictures, layers int) (packets []*media.Packet) {
	for i := range pictures {
		for s := range layers {
			head := byte(0x80 | 0x20 | 0x08 | 0x04) // I, L, B, E
			key := i == 0
			if !key {
				head |= 0x40 // P
			}
			if !key && s < layers-1 {
				head |= 0x01 // Z
			}
			if key && s == 0 {
				head |= 0x02 // V
			}
			layer := byte(s << 1)
			if key && s > 0 {
				layer |= 1 // D
			}
			payload := []byte{head, byte(i), layer, 0}
			if head&0x02 != 0 {
				payload = append(payload, byte(layers-1)<<5|0x10)
				for k := range layers {
					w, h := 320<<k, 180<<k
					payload = append(payload, byte(w>>8), byte(w), byte(h>>8), byte(h))
				}
			}
			body := []byte{0x86, byte(i), byte(s)} // not a key frame
			if key && s == 0 {
				body = []byte{0x82, 0x49, 0x83, 0x42, 0x00, 0x13, 0xf0, 0x0b, 0x30, 0x00} // 320×180, profile 0
			}
			payload = append(payload, append(body, bytes.Repeat([]byte{byte(s + 1)}, 300*s)...)...)
			last := s == layers-1
			packets = append(packets, &media.Packet{Codec: media.VP9, Seq: 1<<16 + uint64(len(packets)), TS: media.Ticks(i * 3000), Marker: last, FrameEnd: last, Payload: payload})
		}
	}
	return packets
}

func TestSpatialLayersAreOneFrame(t *testing.T) {
	frames := depacketize(depack.New(media.VP9, ""), svc(3, 3), nil)
	if len(frames) != 3 {
		t.Fatalf("%d frames", len(frames))
	}
	if f := frames[0].Format; f.Width != 1280 || f.Height != 720 {
		t.Errorf("the largest layer is %d×%d", f.Width, f.Height)
	}
	// Three frames, whose sizes have two bytes each (annex B).
	data := frames[0].Data
	index := []byte{0xca, 10, 0, 303 & 255, 303 >> 8, 603 & 255, 603 >> 8, 0xca}
	if len(data) != 10+303+603+len(index) || !bytes.HasSuffix(data, index) || data[10] != 0x86 || data[313] != 0x86 {
		t.Errorf("the key picture has %d bytes, and ends with %x", len(data), data[len(data)-8:])
	}
	for _, f := range frames[1:] {
		if want := append([]byte{0x86, f.Data[1], 2}, bytes.Repeat([]byte{3}, 600)...); !bytes.Equal(f.Data, want) || f.Key {
			t.Errorf("a later picture is not its highest layer alone: %d bytes", len(f.Data))
		}
	}
}

// What a decoder needs of a decoding order that is not that of showing.
func TestDecodingTimesOfBFrames(t *testing.T) {
	for _, film := range films {
		if film.codec != media.H264 && film.codec != media.H265 {
			continue
		}
		c := clip.Make(t, film.codec, film.args...)
		reordered := slices.ContainsFunc(c.Frames, func(f clip.Frame) bool { return f.PTS-f.DTS != c.Frames[0].PTS-c.Frames[0].DTS })
		var o depack.Order
		var last media.Ticks
		shift := media.Ticks(0)
		for i, f := range depacketize(depack.New(film.codec, ""), c.Packets(1200), nil) {
			dts, err := o.DTS(f)
			if err != nil {
				t.Fatalf("%s: frame %d: %v", film.name, i, err)
			}
			if i > 0 && dts <= last || dts > f.TS {
				t.Fatalf("%s: frame %d is decoded at %d, after %d, and shown at %d", film.name, i, dts, last, f.TS)
			}
			if !reordered && dts != f.TS {
				t.Errorf("%s: frame %d is decoded at another time than shown", film.name, i)
			}
			if theirs := media.Ticks(c.Frames[i].DTS) + f.TS - media.Ticks(c.Frames[i].PTS); i == 10 {
				shift = theirs - dts
			} else if i > 10 && theirs-dts != shift {
				t.Errorf("%s: frame %d is decoded %d ticks apart from FFmpeg", film.name, i, theirs-dts-shift)
			}
			last = dts
		}
		if o.Reorders() != reordered {
			t.Errorf("%s: reorders %v", film.name, o.Reorders())
		}
	}
}

func TestOpusDurations(t *testing.T) {
	for _, c := range []struct {
		packet []byte
		want   media.Ticks
	}{
		{[]byte{0x78, 1}, 960},           // CELT, 20 ms
		{[]byte{0x60, 1}, 480},           // hybrid, 10 ms
		{[]byte{0x80, 1}, 120},           // CELT, 2.5 ms
		{[]byte{0x18, 1}, 2880},          // SILK, 60 ms
		{[]byte{0x19, 1, 1}, 5760},       // two of them
		{[]byte{0x1b, 0x03, 1, 1, 1}, 0}, // three: too long
		{[]byte{0xfb, 0x06, 1}, 5760},    // six of 20 ms
		{[]byte{0xfb}, 0},
		{nil, 0},
	} {
		if got := depack.OpusDuration(c.packet); got != c.want {
			t.Errorf("%x: %d, expected %d", c.packet, got, c.want)
		}
	}
}

// A sender that never ends a frame costs no more than the bound.
func TestFramesAreBounded(t *testing.T) {
	d := depack.NewConfig(depack.Config{Codec: media.VP8, MaxFrame: 10_000})
	film := clip.Make(t, media.VP8)
	payload := append([]byte{0x00}, make([]byte, 1000)...)
	p := *film.Packets(1200)[0]
	p.Marker, p.FrameEnd = false, false
	for i := range 100 {
		if f := d.Push(&p, false); f != nil {
			t.Fatal("a frame without end came")
		}
		if i == 0 {
			p.Payload = payload
		}
	}
	packets := film.Packets(1200)
	for _, p := range packets {
		p.TS += 1 << 20
	}
	if frames := depacketize(d, packets, nil); len(frames) != len(film.Frames) {
		t.Errorf("%d frames of %d afterwards", len(frames), len(film.Frames))
	}
}

// What is another codec's is a hole.
func TestAnotherCodecIsAHole(t *testing.T) {
	film := clip.Make(t, media.VP8)
	packets := film.Packets(1200)
	for _, p := range packets {
		if p.TS == film.Frames[5].TS() {
			p.Codec = media.VP9
		}
	}
	frames := depacketize(depack.New(media.VP8, ""), packets, nil)
	if len(frames) < 6 || !frames[5].Key || !frames[5].Lost {
		t.Errorf("%d frames", len(frames))
	}
	if f := depack.New(media.RED, "").Push(packets[0], false); f != nil {
		t.Error("a frame of RED")
	}
}
