package sfu

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"pgregory.net/rapid"

	"github.com/sluice-live/sluice/media"
)

// choir is a publisher of pictures and some languages, all under payload type 111.
type choir struct {
	*bench
	seq  [media.MaxAudio]uint16
	said [media.MaxAudio]int // packets so far
}

func newChoir(t testing.TB, languages ...string) *choir {
	t.Helper()
	offer := string(readOffer(t, "ffmpeg-9.0.2.offer.sdp"))
	first := offer[strings.Index(offer, "m=audio"):strings.Index(offer, "m=video")]
	mids := "BUNDLE 0 1"
	lines := strings.NewReplacer("a=mid:0", "a=mid:0\r\na=hlang-send:"+languages[0]+midExt)
	offer = lines.Replace(offer)
	for i, l := range languages[1:] {
		mid := string(rune('2' + i))
		mids += " " + mid
		offer += strings.NewReplacer("a=mid:0", "a=mid:"+mid+"\r\na=hlang-send:"+l+midExt, "3378560431", "337856050"+mid).Replace(first)
	}
	offer = strings.Replace(offer, "BUNDLE 0 1", mids, 1)
	c := &choir{bench: benchOf(t, []byte(offer), true)}
	for i := range c.seq {
		c.seq[i] = uint16(1000 * (i + 1))
	}
	return c
}

const midExt = "\r\na=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid"

// sing sends a packet of each of these tracks; its second byte tells which, and the third its number.
func (c *choir) sing(tracks ...int) {
	c.now = c.now.Add(20 * time.Millisecond)
	for _, i := range tracks {
		p := &rtp.Packet{Header: rtp.Header{Version: 2, PayloadType: 111, SequenceNumber: c.seq[i], Timestamp: uint32(1_000_000*i + 960*c.said[i]), SSRC: uint32(50 + i)},
			Payload: []byte{0xfc, byte(i), byte(c.said[i]), 1}}
		mid := byte('0')
		if i > 0 {
			mid = byte('1' + i)
		}
		if err := p.SetExtension(4, []byte{mid}); err != nil {
			panic(err)
		}
		c.seq[i]++
		c.said[i]++
		c.feed(p)
	}
}

// heard is which track each packet was of that the viewer got, and it must be one unbroken stream.
func (c *choir) heard(t testing.TB) string {
	t.Helper()
	got := ""
	var last *rtp.Packet
	for _, raw := range c.out.sent {
		p := parse(t, raw)
		if p.SSRC != c.v.tracks[media.AudioTrack].ssrc {
			continue
		}
		if last != nil && p.SequenceNumber != last.SequenceNumber+1 {
			t.Errorf("packet %d follows %d", p.SequenceNumber, last.SequenceNumber)
		}
		if last != nil {
			if step := int32(p.Timestamp - last.Timestamp); step < 1 || step > 960+75*48+960 {
				t.Errorf("a step of %d in time from track %d to %d", step, last.Payload[1], p.Payload[1])
			}
		}
		got += string(rune('0' + p.Payload[1]))
		last = p
	}
	return got
}

func TestAViewerHearsOneOfTheLanguages(t *testing.T) {
	for _, c := range []struct{ wish, want string }{
		{"", "000"}, {"es", "111"}, {"es-MX", "111"}, {"fr", "000"}, {"de,es", "222"}, {"audio-es", "111"}, {"audio", "000"}, {"audio-9", "000"},
	} {
		s := newChoir(t, "en", "es", "de")
		s.v.audio.Store(newWish(c.wish))
		s.sing(0, 1, 2) // who is there is known from here on
		s.out.sent = nil
		s.v.house(s.now)
		for range 3 {
			s.sing(0, 1, 2)
		}
		if got := s.heard(t); got != c.want {
			t.Errorf("who asks for %q hears %s, want %s", c.wish, got, c.want)
		}
		if view := s.v.view(); view.Audio != c.wish || view.Sound != s.v.tracks[media.AudioTrack].id || view.MLine[view.Sound] != s.v.remote.Audio().Index {
			t.Errorf("who asks for %q is told %+v", c.wish, view)
		}
	}
}

func TestAnotherLanguageGoesOnInTheSameStream(t *testing.T) {
	s := newChoir(t, "en", "es")
	for range 5 {
		s.sing(0, 1)
	}
	choose := func(audio string) {
		if err := s.v.chooseAudio(audio); err != nil {
			t.Fatal(err)
		}
		s.v.shard.obey(<-s.v.shard.orders, s.now)
	}
	choose("es")
	for range 5 {
		s.sing(0, 1)
	}
	choose("")
	for range 5 {
		s.sing(0, 1)
	}
	if got := s.heard(t); got != "000001111100000" {
		t.Errorf("heard %s", got)
	}
	if err := s.v.chooseAudio("fr"); !errors.Is(err, media.ErrBadChoice) {
		t.Errorf("French: %v", err)
	}
	if err := s.v.chooseAudio(strings.Repeat("x", maxWish+1)); !errors.Is(err, media.ErrBadChoice) {
		t.Errorf("a long name: %v", err)
	}
	if err := s.v.chooseAudio("audio-es"); err != nil {
		t.Errorf("by name: %v", err)
	}
}

