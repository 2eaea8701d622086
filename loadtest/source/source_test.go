package source_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/sluice-live/sluice/loadtest/source"
	"pgregory.net/rapid"
)

func TestAStampSurvivesItsNALUnit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := source.Stamp{
			Sent:  time.Unix(0, rapid.Int64Range(0, 1<<62).Draw(t, "sent")),
			Frame: rapid.Uint32().Draw(t, "frame"),
			Layer: rapid.Byte().Draw(t, "layer"),
		}
		nal := want.AppendSEI(nil)
		// Start codes inside would cut the unit in two (clause 7.4.1).
		for _, code := range [][]byte{{0, 0, 0}, {0, 0, 1}, {0, 0, 2}} {
			if bytes.Contains(nal, code) {
				t.Fatalf("%x holds %x", nal, code)
			}
		}
		sps := []byte{0x67, 1, 2, 3}
		for _, payload := range [][]byte{nal, source.Packetize([][]byte{sps, {0x68, 9}, nal}, 1200)[0]} {
			got, ok := source.FindStamp(payload)
			if !ok || got != want {
				t.Fatalf("got %v %v, want %v", got, ok, want)
			}
		}
		part := append(source.Stamp{Frame: 1}.AppendSEI([]byte("moof, mdat")), nal...)
		for _, more := range [][]byte{nil, {0x65, 1, 2, 3}, bytes.Repeat([]byte{0, 0, 3}, 99), nal[3:19]} {
			if got, ok := source.LastStamp(append(part[:len(part):len(part)], more...)); !ok || got != want {
				t.Fatalf("before %x: got %v %v, want %v", more, got, ok, want)
			}
		}
	})
}

func FuzzFindStamp(f *testing.F) {
	nal := source.Stamp{Sent: time.Unix(1, 2), Frame: 3}.AppendSEI(nil)
	f.Add(nal)
	f.Add(source.Packetize([][]byte{{0x67, 1}, nal}, 1200)[0])
	f.Add([]byte{24, 0, 40, 6, 5, 255, 255, 255})
	f.Fuzz(func(t *testing.T, b []byte) {
		_, _ = source.LastStamp(b)
		s, ok := source.FindStamp(b)
		if !ok {
			return
		}
		again, ok := source.FindStamp(s.AppendSEI(nil))
		if !ok || again != s {
			t.Errorf("%v became %v", s, again)
		}
	})
}

func TestCaptureTimesAreExactToTheNanosecond(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := time.Unix(0, rapid.Int64Range(0, 2_085_978_495*1e9).Draw(t, "ns")) // NTP's era ends in 2036
		got, ok := source.ParseCaptureTime(source.CaptureTime(want))
		if !ok || !got.Equal(want) {
			t.Fatalf("got %v %v, want %v", got, ok, want)
		}
	})
	if n := source.NTP(time.Unix(0, 0)); n != 2208988800<<32 {
		t.Errorf("1970 is %x", n)
	}
}

func FuzzParseCaptureTime(f *testing.F) {
	f.Add(source.CaptureTime(time.Unix(1, 2)))
	f.Add(make([]byte, 16))
	f.Fuzz(func(t *testing.T, b []byte) {
		if got, ok := source.ParseCaptureTime(b); ok && len(b) == 8 {
			back := source.NTP(got)
			if d := int64(back - binary.BigEndian.Uint64(b)); d < -4 || d > 4 { // a nanosecond is 4.3 units
				t.Errorf("%x became %x", b, back)
			}
		}
	})
}

// depacketize is RFC 6184 section 5 backwards, for the test.
func depacketize(t *rapid.T, payloads [][]byte) [][]byte {
	var out [][]byte
	for _, p := range payloads {
		switch p[0] & 0x1f {
		case 24:
			for rest := p[1:]; len(rest) > 0; {
				n := int(binary.BigEndian.Uint16(rest))
				out = append(out, rest[2:2+n])
				rest = rest[2+n:]
			}
		case 28:
			if p[1]&0x80 != 0 {
				out = append(out, []byte{p[0]&0xe0 | p[1]&0x1f})
			}
			if len(out) == 0 {
				t.Fatal("a fragment has no beginning")
			}
			out[len(out)-1] = append(out[len(out)-1], p[2:]...)
		default:
			out = append(out, p)
		}
	}
	return out
}

func TestPacketsGiveTheUnitsBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		mtu := rapid.IntRange(50, 1200).Draw(t, "mtu")
		var units [][]byte
		for range rapid.IntRange(1, 6).Draw(t, "units") {
			unit := rapid.SliceOfN(rapid.Byte(), 2, 3000).Draw(t, "unit")
			unit[0] = unit[0]&0x60 | rapid.SampledFrom([]byte{1, 5, 6, 7, 8}).Draw(t, "kind")
			units = append(units, unit)
		}
		payloads := source.Packetize(units, mtu)
		for _, p := range payloads {
			if len(p) > mtu {
				t.Fatalf("a payload has %d bytes, %d are allowed", len(p), mtu)
			}
		}
		got := depacketize(t, payloads)
		if len(got) != len(units) {
			t.Fatalf("%d units became %d", len(units), len(got))
		}
		for i := range units {
			if !bytes.Equal(got[i], units[i]) {
				t.Fatalf("unit %d changed", i)
			}
		}
	})
}

