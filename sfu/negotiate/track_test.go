package negotiate_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/pion/rtp"
	"pgregory.net/rapid"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/sfu/negotiate"
)

const mid4 = "\r\na=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid"

// choir is an offer of these m-lines in one bundle.
func choir(lines ...string) []byte {
	mids := make([]string, len(lines))
	for i := range mids {
		mids[i] = fmt.Sprint(i)
	}
	return swap("BUNDLE 0 1", "BUNDLE "+strings.Join(mids, " "), offer(lines...))
}

// packet is one with a payload type, an SSRC, and the name of its m-line if it has one.
func packet(pt uint8, ssrc uint32, mid string) *rtp.Header {
	h := &rtp.Header{Version: 2, PayloadType: pt, SSRC: ssrc}
	if mid != "" {
		if err := h.SetExtension(4, []byte(mid)); err != nil {
			panic(err)
		}
	}
	return h
}

func TestAPublisherHasSeveralLanguages(t *testing.T) {
	sends := strings.ReplaceAll(audio, "sendrecv", "sendonly")
	for name, c := range map[string]struct {
		lines      []string
		configured []string
		languages  string // of all audio tracks
		names      string
		tracks     []media.TrackID
	}{
		"one":                     {[]string{sends, video}, nil, "", "audio", []media.TrackID{0}},
		"one that says":           {[]string{sends + "\r\na=hlang-send:es"}, nil, "es", "audio", []media.TrackID{0}},
		"two that say":            {[]string{sends + "\r\na=hlang-send:EN", video, sends + "\r\na=hlang-send:es pt *"}, nil, "en es", "audio audio-es", []media.TrackID{0, 2}},
		"two that say nothing":    {[]string{sends, sends}, nil, " ", "audio audio-2", []media.TrackID{0, 2}},
		"by place":                {[]string{video, sends, sends}, []string{"en", "es"}, "en es", "audio audio-es", []media.TrackID{0, 2}},
		"who says comes first":    {[]string{sends, sends + "\r\na=hlang-send:fr"}, []string{"en", "es"}, "en fr", "audio audio-fr", []media.TrackID{0, 2}},
		"a=lang counts":           {[]string{sends, sends + "\r\na=lang:pt-br"}, nil, " pt-BR", "audio audio-pt-br", []media.TrackID{0, 2}},
		"nonsense does not":       {[]string{sends, sends + "\r\na=hlang-send:_"}, []string{"en"}, "en ", "audio audio-2", []media.TrackID{0, 2}},
		"one language twice":      {[]string{sends, sends, sends}, []string{"en", "es", "es"}, "en es es", "audio audio-es audio-3", []media.TrackID{0, 2, 3}},
		"unknown by place":        {[]string{sends, sends}, []string{"und", "und"}, " ", "audio audio-2", []media.TrackID{0, 2}},
		"a language called aac":   {[]string{sends, sends}, []string{"en", "aac"}, "en aac", "audio audio-2", []media.TrackID{0, 2}},
		"four":                    {[]string{sends, sends, video, sends, sends}, []string{"en", "es", "de", "fr"}, "en es de fr", "audio audio-es audio-de audio-fr", []media.TrackID{0, 2, 3, 4}},
		"three letters are short": {[]string{sends, sends}, []string{"eng", "spa"}, "en es", "audio audio-es", []media.TrackID{0, 2}},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := negotiate.DefaultConfig()
			cfg.Languages = c.configured
			o := choir(c.lines...)
			r, err := negotiate.Publish(o, cfg)
			if err != nil {
				t.Fatal(err)
			}
			var languages, names []string
			var tracks []media.TrackID
			for i := range r.Media {
				switch m := &r.Media[i]; m.Kind {
				case media.Audio:
					languages, names, tracks = append(languages, m.Language), append(names, m.Name), append(tracks, m.Track)
				case media.Video:
					if m.Track != media.VideoTrack || m.Name != "" {
						t.Errorf("the picture is track %d, %q", m.Track, m.Name)
					}
				}
			}
			if got := strings.Join(languages, " "); got != c.languages {
				t.Errorf("languages %q, want %q", got, c.languages)
			}
			if got := strings.Join(names, " "); got != c.names {
				t.Errorf("names %q, want %q", got, c.names)
			}
			if fmt.Sprint(tracks) != fmt.Sprint(c.tracks) {
				t.Errorf("tracks %v, want %v", tracks, c.tracks)
			}
			holds(t, o, r, r.Answer(local()))
		})
	}
}

// The answer says which language it takes, where the offer said one (RFC 8373 section 5.2).
func TestTheAnswerNamesTheLanguageThatWasOffered(t *testing.T) {
	cfg := negotiate.DefaultConfig()
	cfg.Languages = []string{"en", "de"}
	r, err := negotiate.Publish(choir(audio, audio+"\r\na=hlang-send:es pt"), cfg)
	if err != nil {
		t.Fatal(err)
	}
	answer := strings.ReplaceAll(string(r.Answer(local())), "\r\n", "\n")
	wants(t, answer, "a=hlang-recv:es")
	lacks(t, answer, "hlang-recv:en", "hlang-send", "es pt")
}

