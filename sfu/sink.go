package sfu

import (
	"slices"
	"sync"
	"sync/atomic"

	"github.com/sluice-live/sluice/media"
)

// sinkQueue is how many bursts a sink may lag: at one burst per millisecond at
// the worst, 10 s.
const sinkQueue = 10_000

// Sink takes a stream's packets: the recorder, a relay, a tool. Its methods are
// called by one goroutine, in order, and may block.
type Sink interface {
	// Tracks says what the packets of an epoch will be; it comes first, and again
	// when tracks or layers change.
	Tracks(e media.Epoch, tracks []media.TrackInfo)
	// Write takes a burst. Packets without payload are among it: they only tell that
	// their number is not missing. Lost tells how many bursts were dropped before it
	// because the sink was too slow.
	Write(burst []*media.Packet, lost int)
	// Close is the last call.
	Close(why error)
}

// Feed is a Sink's hold on its stream.
type Feed interface {
	Want(d media.Demand)
	RequestKeyFrame(t media.TrackID, l media.Layer)
	Close()
}

// parcel is a delivery, and how many bursts were dropped right before it.
type parcel struct {
	delivery
	lost int
}

type sink struct {
	st    *stream
	to    Sink
	queue chan parcel
	want  atomic.Pointer[media.Demand]
	lost  atomic.Int64
	done  chan struct{}
	once  sync.Once
	why   error
}

// Attach connects a sink to a stream, whether or not it is live.
func (s *SFU) Attach(id media.StreamID, to Sink) (Feed, error) {
	st, err := s.admit(id)
	if err != nil {
		return nil, err
	}
	defer st.pending.Add(-1)
	k := &sink{st: st, to: to, queue: make(chan parcel, sinkQueue), done: make(chan struct{})}
	k.want.Store(&media.Demand{Audio: true, Video: true})
	st.mu.Lock()
	st.sinks = append(st.sinks, k)
	st.shareSinks()
	st.mu.Unlock()
	st.wake()
	s.running.Go(k.run) // ended by Close, or by s.base
	return k, nil
}

// shareSinks publishes the list to the publisher's goroutine. The caller holds st.mu.
func (st *stream) shareSinks() {
	sinks := slices.Clone(st.sinks)
	st.fan.Store(&sinks)
}

// offer hands a burst over; a full queue drops it, and the next one that finds room
// tells how many.
func (k *sink) offer(src *source, burst []*media.Packet) {
	lost := k.lost.Swap(0)
	select {
	case k.queue <- parcel{delivery{k.st, src, burst}, int(lost)}:
	default:
		k.lost.Add(lost + 1)
	}
}

// Want narrows what the sink gets from now on.
func (k *sink) Want(d media.Demand) {
	k.want.Store(&d)
	k.st.wake()
}

// wake lets the publisher look at what is wanted now.
func (st *stream) wake() {
	if src := st.current.Load(); src != nil {
		src.tally.wake()
	}
}

// RequestKeyFrame asks the publisher for a key frame of one layer.
func (k *sink) RequestKeyFrame(t media.TrackID, l media.Layer) {
	if src := k.st.current.Load(); src != nil {
		src.ask(t, l)
	}
}

// Close ends the feed; Sink.Close follows.
func (k *sink) Close() { k.end(media.ErrHangup) }

func (k *sink) end(why error) {
	k.once.Do(func() {
		k.why = why
		close(k.done)
		k.st.mu.Lock()
		k.st.sinks = slices.DeleteFunc(k.st.sinks, func(o *sink) bool { return o == k })
		k.st.shareSinks()
		k.st.mu.Unlock()
	})
}

func (k *sink) run() {
	var known *[]media.TrackInfo
	lost := 0
	defer func() { k.to.Close(k.why) }()
	for {
		select {
		case <-k.done:
			return
		case <-k.st.sfu.base.Done():
			k.end(media.ErrShuttingDown)
			return
		case d := <-k.queue:
			if tracks := d.src.tracks.Load(); tracks != nil && tracks != known {
				known = tracks
				k.to.Tracks(d.src.epoch, *tracks)
			}
			lost += d.lost
			if burst := wanted(d.burst, k.want.Load()); len(burst) > 0 {
				k.to.Write(burst, lost)
				lost = 0
			}
		}
	}
}

// wanted returns the packets that the demand covers, and places without payload.
func wanted(burst []*media.Packet, d *media.Demand) []*media.Packet {
	var some []*media.Packet
	for _, p := range burst {
		video := p.Codec.Kind() == media.Video
		covered := video && d.Video && (len(d.Layers) == 0 || slices.Contains(d.Layers, p.Layer)) || !video && d.Audio
		if covered {
			some = append(some, p)
		}
	}
	return some
}