func FuzzSplit(f *testing.F) {
	f.Add([]byte{0, 0, 0, 1, 9, 16, 0, 0, 1, 0x67, 1, 0, 0, 1, 0x65, 0x88, 1})
	f.Add([]byte{0, 0, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, frame := range source.Split(b) {
			for _, nal := range frame.NALs {
				if len(nal) == 0 {
					t.Error("an empty NAL unit came out")
				}
			}
		}
	})
}

func FuzzOpus(f *testing.F) {
	page := append([]byte("OggS"), make([]byte, 22)...)
	f.Add(append(append(page, 1, 8), "OpusHead"...))
	f.Fuzz(func(t *testing.T, b []byte) {
		if packets, err := source.Opus(b); err == nil && len(packets) == 0 {
			t.Error("no packets and no error")
		}
	})
}

func TestAReaderPlaysAllLayersAndAudioAtTheirPace(t *testing.T) {
	start := time.Unix(1000, 0)
	m := source.Synthetic(3, 900_000)
	r := source.NewReader(m, start)
	last := start
	seen := map[int]int{}
	for {
		u := r.Next()
		if u.At.Sub(start) >= 10*time.Second {
			break
		}
		if u.At.Before(last) {
			t.Fatalf("a unit is due %v before the one before it", last.Sub(u.At))
		}
		last = u.At
		if u.Audio {
			seen[-1]++
			continue
		}
		if want := u.Index * 3000; u.TS != want {
			t.Fatalf("frame %d has the time stamp %d, want %d", u.Index, u.TS, want)
		}
		if key := u.Index%source.FPS == 0; u.Key != key {
			t.Fatalf("frame %d: key is %v", u.Index, u.Key)
		}
		seen[u.Layer]++
	}
	if seen[-1] != 500 || seen[0] != 300 || seen[1] != 300 || seen[2] != 300 {
		t.Errorf("in 10 s: %v", seen)
	}
}

func TestAKeyFrameOnRequestKeepsTheClock(t *testing.T) {
	r := source.NewReader(source.Synthetic(1, 900_000), time.Unix(0, 0))
	var last source.Unit
	for asked := 0; asked < 3; {
		u := r.Next()
		if u.Audio {
			continue
		}
		if last.NALs != nil && u.TS-last.TS != 3000 {
			t.Fatalf("the time stamp went from %d to %d", last.TS, u.TS)
		}
		last = u
		if u.Index%60 == 25 {
			r.Key(0)
			asked++
			for next := r.Next(); ; next = r.Next() {
				if !next.Audio {
					if !next.Key || next.TS-last.TS != 3000 {
						t.Fatalf("after the request: key %v, %d ticks on", next.Key, next.TS-last.TS)
					}
					last = next
					break
				}
			}
		}
	}
}

func TestWithoutFFmpegTheErrorSaysWhatToDo(t *testing.T) {
	_, err := source.Open(t.Context(), source.Config{Dir: t.TempDir(), FFmpeg: "no-such-ffmpeg"})
	if !errors.Is(err, source.ErrNoFFmpeg) || !strings.Contains(err.Error(), "apt install ffmpeg") || strings.Contains(err.Error(), "\n") {
		t.Errorf("got %v", err)
	}
}

func TestMediaByFFmpegIsWhatItSaysAndIsKept(t *testing.T) {
	dir := t.TempDir()
	c := source.Config{Dir: dir, Layers: 1, Bitrate: 400_000, Seconds: 2, BFrames: true}
	m, err := source.Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	top := m.Layers[0]
	if top.Width != 1280 || len(top.Frames) != 2*source.FPS || !strings.HasPrefix(top.Profile, "4d") {
		t.Errorf("%dx%d, %d frames, profile %s", top.Width, top.Height, len(top.Frames), top.Profile)
	}
	shown, behind := make([]bool, len(top.Frames)), 0
	for i, f := range top.Frames {
		if f.Key != (i%60 == 0) {
			t.Errorf("frame %d: key is %v", i, f.Key)
		}
		if shown[f.Display] {
			t.Fatalf("two frames are shown at %d", f.Display)
		}
		shown[f.Display] = true
		if f.Display < i {
			behind++
		}
	}
	if behind < 30 {
		t.Errorf("only %d B-frames", behind)
	}
	if n := len(m.Audio); n < 100 || n > 102 {
		t.Errorf("%d audio packets in 2 s", n)
	}
	// The second time nothing is made: a wrong program goes unnoticed.
	c.FFmpeg = "no-such-ffmpeg"
	if _, err := source.Open(t.Context(), c); err != nil {
		t.Errorf("the kept media was not used: %v", err)
	}
}