// A number names one packet for ever: what was sent of another track is not looked for in the one that is heard now.
func TestResendsNeverMixTracks(t *testing.T) {
	s := newChoir(t, "en", "es")
	for _, rtx := range []uint8{0, 97} {
		a := s.v.tracks[media.AudioTrack]
		a.line.RED, a.ext.TransportCC = 0, 0
		s.seq[1] = s.seq[0] // the same numbers in both
		for range 4 {
			s.sing(0, 1)
		}
		a.rtx = rtx
		before := parse(t, s.out.sent[len(s.out.sent)-1]).SequenceNumber
		s.v.audio.Store(newWish("es"))
		s.v.tune()
		for range 4 {
			s.sing(0, 1)
		}
		a.rtx = rtx
		s.out.sent = nil
		s.v.quota.refill()
		s.v.hears(s.now, &rtcp.TransportLayerNack{MediaSSRC: a.ssrc, Nacks: []rtcp.NackPair{{PacketID: before}}})
		if len(s.out.sent) != 0 {
			t.Errorf("with RTX %d a packet of the track before was sent again as % x", rtx, s.out.sent[0])
		}
		s.v.hears(s.now, &rtcp.TransportLayerNack{MediaSSRC: a.ssrc, Nacks: []rtcp.NackPair{{PacketID: before + 2}}})
		if len(s.out.sent) != 1 {
			t.Fatalf("with RTX %d one of this track was sent again %d times", rtx, len(s.out.sent))
		}
		if p := parse(t, s.out.sent[0]); p.Payload[len(p.Payload)-3] != 1 {
			t.Errorf("it is % x", p.Payload)
		}
		s.v.audio.Store(nil)
		s.v.tune()
		s.out.sent = nil
	}
}

// Copies of lost sound are of the track that is heard.
func TestCopiesNeverMixTracks(t *testing.T) {
	s := newChoir(t, "en", "es")
	for range 4 {
		s.sing(0, 1)
	}
	a := s.v.tracks[media.AudioTrack]
	a.repair.told(0.2, s.now)
	for range 3 {
		s.sing(0, 1)
	}
	s.v.audio.Store(newWish("es"))
	s.v.tune()
	if a.repair.earlier != [maxCopies]*media.Packet{} {
		t.Error("copies of the track before are kept")
	}
}

// Whatever a viewer asks for, and whichever tracks are silent, it gets an unbroken stream of what it asked for last.
func TestSoundIsUnbroken(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		s := newChoir(t, "en", "es", "de", "fr")
		s.sing(0, 1, 2, 3)
		s.v.house(s.now)
		want := s.heard(t)
		now := 0
		for range rapid.IntRange(1, 30).Draw(r, "steps") {
			if rapid.Bool().Draw(r, "choose") {
				now = rapid.IntRange(0, 3).Draw(r, "track")
				s.v.audio.Store(newWish([]string{"en", "es", "de", "fr"}[now]))
				s.v.tune()
			}
			some := rapid.SliceOfNDistinct(rapid.IntRange(0, 3), 1, 4, rapid.ID[int]).Draw(r, "sing")
			s.sing(some...)
			for _, i := range some {
				if i == now {
					want += string(rune('0' + now))
				}
			}
		}
		if got := s.heardWithin(t); got != want {
			r.Errorf("heard %s, want %s", got, want)
		}
	})
}

// heardWithin is heard where tracks pause.
func (c *choir) heardWithin(t testing.TB) string {
	got := ""
	var last *rtp.Packet
	for _, raw := range c.out.sent {
		p := parse(t, raw)
		if p.SSRC != c.v.tracks[media.AudioTrack].ssrc {
			continue
		}
		if last != nil && (p.SequenceNumber != last.SequenceNumber+1 || int32(p.Timestamp-last.Timestamp) < 1) {
			t.Errorf("packet %d at %d follows %d at %d", p.SequenceNumber, p.Timestamp, last.SequenceNumber, last.Timestamp)
		}
		got += string(rune('0' + p.Payload[1]))
		last = p
	}
	return got
}

func TestForwardingOneOfTheLanguagesAllocatesNothing(t *testing.T) {
	s := newChoir(t, "en", "es")
	s.v.audio.Store(newWish("es-MX"))
	for range 10 {
		s.sing(0, 1)
		s.v.house(s.now)
	}
	s.v.out = newSealing(t, s.v.shard.engine)
	var bursts [2000][]*media.Packet
	for _, id := range []media.TrackID{media.AudioTrack, media.AudioTrackAt(1)} {
		u := s.pub.at(id, 0)
		last := u.ring.Get(u.newest)
		for n := range bursts {
			p := *last
			p.Seq, p.TS = last.Seq+1+uint64(n), last.TS+media.Ticks(960*(n+1))
			bursts[n] = append(bursts[n], &p)
		}
	}
	i := 0
	before := s.v.stats.packets.Load()
	if n := testing.AllocsPerRun(1000, func() {
		s.now = s.now.Add(20 * time.Millisecond)
		s.v.shard.forward(delivery{s.st, s.pub.source, bursts[i]}, s.now)
		s.v.tune()
		s.v.shard.engine.Flush()
		i++
	}); n != 0 {
		t.Errorf("%v allocations per burst", n)
	}
	if got := s.v.stats.packets.Load() - before; got != uint64(i) {
		t.Errorf("%d packets of %d bursts were forwarded", got, i)
	}
}

// The publisher's status, and what sinks are told, name the tracks.
func TestTracksAreNamed(t *testing.T) {
	s := newChoir(t, "en", "es")
	s.sing(0, 1)
	infos := *s.pub.source.tracks.Load()
	if len(infos) != 2 || infos[0].Name != "audio" || infos[0].Language != "en" || infos[1].ID != 2 || infos[1].Name != "audio-es" || infos[1].Language != "es" {
		t.Errorf("%+v", infos)
	}
	if s.pub.source.ring(2, 0) == nil || s.pub.source.ring(3, 0) != nil {
		t.Error("a ring for each track that was offered, and for no other")
	}
}
