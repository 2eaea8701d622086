package sfu

import (
	"time"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/media/bwe"
	"github.com/sluice-live/sluice/media/pace"
	"github.com/sluice-live/sluice/sfu/munge"
	"github.com/sluice-live/sluice/sfu/transport"
)

const (
	// overhead is what a packet takes on the wire besides its payload: IPv4, UDP,
	// RTP with the usual extensions, and the SRTP tag.
	overhead = 20 + 8 + 12 + 24 + 16
	// wire is what a built packet still gets on its way: IPv4, UDP and the SRTP tag.
	wire = 20 + 8 + 16
	// firstRate is the pace before the link has been measured, times the pacer's
	// factor; a fast start has its own. The first report comes within 150 ms.
	firstRate media.Bitrate = 1_500_000
	// latestWait is how long a frame may wait before a newer one is worth more;
	// longestWait is what a key frame may, which nothing replaces.
	latestWait, longestWait = 400 * time.Millisecond, 3 * time.Second
	// openLoss is the share of packets lost below which a link counts as one that
	// takes a frame at once.
	openLoss = 0.01
	// maxSpare is how many queues' memory a shard keeps for their next use, each of
	// some 5 KB.
	maxSpare = 16
	// maxQueued bounds a viewer's queue in packets; the pacer bounds it in time.
	maxQueued = 1024
	// padding is the payload of one probe packet: RTP padding counts in one byte.
	padding = 255
	// maxPadded is the size of one probe packet before it is sealed.
	maxPadded = 12 + 8 + padding
	// probeTime is when a probe that could not be sent is given up.
	probeTime = 500 * time.Millisecond
	// limitedTime is how long a link that was full counts as one whose limit is known.
	limitedTime = 30 * time.Second
	// limitedNews is how long a viewer's reports still speak of a full link.
	limitedNews = 2500 * time.Millisecond
	// mercyShare of what is sent, one in so many bytes, may be resent although the
	// estimate is used up; maxMercy is how much of it may be saved.
	mercyShare, maxMercy = 10, 15_000
	// adaptPause is the least time between two choices of a layer: reports come
	// each 50 to 100 ms.
	adaptPause = 20 * time.Millisecond
)

// outgoing is a packet on its way to one viewer: where its bytes are, and its
// numbers as the viewer sees them.
type outgoing struct {
	t      *downTrack
	p      *media.Packet
	out    munge.Out
	pt     uint8 // what it was numbered for: the track may turn to another codec while it waits
	rtx    uint8
	resend bool
	// switched: the packet is the first of a new source; skipped: it is not sent,
	// only its place in the numbering is closed.
	switched, skipped bool
	// what the selector said of SVC layers when it decided on this packet
	top     uint8
	targets uint8
	active  uint32
}

// queue holds what the pacer told to wait, oldest first.
type queue struct {
	items []outgoing
	first int
}

func (q *queue) len() int { return len(q.items) - q.first }

// put takes memory from spare for the first of them, which take gives back after the
// last: a viewer that nothing waits for holds none.
func (q *queue) put(o outgoing, spare *[][]outgoing) {
	if n := len(*spare); q.items == nil && n > 0 {
		q.items, *spare = (*spare)[n-1], (*spare)[:n-1]
	}
	q.items = append(q.items, o)
}

func (q *queue) head() *outgoing { return &q.items[q.first] }

func (q *queue) take(spare *[][]outgoing) outgoing {
	o := q.items[q.first]
	q.items[q.first] = outgoing{} // let the packet go
	if q.first++; q.first == len(q.items) {
		if len(*spare) < maxSpare {
			*spare = append(*spare, q.items[:0])
		}
		q.items, q.first = nil, 0
	}
	return o
}

// link is what is known of the way to one viewer, and what waits for it. A
// viewer that reports no arrivals (no transport-wide congestion control) has no
// estimator: it gets packets as they come. It belongs to the viewer's shard.
type link struct {
	estimator *bwe.Estimator
	pacer     *pace.Pacer
	seq       uint16 // transport-wide, of the next packet
	video     queue
	resends   queue
	probe     probe
	mercy     int // bytes of resends that may go beyond the estimate
	adapted   time.Time
	limited   time.Time      // when the link's limit was last felt
	thinAt    time.Time      // since when it carries no picture
	way       *transport.Way // that the estimate is of
	moved     bool           // to another address, of which nothing is known yet
}

