package hlsfallback

import (
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/media/webvtt"
)

// speaks reports whether a rendition has files of the kind that is asked for: text is in
// WebVTT, and in CMAF as long as DASH has it in segments.
func (v *visit) speaks() bool {
	switch v.file {
	case mediaList, iframeList:
		return true
	case initSection, segment:
		return v.vtt == (v.r.Kind == media.SubtitleRendition) || !v.vtt && !v.fixed()
	}
	return v.vtt == (v.r.Kind == media.SubtitleRendition)
}

// textSection serves the initialisation section of text in CMAF: there is one.
func (s *Server) textSection(w *reply, r *http.Request, v *visit) error {
	if v.init != "0" {
		return errMissing
	}
	b, err := webvtt.Section(v.r.Timescale, v.r.Language)
	if err != nil {
		return fmt.Errorf("%w: %w", errBytes, err)
	}
	return s.bytes(w, r, v, content{memory: [][]byte{b}, size: int64(len(b))})
}

// textChunk serves a segment of text in CMAF, made of the one in WebVTT: some kilobytes,
// and caches keep it.
func (s *Server) textChunk(w *reply, r *http.Request, v *visit, of *media.Segment) error {
	data, _, ok := inMemory(of)
	if !ok {
		return errMissing
	}
	f, err := webvtt.Parse(slices.Concat(data...))
	if err != nil {
		return fmt.Errorf("%w: %w", errBytes, err)
	}
	b, err := f.Chunk(webvtt.Span{Sequence: uint32(of.MSN), Timescale: v.r.Timescale, Start: int64(of.Start), Duration: int64(of.Duration)})
	if err != nil {
		return fmt.Errorf("%w: %w", errBytes, err)
	}
	return s.bytes(w, r, v, content{memory: [][]byte{b}, size: int64(len(b))})
}

// text serves all text of an ended rendition as one file, its times counted from the
// one in its name: the beginning of a period, where DASH clients count from (DASH-IF
// Interoperability Points 4.3, section 6.4.5).
func (s *Server) text(w *reply, r *http.Request, v *visit) error {
	if !v.p.Ended {
		return errMissing // its cues are not all there yet
	}
	all := &webvtt.File{}
	for _, one := range v.r.Segments {
		data, _, ok := inMemory(one)
		if !ok {
			continue
		}
		for _, b := range data {
			f, err := webvtt.Parse(b)
			if err != nil {
				return fmt.Errorf("%w: %w", errBytes, err)
			}
			all.Styles = f.Styles
			all.Cues = append(all.Cues, f.Cues...)
		}
	}
	b := webvtt.Append(nil, all.Shift(-time.Duration(v.first)*time.Millisecond), false)
	return s.bytes(w, r, v, content{memory: [][]byte{b}, size: int64(len(b))})
}
