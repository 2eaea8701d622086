package sdpfrag_test

import (
	"errors"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/signaling/sdpfrag"
)

const udp = "1 1 UDP 2015363327 192.0.2.2 34521 typ host"

func TestFragmentsThatClientsSend(t *testing.T) {
	for _, c := range []struct {
		name, text string
		want       media.Fragment
	}{
		{"empty", "", media.Fragment{}},
		{"only an end", "a=ice-ufrag:abcd\r\na=ice-pwd:0123456789012345678901\r\nm=audio 9 RTP/AVP 0\r\na=mid:0\r\na=end-of-candidates\r\n",
			media.Fragment{Ufrag: "abcd", Pwd: "0123456789012345678901", MID: "0", End: true}},
		{"RFC 9725 trickle", "a=group:BUNDLE 0 1\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\na=ice-ufrag:EsAw\r\na=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1\r\na=candidate:" + udp + "\r\na=end-of-candidates\r\n",
			media.Fragment{Ufrag: "EsAw", Pwd: "P2uYro0UCOQ4zxjKXaWCBui1", MID: "0", Candidates: []string{udp}, End: true}},
		{"no m-line (whip-whep restart)", "a=ice-ufrag:abcd\r\na=ice-pwd:0123456789012345678901\r\n",
			media.Fragment{Ufrag: "abcd", Pwd: "0123456789012345678901"}},
		{"mid without m-line", "a=mid:1\na=candidate:" + udp + "\n", media.Fragment{MID: "1", Candidates: []string{udp}}},
		{"credentials repeated by m-line", "a=ice-ufrag:abcd\na=ice-pwd:pw\nm=audio 9 x 0\na=mid:0\na=ice-ufrag:abcd\na=ice-pwd:pw\n",
			media.Fragment{Ufrag: "abcd", Pwd: "pw", MID: "0"}},
		{"the first of two m-lines counts", "m=audio 9 x 0\na=mid:0\na=ice-ufrag:abcd\na=ice-pwd:pw\nm=video 9 x 0\na=mid:1\na=ice-ufrag:efgh\na=ice-pwd:other\na=candidate:" + udp + "\n",
			media.Fragment{Ufrag: "abcd", Pwd: "pw", MID: "0"}},
		{"unknown lines", "x=1\na=ice-options:trickle\nm=audio 9 x 0\nc=IN IP4 0.0.0.0\na=mid:0\na=frob\n", media.Fragment{MID: "0"}},
		{"lite", "a=ice-lite\n", media.Fragment{Lite: true}},
	} {
		got, err := sdpfrag.Parse([]byte(c.text))
		if err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: got %+v, %v; want %+v", c.name, got, err, c.want)
		}
	}
}

// The Meetecho client writes "m=audio 9 RTP/AVP 0" above the mid of its video,
// and sends TCP active, TCP passive and link-local candidates.
func TestMeetechoFragmentIsMatchedByMidAlone(t *testing.T) {
	f, err := sdpfrag.Parse([]byte(meetecho))
	if err != nil {
		t.Fatal(err)
	}
	if f.MID != "video0" || len(f.Candidates) != 6 || f.End {
		t.Errorf("got mid %q, %d candidates, end %v", f.MID, len(f.Candidates), f.End)
	}
	for _, c := range f.Candidates {
		if strings.Contains(c, "tcptype active") {
			t.Errorf("%q was kept: nobody can connect to it", c)
		}
	}
}

const meetecho = "a=ice-ufrag:S19uD6HOTJLWr3Mml+yYPbAuO7xX9LY3\r\na=ice-pwd:wkHLss8s9+pC05boNVMWULtf/SLSQD8Z\r\nm=audio 9 RTP/AVP 0\r\na=mid:video0\r\n" +
	"a=candidate:1 1 UDP 2015363327 192.0.2.2 34521 typ host\r\n" +
	"a=candidate:2 1 TCP 1015021823 192.0.2.2 9 typ host tcptype active\r\n" +
	"a=candidate:3 1 TCP 1010827519 192.0.2.2 42771 typ host tcptype passive\r\n" +
	"a=candidate:4 1 UDP 2015363583 fd00::2 59073 typ host\r\n" +
	"a=candidate:5 1 TCP 1015022079 fd00::2 9 typ host tcptype active\r\n" +
	"a=candidate:6 1 TCP 1010827775 fd00::2 42933 typ host tcptype passive\r\n" +
	"a=candidate:7 1 UDP 2015363839 fe80::fc:ff:fe00:1 48852 typ host\r\n" +
	"a=candidate:8 1 TCP 1015022335 fe80::fc:ff:fe00:1 9 typ host tcptype active\r\n" +
	"a=candidate:9 1 TCP 1010827775 fe80::fc:ff:fe00:1 40671 typ host tcptype passive\r\n\r\n"

