package validate

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/Eyevinn/mp4ff/mp4"
)

// section is what is taken of an initialisation section.
type section struct {
	timescale uint32
	video     bool
	trex      *mp4.TrexBox
}

var errBoxes = errors.New("the boxes cannot be read")

// readSection parses an initialisation section.
func readSection(b []byte) (s section, err error) {
	defer guard(&err)
	f, err := mp4.DecodeFile(bytes.NewReader(b))
	if err != nil {
		return s, fmt.Errorf("%w: %w", errBoxes, err)
	}
	if f.Init == nil || f.Init.Moov == nil || len(f.Init.Moov.Traks) == 0 {
		return s, fmt.Errorf("%w: there is no moov with a track", errBoxes)
	}
	track := f.Init.Moov.Traks[0]
	if track.Mdia == nil || track.Mdia.Mdhd == nil || track.Mdia.Mdhd.Timescale == 0 {
		return s, fmt.Errorf("%w: there is no mdhd with a timescale", errBoxes)
	}
	s.timescale = track.Mdia.Mdhd.Timescale
	s.video = track.Mdia.Hdlr != nil && track.Mdia.Hdlr.HandlerType == "vide"
	if f.Init.Moov.Mvex != nil {
		s.trex = f.Init.Moov.Mvex.Trex
	}
	return s, nil
}

// guard turns a panic of the parser into an error: what is parsed comes from anybody.
func guard(err *error) {
	if what := recover(); what != nil {
		*err = fmt.Errorf("%w: %v", errBoxes, what)
	}
}

// chunk is what is taken of a part or segment.
type chunk struct {
	start, duration uint64 // ticks
	samples         int
	zero            int  // samples without a duration
	key             bool // the first sample is a sync sample
	broken          string
}

// nonSync is sample_is_non_sync_sample (ISO/IEC 14496-12 section 8.8.3.1). What a
// sync sample depends on need not be told.
const nonSync = 1 << 16

// readChunk parses the fragments of a part or segment.
func readChunk(b []byte, s section) (c chunk, err error) {
	defer guard(&err)
	f, err := mp4.DecodeFile(bytes.NewReader(b))
	if err != nil {
		return c, fmt.Errorf("%w: %w", errBoxes, err)
	}
	first := true
	for _, segment := range f.Segments {
		for _, fragment := range segment.Fragments {
			if err := c.add(fragment, s, first); err != nil {
				return c, err
			}
			first = false
		}
	}
	if first {
		return c, fmt.Errorf("%w: there is no moof", errBoxes)
	}
	return c, nil
}

func (c *chunk) add(f *mp4.Fragment, s section, first bool) error {
	if f.Moof == nil || f.Moof.Traf == nil || f.Moof.Traf.Tfdt == nil || f.Moof.Traf.Tfhd == nil {
		return fmt.Errorf("%w: a moof without traf, tfhd or tfdt", errBoxes)
	}
	if len(f.Moof.Trafs) > 1 {
		c.broken = "more than one track in a fragment"
	}
	at := f.Moof.Traf.Tfdt.BaseMediaDecodeTime()
	if first {
		c.start = at
	} else if at != c.start+c.duration {
		c.broken = fmt.Sprintf("a fragment's tfdt is %d, the one before ended at %d", at, c.start+c.duration)
	}
	for i, run := range f.Moof.Traf.Truns {
		run.AddSampleDefaultValues(f.Moof.Traf.Tfhd, s.trex)
		for k, sample := range run.GetSamples() {
			if first && i == 0 && k == 0 {
				flags, ok := run.FirstSampleFlags()
				if !ok {
					flags = sample.Flags
				}
				c.key = flags&nonSync == 0
			}
			if sample.Dur == 0 {
				c.zero++
			}
			c.duration += uint64(sample.Dur)
			c.samples++
		}
	}
	return nil
}
