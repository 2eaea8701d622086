package encode

import (
	"errors"
	"fmt"
	"time"

	"github.com/sluice-live/sluice/media"
)

// Sample is a frame that is to be encoded anew, in the order of decoding.
type Sample struct {
	// Time is the media time at which it is shown, in ticks of the codec's clock rate;
	// sound has a Duration.
	Time, Duration media.Ticks
	Key            bool
	Epoch          media.Epoch
	Format         *media.Format
	Data           []byte // as media.Frame has it; nobody changes it any more
}

// Frame is an encoded one, with the media time of what it was made of.
type Frame struct {
	Time, Duration media.Ticks
	Key            bool
	Epoch          media.Epoch
	Format         *media.Format
	Data           []byte
}

// Profile is what is made.
type Profile struct {
	// Kind is what of: sound becomes AAC-LC, two channels at 48 kHz; pictures H.264.
	Kind    media.Kind
	Bitrate media.Bitrate
	// Width and Height of the picture in pixels, even.
	Width, Height int
	// FPS is how many pictures a second there are at most; 0 leaves out none.
	FPS int
}

// Config says how a Line encodes.
type Config struct {
	Program string // ffmpeg
	Profile Profile
	// Threads bounds the processors that pictures are encoded with.
	Threads int
	// Hang is how long nothing may come of what was given before the process is taken
	// to hang; 0 is 2 s.
	Hang time.Duration
	// Out takes what is made: one goroutine calls, in order. While it blocks nothing is
	// encoded.
	Out func([]Frame)
	// Died is told of each process that died or hung, while it is not failing; Failed
	// once when encoding fails again and again, and Revived when it works
	// again.
	Died    func(error)
	Failed  func(error)
	Revived func()
}

// State is how a Line does.
type State struct {
	Running  bool
	Pid      int // of its process; 0: there is none
	Restarts int // processes that died or hung
	Failing  error
}

// ErrMissing means that ffmpeg is not on this machine.
var ErrMissing = errors.New("ffmpeg is not installed here")

var errHung = errors.New("ffmpeg hangs")

// exitError is a process that did not like what it was given, or fell.
type exitError struct {
	err   error
	words string // the last that it said
}

func (e *exitError) Error() string { return fmt.Sprintf("run ffmpeg: %v: %s", e.err, e.words) }

func (e *exitError) Unwrap() error { return e.err }

const (
	// aacFrame is how many samples a frame of AAC has; the first that an encoder makes
	// lies one frame before what it was given (priming).
	aacFrame = 1024
	// lead is where a process's time begins, so that priming is not before 0.
	lead = time.Second
)

// AAC is the format of all AAC that is made: LC, 48 kHz, two channels (ISO/IEC
// 14496-3 section 1.6.2.1).
func AAC() *media.Format {
	return &media.Format{Codec: media.AAC, Channels: 2, Parameters: [][]byte{{0x11, 0x90}}}
}
