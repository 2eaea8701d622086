package sfu

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/pion/rtp"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/sfu/negotiate"
	"github.com/sluice-live/sluice/sfu/transport"
)

// stage is a publisher of three layers that does as it is told, and its viewers.
type stage struct {
	*bench
	t      *testing.T
	frames int
	keys   [3]bool // asked for
	seq    [3]uint16
}

func newStage(t *testing.T) *stage {
	b := newBench(t, "chromium-156-whip-VP8-x3.offer.sdp", false)
	b.st.present[0].Add(1)
	b.v.conn = &transport.Conn{}
	return &stage{bench: b, t: t, keys: [3]bool{true, true, true}}
}

// join adds a viewer.
func (s *stage) join(like *negotiate.Remote) *viewer {
	v := newViewer(s.st, media.Offer{Stream: "demo"}, like)
	v.out, v.joined, v.link, v.conn = &tape{}, true, nil, &transport.Conn{}
	s.st.present[0].Add(1)
	g := s.v.shard.groups[s.st]
	g.viewers = append(g.viewers, v)
	return v
}

func (s *stage) told() (active []string) {
	for _, e := range s.pub.encodings() {
		if e.Active {
			active = append(active, e.RID)
		}
	}
	return active
}

// packet is a frame of one layer in one packet.
func (s *stage) packet(layer int, rid string) *rtp.Packet {
	s.seq[layer]++
	payload := []byte{0x10, 0x31, 2, 0, 0, 0, 0}
	if s.keys[layer] {
		w, h := 320<<layer, 180<<layer
		payload = []byte{0x10, 0x10, 2, 0, 0x9d, 0x01, 0x2a, byte(w), byte(w >> 8), byte(h), byte(h >> 8)}
		s.keys[layer] = false
	}
	payload = append(payload, make([]byte, 100<<layer)...)
	line := s.pub.remote.Video()
	p := &rtp.Packet{Header: rtp.Header{Version: 2, Marker: true, PayloadType: line.Codecs[0].PT, SequenceNumber: s.seq[layer],
		Timestamp: uint32(s.frames * 3000), SSRC: uint32(1000 + layer)}, Payload: payload}
	if err := p.SetExtension(line.Ext.RID, []byte(rid)); err != nil {
		s.t.Fatal(err)
	}
	return p
}

// frame sends one frame of each layer that the publisher is told to send, and
// answers the wishes for key frames.
func (s *stage) frame() {
	for {
		select {
		case a := <-s.pub.source.asks:
			for l := range s.keys {
				s.keys[l] = s.keys[l] || a.layer == media.Layer(l) || a.layer == media.AnyLayer
			}
			continue
		case <-s.pub.source.tally.woken:
			s.pub.weigh(s.now)
			continue
		default:
		}
		break
	}
	s.frames++
	s.now = s.now.Add(33 * time.Millisecond)
	rids := s.pub.remote.Video().RIDs
	active := s.told()
	for l, rid := range rids {
		if len(active) > 0 && !slices.Contains(active, rid) {
			s.keys[l] = true // an encoder starts anew with a key frame
			continue
		}
		s.feed(s.packet(l, rid))
	}
	if s.frames%3 == 0 {
		s.v.shard.each(func(v *viewer) { v.house(s.now) })
	}
	if s.frames%30 == 0 {
		for _, u := range s.pub.upstreams {
			u.look(s.pub.demand.Rests(u.layer), s.now)
		}
		s.pub.publishTracks(s.now)
		s.pub.weigh(s.now)
	}
}

func (s *stage) play(d time.Duration) {
	for end := s.now.Add(d); s.now.Before(end); {
		s.frame()
	}
}

func pin(v *viewer, rid string, now time.Time) {
	c := media.AutomaticChoice()
	c.RID = rid
	v.choice.Store(&c)
	v.applyChoice(c, now)
}

func (s *stage) layers() (words []string) {
	for _, l := range s.pub.source.info(media.VideoTrack).Layers {
		words = append(words, fmt.Sprintf("%s active %v wanted %v paused %v", l.RID, l.Active, l.Wanted, l.Paused))
	}
	return words
}

func (s *stage) expect(what string, want ...string) {
	s.t.Helper()
	if got := s.layers(); !slices.Equal(got, want) {
		s.t.Errorf("%s:\ngot  %q\nwant %q", what, got, want)
	}
}

