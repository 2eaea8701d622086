package sfu

import (
	"bytes"
	"testing"
	"time"

	"github.com/pion/rtp"
	"pgregory.net/rapid"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/sfu/red"
)

// redundant is a RED packet of a browser: its own sound and copies of that many before it.
func redundant(line uint8, seq uint16, copies int) *rtp.Packet {
	p := opus(seq, 111)
	var earlier []*media.Packet
	for i := copies; i > 0; i-- {
		before := opus(seq-uint16(i), 111)
		earlier = append(earlier, &media.Packet{TS: 1<<32 + media.Ticks(seq)*960 - media.Ticks(i)*960, Payload: before.Payload})
	}
	p.PayloadType = line
	p.Payload = red.Append(nil, 111, &media.Packet{TS: 1<<32 + media.Ticks(seq)*960, Payload: p.Payload}, earlier...)
	return p
}

// heard is the sound that a viewer was sent: the second byte of each payload is the low byte of the publisher's number.
func (b *bench) heard(t testing.TB) (all []*rtp.Packet) {
	for _, raw := range b.out.sent {
		if p := parse(t, raw); p.SSRC == b.v.tracks[media.AudioTrack].ssrc {
			all = append(all, p)
		}
	}
	return all
}

// Each packet that is lost on the way to us is in the next one: viewers get all of them, in order, as plain Opus.
func TestLostSoundOfAPublisherIsInTheNextPacket(t *testing.T) {
	b := newBench(t, "chromium-156-whip-AV1-x3.offer.sdp", true)
	line := b.pub.remote.Audio()
	if line.RED != 63 {
		t.Fatalf("RED is %d", line.RED)
	}
	const n = 300
	for i := range uint16(n) {
		b.now = b.now.Add(20 * time.Millisecond)
		if i%5 != 3 {
			b.feed(redundant(63, i, 1))
		}
	}
	got := b.heard(t)
	if len(got) != n {
		t.Fatalf("%d of %d packets", len(got), n)
	}
	for i, p := range got {
		if p.Payload[1] != byte(i) || len(p.Payload) != 5 || p.PayloadType != 111 || p.SequenceNumber != got[0].SequenceNumber+uint16(i) || p.Timestamp != got[0].Timestamp+uint32(i)*960 {
			t.Fatalf("packet %d: %+v", i, p)
		}
	}
	if lost, repaired := b.pub.repairs(media.AudioTrack); lost != 0 || repaired != n/5 {
		t.Errorf("%d lost, %d repaired", lost, repaired)
	}
	if u := b.pub.at(media.AudioTrack, 0); u.books.LossRatio(b.now) < 0.1 {
		t.Errorf("the report to the publisher says %v", u.books.LossRatio(b.now))
	}
}

// Whatever is lost, late or doubled, with or without copies: what came, itself or as a copy, is sent once, under the
// number and time that it had.
func TestCopiesTakeTheirOwnPlaces(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		b := newBench(t, "chromium-156-whip-AV1-x3.offer.sdp", true)
		b.v.link = nil
		type coming struct {
			p  *rtp.Packet
			at int
		}
		n := rapid.IntRange(5, 120).Draw(rt, "packets")
		first := uint16(rapid.IntRange(0, 65535).Draw(rt, "first"))
		came := map[uint16]bool{}
		var waiting []coming
		for i := range n {
			copies := rapid.IntRange(0, 2).Draw(rt, "copies")
			if i == 0 {
				copies = 0
			}
			p := redundant(63, first+uint16(i), min(i, copies))
			p.Timestamp = uint32(i)*960 - 30_000
			switch what := rapid.IntRange(0, 9).Draw(rt, "fate"); {
			case i > 0 && what < 2: // lost
			case i > 0 && what == 2:
				waiting = append(waiting, coming{p, i + rapid.IntRange(1, 4).Draw(rt, "late")})
			case what == 3:
				waiting = append(waiting, coming{p, i}, coming{p, i + 2})
			default:
				waiting = append(waiting, coming{p, i})
			}
			left := waiting[:0]
			for _, c := range waiting {
				if c.at > i && i < n-1 {
					left = append(left, c)
					continue
				}
				came[c.p.SequenceNumber] = true
				b.now = b.now.Add(5 * time.Millisecond)
				b.feed(c.p)
			}
			waiting = left
			b.now = b.now.Add(15 * time.Millisecond)
		}
		times, sent := map[uint16]bool{}, map[byte]bool{}
		all := b.heard(t)
		for _, p := range all {
			away := p.SequenceNumber - all[0].SequenceNumber
			if times[away] || p.Payload[1] != byte(first+away) || p.Timestamp-all[0].Timestamp != uint32(away)*960 {
				rt.Fatalf("packet %d of %d: % x at %d", away, n, p.Payload, p.Timestamp-all[0].Timestamp)
			}
			times[away], sent[p.Payload[1]] = true, true
		}
		for seq := range came {
			if !sent[byte(seq)] {
				rt.Fatalf("packet %d came and was not sent", seq-first)
			}
		}
	})
}

