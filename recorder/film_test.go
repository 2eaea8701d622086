package recorder_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-live/sluice/internal/testnet/clip"
	"github.com/sluice-live/sluice/media"
)

// What encoders made goes through the recorder, and initialisation section and
// segments of each rendition are a file with every frame in it.
func TestInitialisationSectionAndSegmentsAreAFileWithEveryFrame(t *testing.T) {
	audio := clip.Make(t, media.Opus)
	audio.Frames = audio.Frames[:100] // two seconds
	for _, codec := range []media.Codec{media.H264, media.H265, media.VP8, media.VP9, media.AV1} {
		t.Run(codec.String(), func(t *testing.T) {
			t.Parallel()
			video := clip.Make(t, codec)
			const rounds = 5
			var files map[string][]byte
			synctest.Test(t, func(t *testing.T) { files = record(t, codec, video, audio, rounds) })
			name, lasting := "video", 10.
			if codec == media.VP8 {
				name, lasting = "vp8", 0 // WebM that is written as it comes does not say how long it is
			}
			probe(t, files[name], rounds*len(video.Frames), lasting)
			probe(t, files["audio"], rounds*len(audio.Frames), 10)
		})
	}
}

// record plays a film in rounds, and returns what came of each rendition.
func record(t *testing.T, codec media.Codec, video, audio *clip.Clip, rounds int) map[string][]byte {
	s := newStudio(t, nil)
	s.Published("show")
	synctest.Wait()
	info := tracks("")
	info[1].Codec = codec
	sink := s.streams.sink("show")
	sink.Tracks(1, info)
	pictures, sound := video.Packets(1200), audio.Packets(1200)
	begin := time.Now()
	send := func(p *media.Packet, round, n int, at time.Duration) {
		q := *p
		q.Epoch = 1
		q.TS += media.Ticks(round) * media.Ticks(2*p.Codec.ClockRate())
		q.Seq += uint64(round * n)
		q.Arrival, q.Capture = time.Now(), begin.Add(at)
		if p.Codec == media.Opus {
			q.Track = media.AudioTrack
		}
		sink.Write([]*media.Packet{&q}, 0)
	}
	for round := range rounds {
		v, a := 0, 0
		for v < len(pictures) || a < len(sound) {
			vt, at := time.Hour, time.Hour
			if v < len(pictures) {
				vt = time.Duration(pictures[v].TS-video.Frames[0].TS()) * time.Second / 90000
			}
			if a < len(sound) {
				at = time.Duration(sound[a].TS-audio.Frames[0].TS()) * time.Second / 48000
			}
			due := time.Duration(round)*2*time.Second + min(vt, at)
			time.Sleep(time.Until(begin.Add(due + 40*ms)))
			if vt <= at {
				send(pictures[v], round, len(pictures), due)
				v++
			} else {
				send(sound[a], round, len(sound), due)
				a++
			}
		}
	}
	time.Sleep(time.Second)
	sink.Close(media.ErrGone)
	synctest.Wait()
	out := map[string][]byte{}
	if codec == media.VP8 { // it is recorded only
		for id, section := range s.shelf.inits {
			out[id] = append(bytes.Clone(section), s.shelf.files[s.shelf.names[0]+"/"+id].Bytes()...)
		}
		s.stop()
		return out
	}
	p := s.show()
	if !p.Ended {
		t.Fatal("it has not ended")
	}
	for _, r := range p.Renditions {
		b := append([]byte(nil), r.Inits[0].Data...)
		for _, g := range r.Segments {
			for _, part := range g.Parts {
				b = append(b, part.Data...)
			}
			if g.Extent.Size > 0 && g.Parts == nil {
				b = append(b, s.shelf.files[p.Incarnation+"/"+r.ID].Bytes()[g.Extent.Offset:][:g.Extent.Size]...)
			}
		}
		out[r.ID] = b
	}
	s.stop()
	return out
}

// probe counts the frames of a file with ffprobe, which decodes all of them.
func probe(t *testing.T, file []byte, frames int, seconds float64) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "film.mp4")
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("ffprobe", "-v", "error", "-count_frames", "-show_entries", "stream=nb_read_frames:format=duration", "-of", "json", path)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("ffprobe: %v", err)
	}
	var told struct {
		Streams []struct {
			Frames string `json:"nb_read_frames"`
		}
		Format struct{ Duration string }
	}
	if err := json.Unmarshal(out, &told); err != nil || len(told.Streams) != 1 {
		t.Fatalf("ffprobe said %s", out)
	}
	if n, _ := strconv.Atoi(told.Streams[0].Frames); n != frames {
		t.Fatalf("ffprobe reads %s frames of %d", told.Streams[0].Frames, frames)
	}
	if d, _ := strconv.ParseFloat(told.Format.Duration, 64); seconds > 0 && (d < seconds-.2 || d > seconds+.2) {
		t.Fatalf("ffprobe says it lasts %s s", told.Format.Duration)
	}
	null := exec.Command("ffmpeg", "-v", "error", "-i", path, "-f", "null", "-")
	if out, err := null.CombinedOutput(); err != nil || len(out) > 0 {
		t.Fatalf("ffmpeg: %v\n%s", err, out)
	}
}