func TestCandidatesThatCannotBeUsedAreDroppedSilently(t *testing.T) {
	for _, c := range []struct {
		value string
		keep  bool
	}{
		{udp, true},
		{"842163049 1 udp 1677729535 203.0.113.7 46154 typ srflx raddr 192.0.2.2 rport 34521 generation 0", true},
		{"3 1 TCP 1 192.0.2.2 42771 typ host tcptype passive", true},
		{"1 1 UDP 1 8f2b5c1e-0000-4000-8000-000000000000.local 34521 typ host", false}, // mDNS
		{"1 1 UDP 1 example.com 34521 typ host", false},
		{"1 2 UDP 1 192.0.2.2 34522 typ host", false}, // RTCP; Firefox lists them besides rtcp-mux
		{"1 1 TCP 1 192.0.2.2 9 typ host tcptype active", false},
		{"1 1 TCP 1 192.0.2.2 42771 typ host", false},
		{"1 1 SCTP 1 192.0.2.2 42771 typ host", false},
		{"1 1 UDP 1 192.0.2.2 0 typ host", false},
		{"1 1 UDP 1 192.0.2.2 70000 typ host", false},
		{"1 1 UDP 1 0.0.0.0 34521 typ host", false},
		{"1 1 UDP 1 239.1.1.1 34521 typ host", false},
		{"1 1 UDP x 192.0.2.2 34521 typ host", false},
		{"1 1 UDP 1 192.0.2.2 34521", false},
		{"", false},
	} {
		f, err := sdpfrag.Parse([]byte("a=mid:0\r\na=candidate:" + c.value + "\r\na=end-of-candidates\r\n"))
		if err != nil || !f.End || (len(f.Candidates) == 1) != c.keep {
			t.Errorf("%q: got %+v, %v; want kept %v", c.value, f, err, c.keep)
		}
	}
}

func TestWhatIsNoFragmentIsRefused(t *testing.T) {
	for name, text := range map[string]string{
		"JSON":                "{\"candidate\": 1}",
		"a line of words":     "hello\n",
		"pwd without ufrag":   "a=ice-pwd:0123456789012345678901\n",
		"two ufrags":          "a=ice-ufrag:abcd\na=ice-ufrag:efgh\n",
		"an empty ufrag":      "a=ice-ufrag:\n",
		"a space in the pwd":  "a=ice-ufrag:abcd\na=ice-pwd:a b\n",
		"a long ufrag":        "a=ice-ufrag:" + strings.Repeat("x", 257) + "\n",
		"an empty mid":        "a=mid:\n",
		"a space in the mid":  "a=mid:0 1\n",
		"thousands of lines":  strings.Repeat("a=x\n", 5000),
		"a NUL in the ufrag":  "a=ice-ufrag:ab\x00d\n",
		"a CR inside a ufrag": "a=ice-ufrag:ab\rcd\n",
	} {
		if f, err := sdpfrag.Parse([]byte(text)); !errors.Is(err, media.ErrBadFragment) {
			t.Errorf("%s: got %+v, %v", name, f, err)
		}
	}
}

func TestCandidatesAreBounded(t *testing.T) {
	f, err := sdpfrag.Parse([]byte(strings.Repeat("a=candidate:"+udp+"\n", 1000)))
	if err != nil || len(f.Candidates) != 64 {
		t.Errorf("got %d candidates, %v", len(f.Candidates), err)
	}
}

