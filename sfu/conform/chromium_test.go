package conform_test

import (
	"encoding/hex"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/sfu/conform"
)

// captured are streams as Chromium sent them (media/codec/descriptor/testdata/chromium).
var captured = []string{"av1-l1t3", "av1-l3t3", "av1-l3t3key", "vp9-l1t3", "vp9-l3t3", "vp9-l3t3key"}

func capture(t testing.TB, name string) (all []conform.Packet) {
	t.Helper()
	text, err := os.ReadFile("../../media/codec/descriptor/testdata/chromium/" + name + ".txt")
	if err != nil {
		t.Fatal(err)
	}
	c := media.AV1
	if strings.HasPrefix(name, "vp9") {
		c = media.VP9
	}
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		seq, err1 := strconv.ParseUint(f[0], 10, 16)
		ts, err2 := strconv.ParseUint(f[1], 10, 32)
		if err1 != nil || err2 != nil {
			t.Fatal(line)
		}
		all = append(all, conform.Packet{Seq: uint16(seq), TS: uint32(ts), Marker: f[2] == "1", Codec: c, Descriptor: unhex(t, f[3]), Payload: unhex(t, f[4])})
	}
	return all
}

func unhex(t testing.TB, s string) []byte {
	if s == "-" {
		return nil
	}
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func judge(ps []conform.Packet, unmarked bool) []string {
	c := conform.Checker{Unmarked: unmarked}
	for _, p := range ps {
		c.Add(p)
	}
	return c.Faults()
}

// What a browser sends has no faults.
func TestTheCheckerAcceptsChromium(t *testing.T) {
	for _, name := range captured {
		for i, f := range judge(capture(t, name), strings.HasPrefix(name, "vp9-l3")) {
			if t.Errorf("%s: %s", name, f); i > 5 {
				break
			}
		}
	}
}

// Each way to spoil a good stream is found, and under its name.
func TestTheCheckerFindsFaults(t *testing.T) {
	type spoil func(ps []conform.Packet) []conform.Packet
	without := func(drop func(i int, p conform.Packet) bool) spoil { // and close the numbering, as an SFU does
		return func(ps []conform.Packet) (out []conform.Packet) {
			for i, p := range ps {
				if !drop(i, p) {
					p.Seq = ps[0].Seq + uint16(len(out))
					out = append(out, p)
				}
			}
			return out
		}
	}
	change := func(with func(p *conform.Packet)) spoil {
		return func(ps []conform.Packet) []conform.Packet {
			i := 100
			for len(ps[i].Payload) == 0 || ps[i].Descriptor[0]&0x80 == 0 {
				i++
			}
			with(&ps[i])
			return ps
		}
	}
	frame := func(p conform.Packet) int { return int(p.Descriptor[1])<<8 | int(p.Descriptor[2]) }
	for name, c := range map[string]struct {
		stream string
		spoil  spoil
		want   string
	}{
		"starts late":           {"av1-l3t3", without(func(i int, _ conform.Packet) bool { return i < 10 }), "does not start with a key frame"},
		"a frame left out":      {"av1-l1t3", without(func(_ int, p conform.Packet) bool { return p.Descriptor != nil && frame(p) == 5 }), "which is not there"},
		"half a frame":          {"av1-l3t3", without(func(i int, _ conform.Packet) bool { return i == 1 }), "half a frame"},
		"given twice":           {"vp9-l1t3", func(ps []conform.Packet) []conform.Packet { return append(ps, ps[40]) }, "given twice"},
		"time runs back":        {"vp9-l1t3", change(func(p *conform.Packet) { p.TS -= 90000 }), "time runs back"},
		"no marker":             {"vp9-l1t3", func(ps []conform.Packet) []conform.Packet { return markers(ps, false) }, "without the marker"},
		"markers all over":      {"vp9-l3t3", func(ps []conform.Packet) []conform.Packet { return markers(ps, true) }, "marker is inside a picture"},
		"a picture id twice":    {"vp9-l1t3", change(func(p *conform.Packet) { p.Payload[2]-- }), "picture"},
		"a VP9 layer left out":  {"vp9-l3t3", without(func(_ int, p conform.Packet) bool { return len(p.Payload) > 3 && p.Payload[3]>>1&7 == 1 }), "needs"},
		"a frame number twice":  {"av1-l1t3", change(func(p *conform.Packet) { p.Descriptor[2] -= 3 }), "frame"},
		"a promise not kept":    {"av1-l3t3key", without(func(_ int, p conform.Packet) bool { return upper(p) }), "is said to be sent"},
		"frames cut together":   {"vp9-l3t3", change(func(p *conform.Packet) { p.Payload[0] &^= 0x0c }), "frame"},
		"no structure":          {"av1-l1t3", change(func(p *conform.Packet) { p.Descriptor = []byte{0xbf, 0, 1} }), "dependency descriptor"},
		"a hole in a picture":   {"vp9-l1t3", func(ps []conform.Packet) []conform.Packet { return ps }, ""},
		"lost, and excused for": {"av1-l1t3", func(ps []conform.Packet) []conform.Packet { return append(ps[:30:30], ps[33:]...) }, ""},
	} {
		faults := judge(c.spoil(capture(t, c.stream)), false)
		if c.want == "" && len(faults) > 0 || c.want != "" && !strings.Contains(strings.Join(faults, "\n"), c.want) {
			t.Errorf("%s: wanted %q, found %d: %s", name, c.want, len(faults), strings.Join(faults[:min(3, len(faults))], "\n"))
		}
	}
}

func markers(ps []conform.Packet, on bool) []conform.Packet {
	for i := range ps {
		ps[i].Marker = on
	}
	return ps
}

// upper reports a packet of the third spatial layer (templates 2 of the key picture, 7 and above of Chromium's L3T3_KEY
// from offset 0 count by layer).
func upper(p conform.Packet) bool {
	return len(p.Payload) > 0 && p.Payload[0]&0x88 == 0 && layerOf(p) == 2
}

// layerOf reads the spatial layer out of the OBU extension of a packet that begins a frame.
func layerOf(p conform.Packet) int {
	if len(p.Payload) < 3 || p.Payload[0]&0x80 != 0 || p.Payload[1]&4 == 0 {
		return -1
	}
	return int(p.Payload[2] >> 3 & 3)
}
