package recorder

import (
	"context"
	"io"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/recorder/journal"
)

// Streams gives the packets of streams; the SFU does.
type Streams interface {
	Attach(id media.StreamID, to Sink) (Feed, error)
}

// Sink takes a stream's packets: one goroutine calls, in order, and waits while a
// call blocks. A sink that is too slow for longer than the giver holds back is told
// how many bursts it lost.
type Sink interface {
	Tracks(e media.Epoch, tracks []media.TrackInfo)
	Write(burst []*media.Packet, lost int)
	Close(why error)
}

// Feed is a Sink's hold on its stream.
type Feed interface {
	Want(d media.Demand)
	RequestKeyFrame(t media.TrackID, l media.Layer)
	Close()
}

// Assets is told when recordings begin and end; the catalogue is. Told again, they
// change nothing.
type Assets interface {
	Began(ctx context.Context, stream media.StreamID, incarnation string, at time.Time) error
	Ended(ctx context.Context, stream media.StreamID, incarnation string) error
	// Lost is told of a recording of which nothing can be read any more. It may be
	// none that Began was told of.
	Lost(ctx context.Context, incarnation, why string) error
}

// Log keeps what is packaged of one incarnation. One goroutine calls; Read may be
// called by any. When it cannot write it answers with an error and the recorder
// goes on from memory, telling it each new part all the same.
type Log interface {
	// Rendition describes a rendition, before its first part and when it changed.
	Rendition(r *media.Rendition) error
	// Init keeps the initialisation section of an index.
	Init(rendition string, index int, init media.Init) error
	// Part keeps a part; a gap has no data. The extent of a gap is empty.
	Part(rendition string, p Part, data []byte) (media.Extent, error)
	// SegmentEnd tells that no further part of the segment comes.
	SegmentEnd(rendition string, msn uint64) error
	// Hole lists media that is missing although there may be parts: what was lost.
	Hole(rendition string, from, to media.Ticks, why string) error
	// Caption keeps a caption; Captions are those that were kept before it was resumed.
	Caption(c journal.Caption) error
	Captions() []journal.Caption
	// Epoch tells that another publisher session goes on.
	Epoch(e media.Epoch, at time.Time) error
	// Drop tells that segments before a number, with removed discontinuities in all,
	// are out of the window; a recording keeps them.
	Drop(before, removed uint64) error
	// Read opens bytes that were kept.
	Read(ctx context.Context, rendition string, e media.Extent) (io.ReadCloser, error)
	// Close is the last call but Read.
	Close(c Closing) error
}

// Closing says what becomes of an incarnation whose Log is closed.
type Closing uint8

// What becomes of an incarnation.
const (
	Ended     Closing = iota // nothing follows
	Suspended                // it may be resumed
	Forgotten                // all of it is deleted
)

// Part is what a Log is told of a part.
type Part struct {
	MSN    uint64
	Number int // in its segment, from 0
	Init   int // index of the initialisation section
	// Discontinuity tells, with part 0, that EXT-X-DISCONTINUITY stands before the
	// segment.
	Discontinuity bool
	Start         media.Ticks
	Duration      media.Ticks
	Independent   bool
	Lead          int64 // of an independent part: bytes to the end of its first picture
	Gap           bool
	Why           string // of a gap
}

// Start is what an incarnation begins with, and keeps.
type Start struct {
	Stream         media.StreamID
	Incarnation    string
	Start          time.Time // media time 0, UTC
	TargetDuration time.Duration
	PartTarget     time.Duration
	// Record tells that it becomes an asset; else it is kept for its window only.
	Record bool
}

// Logs opens Logs.
type Logs interface {
	Create(s Start) (Log, error)
	// Resume goes on with a stream's incarnation that was suspended, or interrupted by
	// a crash, with its last media not before since. The presentation is what there
	// is of it; nil when there is none.
	Resume(stream media.StreamID, since time.Time) (*media.Presentation, Log, error)
}

// Parts are the others that the recorder works with.
type Parts struct {
	Streams Streams
	// Policy of a stream: Record makes an asset of it, HLS packages it for live
	// playback; with neither it is left alone.
	Policy func(media.StreamID) media.Policy
	// Publishing reports whether a stream has a publisher, who may send nothing for as
	// long as he likes: the grace begins when he is gone. Nil: it begins with the last
	// packet.
	Publishing func(media.StreamID) bool
	Assets     Assets // nil: nobody keeps a catalogue
	// Logs keeps what is packaged; nil keeps it in memory only, as long as parts may
	// be asked for.
	Logs       Logs
	Logger     *slog.Logger          // nil is silent
	Registerer prometheus.Registerer // nil registers nowhere
}
