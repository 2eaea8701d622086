package recorder_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/recorder"
	"github.com/sluice-live/sluice/recorder/journal"
)

const ms = time.Millisecond

// streams is the giver of packets: what a test pushes goes to who attached.
type streams struct {
	mu    sync.Mutex
	sinks map[media.StreamID]recorder.Sink
	asked []ask
	lost  int           // bursts, told with the next
	sleep time.Duration // of who asks next
}

type ask struct {
	track media.TrackID
	layer media.Layer
	at    time.Time
}

type feed struct {
	s  *streams
	id media.StreamID
}

func (s *streams) Attach(id media.StreamID, to recorder.Sink) (recorder.Feed, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sinks == nil {
		s.sinks = map[media.StreamID]recorder.Sink{}
	}
	s.sinks[id] = to
	return feed{s, id}, nil
}

func (s *streams) sink(id media.StreamID) recorder.Sink {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sinks[id]
}

func (f feed) Want(media.Demand) {}

func (f feed) RequestKeyFrame(t media.TrackID, l media.Layer) {
	f.s.mu.Lock()
	sleep := f.s.sleep
	f.s.sleep = 0
	f.s.mu.Unlock()
	<-time.After(sleep) // a bubble's time
	f.s.mu.Lock()
	defer f.s.mu.Unlock()
	f.s.asked = append(f.s.asked, ask{t, l, time.Now()})
}

// slow lets the next who asks for a key frame wait.
func (s *streams) slow(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sleep = d
}

func (f feed) Close() {
	f.s.mu.Lock()
	sink := f.s.sinks[f.id]
	delete(f.s.sinks, f.id)
	f.s.mu.Unlock()
	if sink != nil {
		sink.Close(media.ErrHangup)
	}
}

// wanted reports whether a key frame was asked for before at.
func (s *streams) wanted(t media.TrackID, l media.Layer, at time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, a := range s.asked {
		if a.track == t && a.layer == l && !a.at.After(at) {
			s.asked = append(s.asked[:i], s.asked[i+1:]...)
			return true
		}
	}
	return false
}

// shelf is a Logs in memory.
type shelf struct {
	mu    sync.Mutex
	files map[string]*bytes.Buffer // by incarnation and rendition
	fail  bool
	held  chan struct{}     // closed when the disk answers again
	sleep time.Duration     // of each part
	inits map[string][]byte // the newest, by rendition
	parts int
	gaps  []media.Gap
	ended []string
	names []string
	old   *media.Presentation // to be resumed
	known map[string]bool     // renditions that were described
	wrong []string            // calls before that
	said  []journal.Caption
}

// order notes a call about a rendition that nobody described.
func (f file) order(call, rendition string) {
	if name := f.incarnation + "/" + rendition; !f.known[name] {
		f.shelf.wrong = append(f.wrong, call+" of "+rendition)
	}
}

type file struct {
	*shelf
	incarnation string
}

var errFull = errors.New("no space left on device")

func (s *shelf) Create(st recorder.Start) (recorder.Log, error) {
	s.wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.files == nil {
		s.files = map[string]*bytes.Buffer{}
	}
	s.names = append(s.names, st.Incarnation)
	return file{s, st.Incarnation}, nil
}

func (s *shelf) Resume(media.StreamID, time.Time) (*media.Presentation, recorder.Log, error) {
	s.mu.Lock()
	p := s.old
	s.old = nil
	s.mu.Unlock()
	if p == nil { // that is known without the disk
		return nil, nil, nil
	}
	s.wait()
	return p, file{s, p.Incarnation}, nil
}

// hang lets every call wait, until the function that it returns is called.
func (s *shelf) hang() (release func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	held := make(chan struct{})
	s.held = held
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.held = nil
		close(held)
	}
}

// wait is what each call begins with.
func (s *shelf) wait() {
	s.mu.Lock()
	held := s.held
	s.mu.Unlock()
	if held != nil {
		<-held
	}
}

// slow lets each part take some time.
func (s *shelf) slow(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sleep = d
}

// size is how many bytes are kept.
func (s *shelf) size() (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, b := range s.files {
		n += b.Len()
	}
	return n
}

func (s *shelf) broken(is bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail = is
}

func (f file) Rendition(r *media.Rendition) error {
	f.wait()
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.known == nil {
		f.shelf.known = map[string]bool{}
	}
	f.known[f.incarnation+"/"+r.ID] = true
	return nil
}

func (f file) Init(rendition string, _ int, init media.Init) error {
	f.wait()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.order("section", rendition)
	if f.inits == nil {
		f.inits = map[string][]byte{}
	}
	f.inits[rendition] = init.Data
	return nil
}

func (f file) SegmentEnd(rendition string, _ uint64) error {
	f.wait()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.order("end of a segment", rendition)
	return nil
}