// A pause of the microphone is no loss: the copy before it stands for what came, and nothing is made up.
func TestCopiesAcrossAPauseAreNoPackets(t *testing.T) {
	b := newBench(t, "chromium-156-whip-AV1-x3.offer.sdp", true)
	for i := range uint16(5) {
		b.feed(redundant(63, i, 1))
	}
	p := redundant(63, 5, 1)
	p.Timestamp += 48000 // the copy now says a time that no packet had
	b.feed(p)
	if got := b.heard(t); len(got) != 6 {
		t.Errorf("%d packets", len(got))
	}
}

// What says that it is RED and is not closes its place: viewers see no hole, and sound goes on.
func TestBrokenREDLeavesNoHole(t *testing.T) {
	b := newBench(t, "chromium-156-whip-AV1-x3.offer.sdp", true)
	for i := range uint16(20) {
		p := redundant(63, i, 1)
		switch i {
		case 7:
			p.Payload = p.Payload[:3]
		case 9: // comfort noise inside
			p.Payload = []byte{13, 1, 2}
		case 11, 12: // copies or not, the sound is the same
			p = opus(i, 111)
		}
		b.feed(p)
	}
	got := b.heard(t)
	for i, p := range got {
		if p.SequenceNumber != got[0].SequenceNumber+uint16(i) {
			t.Errorf("packet %d has number %d", i, p.SequenceNumber-got[0].SequenceNumber)
		}
	}
	if len(got) != 18 || b.pub.books.unreadable != 2 {
		t.Errorf("%d packets, %d unreadable", len(got), b.pub.books.unreadable)
	}
}

func TestTakingCopiesApartAllocatesLittle(t *testing.T) {
	b := newBench(t, "chromium-156-whip-AV1-x3.offer.sdp", true)
	b.out.discard = true
	var packets [4000]*rtp.Packet
	for i := range packets {
		packets[i] = redundant(63, uint16(i), 1)
	}
	for i := range 100 {
		b.feed(packets[i])
	}
	i := 100
	n := testing.AllocsPerRun(1500, func() {
		b.pub.rtp(&packets[i].Header, packets[i].Payload, b.now)
		b.pub.burst = b.pub.burst[:0]
		i += 2 // every other one is lost, and mended
	})
	if n > 0.5 { // two packets, each a thirty-second of the arena's block
		t.Errorf("%v allocations per received packet", n)
	}
}

// The copies hold the very bytes that were sent: a viewer who loses sound, too, gets them in RED made anew.
func TestMendedSoundMayBeCopiedAgain(t *testing.T) {
	b := newBench(t, "chromium-156-whip-AV1-x3.offer.sdp", true)
	a := b.v.tracks[media.AudioTrack]
	for i := range uint16(5) {
		b.feed(redundant(63, i, 1))
	}
	a.repair.told(0.05, b.now)
	b.feed(redundant(63, 5, 1))
	b.feed(redundant(63, 7, 1)) // 6 is lost
	got := b.heard(t)
	last := got[len(got)-1]
	blocks, err := red.Parse(nil, last.Payload)
	if err != nil || last.PayloadType != a.line.RED || len(blocks) != 2 || !bytes.Equal(blocks[0].Payload, opus(6, 111).Payload) {
		t.Errorf("%v %+v", err, blocks)
	}
}
