package source

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/sluice-live/sluice/media"
)

// FPS is the frame rate of all layers.
const FPS = 30

// The intervals of the two media.
const (
	FrameInterval = time.Second / FPS
	AudioInterval = 20 * time.Millisecond
)

// Config says which media is wanted.
type Config struct {
	Dir     string        // where the files are kept; made on demand
	Layers  int           // 1 (720p) or 3 (180p, 360p, 720p); 0 means 1
	Bitrate media.Bitrate // of the top layer; 0 means 2.5 Mbit/s
	BFrames bool          // with B-frames, Main profile
	NoAudio bool
	Seconds int    // of media, played in a loop; 0 means 20
	FFmpeg  string // the program; empty means "ffmpeg" of PATH
}

// DefaultBitrate is what an HD stream of a talking head takes, and what the
// peers were measured with.
const DefaultBitrate media.Bitrate = 2_500_000

// Media is what Open returns. It is immutable.
type Media struct {
	Layers []Layer // from the smallest to the largest
	Audio  [][]byte
	// ReorderDepth is how many frames a picture may wait for its turn on the
	// screen: 0 without B-frames.
	ReorderDepth int
}

// Layer is one encoding.
type Layer struct {
	Width, Height int
	Bitrate       media.Bitrate
	Profile       string // profile-level-id as RFC 6184 section 8.1 writes it
	Frames        []Frame
}

// Frame is one access unit without its delimiter.
type Frame struct {
	NALs    [][]byte
	Key     bool
	Display int // place on the screen, counted in frames from the start
}

// The layers, smallest first, with their share of the top layer's bitrate: the
// share that Chromium's simulcast gives them: 150 and 700 of 2500 kbit/s.
var sizes = []struct {
	width, height, percent int
}{{320, 180, 6}, {640, 360, 28}, {1280, 720, 100}}

// Open reads the media from the folder, and makes first what is missing there.
func Open(ctx context.Context, c Config) (*Media, error) {
	if c.Bitrate == 0 {
		c.Bitrate = DefaultBitrate
	}
	if c.Layers == 0 {
		c.Layers = 1
	}
	if c.Seconds == 0 {
		c.Seconds = seconds
	}
	if c.Layers != 1 && c.Layers != len(sizes) {
		return nil, fmt.Errorf("open media: %d layers are not on offer, take 1 or %d", c.Layers, len(sizes))
	}
	if c.Dir == "" {
		return nil, errors.New("open media: no folder is given")
	}
	if err := os.MkdirAll(c.Dir, 0o750); err != nil {
		return nil, fmt.Errorf("open media: %w", err)
	}
	m := &Media{}
	for _, s := range sizes[len(sizes)-c.Layers:] {
		l := Layer{Width: s.width, Height: s.height, Bitrate: c.Bitrate * media.Bitrate(s.percent) / 100}
		if err := l.open(ctx, c); err != nil {
			return nil, err
		}
		m.Layers = append(m.Layers, l)
	}
	if c.BFrames {
		m.ReorderDepth = bFrames
	}
	if c.NoAudio {
		return m, nil
	}
	return m, m.openAudio(ctx, c)
}

func (l *Layer) open(ctx context.Context, c Config) error {
	name := fmt.Sprintf("video-%dx%d-%dk-%ds", l.Width, l.Height, l.Bitrate/1000, c.Seconds)
	if c.BFrames {
		name += "-b"
	}
	path := filepath.Join(c.Dir, name+".h264")
	if err := ensure(ctx, c, path, videoArgs(*l, c)); err != nil {
		return err
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("open media: %w", err)
	}
	l.Frames = Split(b)
	if len(l.Frames) == 0 || !l.Frames[0].Key {
		return fmt.Errorf("open media: %s does not begin with a key frame; remove it, it is made again", path)
	}
	l.Profile = profile(l.Frames[0])
	return nil
}

func (m *Media) openAudio(ctx context.Context, c Config) error {
	path := filepath.Join(c.Dir, fmt.Sprintf("audio-64k-%ds.ogg", c.Seconds))
	if err := ensure(ctx, c, path, audioArgs(c.Seconds)); err != nil {
		return err
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("open media: %w", err)
	}
	if m.Audio, err = Opus(b); err != nil {
		return fmt.Errorf("open media: read %s: %w", path, err)
	}
	return nil
}