func (f file) Caption(c journal.Caption) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.shelf.said = append(f.said, c)
	return nil
}

func (f file) Captions() []journal.Caption {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.said
}

func (f file) Epoch(media.Epoch, time.Time) error { return nil }
func (f file) Drop(uint64, uint64) error          { return nil }

func (f file) Hole(rendition string, from, to media.Ticks, why string) error {
	f.wait()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.order("hole", rendition)
	f.shelf.gaps = append(f.gaps, media.Gap{Rendition: rendition, Start: span(rendition, from), End: span(rendition, to), Why: why})
	return nil
}

// span is a time in ticks of a rendition.
func span(rendition string, t media.Ticks) time.Duration {
	rate := media.Ticks(90000)
	if strings.HasPrefix(rendition, "audio") {
		rate = 48000
	}
	return time.Duration(t) * time.Second / time.Duration(rate)
}

func (f file) Part(rendition string, p recorder.Part, data []byte) (media.Extent, error) {
	f.wait()
	f.mu.Lock()
	sleep := f.sleep
	f.mu.Unlock()
	<-time.After(sleep) // a bubble's time
	f.mu.Lock()
	defer f.mu.Unlock()
	f.order("part", rendition)
	if p.Gap {
		return media.Extent{}, nil
	}
	if f.fail {
		return media.Extent{}, errFull
	}
	name := f.incarnation + "/" + rendition
	b := f.files[name]
	if b == nil {
		b = &bytes.Buffer{}
		f.files[name] = b
	}
	f.parts++
	e := media.Extent{Offset: int64(b.Len()), Size: int64(len(data))}
	b.Write(data)
	return e, nil
}

func (f file) Read(_ context.Context, rendition string, e media.Extent) (io.ReadCloser, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	b := f.files[f.incarnation+"/"+rendition]
	if b == nil || e.Offset+e.Size > int64(b.Len()) {
		return nil, media.ErrNotFound
	}
	return io.NopCloser(bytes.NewReader(bytes.Clone(b.Bytes()[e.Offset : e.Offset+e.Size]))), nil
}

func (f file) Close(c recorder.Closing) error {
	f.wait()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ended = append(f.ended, fmt.Sprint(f.incarnation, " ", c))
	return nil
}

// library is the catalogue.
type library struct {
	mu     sync.Mutex
	events []string
	refuse int
}

func (l *library) Began(_ context.Context, id media.StreamID, incarnation string, _ time.Time) error {
	return l.note("began " + string(id) + " " + incarnation)
}

func (l *library) Ended(_ context.Context, id media.StreamID, incarnation string) error {
	return l.note("ended " + string(id) + " " + incarnation)
}

func (l *library) Lost(_ context.Context, incarnation, why string) error {
	return l.note("lost " + incarnation + ": " + why)
}

func (l *library) heard() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.events
}

func (l *library) note(s string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.refuse > 0 {
		l.refuse--
		return errors.New("the database is away")
	}
	l.events = append(l.events, s)
	return nil
}

// sets are parameter sets of x264's baseline profile: 720p, 360p and 180p, 30 fps.
var sets = [][2]string{
	{"6742c01fd9005005bb0110000003001000000303c0f183248", "68cb83cb20"},
	{"6742c01ed900a02ff970110000030001000003003c0f162e48", "68cb83cb20"},
	{"6742c00dd901419f9f0110000003001000000303c0f142a48", "68cb83cb20"},
}

func unhex(s string) []byte {
	if len(s)%2 == 1 {
		s += "0"
	}
	b, err := hex.DecodeString(s)
	if err != nil {
		panic(err)
	}
	return b
}

// camera publishes one layer of pictures, or sound.
type camera struct {
	s      *streams
	id     media.StreamID
	epoch  media.Epoch
	track  media.TrackID
	layer  media.Layer
	size   int // index of sets
	every  time.Duration
	delay  time.Duration
	ppm    float64
	first  media.Ticks
	seq    uint64
	n      int
	begun  bool
	lose   func(n int) bool // frames that never arrive
	known  time.Duration    // from when on captured times are known
	wrong  time.Duration    // by which they are
	origin time.Time
	key    bool       // the next frame is one, asked or not
	also   []*streams // of other recorders that get the same packets
	heavy  int        // bytes of a picture more than usual
	ahead  []byte     // a unit before each picture
}

// wanted reports whether somebody asked for a key frame.
func (c *camera) wanted(at time.Time) bool {
	is := c.s.wanted(c.track, c.layer, at)
	for _, s := range c.also {
		is = s.wanted(c.track, c.layer, at) || is
	}
	return is
}

func (c *camera) rate() float64 {
	if c.track.Kind() == media.Audio {
		return 48000
	}
	return 90000
}

