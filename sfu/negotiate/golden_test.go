package negotiate_test

import (
	"bytes"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pion/sdp/v3"
	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/sfu/negotiate"
)

// local is what a server of these tests puts into its answers.
func local() negotiate.Local {
	ip := netip.MustParseAddr("192.0.2.10")
	return negotiate.Local{
		Ufrag:       "sluiceufrag",
		Pwd:         "sluicepasswordsluicepass",
		Fingerprint: strings.Repeat("AB:", 31) + "AB",
		Candidates:  []string{negotiate.Candidate(ip, 8189, false, 65535), negotiate.Candidate(ip, 8189, true, 65535)},
		Origin:      4242,
		CNAME:       "cname",
		MSID:        "sluice",
		SSRC:        map[media.Kind]negotiate.Pair{media.Audio: {Media: 1001}, media.Video: {Media: 2001, RTX: 2002}},
	}
}

// offers returns the recorded offers, and those made up in the shape of
// clients that could not be run here (their s= line says so).
func offers(t testing.TB) map[string][]byte {
	t.Helper()
	files, err := filepath.Glob("testdata/offers/*.sdp")
	if err != nil || len(files) < 15 {
		t.Fatalf("found %d offers: %v", len(files), err)
	}
	all := map[string][]byte{}
	for _, f := range files {
		all[strings.TrimSuffix(filepath.Base(f), ".offer.sdp")] = load(t, filepath.Base(f))
	}
	return all
}

func load(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata/offers", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// read negotiates an offer for the side that its name tells.
func read(name string, offer []byte) (*negotiate.Remote, error) {
	if strings.Contains(name, "whep") {
		return negotiate.Subscribe(offer, negotiate.DefaultConfig())
	}
	return negotiate.Publish(offer, negotiate.DefaultConfig())
}

// The answer to each client is kept as a file. UPDATE_GOLDEN=1 writes them anew.
func TestAnswersAreAsReviewed(t *testing.T) {
	for name, offer := range offers(t) {
		t.Run(name, func(t *testing.T) {
			r, err := read(name, offer)
			if err != nil {
				t.Fatal(err)
			}
			answer := r.Answer(local())
			file := filepath.Join("testdata/answers", name+".answer.sdp")
			if os.Getenv("UPDATE_GOLDEN") != "" {
				if err := os.WriteFile(file, answer, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(answer, want) {
				t.Errorf("the answer changed:\n%s\nwant:\n%s", answer, want)
			}
			holds(t, offer, r, answer)
		})
	}
}

// holds checks what every answer owes its offer, by pion/sdp's reading of both.
func holds(t interface{ Errorf(string, ...any) }, offer []byte, r *negotiate.Remote, answer []byte) {
	var o, a sdp.SessionDescription
	if err := o.Unmarshal(append(bytes.TrimSpace(offer), "\r\n"...)); err != nil {
		t.Errorf("read the offer: %v", err)
		return
	}
	if err := a.Unmarshal(answer); err != nil {
		t.Errorf("read the answer: %v\n%s", err, answer)
		return
	}
	if again, err := a.Marshal(); err != nil || !bytes.Equal(again, answer) {
		t.Errorf("the answer does not survive a round trip: %v\n%s\n%s", err, again, answer)
	}
	if _, ok := a.Attribute("ice-lite"); !ok {
		t.Errorf("the answer is not ice-lite")
	}
	if len(o.MediaDescriptions) != len(a.MediaDescriptions) || len(o.MediaDescriptions) != len(r.Media) {
		t.Errorf("%d m-lines offered, %d answered, %d read", len(o.MediaDescriptions), len(a.MediaDescriptions), len(r.Media))
		return
	}
	group, _ := a.Attribute("group")
	for i, om := range o.MediaDescriptions {
		same(t, om, a.MediaDescriptions[i], &r.Media[i], strings.Fields(group))
	}
}

// same holds one m-line of the answer against the offer's.
func same(t interface{ Errorf(string, ...any) }, o, a *sdp.MediaDescription, m *negotiate.Media, group []string) {
	mid, _ := o.Attribute("mid")
	got, _ := a.Attribute("mid")
	if mid != got || mid != m.MID || o.MediaName.Media != a.MediaName.Media || strings.Join(o.MediaName.Protos, "/") != strings.Join(a.MediaName.Protos, "/") {
		t.Errorf("m=%s mid %q was answered by m=%s mid %q", o.MediaName.Media, mid, a.MediaName.Media, got)
	}
	in := false
	for _, g := range group {
		in = in || g == mid
	}
	if rejected := a.MediaName.Port.Value == 0; rejected != m.Rejected || rejected && in || rejected == (m.Reason == "") {
		t.Errorf("mid %s: port %d, rejected %v (%s), in the bundle %v", mid, a.MediaName.Port.Value, m.Rejected, m.Reason, in)
	}
	if m.Rejected {
		return
	}
	for _, must := range []string{"rtcp-mux", "rtcp-mux-only", "ice-ufrag", "ice-pwd", "fingerprint", "setup"} {
		if _, ok := a.Attribute(must); !ok {
			t.Errorf("mid %s: no a=%s", mid, must)
		}
	}
	offered := map[string]bool{}
	for _, f := range o.MediaName.Formats {
		offered[f] = true
	}
	for _, f := range a.MediaName.Formats {
		if !offered[f] {
			t.Errorf("mid %s: payload type %s was not offered", mid, f)
		}
	}
	if len(a.MediaName.Formats) == 0 || len(m.Codecs) == 0 {
		t.Errorf("mid %s: accepted without a codec", mid)
	}
}