func newLink() *link {
	paced := pace.DefaultConfig()
	paced.MaxWait = longestWait
	return &link{estimator: bwe.New(bwe.DefaultConfig()), pacer: pace.New(paced, firstRate)}
}

// follow begins a new estimate where the viewer has come to another address: by an
// ICE restart, or from one network to another. What was known of the old way is
// the first guess; the layer stays until the new one has been heard of.
func (v *viewer) follow(now time.Time) {
	if v.link == nil || v.conn == nil {
		return
	}
	if way := v.conn.Way(); way != nil && way != v.link.way {
		if old := v.link.way; old != nil && old.To.AddrPort() != way.To.AddrPort() {
			v.move(now)
		}
		v.link.way = way
	}
}

func (v *viewer) move(now time.Time) {
	cfg := bwe.DefaultConfig()
	cfg.Initial = v.link.estimator.State().Estimate
	v.link.estimator = bwe.New(cfg)
	v.link.moved, v.link.limited = true, time.Time{}
	v.rtt, v.firstSent = 0, now
}

// clear forgets what waits: it belongs to a source or codec that is over.
func (v *viewer) clear() {
	if v.link != nil && v.link.probe.left > 0 {
		v.link.probe.left = 0
		v.shard.pacing--
	}
	if !v.link.waiting() {
		return
	}
	v.shard.pacing--
	for _, q := range []struct {
		*queue
		kind pace.Kind
	}{{&v.link.video, pace.Video}, {&v.link.resends, pace.Resend}} {
		for q.len() > 0 {
			if o := q.take(&v.shard.spare); !o.skipped {
				v.link.pacer.Drop(len(o.p.Payload)+overhead, q.kind)
			}
		}
	}
}

// waiting reports whether something is queued.
func (l *link) waiting() bool { return l != nil && l.video.len()+l.resends.len() > 0 }

func (t *downTrack) pacing() pace.Kind {
	if t.kind == media.Audio {
		return pace.Audio
	}
	return pace.Video
}

// admit asks the pacer for one packet of a track.
//
// hot:
func (v *viewer) admit(t *downTrack, p *media.Packet, now time.Time) pace.Verdict {
	if v.link == nil {
		return pace.Now
	}
	if v.link.video.len() >= maxQueued {
		return pace.Refuse
	}
	// A key frame that has begun is sent whole, however long that takes: half of one
	// would be followed by the next half, and the viewer would never see a picture.
	if p.Key {
		t.keyTS = p.TS
	}
	if t.kind == media.Video && p.TS != t.keyTS && v.link.pacer.Waiting() > latestWait {
		return pace.Refuse
	}
	return v.link.pacer.Push(len(p.Payload)+overhead, t.pacing(), now)
}

// refused drops a track to its next key frame: what waits still goes out, so
// that the viewer's numbering has no hole.
func (v *viewer) refused(t *downTrack) {
	v.stats.dropped.Add(1)
	if t.selector != nil {
		t.selector.Resync()
	}
}

// hold queues a packet and makes the shard look at this viewer often.
func (v *viewer) hold(o outgoing) {
	if !v.link.waiting() {
		v.shard.pacing++
		v.shard.hasten(v)
	}
	if o.resend {
		v.link.resends.put(o, &v.shard.spare)
	} else {
		v.link.video.put(o, &v.shard.spare)
	}
}

// drain sends what is due of the queues.
func (v *viewer) drain(now time.Time) {
	if !v.link.waiting() {
		return
	}
	for {
		for v.link.video.len() > 0 && v.link.video.head().skipped {
			o := v.link.video.take(&v.shard.spare)
			v.closeUp(&o, now)
		}
		kind, ok := v.link.pacer.Due(now)
		if !ok {
			break
		}
		q := &v.link.video
		if kind == pace.Resend {
			q = &v.link.resends
		}
		if q.len() == 0 { // the pacer and we disagree: believe the queue
			v.link.pacer.Drop(0, kind)
			break
		}
		o := q.take(&v.shard.spare)
		v.link.pacer.Pop(len(o.p.Payload)+overhead, kind)
		if o.resend {
			v.emit(&o, now)
		} else {
			v.send(&o, now)
		}
	}
	if !v.link.waiting() {
		v.shard.pacing--
	}
}

// arrived takes an arrival report.
func (v *viewer) arrived(a bwe.Arrivals, now time.Time) {
	if v.link == nil {
		return
	}
	before := v.link.estimator.Target()
	v.link.estimator.Feedback(a, now)
	if now.Sub(v.link.adapted) >= adaptPause || v.link.estimator.Target() != before {
		v.adapt(now)
	}
}

