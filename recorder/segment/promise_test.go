package segment_test

import (
	"cmp"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/sluice-live/sluice/media"
)

// arrivalOf is one frame on its way.
type arrivalOf struct {
	r *track
	shot
}

// TestWhateverComesThePlaylistsKeepTheRules sends anything: irregular frames, late
// ones, holes, lost and missing key frames, new formats, new publishers, steps. The
// stage checks each part and segment; the renditions must match.
func TestWhateverComesThePlaylistsKeepTheRules(t *testing.T) {
	rapid.Check(t, whatever(false))
}

func TestWhateverComesALockedGridKeepsTheRules(t *testing.T) {
	rapid.Check(t, whatever(true))
}

func whatever(locked bool) func(*rapid.T) {
	return func(t *rapid.T) {
		cfg := config()
		cfg.Locked = locked
		cfg.Part = rapid.SampledFrom([]time.Duration{334 * ms, 500 * ms, time.Second}).Draw(t, "part")
		cfg.Limit = cfg.Part * 11 / 10
		s := newStage(t, cfg)
		s.brief = true
		var shots []arrivalOf
		for range rapid.IntRange(0, 3).Draw(t, "layers") {
			shots = append(shots, script(t, s.add(media.VideoRendition))...)
		}
		if len(s.tracks) == 0 || rapid.Bool().Draw(t, "audio") {
			shots = append(shots, script(t, s.add(media.AudioRendition))...)
		}
		slices.SortStableFunc(shots, func(a, b arrivalOf) int { return cmp.Compare(a.at+a.delay, b.at+b.delay) })
		for _, a := range shots {
			s.wait(cfg.Start.Add(a.at + a.delay))
			s.push(a.r, a.shot)
		}
		s.wait(s.now.Add(time.Duration(rapid.IntRange(0, 8000).Draw(t, "silence")) * ms))
		s.end()
		s.agree(time.Hour) // discontinuities and numbers; where boundaries lie is a matter of scenes
	}
}

func script(t *rapid.T, r *track) []arrivalOf {
	var out []arrivalOf
	at := time.Duration(rapid.IntRange(0, 2000).Draw(t, "begin")) * ms
	f := shot{delay: 30 * ms, key: true}
	for range rapid.IntRange(0, 60).Draw(t, "runs") {
		gap := time.Duration(rapid.SampledFrom([]int{1, 7, 20, 33, 40, 100, 200, 500, 1000}).Draw(t, "interval")) * ms
		if r.audio {
			gap = time.Duration(rapid.SampledFrom([]int{20, 60, 120}).Draw(t, "frame")) * ms
			f.duration = gap
		}
		for range rapid.IntRange(1, 40).Draw(t, "frames") {
			jitter := time.Duration(rapid.IntRange(-3, 3).Draw(t, "jitter")) * ms
			out = append(out, arrivalOf{r, f})
			out[len(out)-1].at = at + jitter
			f.key, f.lost, f.step = false, false, false
			at += gap
		}
		switch rapid.IntRange(0, 12).Draw(t, "then") {
		case 0:
			at += time.Duration(rapid.IntRange(0, 10000).Draw(t, "hole")) * ms
		case 1:
			f.format, f.key = 1-f.format, true
		case 2:
			f.epoch, f.key = f.epoch+1, true
		case 3:
			f.step = true
		case 4:
			f.lost, f.key = true, rapid.Bool().Draw(t, "key")
		case 5:
			f.delay = time.Duration(rapid.IntRange(0, 3000).Draw(t, "delay")) * ms
		case 6:
			at += time.Duration(rapid.IntRange(-3000, 3000).Draw(t, "jump")) * ms
		default:
			f.key = true
		}
	}
	return out
}