func TestRestartAnswerLooksAsInTheRFC(t *testing.T) {
	got := string(sdpfrag.Append(nil, media.Fragment{Ufrag: "ysXw", Pwd: "vw5LmwG4y/e6dPP/zAP9Gp5k", MID: "0", Candidates: []string{udp}, End: true, Lite: true}))
	want := "a=ice-lite\r\nm=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\na=ice-ufrag:ysXw\r\na=ice-pwd:vw5LmwG4y/e6dPP/zAP9Gp5k\r\na=candidate:" + udp + "\r\na=end-of-candidates\r\n"
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestCredentialsOfAnOffer(t *testing.T) {
	for name, c := range map[string]struct{ offer, ufrag, pwd string }{
		"at the m-line":          {"v=0\r\nm=audio 9 x 0\r\na=ice-ufrag:a\r\na=ice-pwd:b\r\nm=video 9 x 0\r\na=ice-ufrag:c\r\na=ice-pwd:d\r\n", "a", "b"},
		"of the session":         {"v=0\na=ice-ufrag:a\na=ice-pwd:b\nm=audio 9 x 0\n", "a", "b"},
		"pwd first":              {"a=ice-pwd:b\na=ice-ufrag:a\n", "a", "b"},
		"none":                   {"v=0\r\n", "", ""},
		"garbage is not a panic": {"\x00\xff\n\n=a", "", ""},
	} {
		if u, p := sdpfrag.Credentials([]byte(c.offer)); u != c.ufrag || p != c.pwd {
			t.Errorf("%s: got %q %q", name, u, p)
		}
	}
}

// What Append writes, Parse reads again.
func TestWrittenFragmentsAreReadAgain(t *testing.T) {
	ice := rapid.StringMatching(`[A-Za-z0-9+/]{4,64}`)
	rapid.Check(t, func(t *rapid.T) {
		f := media.Fragment{
			Ufrag: ice.Draw(t, "ufrag"), Pwd: ice.Draw(t, "pwd"),
			MID: rapid.StringMatching(`[a-z0-9]{0,16}`).Draw(t, "mid"),
			End: rapid.Bool().Draw(t, "end"), Lite: rapid.Bool().Draw(t, "lite"),
		}
		for range rapid.IntRange(0, 5).Draw(t, "candidates") {
			port := rapid.IntRange(1, 65535).Draw(t, "port")
			f.Candidates = append(f.Candidates, "1 1 udp 2130706431 198.51.100.1 "+strconv.Itoa(port)+" typ host")
		}
		got, err := sdpfrag.Parse(sdpfrag.Append(nil, f))
		if err != nil || !reflect.DeepEqual(got, f) {
			t.Fatalf("got %+v, %v; want %+v", got, err, f)
		}
	})
}

// Whatever comes in, what is read stays within bounds and survives being
// written and read once more.
func FuzzParse(f *testing.F) {
	f.Add([]byte(meetecho))
	f.Add([]byte("a=ice-lite\r\nm=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\na=ice-ufrag:ysXw\r\na=ice-pwd:pw\r\na=candidate:" + udp + "\r\na=end-of-candidates\r\n"))
	f.Add([]byte("\ufeffa=mid:é\r\n\r\na=candidate:\r\n"))
	f.Add([]byte("m=\nm=\na=ice-ufrag:x"))
	f.Fuzz(func(t *testing.T, b []byte) {
		sdpfrag.Credentials(b)
		got, err := sdpfrag.Parse(b)
		if err != nil {
			if !errors.Is(err, media.ErrBadFragment) {
				t.Fatalf("%v does not wrap ErrBadFragment", err)
			}
			return
		}
		if len(got.Candidates) > 64 || len(got.Ufrag) > 256 || len(got.Pwd) > 256 || len(got.MID) > 64 {
			t.Fatalf("out of bounds: %+v", got)
		}
		if got.Ufrag != "" && got.Pwd == "" {
			return // tolerated in trickles; nobody writes it
		}
		again, err := sdpfrag.Parse(sdpfrag.Append(nil, got))
		if err != nil || !reflect.DeepEqual(got, again) {
			t.Fatalf("got %+v, then %+v, %v", got, again, err)
		}
	})
}
