package sfu

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"

	"github.com/sluice-live/sluice/media"
	wires "github.com/sluice-live/sluice/media/bwe/link"
	"github.com/sluice-live/sluice/media/nack"
)

// piece is what one packet of video says of itself.
type piece struct {
	frame, index, of, layer int
	key                     bool
	ts                      uint32
}

func writePiece(b []byte, p piece) {
	b = b[vp8Head:]
	binary.BigEndian.PutUint32(b, uint32(p.frame))
	binary.BigEndian.PutUint16(b[4:], uint16(p.index))
	binary.BigEndian.PutUint16(b[6:], uint16(p.of))
	b[8], b[9] = byte(p.layer), 0
	if p.key {
		b[9] = 1
	}
}

func readPiece(b []byte) piece {
	b = b[vp8Head:]
	return piece{frame: int(binary.BigEndian.Uint32(b)), index: int(binary.BigEndian.Uint16(b[4:])), of: int(binary.BigEndian.Uint16(b[6:])), layer: int(b[8]), key: b[9] == 1}
}

type picture struct {
	at    time.Duration
	layer int
}

type wish struct {
	at    time.Time // zero: not asked for yet
	times int
}

// screen is a browser as Chromium behaves: it reports arrivals each 100 ms and
// receptions each second, asks for what is missing at once and again after each
// round trip, ten times, and shows what it can decode, in order.
type screen struct {
	v     *viewer
	start time.Time
	rx    *wires.Receiver
	rtt   time.Duration

	begun        bool
	newest, next int64
	pieces       map[int64]piece // of == 0: padding
	missing      map[int64]*wish
	broken       bool // what comes cannot be decoded until a key frame
	shown        []picture
	lastShown    time.Time
	asked        time.Time
	delay, base  time.Duration // playout delay that holds; least of arrival − media time
	firstTS      uint32

	firstSound int64
	sounds     map[int64]time.Duration // by number: when
	soundBase  time.Duration

	got     int64 // of video since the last report
	heardSR [2]struct {
		middle uint32
		at     time.Time
	}
	audioNewest, audioGot, audioWas int64
	videoWas                        int64
}

func newScreen(v *viewer, start time.Time) *screen {
	return &screen{v: v, start: start, rx: wires.NewReceiver(start, 0), rtt: 100 * ms, pieces: map[int64]piece{}, missing: map[int64]*wish{},
		broken: true, lastShown: start, base: time.Hour, sounds: map[int64]time.Duration{}, firstSound: -1, soundBase: time.Hour}
}

// receive takes one packet.
func (c *screen) receive(raw []byte, now time.Time) {
	var p rtp.Packet
	if p.Unmarshal(raw) != nil {
		panic("not RTP")
	}
	audio, video := c.v.tracks[media.AudioTrack], c.v.tracks[media.VideoTrack]
	ext := video.ext
	if p.SSRC == audio.ssrc {
		ext = audio.ext
	}
	if b := p.GetExtension(ext.TransportCC); len(b) == 2 {
		c.rx.Arrive(binary.BigEndian.Uint16(b), now)
	}
	switch p.SSRC {
	case audio.ssrc:
		c.sound(&p, audio, now)
	case video.ssrc:
		c.got++
		if b := p.GetExtension(video.ext.PlayoutDelay); len(b) == 3 {
			c.delay = time.Duration(int(b[0])<<4|int(b[1])>>4) * 10 * ms
		}
		c.take(p.SequenceNumber, p.Timestamp, p.Payload, now)
	case video.rtxSSRC:
		if len(p.Payload) > 2 {
			c.take(binary.BigEndian.Uint16(p.Payload), p.Timestamp, p.Payload[2:], now)
		}
	}
}