// shoot sends the frame that was captured at, delay later; the caller lets time pass.
func (c *camera) shoot(at time.Time) []*media.Packet {
	gone := at.Sub(c.origin).Seconds() * (1 + c.ppm/1e6)
	p := media.Packet{Epoch: c.epoch, Track: c.track, Layer: c.layer, TS: c.first + media.Ticks(gone*c.rate()+.5), Arrival: time.Now()}
	p.Capture = at.Add(c.wrong)
	if at.Sub(c.origin) < c.known { // what the node makes of arrivals
		p.Capture, p.Guessed = p.Arrival, true
	}
	var payloads [][]byte
	if c.track.Kind() == media.Audio {
		p.Codec = media.Opus
		payloads = [][]byte{append([]byte{0xfc, byte(c.n), byte(c.n >> 8)}, bytes.Repeat([]byte{7}, 60)...)}
	} else {
		p.Codec = media.H264
		if !c.begun || c.key || c.wanted(at.Add(-30*ms)) {
			c.begun, c.key = true, false
			payloads = [][]byte{unhex(sets[c.size][0]), unhex(sets[c.size][1]), append([]byte{0x65, 0x88, 0x84, byte(c.n)}, bytes.Repeat([]byte{9}, 900)...)}
		} else {
			payloads = [][]byte{append([]byte{0x41, 0x9a, 0x20, byte(c.n)}, bytes.Repeat([]byte{5}, 300+c.heavy)...)}
		}
	}
	if c.ahead != nil {
		payloads = slices.Insert(payloads, len(payloads)-1, c.ahead)
	}
	c.n++
	var out []*media.Packet
	for i, b := range payloads {
		q := p
		q.Seq, q.Payload = c.seq, b
		q.FrameStart, q.FrameEnd = i == 0, i == len(payloads)-1
		q.Marker = q.FrameEnd
		c.seq++
		out = append(out, &q)
	}
	if c.lose != nil && c.lose(c.n-1) {
		return nil
	}
	return out
}

func tracks(layers ...string) []media.TrackInfo {
	video := media.TrackInfo{ID: media.VideoTrack, Kind: media.Video, Codec: media.H264}
	for i, rid := range layers {
		video.Layers = append(video.Layers, media.LayerInfo{ID: media.Layer(i), RID: rid, Active: true})
	}
	audio := media.TrackInfo{ID: media.AudioTrack, Kind: media.Audio, Codec: media.Opus, Layers: []media.LayerInfo{{Active: true}}}
	return []media.TrackInfo{audio, video}
}

// check holds a presentation against the rules.
func check(t *testing.T, p *media.Presentation) {
	t.Helper()
	hard := map[uint64]bool{}
	seen := map[uint64]string{}
	for _, r := range p.Renditions {
		all := r.Segments
		if r.Open != nil {
			all = append(all[:len(all):len(all)], r.Open)
		}
		for i, s := range all {
			where := fmt.Sprintf("segment %d of %s", s.MSN, r.ID)
			if s.Start < 0 {
				t.Fatalf("%s begins before the presentation", where)
			}
			if i > 0 && (s.MSN != all[i-1].MSN+1 || s.Start != all[i-1].Start+all[i-1].Duration) {
				t.Fatalf("%s begins at %d behind segment %d, which ends at %d", where, s.Start, all[i-1].MSN, all[i-1].Start+all[i-1].Duration)
			}
			if s != r.Open && r.Time(s.Duration) > p.TargetDuration+500*ms {
				t.Fatalf("%s lasts %v", where, r.Time(s.Duration))
			}
			if who, known := seen[s.MSN]; known && s != r.Open && hard[s.MSN] != s.Discontinuity {
				t.Fatalf("%s: discontinuity %v, in %s %v", where, s.Discontinuity, who, hard[s.MSN])
			}
			seen[s.MSN], hard[s.MSN] = r.ID, s.Discontinuity
			if r.Kind == media.SubtitleRendition {
				continue // it has neither sections nor parts
			}
			if !s.Gap && s.Init >= len(r.Inits) {
				t.Fatalf("%s has initialisation section %d of %d", where, s.Init, len(r.Inits))
			}
			sum, size := media.Ticks(0), int64(0)
			for _, part := range s.Parts {
				if r.Time(part.Duration) > p.PartTarget+ms || part.Gap == (len(part.Data)+int(part.Extent.Size) > 0) {
					t.Fatalf("%s has a part of %v, gap %v, %d bytes", where, r.Time(part.Duration), part.Gap, len(part.Data))
				}
				sum, size = sum+part.Duration, size+part.Extent.Size
			}
			if s.Parts != nil && (sum != s.Duration || size != s.Extent.Size) {
				t.Fatalf("%s: %d ticks and %d bytes, its parts %d and %d", where, s.Duration, s.Extent.Size, sum, size)
			}
		}
	}
}
