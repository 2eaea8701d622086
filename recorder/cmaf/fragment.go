package cmaf

import "encoding/binary"

// fragment is what a moof box tells of its only track.
type fragment struct {
	size     int // of the box
	sequence uint32
	decode   uint64
	timed    bool // there was a tfdt
	offset   int64
	samples  []entry
	defaults entry
	bytes    int64
}

// entry is a sample in its table.
type entry struct {
	duration, size uint32
	offset         int32
	key            bool
}

// ParsePart reads a part; the samples' data are slices of b. Events and the time
// of capture are left out.
func ParsePart(b []byte) (Part, error) {
	p := Part{}
	for len(b) > 0 {
		kind, body, rest, err := cut(b)
		if err != nil {
			return Part{}, err
		}
		switch kind {
		case "styp":
			p.Segment = true
		case "moof":
			f, err := parseMoof(body)
			if err != nil {
				return Part{}, err
			}
			kind, media, rest, err := cut(rest)
			if err != nil || kind != "mdat" || !f.fits(int64(len(media))) || len(rest) > 0 {
				return Part{}, ErrTorn
			}
			p.take(&f, media[f.offset-int64(f.size)-8:])
			return p, nil
		case "prft", "emsg", "sidx", "free", "skip":
		default:
			return Part{}, ErrTorn
		}
		b = rest
	}
	return Part{}, ErrTorn
}

// take cuts the samples out of the media data.
func (p *Part) take(f *fragment, media []byte) {
	p.Sequence, p.Decode = f.sequence, f.decode
	p.Samples = make([]Sample, len(f.samples))
	for i, x := range f.samples {
		p.Samples[i] = Sample{Data: media[:x.size:x.size], Duration: x.duration, Offset: x.offset, Key: x.key}
		media = media[x.size:]
	}
}

// cut takes the first box off.
func cut(b []byte) (kind string, body, rest []byte, err error) {
	if len(b) < 8 {
		return "", nil, nil, ErrTorn
	}
	size := binary.BigEndian.Uint32(b)
	if size < 8 || uint64(size) > uint64(len(b)) {
		return "", nil, nil, ErrTorn
	}
	return string(b[4:8]), b[8:size], b[size:], nil
}

// fits reports whether the samples lie in an mdat box right behind, with a body of
// so many bytes.
func (f *fragment) fits(size int64) bool {
	start := f.offset - int64(f.size) - 8
	return len(f.samples) > 0 && start >= 0 && start+f.bytes <= size
}

// parseMoof reads the body of a moof box with one traf, whose data are in the mdat
// that follows.
func parseMoof(body []byte) (fragment, error) {
	f := fragment{size: len(body) + 8}
	tracks := 0
	for len(body) > 0 {
		kind, inner, rest, err := cut(body)
		if err != nil {
			return fragment{}, err
		}
		switch kind {
		case "mfhd":
			if len(inner) < 8 {
				return fragment{}, ErrTorn
			}
			f.sequence = binary.BigEndian.Uint32(inner[4:])
		case "traf":
			if tracks++; tracks > 1 {
				return fragment{}, ErrTorn
			}
			if err := f.traf(inner); err != nil {
				return fragment{}, err
			}
		}
		body = rest
	}
	if !f.timed || len(f.samples) == 0 {
		return fragment{}, ErrTorn
	}
	return f, nil
}

func (f *fragment) traf(body []byte) error {
	for len(body) > 0 {
		kind, inner, rest, err := cut(body)
		if err != nil {
			return err
		}
		switch kind {
		case "tfhd":
			err = f.tfhd(inner)
		case "tfdt":
			err = f.tfdt(inner)
		case "trun":
			err = f.trun(inner)
		}
		if err != nil {
			return err
		}
		body = rest
	}
	return nil
}

func (f *fragment) tfdt(body []byte) error {
	c := fields{b: body}
	if version := c.u32() >> 24; version == 0 {
		f.decode = uint64(c.u32())
	} else {
		f.decode = uint64(c.u32())<<32 | uint64(c.u32())
	}
	f.timed = true
	return c.err()
}

func (f *fragment) tfhd(body []byte) error {
	c := fields{b: body}
	flags := c.u32()
	c.u32() // the track
	if flags&tfhdBaseOffset != 0 {
		return ErrTorn // CMAF wants default-base-is-moof
	}
	if flags&tfhdDescription != 0 {
		c.u32()
	}
	f.defaults.key = true
	if flags&tfhdDuration != 0 {
		f.defaults.duration = c.u32()
	}
	if flags&tfhdSize != 0 {
		f.defaults.size = c.u32()
	}
	if flags&tfhdFlags != 0 {
		f.defaults.key = c.u32()&sampleNotSync == 0
	}
	return c.err()
}

// trun reads a table of samples; a second one goes on behind the first.
func (f *fragment) trun(body []byte) error {
	c := fields{b: body}
	flags, count := c.u32(), c.u32()
	if uint64(count)+uint64(len(f.samples)) > MaxSamples {
		return ErrTorn
	}
	if flags&trunDataOffset != 0 {
		offset := int64(int32(c.u32()))
		if len(f.samples) > 0 && offset != f.offset+f.bytes {
			return ErrTorn
		}
		if len(f.samples) == 0 {
			f.offset = offset
		}
	}
	first, has := f.defaults.key, false
	if flags&trunFirstFlags != 0 {
		first, has = c.u32()&sampleNotSync == 0, true
	}
	for i := range count {
		x := f.defaults
		if flags&trunDuration != 0 {
			x.duration = c.u32()
		}
		if flags&trunSize != 0 {
			x.size = c.u32()
		}
		if flags&trunFlags != 0 {
			x.key = c.u32()&sampleNotSync == 0
		}
		if i == 0 && has {
			x.key = first
		}
		if flags&trunOffset != 0 {
			x.offset = int32(c.u32())
		}
		if x.size == 0 || x.size > MaxSample || x.duration == 0 {
			return ErrTorn
		}
		f.bytes += int64(x.size)
		f.samples = append(f.samples, x)
	}
	if f.bytes > MaxPart {
		return ErrTorn
	}
	return c.err()
}

// fields reads numbers; beyond the end it gives 0 and remembers.
type fields struct {
	b     []byte
	short bool
}

func (c *fields) u32() uint32 {
	if len(c.b) < 4 {
		c.b, c.short = nil, true
		return 0
	}
	v := binary.BigEndian.Uint32(c.b)
	c.b = c.b[4:]
	return v
}

func (c *fields) err() error {
	if c.short {
		return ErrTorn
	}
	return nil
}
