package conform_test

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pion/rtp/codecs"

	"github.com/sluice-live/sluice/media"
)

// real is one codec as FFmpeg encodes it: pictures of four per group in up to three temporal layers, a key frame each 16.
type real struct {
	name     string
	codec    media.Codec
	temporal int
	args     string
}

const layered = " -ts-parameters ts_number_layers=3:ts_target_bitrate=100,160,200:ts_rate_decimator=4,2,1:ts_periodicity=4:ts_layer_id=0,2,1,2:ts_layering_mode=3"

var reals = []real{
	{"VP8", media.VP8, 1, "-c:v libvpx -deadline realtime -cpu-used 8 -g 16 -keyint_min 16 -auto-alt-ref 0 -b:v 200k"},
	{"VP8 in temporal layers", media.VP8, 3, "-c:v libvpx -deadline realtime -cpu-used 8 -g 16 -keyint_min 16 -auto-alt-ref 0 -error-resilient 1 -b:v 200k" + layered},
	{"VP9", media.VP9, 1, "-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -g 16 -keyint_min 16 -lag-in-frames 0 -auto-alt-ref 0 -b:v 200k"},
	{"AV1", media.AV1, 1, "-c:v libaom-av1 -usage realtime -cpu-used 8 -g 16 -keyint_min 16 -lag-in-frames 0 -b:v 200k"},
	{"H264", media.H264, 1, "-c:v libx264 -preset ultrafast -profile:v baseline -x264-params keyint=16:min-keyint=16:scenecut=0:repeat-headers=1:aud=1:slices=1"},
}

const realPictures = 64

// ffmpeg runs it and wants silence on its error output.
func ffmpeg(t *testing.T, args ...string) []byte {
	t.Helper()
	path, err := exec.LookPath("ffmpeg")
	if err != nil {
		t.Fatal("this test needs ffmpeg with libvpx, libaom and libx264: install it (Debian: apt-get install ffmpeg)")
	}
	cmd := exec.Command(path, append([]string{"-v", "error", "-nostdin"}, args...)...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil || errs.Len() > 0 {
		t.Fatalf("ffmpeg %s: %v\n%s", strings.Join(args, " "), err, errs.String())
	}
	return out.Bytes()
}

// pictures returns the encoded pictures of an IVF file or of an H264 byte stream.
func (r real) pictures(t *testing.T, name string) (all [][]byte) {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if r.codec == media.H264 {
		for _, unit := range bytes.Split(data, []byte{0, 0, 0, 1, 9})[1:] { // access unit delimiters
			all = append(all, append([]byte{0, 0, 0, 1, 9}, unit...))
		}
		return all
	}
	for data = data[32:]; len(data) > 12; {
		size := int(binary.LittleEndian.Uint32(data))
		all = append(all, data[12:12+size])
		data = data[12+size:]
	}
	return all
}

// digests decodes a file and returns the digest of each picture, in its own size.
func digests(t *testing.T, name string) (all []string) {
	t.Helper()
	out := ffmpeg(t, "-i", name, "-autoscale", "0", "-vsync", "0", "-pix_fmt", "yuv420p", "-f", "framemd5", "-")
	for line := range strings.Lines(string(out)) {
		if !strings.HasPrefix(line, "#") {
			all = append(all, strings.TrimSpace(line[strings.LastIndex(line, ",")+1:]))
		}
	}
	return all
}

// packets puts one picture into RTP payloads.
func (r real) packets(picture []byte, n int) (payloads [][]byte) {
	key, t := n%16 == 0, pattern[r.temporal][n%len(pattern[r.temporal])]
	switch r.codec {
	case media.AV1:
		return (&codecs.AV1Payloader{}).Payload(300, picture)
	case media.H264:
		return (&codecs.H264Payloader{}).Payload(300, picture)
	}
	id := uint16(n+32700) | 0x8000
	for i := 0; len(picture) > 0; i++ {
		size := min(len(picture), 300)
		last := size == len(picture)
		var b []byte
		if r.codec == media.VP8 {
			sync := n%4 == 1 || n%4 == 2
			b = []byte{0x80 | flag(i == 0, 0x10), 0xe0, byte(id >> 8), byte(id), byte(n / len(pattern[r.temporal])), byte(t)<<6 | flag(sync, 0x20)}
		} else {
			b = []byte{0xa0 | flag(!key, 0x40) | flag(i == 0, 8) | flag(last, 4), byte(id >> 8), byte(id), 0x10, byte(n)}
		}
		payloads = append(payloads, append(b, picture[:size]...))
		picture = picture[size:]
	}
	return payloads
}

// join is what a receiver makes of the packets of one picture.
func (r real) join(t *testing.T, packets []sent) (out []byte) {
	t.Helper()
	var h264 codecs.H264Packet
	var av1 codecs.AV1Depacketizer
	if r.codec == media.AV1 {
		out = []byte{0x12, 0} // temporal delimiter, which RTP leaves out
	}
	for _, p := range packets {
		var part []byte
		var err error
		switch r.codec {
		case media.VP8:
			part, err = (&codecs.VP8Packet{}).Unmarshal(p.payload)
		case media.VP9:
			part, err = (&codecs.VP9Packet{}).Unmarshal(p.payload)
		case media.AV1:
			part, err = av1.Unmarshal(p.payload)
		default:
			part, err = h264.Unmarshal(p.payload)
		}
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, part...)
	}
	return out
}

