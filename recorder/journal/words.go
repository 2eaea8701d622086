package journal

import (
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"time"

	"github.com/sluice-live/sluice/media"
)

// Start is what an incarnation begins with, and keeps.
type Start struct {
	Stream         media.StreamID `json:"stream"`
	Incarnation    string         `json:"incarnation"`
	Start          time.Time      `json:"start"` // media time 0, UTC
	TargetDuration time.Duration  `json:"targetDuration"`
	PartTarget     time.Duration  `json:"partTarget"`
}

// Part is a part as the caller has cut it.
type Part struct {
	MSN         uint64
	Number      int // within the segment, from 0
	Init        int // index of the initialisation section that it belongs to
	Start       media.Ticks
	Duration    media.Ticks
	Independent bool
	// Gap tells that there is no media in it: it has no bytes, and Why says more.
	Gap bool
	Why Reason
	// Lead is, of an independent part, how many bytes reach to the end of its first
	// picture; 0 is unknown (media.Segment.Lead).
	Lead int64
	// Discontinuity tells, with part 0, that EXT-X-DISCONTINUITY stands before the
	// segment.
	Discontinuity bool
}

// Reason says why media is missing.
type Reason uint8

// Why media is missing. The numbers are on disk: they never change their meaning.
const (
	Unknown       Reason = iota // media time jumps, and nobody said why
	NoFrames                    // nothing came: a still screen, a layer that pauses
	PublisherGone               // the publisher was away, and came back
	Loss                        // packets were lost and not repaired
	Overflow                    // the recorder's queue was full
	NoKeyFrame                  // nothing could be decoded until a key frame came
	Crash                       // the server died; what was not yet on disk is lost
	DiskFailed                  // the disk was full or broken
	Damaged                     // the bytes on disk are not those that were written
	Interrupted                 // the server was stopped, and started again
)

var reasons = [...]string{
	"unknown", "no-frames", "publisher-gone", "loss", "overflow", "no-key-frame",
	"crash", "disk-failed", "damaged", "interrupted",
}

// String returns the word for logs and reports.
func (r Reason) String() string {
	if int(r) < len(reasons) {
		return reasons[r]
	}
	return "reason-" + strconv.Itoa(int(r))
}

// MarshalText writes the word.
func (r Reason) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText reads the word.
func (r *Reason) UnmarshalText(b []byte) error {
	for i, word := range reasons {
		if word == string(b) {
			*r = Reason(i)
			return nil
		}
	}
	return fmt.Errorf("read a reason: %q is none", b)
}

// Hole is a stretch of media time of a rendition in which media is missing.
type Hole struct {
	Rendition string
	From, To  media.Ticks // To is after From
	Why       Reason
}

// Caption is a text that was shown.
type Caption struct {
	media.Caption // with the times that it was given
	// Shown is the media time from which it stands in segments: a caption that came late
	// stands in none that was published before.
	Shown time.Duration
}

// Volume is a finished file of a rendition: synced, closed, and never written again.
type Volume struct {
	Rendition string
	Number    uint32
	Size      int64 // bytes
}

// State is what a folder tells beyond its presentation.
type State struct {
	Start Start
	// Next is the number of the segment to go on with, in all renditions.
	Next uint64
	// Ended tells that the recording ended by itself; nothing may follow.
	Ended bool
	// Epoch is the newest epoch that was recorded.
	Epoch media.Epoch
	// Renditions tell how far each got, by name.
	Renditions map[string]Position
	// Holes are all that is missing, by rendition and time.
	Holes []Hole
	// Captions as they came.
	Captions []Caption
	// Torn counts bytes that were found and belong to nothing that is whole, Lost
	// the parts that the journal names and the volumes do not hold.
	Torn int64
	Lost int
	// Damaged counts bytes, of the journal and of parts, that were on disk and are not
	// what was written; at a second recovery those of the journal alone.
	Damaged int64
	// Nameless are renditions of which parts are here, but nothing that says what they
	// are: all of them is missing.
	Nameless []string
	// Dropped tells that the front was cut off (Journal.Drop).
	Dropped bool

	size, synced int64 // of the journal: valid bytes, known to be on disk
}

// Position is how far a rendition got.
type Position struct {
	End    media.Ticks // media time up to which there is something, or a declared gap
	Parts  uint64      // parts with media, of all segments
	Bytes  int64
	Inits  int    // initialisation sections that are known
	Volume uint32 // the next one to write
	old    []old
	Digest string // over number, place, size and checksum of each part: SHA-256, hex
}

// Config says how a journal is kept. The zero value of a field means its default.
type Config struct {
	// Sync is how long after a write the disk has to have it: half of that is
	// waited for others to join, the rest is the disk's. Default: the part target.
	Sync time.Duration
	// Segments and Bytes bound a volume: a segment that would begin beyond either
	// begins the next volume. Defaults: 64, and 256 MiB.
	Segments int
	Bytes    int64
	// Retry is how often a failed disk is tried again. Default 5 s.
	Retry time.Duration
	// Failed is called once when the journal turns read-only, Revived when it is
	// writable again; Finished when a volume is whole. All come from the goroutine
	// that runs Run, and may be nil.
	Failed   func(error)
	Revived  func()
	Finished func(Volume)
	// Disk is where the files are; nil means the machine's.
	Disk Disk

	compact int64 // of tests: compactFrom
}

func (c Config) withDefaults(s Start) Config {
	if c.Sync <= 0 {
		c.Sync = s.PartTarget
	}
	if c.Sync <= 0 {
		c.Sync = 500 * time.Millisecond // the default part target
	}
	if c.Segments <= 0 {
		c.Segments = 64 // about two minutes: what one upload carries
	}
	if c.Bytes <= 0 {
		c.Bytes = 256 << 20 // S3 takes 5 GiB at once; a failed upload should not cost that much
	}
	if c.Retry <= 0 {
		c.Retry = 5 * time.Second
	}
	if c.compact == 0 {
		c.compact = compactFrom
	}
	if c.Disk == nil {
		c.Disk = machine{}
	}
	return c
}

// The errors of a journal.
var (
	// ErrReadOnly means that the disk failed; the caller goes on from memory.
	ErrReadOnly = errors.New("the disk failed: the recording stands still")
	// ErrEnded means that the incarnation is over.
	ErrEnded = errors.New("the recording has ended")
	// ErrEmpty means that a folder holds no recording: not even its beginning came
	// to the disk.
	ErrEmpty = errors.New("there is no recording in the folder")
	// ErrVersion means that a later sluice wrote the journal.
	ErrVersion = errors.New("the journal is of another version")
)

// Name is the journal's file name.
const Name = "journal"

// VolumeName returns the path of a volume beneath an incarnation's folder, with
// slashes: it is the object's name in a blob store too.
func VolumeName(rendition string, volume uint32) string {
	return fmt.Sprintf("%s/%06d.cmaf", rendition, volume)
}

// VolumePath returns the path of a volume on disk.
func VolumePath(dir, rendition string, volume uint32) string {
	return filepath.Join(dir, filepath.FromSlash(VolumeName(rendition, volume)))
}
