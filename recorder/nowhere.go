package recorder

import (
	"context"
	"io"
	"time"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/recorder/journal"
)

// nowhere is a Log that keeps nothing.
type nowhere struct{}

func (nowhere) Rendition(*media.Rendition) error                    { return nil }
func (nowhere) Init(string, int, media.Init) error                  { return nil }
func (nowhere) Part(string, Part, []byte) (media.Extent, error)     { return media.Extent{}, nil }
func (nowhere) SegmentEnd(string, uint64) error                     { return nil }
func (nowhere) Hole(string, media.Ticks, media.Ticks, string) error { return nil }
func (nowhere) Caption(journal.Caption) error                       { return nil }
func (nowhere) Captions() []journal.Caption                         { return nil }
func (nowhere) Epoch(media.Epoch, time.Time) error                  { return nil }
func (nowhere) Drop(uint64, uint64) error                           { return nil }
func (nowhere) Close(Closing) error                                 { return nil }
func (nowhere) Read(context.Context, string, media.Extent) (io.ReadCloser, error) {
	return nil, media.ErrNotFound
}
