package vod

import (
	"errors"
	"fmt"
	"time"

	"github.com/sluice-live/sluice/media"
)

// Config says how assets are kept and made.
type Config struct {
	// Dir is where uploads and exports that are being made lie: a folder of its own
	// in the data directory.
	Dir string
	// Retention says how long assets of which streams are kept; the first rule that
	// matches counts. Without one they are kept for ever.
	Retention []Rule
	// FFmpeg and FFprobe are the programs; found on PATH by default.
	FFmpeg, FFprobe string
	// Jobs is how many subprocesses work at the same time on assets; Thumbnails how
	// many more on pictures of live streams.
	Jobs, Thumbnails int
	// AAC tells that AAC is made of ended assets whose sound is Opus, when somebody
	// wants it.
	AAC bool
	// ThumbnailAge is how old the picture of a live stream may be.
	ThumbnailAge time.Duration
	Uploads      UploadConfig
	// ExportCache is how many bytes of exported files are kept for the next one who
	// asks.
	ExportCache int64
	Limits      LimitConfig
}

// LimitConfig bounds the requests of one address to the API; of one /64 for IPv6. 0
// turns the limit off.
type LimitConfig struct {
	PerSecond float64
	Burst     int
}

// UploadConfig bounds uploads.
type UploadConfig struct {
	MaxSize  int64         // bytes of one file
	PartSize int64         // bytes of a part; larger when a file would have more than 1000
	Reserve  int64         // bytes of the disk that uploads and exports leave free
	Expiry   time.Duration // after this time without a part an upload is dropped
	URLs     time.Duration // how long a part's URL may be used
	Active   int           // uploads at the same time
	// Originals keeps the file that was uploaded as long as the asset that was made of it.
	Originals bool
}

// Rule keeps assets of the streams that a pattern covers for some days; 0 is for
// ever.
type Rule struct {
	Streams media.Pattern
	Days    int
}

// DefaultConfig keeps everything and takes files of up to 5 GB.
func DefaultConfig() Config {
	return Config{
		FFmpeg: "ffmpeg", FFprobe: "ffprobe",
		Jobs: 2, Thumbnails: 1, AAC: true, ThumbnailAge: 10 * time.Second,
		ExportCache: 10 << 30,
		// 500 students behind one address open a page within a few seconds; a program
		// that asks in a loop does not get far.
		Limits: LimitConfig{PerSecond: 100, Burst: 1500},
		Uploads: UploadConfig{
			MaxSize: 5 << 30, PartSize: 16 << 20, Reserve: 1 << 30,
			Expiry: 24 * time.Hour, URLs: 6 * time.Hour, Active: 32, Originals: true,
		},
	}
}

// Validate says what is wrong with the settings.
func (c Config) Validate() error {
	switch {
	case c.Dir == "":
		return errors.New("read the catalogue's settings: a folder is needed")
	case c.Jobs < 1 || c.Thumbnails < 1:
		return errors.New("read the catalogue's settings: at least one job at a time is needed")
	case c.Uploads.PartSize < 64<<10 || c.Uploads.MaxSize < 1 || c.Uploads.Active < 1:
		return errors.New("read the settings of uploads: parts of at least 64 KB, some size and some number are needed")
	case c.Limits.PerSecond > 0 && c.Limits.Burst < 1:
		return errors.New("read the catalogue's settings: a limit of requests needs a burst of at least one")
	case c.ThumbnailAge < time.Second:
		return errors.New("read the catalogue's settings: pictures of live streams are made at most once a second")
	}
	for _, r := range c.Retention {
		if err := r.Streams.Valid(); err != nil {
			return fmt.Errorf("read retention rule %q: %w", r.Streams, err)
		}
		if r.Days < 0 {
			return fmt.Errorf("read retention rule %q: days cannot be negative; 0 is for ever", r.Streams)
		}
	}
	return nil
}
