package recorder

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"time"

	"github.com/sluice-live/sluice/media"
)

// Config says how streams are packaged. The first three never change while a
// presentation lives.
type Config struct {
	// Part is PART-TARGET: 0.334, 0.5 or 1 s. Parts of at least 85 % of it need
	// frame rates above 20, 13.4 and 6.7 frames per second.
	Part time.Duration
	// Segment is how long segments are when key frames come as they are asked for,
	// 1 to 10 s.
	Segment time.Duration
	// Target is EXT-X-TARGETDURATION, whole seconds: the longest segment, when key
	// frames do not come.
	Target time.Duration
	// Window is how far back live viewers may go (DVR).
	Window time.Duration
	// Grace is how long a publisher may be away and come back into the same
	// presentation.
	Grace time.Duration
	// Reorder is how long a missing packet is waited for.
	Reorder time.Duration
	// MaxBitrate bounds what is declared as bandwidth of a rendition.
	MaxBitrate media.Bitrate
	// FFmpeg is the program that encodes; empty: nothing is encoded.
	FFmpeg string
	// AAC says when there is AAC beside Opus, for players that do not play that.
	AAC When
	// Unwanted is how long what is made on demand goes on after somebody asked last.
	Unwanted time.Duration
	// Ladder are H.264 renditions of streams that are published in one layer, or in
	// VP8; LadderAlways makes them whether somebody watches or not.
	Ladder       []Rung
	LadderAlways bool
	// Threads bounds the processors of each rendition of pictures.
	Threads int
	// Redundant numbers and names segments by the clock: recorders on several nodes
	// that take the same stream make the same playlists (ADR 0008).
	Redundant bool
}

// When says when something is made.
type When uint8

// When something is made.
const (
	OnDemand When = iota // from the first who asks until Unwanted after the last
	Always
	Never
)

// Rung is a rendition of a ladder. Pictures are never made larger: one that does not
// fit is left out.
type Rung struct {
	Name    string // [a-z0-9]+
	Height  int    // of the shorter side, pixels
	Bitrate media.Bitrate
	FPS     int // at most; 0: as published
	// Fit tells that smaller pictures keep their size instead.
	Fit bool
}

// profiles are the steps that have a name. 1080p and 720p together are what encoders
// for events make; classic is what services take that know one rendition alone.
var profiles = []Rung{
	{Name: "2160p", Height: 2160, Bitrate: 16_000_000, FPS: 30},
	{Name: "1080p", Height: 1080, Bitrate: 5_000_000, FPS: 30},
	{Name: "720p", Height: 720, Bitrate: 3_000_000, FPS: 30},
	{Name: "480p", Height: 480, Bitrate: 1_400_000, FPS: 30},
	{Name: "360p", Height: 360, Bitrate: 800_000, FPS: 30},
	{Name: "classic", Height: 1080, Bitrate: 5_000_000, FPS: 30, Fit: true},
}

// Profile returns the step of that name; false, and the names that there are, when
// there is none.
func Profile(name string) (r Rung, names []string, ok bool) {
	for _, p := range profiles {
		if p.Name == name {
			return p, nil, true
		}
		names = append(names, p.Name)
	}
	return Rung{}, names, false
}

// size is how large pictures of w x h become: the sides are even.
func (r Rung) size(w, h int) (int, int) {
	short := min(r.Height, w, h)
	scaled := func(side int) int { return max((side*short+min(w, h))/min(w, h)/2*2, 2) }
	return scaled(w), scaled(h)
}

// DefaultConfig makes parts of half a second in segments of two.
func DefaultConfig() Config {
	return Config{
		Part: 500 * time.Millisecond, Segment: 2 * time.Second, Target: 6 * time.Second,
		Window: 2 * time.Hour, Grace: time.Minute, Reorder: 250 * time.Millisecond,
		MaxBitrate: 20_000_000, Unwanted: time.Minute, Threads: 1,
	}
}

// limit is how long a part is at most (PART-TARGET): a tenth more than it shall be,
// in whole milliseconds. See segment.Config.
func (c Config) limit() time.Duration { return (c.Part * 11 / 10).Truncate(time.Millisecond) }

// rungName is what may stand in an address.
var rungName = regexp.MustCompile(`^[a-z0-9]{1,16}$`)

// maxRungs bounds a ladder: each is a process.
const maxRungs = 6

// maxWindow is what live origins offer at most (MediaPackage: 14 days).
const maxWindow = 14 * 24 * time.Hour

// Validate says what is wrong with the settings.
func (c Config) Validate() error {
	switch {
	case c.Part < 200*time.Millisecond || c.Part > 2*time.Second:
		return errors.New("read the recorder's settings: parts last from 0.2 to 2 s")
	case c.Segment < time.Second || c.Segment > 10*time.Second || c.Segment < 2*c.Part:
		return errors.New("read the recorder's settings: segments last from 1 to 10 s and hold at least two parts")
	case c.Target%time.Second != 0 || c.Target < c.Segment+c.Segment/2+c.limit() || c.Target > time.Minute:
		return errors.New("read the recorder's settings: the target duration is in whole seconds, at least one and a half segments and a part, and at most a minute")
	case c.Window < 6*c.Target || c.Window > maxWindow:
		return errors.New("read the recorder's settings: the window is at least six target durations and at most 14 days")
	case c.Grace < 0 || c.Grace > time.Hour:
		return errors.New("read the recorder's settings: the grace is at most an hour")
	case c.Reorder < 0 || c.Reorder > 2*time.Second:
		return errors.New("read the recorder's settings: missing packets are waited for at most 2 s")
	case len(c.Ladder) > maxRungs:
		return fmt.Errorf("read the recorder's settings: a ladder has at most %d renditions", maxRungs)
	case slices.ContainsFunc(c.Ladder, func(r Rung) bool {
		return !rungName.MatchString(r.Name) || r.Height < 90 || r.Height > 4320 || r.Bitrate < 50_000 || r.Bitrate > 100_000_000 || r.FPS < 0 || r.FPS > 240
	}):
		return errors.New("read the recorder's settings: renditions of a ladder have 90 to 4320 lines, 0.05 to 100 Mbit/s and at most 240 pictures a second")
	case c.MaxBitrate <= 0:
		return errors.New("read the recorder's settings: a largest bitrate is needed")
	}
	return nil
}