// More than an endpoint supports it refuses as a whole (RFC 9725 section 4.4.2).
func TestAFifthAudioTrackIsRefused(t *testing.T) {
	_, err := negotiate.Publish(choir(audio, audio, audio, audio, audio), negotiate.DefaultConfig())
	if !errors.Is(err, media.ErrUnsupported) || !strings.Contains(err.Error(), "4 audio tracks are taken at most") {
		t.Errorf("got %v", err)
	}
}

// A viewer gets one audio track: it would play all that it got at once.
func TestAViewersSecondAudioIsRejectedAlone(t *testing.T) {
	o := choir(audio, audio, video)
	r, err := negotiate.Subscribe(o, negotiate.DefaultConfig())
	if err != nil || r.Media[0].Rejected || !r.Media[1].Rejected || r.Media[2].Rejected {
		t.Fatalf("%v %+v", err, r)
	}
	holds(t, o, r, r.Answer(local()))
}

func TestSharedPayloadTypesAreToldApart(t *testing.T) {
	red := strings.Replace(audio, "111\r\n", "63 111 112\r\na=rtpmap:63 red/48000/2\r\na=fmtp:63 111/111\r\na=rtpmap:112 rtx/48000\r\na=fmtp:112 apt=111\r\n", 1)
	r, err := negotiate.Publish(choir(
		red+mid4+"\r\na=ssrc:100 cname:x", video+mid4+"\r\na=ssrc:300 cname:x",
		red+mid4+"\r\na=ssrc:200 cname:x\r\na=ssrc-group:FID 200 201",
		swapped(audio)+mid4), negotiate.DefaultConfig())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		what string
		h    *rtp.Header
		line int // -1: nobody knows
		rtx  bool
	}{
		{"by its name", packet(111, 1, "0"), 0, false},
		{"by the other name", packet(111, 1, "2"), 2, false},
		{"the name counts before the SSRC", packet(111, 100, "2"), 2, false},
		{"by SSRC", packet(111, 100, ""), 0, false},
		{"by the other SSRC", packet(111, 200, ""), 2, false},
		{"RED", packet(63, 200, ""), 2, false},
		{"a resend by its SSRC", packet(112, 201, ""), 2, true},
		{"a resend by its name", packet(112, 5, "0"), 0, true},
		{"neither", packet(111, 5, ""), -1, false},
		{"a name that there is not", packet(111, 100, "9"), -1, false},
		{"the picture's name", packet(111, 5, "1"), -1, false},
		{"a type of its own needs neither", packet(98, 5, ""), 3, false},
		{"nor does the picture", packet(96, 5, ""), 1, false},
		{"a type that nobody has", packet(5, 100, "0"), -1, false},
	} {
		m, codec, rtx := r.Find(c.h)
		switch {
		case c.line < 0 && (m != nil || codec != nil):
			t.Errorf("%s: m-line %d", c.what, m.Index)
		case c.line >= 0 && (m == nil || m.Index != c.line || codec == nil || rtx != c.rtx):
			t.Errorf("%s: %+v, %+v, %v", c.what, m, codec, rtx)
		}
	}
	known, stray := packet(111, 200, "2"), packet(111, 5, "")
	if n := testing.AllocsPerRun(100, func() { r.Find(known); r.Find(stray) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func swapped(line string) string { return strings.ReplaceAll(line, "111", "98") }

// Audio m-lines may share a payload type only if it means the same in all of them (RFC 9143 section 9.1).
func TestAPayloadTypeMeansOneThing(t *testing.T) {
	red := strings.Replace(audio, "111\r\n", "111 98\r\na=rtpmap:111 red/48000/2\r\na=rtpmap:98 opus/48000/2\r\na=x:", 1)
	for name, o := range map[string][]byte{
		"Opus and RED":  choir(audio, red),
		"Opus and RTX":  choir(audio, strings.Replace(swapped(audio), "98\r\n", "98 111\r\na=rtpmap:111 rtx/48000\r\na=fmtp:111 apt=98\r\n", 1)),
		"sound and VP8": choir(audio, strings.ReplaceAll(video, "96", "111")),
	} {
		if _, err := negotiate.Publish(o, negotiate.DefaultConfig()); !errors.Is(err, media.ErrBadOffer) || !strings.Contains(err.Error(), "payload type 111") {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// Whatever is shared among whatever number of tracks, a packet that names its m-line or has the SSRC that was announced
// comes to its track.
func TestEveryPacketFindsItsTrack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, media.MaxAudio).Draw(t, "tracks")
		var lines []string
		var pts []uint8
		for i := range n {
			pt := rapid.SampledFrom([]uint8{96, 109, 111}).Draw(t, "payload type")
			pts = append(pts, pt)
			lines = append(lines, fmt.Sprintf("%s%s\r\na=ssrc:%d cname:x", strings.ReplaceAll(audio, "111", fmt.Sprint(pt)), mid4, 1000+i))
		}
		r, err := negotiate.Publish(choir(lines...), negotiate.DefaultConfig())
		if err != nil {
			t.Fatal(err)
		}
		for i, pt := range pts {
			for _, h := range []*rtp.Header{packet(pt, uint32(1000+i), ""), packet(pt, rapid.Uint32().Draw(t, "ssrc"), fmt.Sprint(i))} {
				m, c, rtx := r.Find(h)
				if m == nil || m.Index != i || m.Track != media.AudioTrackAt(i) || c.PT != pt || rtx {
					t.Errorf("a packet of track %d came to %+v", i, m)
				}
			}
		}
	})
}
