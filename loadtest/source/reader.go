package source

import "time"

// Unit is one frame or one audio packet whose time has come.
type Unit struct {
	Audio bool
	Layer int      // index into Media.Layers
	Index uint32   // counted per medium and layer from 0
	NALs  [][]byte // video; the stamp's SEI is not in it yet
	Opus  []byte   // audio
	Key   bool
	TS    uint32    // RTP timestamp from 0, in the medium's clock rate
	At    time.Time // when it is due
}

// Reader plays Media in a loop, layers side by side. It decides only: the
// caller waits. It is not safe for concurrent use.
type Reader struct {
	m     *Media
	start time.Time
	video uint32 // units given, per layer in turn
	layer int
	audio uint32
	place []int // next frame of each layer
	base  []int // display index at which the layer's current pass began, minus its file index
}

// NewReader starts playing at start.
func NewReader(m *Media, start time.Time) *Reader {
	return &Reader{m: m, start: start, place: make([]int, len(m.Layers)), base: make([]int, len(m.Layers))}
}

// Next returns the unit that is due next and goes on.
func (r *Reader) Next() Unit {
	frameAt := r.start.Add(time.Duration(r.video) * time.Second / FPS)
	audioAt := r.start.Add(time.Duration(r.audio) * AudioInterval)
	if len(r.m.Audio) > 0 && !audioAt.After(frameAt) {
		u := Unit{Audio: true, Index: r.audio, Opus: r.m.Audio[int(r.audio)%len(r.m.Audio)], TS: r.audio * 960, At: audioAt}
		r.audio++
		return u
	}
	u := r.frame()
	u.At = frameAt
	return u
}

func (r *Reader) frame() Unit {
	frames := r.m.Layers[r.layer].Frames
	if r.place[r.layer] == len(frames) {
		r.place[r.layer] = 0
		r.base[r.layer] = int(r.video)
	}
	i := r.place[r.layer]
	f := frames[i]
	display := r.base[r.layer] + f.Display + r.m.ReorderDepth
	u := Unit{Layer: r.layer, Index: r.video, NALs: f.NALs, Key: f.Key, TS: uint32(display) * (90000 / FPS)}
	r.place[r.layer] = i + 1
	if r.layer++; r.layer == len(r.m.Layers) {
		r.layer = 0
		r.video++
	}
	return u
}

// Key makes the layer's next frame a key frame, by going on at the file's next
// one, as an encoder would that is asked for it.
func (r *Reader) Key(layer int) {
	if layer < 0 || layer >= len(r.place) {
		return
	}
	frames := r.m.Layers[layer].Frames
	at := r.video
	if layer < r.layer {
		at++ // this round's frame of the layer is out already
	}
	for n := range frames {
		i := (r.place[layer] + n) % len(frames)
		if frames[i].Key {
			r.place[layer] = i
			r.base[layer] = int(at) - i
			return
		}
	}
}
