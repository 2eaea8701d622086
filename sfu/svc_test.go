package sfu

import (
	"testing"
	"time"

	"github.com/pion/rtp"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/sfu/conform"
)

// What a viewer gets of three VP8 layers, switched again and again under loss, reordering and probes, is a stream that an
// independent reader of the payload descriptors accepts.
func TestSwitchedLayersAreOneGoodStream(t *testing.T) {
	b := newBench(t, "chromium-156-whip-VP8-x3.offer.sdp", true)
	b.v.link = nil
	line := b.pub.remote.Video()
	checker := &conform.Checker{Holes: true}
	type stream struct {
		seq uint16
		id  uint16
		tl0 byte
	}
	var layers [3]stream
	last := 0
	check := func() {
		for ; last < len(b.out.sent); last++ {
			p := parse(t, b.out.sent[last])
			if p.SSRC != b.v.tracks[media.VideoTrack].ssrc || len(p.Payload) == 0 {
				continue
			}
			checker.Add(conform.Packet{Codec: media.VP8, Seq: p.SequenceNumber, TS: p.Timestamp, Marker: p.Marker, Payload: p.Payload})
		}
	}
	for i := range 600 {
		b.now = b.now.Add(33 * time.Millisecond)
		for l := range layers {
			s := &layers[l]
			key := i%50 == 10*l
			s.id++
			s.tl0++
			for part := range 2 { // two packets a frame
				s.seq++
				first := byte(0x80)
				if part == 0 {
					first |= 0x10
				}
				payload := []byte{first, 0xe0, 0x80 | byte(s.id>>8), byte(s.id), s.tl0, 0x20, 0x11, 0, 0, 0x9d, 0x01, 0x2a, 64, 1, 180, 0}
				if key && part == 0 {
					payload[6] = 0x10
				}
				if i%17 == 3+l && part == 1 { // lost
					continue
				}
				p := &rtp.Packet{Header: rtp.Header{Version: 2, Marker: part == 1, PayloadType: line.Codecs[0].PT, SequenceNumber: s.seq,
					Timestamp: uint32(i*3000 + l*7777), SSRC: uint32(50 + l)}, Payload: payload}
				if err := p.SetExtension(line.Ext.RID, []byte(line.RIDs[l])); err != nil {
					t.Fatal(err)
				}
				b.feed(p)
			}
		}
		if i%23 == 0 {
			choice := media.AutomaticChoice()
			choice.RID = line.RIDs[i/23%3]
			b.v.applyChoice(choice, b.now)
		}
		b.v.house(b.now)
		check()
	}
	for _, f := range checker.Faults() {
		t.Error(f)
	}
	if last < 500 {
		t.Errorf("only %d packets were sent", last)
	}
}