// sound takes a packet of sound, with the copies that travel along.
func (c *screen) sound(p *rtp.Packet, t *downTrack, now time.Time) {
	at := now.Sub(c.start)
	c.audioGot++
	if c.audioWas == 0 {
		c.audioWas = int64(p.SequenceNumber) - 1
	}
	c.audioNewest = max(c.audioNewest, int64(p.SequenceNumber))
	body := p.Payload
	if p.PayloadType == t.line.RED {
		for len(body)%(soundBytes) != 0 { // headers of copies
			body = body[1:]
		}
	}
	for ; len(body) >= soundBytes; body = body[soundBytes:] {
		n := int64(binary.BigEndian.Uint32(body[1:]))
		if c.firstSound < 0 {
			c.firstSound = n
		}
		if _, ok := c.sounds[n]; !ok && n >= c.firstSound {
			c.sounds[n] = at
			c.soundBase = min(c.soundBase, at-time.Duration(n)*20*ms)
		}
	}
}

// take takes a packet of video, first sent or sent again.
func (c *screen) take(seq uint16, ts uint32, payload []byte, now time.Time) {
	if !c.begun {
		c.begun, c.newest, c.next, c.firstTS, c.videoWas = true, 1<<20|int64(seq), 1<<20|int64(seq), ts, 1<<20|int64(seq)-1
	}
	n := c.newest + int64(int16(seq-uint16(c.newest)))
	for i := c.newest + 1; i < n; i++ {
		c.missing[i] = &wish{}
	}
	c.newest = max(c.newest, n)
	delete(c.missing, n)
	if n < c.next {
		return
	}
	var p piece
	if len(payload) > vp8Head {
		p = readPiece(payload)
		p.ts = ts
	}
	c.pieces[n] = p
	c.show(now)
}

// show takes whole frames in order, or goes on at a later whole key frame.
func (c *screen) show(now time.Time) {
	for {
		p, ok := c.pieces[c.next]
		if ok && p.of == 0 {
			c.next++
			continue
		}
		if ok && (!c.broken || p.key) && p.index == 0 && c.whole(c.next, p) {
			c.picture(p, now)
			c.next += int64(p.of)
			c.broken = false
			continue
		}
		jump := int64(-1)
		for n := c.next; n <= c.newest; n++ {
			if q, ok := c.pieces[n]; ok && q.key && q.index == 0 && q.of > 0 && c.whole(n, q) {
				jump = n
			}
		}
		if jump < 0 {
			return
		}
		c.next, c.broken = jump, true
	}
}

func (c *screen) whole(n int64, p piece) bool {
	for i := range int64(p.of) {
		if q, ok := c.pieces[n+i]; !ok || q.frame != p.frame || q.layer != p.layer {
			return false
		}
	}
	return true
}

func (c *screen) picture(p piece, now time.Time) {
	for n := range c.pieces {
		if n < c.next {
			delete(c.pieces, n)
		}
	}
	for n := range c.missing {
		if n < c.next {
			delete(c.missing, n)
		}
	}
	c.lastShown = now
	at, ts := now.Sub(c.start), time.Duration(int32(p.ts-c.firstTS))*time.Second/90_000
	c.base = min(c.base, at-ts)
	at = max(at, c.base+ts+c.delay)
	if n := len(c.shown); n > 0 {
		at = max(at, c.shown[n-1].at)
	}
	c.shown = append(c.shown, picture{at, p.layer})
}

// control takes what the server reports.
func (c *screen) control(packets []rtcp.Packet, now time.Time) {
	for _, packet := range packets {
		sr, ok := packet.(*rtcp.SenderReport)
		if !ok {
			continue
		}
		for i, t := range c.v.tracks {
			if t != nil && t.ssrc == sr.SSRC && i < 2 {
				c.heardSR[i].middle, c.heardSR[i].at = uint32(sr.NTPTime>>16), now
			}
		}
	}
}

// speak is what the browser sends now.
func (c *screen) speak(now time.Time) (out []rtcp.Packet) {
	at := now.Sub(c.start)
	video := c.v.tracks[media.VideoTrack]
	if at%(20*ms) == 0 {
		if seqs := c.asks(now); len(seqs) > 0 {
			out = append(out, &rtcp.TransportLayerNack{MediaSSRC: video.ssrc, Nacks: nack.Pairs(seqs, nil)})
		}
	}
	if at%(100*ms) == 0 {
		for _, cc := range c.rx.Report() {
			out = append(out, cc)
		}
	}
	if at%time.Second == 0 && c.begun {
		out = append(out, &rtcp.ReceiverReport{Reports: c.reports(now)})
	}
	// A first key frame is waited for for 200 ms, a further picture for three seconds.
	wait := 3 * time.Second
	if len(c.shown) == 0 {
		wait = 200 * ms
	}
	if c.begun && now.Sub(c.lastShown) > wait && now.Sub(c.asked) > wait {
		c.asked = now
		out = append(out, &rtcp.PictureLossIndication{MediaSSRC: video.ssrc})
	}
	return out
}

