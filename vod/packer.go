package vod

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/media/language"
	"github.com/sluice-live/sluice/vod/fragment"
)

// packer takes one track of an upload as ffmpeg fragments it, and stores it as
// recordings are stored.
type packer struct {
	id     string
	stream probeStream
	video  bool
	shift  time.Duration // is taken off all times
	batch  *batch

	init   []byte
	track  fragment.Track
	moved  int64 // ticks that are taken off
	pieces []piece
}

// piece is one fragment, where it is stored.
type piece struct {
	start, duration media.Ticks
	key             bool
	lead            int64
	extent          media.Extent
}

// read takes the track to its end.
func (k *packer) read(ctx context.Context, r io.Reader) error {
	boxes := fragment.NewReader(r)
	var moof []byte
	for {
		kind, box, err := boxes.Next()
		if errors.Is(err, io.EOF) {
			return k.batch.flush(ctx)
		}
		if err != nil {
			return fmt.Errorf("repackage %s: %w", k.id, err)
		}
		switch kind {
		case "ftyp", "moov":
			k.init = append(k.init, box...)
			if kind == "moov" {
				if k.track, err = fragment.ParseInit(k.init); err != nil {
					return err
				}
			}
		case "moof":
			moof = box
		case "mdat":
			if err := k.add(ctx, moof, box); err != nil {
				return fmt.Errorf("repackage %s: %w", k.id, err)
			}
			moof = nil
		}
	}
}

// maxPieces bounds what timestamps from outside can make of a file: it is ten days of
// pieces of 0.2 s.
const maxPieces = 1 << 22

func (k *packer) add(ctx context.Context, moof, mdat []byte) error {
	f, err := fragment.Parse(moof, k.track)
	if err != nil {
		return err
	}
	if len(k.pieces) == 0 {
		k.moved = min(int64(f.Start), int64(k.shift.Seconds()*float64(k.track.Timescale)))
	}
	if err := fragment.Move(moof, f, -k.moved); err != nil {
		return err
	}
	// Between key frames too, when there are none for long: what is held is memory.
	if held := k.batch.held.Len(); f.Key && held > maxVolume || held > 2*maxVolume {
		if err := k.batch.flush(ctx); err != nil {
			return err
		}
	}
	if len(k.pieces) >= maxPieces {
		return fmt.Errorf("%w: it is cut into more than %d pieces", fragment.ErrBad, maxPieces)
	}
	at := int64(k.batch.held.Len())
	k.batch.held.Write(moof)
	k.batch.held.Write(mdat)
	k.pieces = append(k.pieces, piece{
		start: media.Ticks(int64(f.Start) - k.moved), duration: media.Ticks(f.Duration), key: f.Key, lead: fragment.Lead(moof, f),
		extent: media.Extent{Volume: k.batch.volume, Offset: at, Size: int64(len(moof) + len(mdat))},
	})
	return nil
}

const (
	// segmentLong is from which length on a segment ends at the next key frame;
	// segmentMost is where it ends in any case.
	segmentLong = 2 * time.Second
	segmentMost = 8 * time.Second
)

// rendition groups the pieces into segments. Those of sound begin where those of
// the picture (cuts) do, give or take a piece.
func (k *packer) rendition(cuts []time.Duration) *media.Rendition {
	kind := media.AudioRendition
	if k.video {
		kind = media.VideoRendition
	}
	r := &media.Rendition{
		ID: k.id, Kind: kind, Codec: k.track.Codec, Timescale: k.track.Timescale, Width: k.track.Width, Height: k.track.Height,
		Channels: k.track.Channels, Name: k.stream.Tags.Title, Default: k.stream.Disposition.Default == 1,
		Inits: []media.Init{{Codec: k.track.Codec, Width: k.track.Width, Height: k.track.Height, Data: k.init}},
	}
	if k.video {
		r.FPS = k.stream.rate()
	}
	r.Language, _ = language.Parse(k.stream.Tags.Language) // files have three letters, playlists two where there are
	if r.Name == "" && !k.video {
		r.Name = media.LanguageName(strings.ToLower(r.Language))
	}
	next := 1 // the cut that is waited for
	for _, p := range k.pieces {
		if s := last(r); s == nil || k.ends(r, s, p, cuts, &next) {
			r.Segments = append(r.Segments, &media.Segment{
				MSN: uint64(len(r.Segments)), Start: p.start, Independent: p.key, Extent: media.Extent{Volume: p.extent.Volume, Offset: p.extent.Offset}, Lead: p.lead,
			})
		}
		s := last(r)
		s.Duration, s.Extent.Size = p.start+p.duration-s.Start, p.extent.Offset+p.extent.Size-s.Extent.Offset
	}
	r.Mean, r.Bandwidth = rates(r)
	return r
}

func last(r *media.Rendition) *media.Segment {
	if len(r.Segments) == 0 {
		return nil
	}
	return r.Segments[len(r.Segments)-1]
}

// ends reports whether a segment ends before a piece.
func (k *packer) ends(r *media.Rendition, s *media.Segment, p piece, cuts []time.Duration, next *int) bool {
	if p.extent.Volume != s.Extent.Volume {
		return true
	}
	length, with := r.Time(p.start-s.Start), r.Time(p.start+p.duration-s.Start)
	if k.video || cuts == nil {
		return (p.key && length >= segmentLong*3/4) || with > segmentMost
	}
	if *next < len(cuts) && r.Time(p.start+p.duration/2) >= cuts[*next] {
		for *next < len(cuts) && r.Time(p.start+p.duration/2) >= cuts[*next] {
			(*next)++
		}
		return true
	}
	return *next >= len(cuts) && length >= segmentMost
}

// rates are the mean and the peak, over single segments of at least half the usual
// length.
func rates(r *media.Rendition) (mean, peak media.Bitrate) {
	var size int64
	var total time.Duration
	for _, s := range r.Segments {
		if s.Gap || s.Extent.Size == 0 {
			continue
		}
		d := r.Time(s.Duration)
		size, total = size+s.Extent.Size, total+d
		if d >= segmentLong/2 {
			peak = max(peak, media.Bitrate(float64(s.Extent.Size*8)/d.Seconds()))
		}
	}
	if total > 0 {
		mean = media.Bitrate(float64(size*8) / total.Seconds())
	}
	return mean, max(peak, mean)
}

// presentation is what an upload has become.
func (l *loading) presentation() *media.Presentation {
	p := &media.Presentation{
		Stream: l.asset.Stream, Incarnation: l.asset.ID, Version: 1, Start: l.asset.Started, PartTarget: 500 * time.Millisecond, Ended: true,
	}
	var cuts []time.Duration
	longest := time.Second
	for _, k := range l.tracks {
		if len(k.pieces) == 0 {
			continue
		}
		r := k.rendition(cuts)
		if k.video {
			for _, s := range r.Segments {
				cuts = append(cuts, r.Time(s.Start))
			}
		}
		for _, s := range r.Segments {
			longest = max(longest, r.Time(s.Duration))
		}
		// No two of a group may have one name (RFC 8216bis section 4.4.6.1.1).
		if r.Name != "" && slices.ContainsFunc(p.Renditions, func(o *media.Rendition) bool { return o.Kind == r.Kind && o.Name == r.Name }) {
			r.Name += " " + strings.TrimPrefix(r.ID, "audio-")
		}
		p.Renditions = append(p.Renditions, r)
	}
	// The target duration is the longest segment, rounded to whole seconds (RFC
	// 8216bis section 4.4.3.1).
	p.TargetDuration = longest.Round(time.Second)
	return p
}
