package webvtt

import (
	"bytes"
	"fmt"
	"hash/crc32"
	"slices"
	"time"

	"github.com/Eyevinn/mp4ff/mp4"
)

// CMAF is the codecs parameter of text in CMAF (ISO/IEC 14496-30 section 6).
const CMAF = "wvtt"

// trackID is that of every track in a file of its own.
const trackID = 1

// Section returns the initialisation section of text in CMAF: its timescale is in ticks
// per second, its language a tag of RFC 5646.
func Section(timescale uint32, language string) ([]byte, error) {
	whole := mp4.CreateEmptyInit()
	if language == "" {
		language = "und"
	}
	track := whole.AddEmptyTrack(timescale, "wvtt", language)
	if err := track.SetWvttDescriptor(""); err != nil {
		return nil, fmt.Errorf("write the section of text: %w", err)
	}
	var b bytes.Buffer
	if err := whole.Encode(&b); err != nil {
		return nil, fmt.Errorf("write the section of text: %w", err)
	}
	return b.Bytes(), nil
}

// Span is a segment of text: from Start for Duration, in ticks of Timescale.
type Span struct {
	Sequence        uint32
	Timescale       uint32 // ticks per second
	Start, Duration int64
}

// Chunk writes the cues of a segment in CMAF (ISO/IEC 14496-30 section 6.6): samples lie
// side by side without a hole, each with all cues that are shown during it, or with the
// box that says that there is none. A cue that outlasts a sample is in the next one too,
// under the same source, by which players know that it is one.
func (f *File) Chunk(s Span) ([]byte, error) {
	fragment, err := mp4.CreateFragment(s.Sequence, trackID)
	if err != nil {
		return nil, fmt.Errorf("write text: %w", err)
	}
	edges := f.edges(s)
	for i := range len(edges) - 1 {
		data, err := f.sample(s, edges[i], edges[i+1])
		if err != nil {
			return nil, err
		}
		fragment.AddFullSample(mp4.FullSample{
			Sample:     mp4.Sample{Flags: mp4.SyncSampleFlags, Dur: uint32(edges[i+1] - edges[i]), Size: uint32(len(data))},
			DecodeTime: uint64(edges[i]), Data: data,
		})
	}
	segment := mp4.NewMediaSegmentWithStyp(mp4.NewStyp("msdh", 0, []string{"msdh", "cmfs"}))
	segment.AddFragment(fragment)
	var b bytes.Buffer
	if err := segment.Encode(&b); err != nil {
		return nil, fmt.Errorf("write text: %w", err)
	}
	return b.Bytes(), nil
}

// edges are where what is shown changes, with both ends of the segment.
func (f *File) edges(s Span) []int64 {
	all := []int64{s.Start, s.Start + s.Duration}
	for i := range f.Cues {
		for _, d := range []time.Duration{f.Cues[i].Start, f.Cues[i].End} {
			if t := s.ticks(d); t > s.Start && t < s.Start+s.Duration {
				all = append(all, t)
			}
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// ticks are exact for the whole milliseconds of WebVTT: no time is so long that it would
// overflow before its hours have seven digits.
func (s Span) ticks(d time.Duration) int64 { return d.Milliseconds() * int64(s.Timescale) / 1000 }

// sample is what is shown between two edges.
func (f *File) sample(s Span, from, to int64) ([]byte, error) {
	var b bytes.Buffer
	for i := range f.Cues {
		c := &f.Cues[i]
		if s.ticks(c.Start) >= to || s.ticks(c.End) <= from {
			continue
		}
		box := &mp4.VttcBox{}
		box.AddChild(&mp4.VsidBox{SourceID: c.source()})
		if c.ID != "" {
			box.AddChild(&mp4.IdenBox{CueID: c.ID})
		}
		if c.Settings != "" {
			box.AddChild(&mp4.SttgBox{Settings: c.Settings})
		}
		box.AddChild(&mp4.PaylBox{CueText: c.Text})
		if err := box.Encode(&b); err != nil {
			return nil, fmt.Errorf("write text: %w", err)
		}
	}
	if b.Len() == 0 {
		if err := (&mp4.VtteBox{}).Encode(&b); err != nil {
			return nil, fmt.Errorf("write text: %w", err)
		}
	}
	return b.Bytes(), nil
}

// source tells cues apart: the same in every segment that a cue is in. It has 31 bits,
// as the box holds a signed number.
func (c *Cue) source() uint32 {
	return crc32.ChecksumIEEE(appendCue(nil, c)) & (1<<31 - 1)
}