func (v *viewer) repace(now time.Time) {
	state := v.link.estimator.State()
	rate := state.Target
	if !state.Measured {
		rate = max(rate, firstRate, v.replayRate())
	}
	if state.Why == bwe.Delayed || state.Why == bwe.Lossy {
		v.link.limited = now
	}
	if t := v.tracks[media.VideoTrack]; t != nil && t.stills {
		rate = rate * 3 / 4 // a still picture has time; sound has not
	}
	found := !v.link.limited.IsZero() && now.Sub(v.link.limited) < limitedTime
	v.link.pacer.SetFound(found)
	v.link.pacer.SetOpen(state.Measured && !found && !state.Congested && state.Loss < openLoss)
	v.link.pacer.SetRate(rate, state.Congested, now)
}

// limitedNow reports whether the link is full, or was a moment ago.
func (v *viewer) limitedNow(now time.Time) bool {
	return v.link != nil && (v.link.estimator.State().Congested || !v.link.limited.IsZero() && now.Sub(v.link.limited) < limitedNews)
}

// replayRate is what a fast start needs: the layer's rate, some times over.
func (v *viewer) replayRate() media.Bitrate {
	t := v.tracks[media.VideoTrack]
	if t == nil || !t.replaying {
		return 0
	}
	if info := v.src.info(t.id); info != nil {
		for _, l := range info.Layers {
			if l.ID == t.replayOf {
				return l.Bitrate * replaySpeed / 2 // the pacer's own factor does the rest
			}
		}
	}
	return 0
}

// lookFor begins a probe where one is due: to find out what nobody has sent yet.
func (v *viewer) lookFor(wanted media.Bitrate, now time.Time) {
	t := v.tracks[media.VideoTrack]
	l := v.link
	if l == nil || t == nil || t.rtx == 0 || t.ext.TransportCC == 0 || l.probe.left > 0 {
		return
	}
	if rate, bytes, ok := l.estimator.Probe(now, wanted); ok {
		l.probe = probe{left: bytes, rate: rate, at: now, begun: now}
		v.shard.pacing++
		v.shard.hasten(v)
		v.sendProbe(now)
	}
}

// probe is what is left to send of a probe, and how fast; media counts in.
type probe struct {
	left  int
	rate  media.Bitrate
	owed  float64 // bytes
	at    time.Time
	begun time.Time
}

// paddingOnly is a payload of padding; its last byte tells its length.
var paddingOnly = [padding]byte{padding - 1: padding}

// sendProbe sends what is due of a probe: RTX packets of nothing but padding,
// which viewers pass over.
func (v *viewer) sendProbe(now time.Time) {
	p := &v.link.probe
	if p.left <= 0 {
		return
	}
	t := v.tracks[media.VideoTrack]
	p.owed += float64(p.rate) / 8 * now.Sub(p.at).Seconds()
	p.at = now
	for p.owed >= 0 && p.left > 0 {
		const size = maxPadded + wire
		b := v.out.Room(maxPadded)
		if b == nil || t.rtx == 0 || now.Sub(p.begun) > probeTime {
			p.left = 0
			break
		}
		if v.link.pacer.Push(size, pace.Padding, now) == pace.Refuse {
			break // video waits: it carries the probe by itself
		}
		b = v.writePadding(b, t)
		v.out.Packet(b, paddingOnly[:])
		v.link.estimator.Sent(v.link.seq-1, len(b)+padding+wire, now, true)
		p.left -= len(b) + padding + wire
		p.owed -= float64(len(b) + padding + wire)
	}
	if p.left <= 0 {
		v.shard.pacing--
	}
}

// nextTransport gives the transport-wide number of one packet.
//
// hot:
func (v *viewer) nextTransport() uint16 {
	v.link.seq++
	return v.link.seq - 1
}

// hurry does what cannot wait for the next burst: fast start, and what is due
// of the queues.
func (v *viewer) hurry(now time.Time) {
	v.replay(now)
	if v.link == nil {
		return
	}
	v.drain(now)
	v.sendProbe(now)
	v.tell()
}

// hurries reports whether there is anything of that left.
func (v *viewer) hurries() bool {
	t := v.tracks[media.VideoTrack]
	return t != nil && t.replaying || v.link.waiting() || v.link != nil && v.link.probe.left > 0
}
