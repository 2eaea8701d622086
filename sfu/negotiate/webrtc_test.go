package negotiate_test

import (
	"strings"
	"testing"

	"github.com/pion/webrtc/v4"
	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/sfu/negotiate"
)

// taken negotiates the peer's offer and has it take our answer.
func taken(t *testing.T, pc *webrtc.PeerConnection, side func([]byte, negotiate.Config) (*negotiate.Remote, error)) *negotiate.Remote {
	t.Helper()
	o, err := pc.CreateOffer(nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := pc.SetLocalDescription(o); err != nil {
		t.Fatal(err)
	}
	r, err := side([]byte(o.SDP), negotiate.DefaultConfig())
	if err != nil {
		t.Fatalf("%v\n%s", err, o.SDP)
	}
	answer := string(r.Answer(local()))
	if err := pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: answer}); err != nil {
		t.Fatalf("the peer does not take the answer: %v\n%s\n%s", err, o.SDP, answer)
	}
	if pc.SignalingState() != webrtc.SignalingStateStable {
		t.Fatalf("signaling is %s", pc.SignalingState())
	}
	return r
}

func peer(t *testing.T) *webrtc.PeerConnection {
	t.Helper()
	pc, err := webrtc.NewPeerConnection(webrtc.Configuration{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := pc.Close(); err != nil {
			t.Error(err)
		}
	})
	return pc
}

func track(t *testing.T, mime string, options ...func(*webrtc.TrackLocalStaticRTP)) *webrtc.TrackLocalStaticRTP {
	t.Helper()
	l, err := webrtc.NewTrackLocalStaticRTP(webrtc.RTPCodecCapability{MimeType: mime}, strings.TrimPrefix(mime, "video/"), "stream", options...)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestPionTakesTheAnswerToItsPublisher(t *testing.T) {
	pc := peer(t)
	for _, mime := range []string{webrtc.MimeTypeOpus, webrtc.MimeTypeH264} {
		if _, err := pc.AddTransceiverFromTrack(track(t, mime), webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionSendonly}); err != nil {
			t.Fatal(err)
		}
	}
	r := taken(t, pc, negotiate.Publish)
	for _, tr := range pc.GetTransceivers() {
		p := tr.Sender().GetParameters()
		m := r.ByMID(tr.Mid())
		if m == nil || len(p.Codecs) == 0 || uint32(p.Encodings[0].SSRC) != m.SSRC {
			t.Fatalf("%s: %+v against %+v", tr.Kind(), p, m)
		}
		if first := uint8(p.Codecs[0].PayloadType); first != m.Codecs[0].PT {
			t.Errorf("%s: the peer sends payload type %d first, the answer wants %d", tr.Kind(), first, m.Codecs[0].PT)
		}
	}
}

func TestPionTakesTheAnswerToItsSimulcast(t *testing.T) {
	pc := peer(t)
	sender, err := pc.AddTrack(track(t, webrtc.MimeTypeVP8, webrtc.WithRTPStreamID("q")))
	if err != nil {
		t.Fatal(err)
	}
	for _, rid := range []string{"h", "f"} {
		if err := sender.AddEncoding(track(t, webrtc.MimeTypeVP8, webrtc.WithRTPStreamID(rid))); err != nil {
			t.Fatal(err)
		}
	}
	v := taken(t, pc, negotiate.Publish).Video()
	if strings.Join(v.RIDs, " ") != "q h f" || v.Ext.RID == 0 || v.Ext.MID == 0 {
		t.Errorf("%+v", v)
	}
}

func TestPionTakesTheAnswerToItsViewer(t *testing.T) {
	pc := peer(t)
	for _, kind := range []webrtc.RTPCodecType{webrtc.RTPCodecTypeVideo, webrtc.RTPCodecTypeAudio} {
		if _, err := pc.AddTransceiverFromKind(kind, webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionRecvonly}); err != nil {
			t.Fatal(err)
		}
	}
	r := taken(t, pc, negotiate.Subscribe)
	if r.Audio() == nil || r.Video().Match(media.H264, "profile-level-id=42e01f;packetization-mode=1") == nil {
		t.Errorf("%+v", r)
	}
}

// One m-line of three is refused: the peer goes on with the others.
func TestPionTakesARejectedDataChannel(t *testing.T) {
	pc := peer(t)
	if _, err := pc.CreateDataChannel("x", nil); err != nil {
		t.Fatal(err)
	}
	if _, err := pc.AddTransceiverFromKind(webrtc.RTPCodecTypeAudio, webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionRecvonly}); err != nil {
		t.Fatal(err)
	}
	r := taken(t, pc, negotiate.Subscribe)
	rejected := 0
	for i := range r.Media {
		if r.Media[i].Rejected {
			rejected++
		}
	}
	if rejected != 1 || r.Audio() == nil {
		t.Errorf("%+v", r.Media)
	}
}