func (c *screen) asks(now time.Time) (seqs []uint64) {
	for n := c.next; n <= c.newest && len(seqs) < 64; n++ {
		w := c.missing[n]
		if w == nil || w.times >= 10 || now.Sub(w.at) < c.rtt {
			continue
		}
		w.at, w.times = now, w.times+1
		seqs = append(seqs, uint64(n))
	}
	return seqs
}

func (c *screen) reports(now time.Time) (out []rtcp.ReceptionReport) {
	expected, got := [2]int64{c.audioNewest - c.audioWas, c.newest - c.videoWas}, [2]int64{c.audioGot, c.got}
	c.audioWas, c.videoWas, c.audioGot, c.got = c.audioNewest, c.newest, 0, 0
	for i, t := range []*downTrack{c.v.tracks[media.AudioTrack], c.v.tracks[media.VideoTrack]} {
		r := rtcp.ReceptionReport{SSRC: t.ssrc}
		if expected[i] > 0 {
			r.FractionLost = uint8(max(0, 255*(expected[i]-got[i])/expected[i]))
		}
		if sr := c.heardSR[t.id]; !sr.at.IsZero() {
			r.LastSenderReport, r.Delay = sr.middle, uint32(now.Sub(sr.at).Seconds()*65536)
		}
		out = append(out, r)
	}
	if c.v.rtt > 0 { // as it tells it by its own extended reports
		c.rtt = max(20*ms, c.v.rtt)
	}
	return out
}

// freeze is the time in gaps over 200 ms within a stretch, and the longest.
func (c *screen) freeze(from, to time.Duration) (sum, longest time.Duration) {
	last := from
	for i := 0; i <= len(c.shown); i++ {
		at := to
		if i < len(c.shown) {
			if at = c.shown[i].at; at < from || at > to {
				continue
			}
		}
		if gap := at - last; gap > 200*ms {
			sum += gap
			longest = max(longest, gap)
		}
		last = at
	}
	return sum, longest
}

// gaps are the freezes of a stretch: when, and how long.
func (c *screen) gaps(from, to time.Duration) (out []string) {
	last := from
	for _, p := range c.shown {
		if p.at >= from && p.at < to {
			if p.at-last > 200*ms {
				out = append(out, fmt.Sprintf("%.2f+%d", last.Seconds(), (p.at-last)/ms))
			}
			last = p.at
		}
	}
	return out
}

// heights are the pictures per layer within a stretch.
func (c *screen) heights(from, to time.Duration) (n [3]int) {
	for _, p := range c.shown {
		if p.at >= from && p.at < to {
			n[p.layer]++
		}
	}
	return n
}

// soundDeadline is how late sound may be, above the shortest way.
const soundDeadline = 200 * ms

// concealed is the share of sound within a stretch that was not there in time.
func (c *screen) concealed(from, to time.Duration) float64 {
	late, all := 0, 0
	if c.firstSound < 0 {
		return 1
	}
	for n := c.firstSound; ; n++ {
		due := time.Duration(n)*20*ms + c.soundBase + soundDeadline
		if due >= to {
			break
		}
		if due < from+soundDeadline {
			continue
		}
		all++
		if at, ok := c.sounds[n]; !ok || at > due {
			late++
		}
	}
	return float64(late) / float64(max(1, all))
}

// first is when the first picture of a layer or below came, at or after a time; −1: never.
func (c *screen) first(from time.Duration, fits func(layer int) bool) time.Duration {
	for _, p := range c.shown {
		if p.at >= from && fits(p.layer) {
			return p.at - from
		}
	}
	return -1
}