func TestALayerThatNobodyWatchesRestsAndComesBack(t *testing.T) {
	s := newStage(t)
	rids := s.pub.remote.Video().RIDs
	low, mid, high := rids[0], rids[1], rids[2]
	top := s.v
	thrifty := s.join(s.v.remote)
	pin(thrifty, low, s.now)
	s.play(15 * time.Second)
	s.expect("one viewer on top, one at the bottom",
		low+" active true wanted true paused false", mid+" active false wanted false paused true", high+" active true wanted true paused false")
	if got := top.stats.current.Load() - 1; got != 2 {
		t.Fatalf("the first viewer gets layer %d", got)
	}

	pin(top, low, s.now)
	s.play(8 * time.Second)
	s.expect("both at the bottom, for 8 s",
		low+" active true wanted true paused false", mid+" active false wanted false paused true", high+" active true wanted false paused false")
	s.play(6 * time.Second)
	s.expect("for 14 s",
		low+" active true wanted true paused false", mid+" active false wanted false paused true", high+" active false wanted false paused true")
	if got := s.pub.findings(s.now, 0); slices.ContainsFunc(got, func(f media.Finding) bool { return f.Code == "no_key_frame" }) {
		t.Errorf("a layer that rests is told as a fault: %+v", got)
	}
	for _, l := range s.pub.source.info(media.VideoTrack).Layers {
		if l.Mean < media.Bitrate(20_000<<l.ID) {
			t.Errorf("what layer %s needs is forgotten: %d bit/s", l.RID, l.Mean)
		}
	}

	before := top.stats.packets.Load()
	pin(top, "", s.now)
	s.frame()
	if got := s.told(); !slices.Contains(got, high) {
		t.Errorf("at once after the choice the publisher shall send %v", got)
	}
	s.play(time.Second)
	if got := top.stats.current.Load() - 1; got != 2 {
		t.Errorf("a second later the viewer gets layer %d", got)
	}
	if sent := top.stats.packets.Load() - before; sent < 28 {
		t.Errorf("%d packets in the second of the switch: the old layer was not kept", sent)
	}
	s.expect("wanted again",
		low+" active true wanted true paused false", mid+" active false wanted false paused true", high+" active true wanted true paused false")
}

func TestViewersThatLeaveWantNothing(t *testing.T) {
	s := newStage(t)
	s.play(3 * time.Second)
	if got := s.pub.source.tally.wanted(); got != 1<<2 {
		t.Errorf("wanted %03b", got)
	}
	s.v.shard.remove(s.v)
	if got := s.pub.source.tally.wanted(); got != 0 {
		t.Errorf("wanted %03b by nobody", got)
	}
	s.play(15 * time.Second)
	if got := s.told(); len(got) != 1 || got[0] != s.pub.remote.Video().RIDs[0] {
		t.Errorf("without viewers %v are sent", got)
	}
}

// A recorder or a relay wants what it says, and all if it says nothing.
func TestSinksWantLayers(t *testing.T) {
	s := newStage(t)
	s.v.shard.remove(s.v)
	k := &sink{st: s.st}
	k.want.Store(&media.Demand{Video: true})
	s.st.sinks = []*sink{k}
	s.st.shareSinks()
	s.play(30 * time.Second)
	if got := s.told(); len(got) != 3 {
		t.Errorf("all are wanted, and %v are sent", got)
	}
	k.Want(media.Demand{Video: true, Layers: []media.Layer{1}})
	s.play(15 * time.Second)
	if got, rids := s.told(), s.pub.remote.Video().RIDs; !slices.Equal(got, rids[:2]) {
		t.Errorf("one is wanted, and %v are sent", got)
	}
	k.Want(media.Demand{Video: true})
	s.frame()
	if got := s.told(); len(got) != 3 {
		t.Errorf("all are wanted again, and %v are sent", got)
	}
}

// A key frame is not asked of a layer that rests: it would be taken for deaf.
func TestARestingLayerIsNotAskedForKeyFrames(t *testing.T) {
	s := newStage(t)
	pin(s.v, s.pub.remote.Video().RIDs[0], s.now)
	s.play(20 * time.Second)
	for _, u := range s.pub.upstreams {
		if got, want := s.pub.resting(u, s.now), u.layer != 0; got != want {
			t.Errorf("layer %d: resting %v", u.layer, got)
		}
	}
}