// write puts pictures into a file that FFmpeg reads.
func (r real) write(t *testing.T, name string, pictures [][]byte) {
	t.Helper()
	var b bytes.Buffer
	if r.codec != media.H264 {
		b.WriteString("DKIF\x00\x00\x20\x00" + map[media.Codec]string{media.VP8: "VP80", media.VP9: "VP90", media.AV1: "AV01"}[r.codec])
		b.Write([]byte{96, 0, 64, 0, 30, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0})
	}
	for i, p := range pictures {
		if r.codec != media.H264 {
			b.Write(binary.LittleEndian.AppendUint32(nil, uint32(len(p))))
			b.Write(binary.LittleEndian.AppendUint64(nil, uint64(i)))
		}
		b.Write(p)
	}
	if err := os.WriteFile(name, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
}

// Three encodings by FFmpeg, switched at random: what comes out is decoded without an error, and each picture is bit by
// bit the one that went in.
func TestTrap09_FFmpegDecodesEverySwitch(t *testing.T) {
	for _, r := range reals {
		t.Run(r.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			var encodings [3][][]byte
			var want [3][]string
			for l := range encodings {
				name := r.encode(t, dir, l)
				encodings[l], want[l] = r.pictures(t, name), digests(t, name)
				if len(encodings[l]) != realPictures || len(want[l]) != realPictures {
					t.Fatalf("encoding %d has %d pictures, %d decoded", l, len(encodings[l]), len(want[l]))
				}
			}
			var layers [3]int
			for seed := range uint64(4) {
				for l, n := range r.switched(t, filepath.Join(dir, fmt.Sprint("out", seed)), seed, encodings, want) {
					layers[l] += n
				}
			}
			if slices.Min(layers[:]) < realPictures/4 {
				t.Errorf("not all encodings were forwarded: %v pictures", layers)
			}
			if total := layers[0] + layers[1] + layers[2]; r.temporal > 1 && total > 7*realPictures/2 {
				t.Errorf("hardly any temporal layer was left out: %d pictures", total)
			}
		})
	}
}

// encode makes one encoding and returns its file.
func (r real) encode(t *testing.T, dir string, l int) string {
	t.Helper()
	name := filepath.Join(dir, fmt.Sprint(l, ".ivf"))
	if r.codec == media.H264 {
		name = filepath.Join(dir, fmt.Sprint(l, ".h264"))
	}
	args := []string{"-f", "lavfi", "-i", fmt.Sprintf("testsrc2=size=%dx%d:rate=30", 96+64*l, 64+32*l), "-frames:v", fmt.Sprint(realPictures), "-pix_fmt", "yuv420p", "-threads", "1"}
	ffmpeg(t, append(append(args, strings.Fields(r.args)...), name)...)
	return name
}

// switched sends the encodings to a viewer whose link changes at random, decodes what it gets, and returns how many
// pictures of each encoding that was.
func (r real) switched(t *testing.T, name string, seed uint64, encodings [3][][]byte, want [3][]string) [3]int {
	t.Helper()
	rng := rand.New(rand.NewPCG(seed, 7))
	v := newViewer(uint16(rng.Uint32N(1<<15)), rng.Uint32())
	var infos []media.LayerInfo
	for l := range encodings {
		infos = append(infos, media.LayerInfo{ID: media.Layer(l), Width: 96 + 64*l, Height: 64 + 32*l, Active: true})
	}
	v.selector.Layers(infos)
	var seq [3]uint64
	now := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	for n := range realPictures {
		if rng.IntN(5) == 0 {
			v.selector.Limit(media.Layer(rng.IntN(3)), 255, uint8(rng.IntN(r.temporal)))
		}
		for l := range encodings {
			payloads := r.packets(encodings[l][n], n)
			for i, b := range payloads {
				v.receive(made{&media.Packet{Epoch: 1, Track: media.VideoTrack, Layer: media.Layer(l), Codec: r.codec, Seq: 1<<16 + seq[l],
					TS: 1<<32 + media.Ticks(l)<<20 + media.Ticks(n*3000), Marker: i == len(payloads)-1, Payload: b}, uint64(l*realPictures + n + 1), len(payloads), nil}, now)
				seq[l]++
			}
		}
		now = now.Add(time.Second / 30)
	}
	for _, f := range v.checker.Faults() {
		t.Error(seed, f)
	}
	return r.compare(t, v, name, want)
}

// compare decodes what was sent and holds each picture against the one that was encoded.
func (r real) compare(t *testing.T, v *viewer, name string, want [3][]string) (layers [3]int) {
	t.Helper()
	slices.SortFunc(v.sent, func(a, b sent) int { return cmp.Compare(a.out.Index, b.out.Index) })
	var pictures [][]byte
	var expected []string
	for from := 0; from < len(v.sent); {
		to := from
		for to < len(v.sent) && v.sent[to].out.TS == v.sent[from].out.TS {
			to++
		}
		pictures = append(pictures, r.join(t, v.sent[from:to]))
		l, n := int(v.sent[from].frame-1)/realPictures, int(v.sent[from].frame-1)%realPictures
		expected = append(expected, want[l][n])
		layers[l]++
		from = to
	}
	r.write(t, name, pictures)
	got := digests(t, name)
	if !slices.Equal(got, expected) {
		t.Errorf("%d pictures went out, %d were decoded, and they are not the same", len(expected), len(got))
	}
	return layers
}
