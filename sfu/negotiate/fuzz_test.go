package negotiate_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/sfu/negotiate"
)

func FuzzPublish(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, offer []byte) {
		r, err := negotiate.Publish(offer, negotiate.DefaultConfig())
		if err != nil {
			refused(t, err)
			return
		}
		answer := r.Answer(local())
		shaped(t, r, answer)
		for i := range r.Media {
			if r.Media[i].Rejected {
				t.Errorf("a publisher's m-line was rejected alone")
			}
		}
		mirrored(t, r, answer)
	})
}

func FuzzSubscribe(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, offer []byte) {
		r, err := negotiate.Subscribe(offer, negotiate.DefaultConfig())
		if err != nil {
			refused(t, err)
			return
		}
		shaped(t, r, r.Answer(local()))
		if r.Audio() == nil && r.Video() == nil {
			t.Error("nothing was accepted, and no error given")
		}
		if v := r.Video(); v != nil {
			for _, c := range v.Codecs {
				if m := v.Match(c.Codec, c.Fmtp); m == nil || m.Codec != c.Codec {
					t.Errorf("%+v does not match itself", c)
				}
			}
		}
	})
}

func seed(f *testing.F) {
	for _, o := range offers(f) {
		f.Add(o)
	}
	f.Add(offer(audio, video+"\r\na=rid:a send pt=96;max-fps=3\r\na=rid:b send\r\na=simulcast:send ~a;b,c recv x\r\na=rtcp-fb:* nack"))
	f.Add(offer(video, "application 0 UDP/DTLS/SCTP webrtc-datachannel", audio+"\r\na=bundle-only"))
}

func refused(t *testing.T, err error) {
	if errors.Is(err, media.ErrBadOffer) == errors.Is(err, media.ErrUnsupported) {
		t.Errorf("%v has no status", err)
	}
	if strings.ContainsAny(err.Error(), "\r\n") || len(err.Error()) > 1000 {
		t.Errorf("%q is no sentence", err)
	}
}

// shaped checks that the answer is lines of the form a=value, one m-line for
// each offered, whatever the offer held.
func shaped(t *testing.T, r *negotiate.Remote, answer []byte) {
	lines := bytes.Split(bytes.TrimSuffix(answer, []byte("\r\n")), []byte("\r\n"))
	n := 0
	for _, l := range lines {
		if len(l) < 3 || l[1] != '=' || bytes.ContainsAny(l, "\r\n\x00") {
			t.Errorf("line %q", l)
		}
		if l[0] == 'm' {
			n++
		}
	}
	if n != len(r.Media) {
		t.Errorf("%d m-lines were answered by %d", len(r.Media), n)
	}
	if r.Setup != "active" && r.Setup != "passive" || r.Ufrag == "" || r.Pwd == "" || len(r.Fingerprints) == 0 {
		t.Errorf("%+v", r)
	}
}
