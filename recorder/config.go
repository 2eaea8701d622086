package recorder

import (
	"errors"
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
}

// DefaultConfig makes parts of half a second in segments of two.
func DefaultConfig() Config {
	return Config{
		Part: 500 * time.Millisecond, Segment: 2 * time.Second, Target: 6 * time.Second,
		Window: 2 * time.Hour, Grace: time.Minute, Reorder: 250 * time.Millisecond,
		MaxBitrate: 20_000_000,
	}
}

// maxWindow is what live origins offer at most (MediaPackage: 14 days).
const maxWindow = 14 * 24 * time.Hour

// Validate says what is wrong with the settings.
func (c Config) Validate() error {
	switch {
	case c.Part < 200*time.Millisecond || c.Part > 2*time.Second:
		return errors.New("read the recorder's settings: parts last from 0.2 to 2 s")
	case c.Segment < time.Second || c.Segment > 10*time.Second || c.Segment < 2*c.Part:
		return errors.New("read the recorder's settings: segments last from 1 to 10 s and hold at least two parts")
	case c.Target%time.Second != 0 || c.Target < c.Segment+c.Segment/2+c.Part || c.Target > time.Minute:
		return errors.New("read the recorder's settings: the target duration is in whole seconds, at least one and a half segments and a part, and at most a minute")
	case c.Window < 6*c.Target || c.Window > maxWindow:
		return errors.New("read the recorder's settings: the window is at least six target durations and at most 14 days")
	case c.Grace < 0 || c.Grace > time.Hour:
		return errors.New("read the recorder's settings: the grace is at most an hour")
	case c.Reorder < 0 || c.Reorder > 2*time.Second:
		return errors.New("read the recorder's settings: missing packets are waited for at most 2 s")
	case c.MaxBitrate <= 0:
		return errors.New("read the recorder's settings: a largest bitrate is needed")
	}
	return nil
}
