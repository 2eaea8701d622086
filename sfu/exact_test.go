package sfu

import (
	"bytes"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/media/codec"
)

// cast is a publisher of three layers and sound, and a viewer of each layer.
type cast struct {
	*bench
	tapes  [3]*tape
	rng    *rand.Rand
	seq    [3]uint16
	sent   [3][][]byte // payloads, per layer
	sounds [][]byte
}

func newCast(t *testing.T, offer string) *cast {
	c := &cast{bench: newBench(t, offer, true), rng: rand.New(rand.NewPCG(1, 2))}
	g := c.v.shard.groups[c.st]
	g.viewers = nil
	for l := range c.tapes {
		v := newViewer(c.st, media.Offer{Stream: "demo"}, c.v.remote)
		c.tapes[l] = &tape{}
		v.out, v.joined, v.link = c.tapes[l], true, nil // no link: nothing is paced, and no layer chosen for it
		v.tracks[media.AudioTrack].line.RED = 0         // RED puts more than one packet into one
		choice := media.AutomaticChoice()
		choice.RID = c.pub.remote.Video().RIDs[l]
		v.choice.Store(&choice)
		g.viewers = append(g.viewers, v)
	}
	return c
}

// payload is a packet of a frame as the codec has it, and random from there on.
func (c *cast) payload(kind media.Codec, key, first bool, n int) []byte {
	head := []byte{0x7c, 0x05} // H264: a fragment of an IDR slice
	switch {
	case kind == media.VP8 && first:
		head = []byte{0x90, 0xe0, 0x80 | byte(n>>8), byte(n), byte(n), 0x20, 0x11, 2, 0, 0x9d, 0x01, 0x2a, 64, 1, 180, 0}
		if key {
			head[6] = 0x10
		}
	case kind == media.VP8:
		head = []byte{0x80, 0xe0, 0x80 | byte(n>>8), byte(n), byte(n), 0x20}
	case kind == media.H264 && first && key:
		return h264(uint16(n), 0, true).Payload
	case !key:
		head = []byte{0x41, 0x9a}
	}
	b := append(head, make([]byte, 1+c.rng.IntN(1100))...)
	for i := len(head); i < len(b); i++ {
		b[i] = byte(c.rng.Uint32())
	}
	return b
}

// frame lets the publisher send one frame of each layer and one packet of sound.
func (c *cast) frame(t *testing.T, i int) {
	line := c.pub.remote.Video()
	c.now = c.now.Add(33 * time.Millisecond)
	for l := range c.seq {
		of := 1 + c.rng.IntN(5)
		for k := range of {
			b := c.payload(line.Codecs[0].Codec, i%30 == 0, k == 0, i)
			p := &rtp.Packet{Header: rtp.Header{Version: 2, Marker: k == of-1, PayloadType: line.Codecs[0].PT, SequenceNumber: c.seq[l], Timestamp: uint32(i) * 3000, SSRC: 5 + uint32(l)}, Payload: bytes.Clone(b)}
			if err := p.SetExtension(line.Ext.RID, []byte(line.RIDs[l])); err != nil {
				t.Fatal(err)
			}
			c.seq[l]++
			c.sent[l] = append(c.sent[l], b)
			c.feed(p)
		}
	}
	b := c.payload(media.Opus, false, false, i)
	c.sounds = append(c.sounds, b)
	audio := c.pub.remote.Audio()
	c.feed(&rtp.Packet{Header: rtp.Header{Version: 2, PayloadType: audio.Codecs[0].PT, SequenceNumber: uint16(i), Timestamp: uint32(i) * 1584, SSRC: 9}, Payload: bytes.Clone(b)})
}

// Nothing between the publisher and a viewer touches picture or sound: each layer arrives bit by bit as it was sent, in
// order, and so do resends. Of VP8 the descriptor before the picture is the viewer's own.
func TestEachLayerPassesBitByBit(t *testing.T) {
	for _, offer := range []string{"obs-32.2.2-h264-simulcast3.offer.sdp", "chromium-156-whip-VP8-x3.offer.sdp"} {
		t.Run(offer, func(t *testing.T) {
			c := newCast(t, offer)
			for i := range 90 {
				if i == 30 { // from its second key frame on each viewer has its layer, and nothing but it
					c.sent, c.sounds = [3][][]byte{}, nil
					for _, v := range c.v.shard.groups[c.st].viewers {
						v.house(c.now)
						v.applyChoice(*v.choice.Load(), c.now)
					}
				}
				c.frame(t, i)
			}
			for l, v := range c.v.shard.groups[c.st].viewers {
				video, audio := v.tracks[media.VideoTrack], v.tracks[media.AudioTrack]
				got := map[uint32][][]byte{}
				var asked uint16
				for _, raw := range c.tapes[l].sent {
					p := parse(t, raw)
					got[p.SSRC] = append(got[p.SSRC], p.Payload)
					if p.SSRC == video.ssrc {
						asked = p.SequenceNumber
					}
				}
				same(t, "picture", video.codec, got[video.ssrc], c.sent[l])
				same(t, "sound", media.Opus, got[audio.ssrc], c.sounds)
				before := len(c.tapes[l].sent)
				v.quota.refill()
				v.hears(c.now, &rtcp.TransportLayerNack{MediaSSRC: video.ssrc, Nacks: []rtcp.NackPair{{PacketID: asked}}})
				again := c.tapes[l].sent[before:]
				if len(again) != 1 {
					t.Fatalf("layer %d: %d resends", l, len(again))
				}
				same(t, "resend", video.codec, [][]byte{parse(t, again[0]).Payload[2:]}, c.sent[l][len(c.sent[l])-1:])
			}
		})
	}
}

func same(t *testing.T, what string, kind media.Codec, got, want [][]byte) {
	t.Helper()
	if len(got) < len(want) {
		t.Fatalf("%s: %d of %d packets came", what, len(got), len(want))
	}
	got = got[len(got)-len(want):]
	for i := range want {
		a, b := got[i], want[i]
		if kind == media.VP8 {
			a, b = bare(t, a), bare(t, b)
		}
		if !bytes.Equal(a, b) {
			t.Fatalf("%s: packet %d is % x…, want % x…", what, i, a[:min(20, len(a))], b[:min(20, len(b))])
		}
	}
}

// bare is what follows the VP8 payload descriptor (RFC 7741 section 4.2).
func bare(t *testing.T, payload []byte) []byte {
	t.Helper()
	d, err := codec.ParseVP8(payload)
	if err != nil {
		t.Fatal(err)
	}
	return payload[d.Size:]
}
