package sfu_test

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pion/interceptor"
	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/media/codec/descriptor"
	"github.com/sluice-live/sluice/sfu"
)

// round is how every SFU of these tests carries its sessions.
var round = struct {
	name     string
	portable bool
	carrier  sfu.Carrier
}{name: "lite", carrier: sfu.CarrierAuto}

// TestMain runs the tests that open an SFU three times: by our own ICE-lite with the
// system's batches and without, and by Pion's full agent. They need to hold on all.
// SLUICE_TEST_ROUND names the one for a run of chosen tests.
func TestMain(m *testing.M) {
	flag.Parse()
	only, chosen := flag.Lookup("test.run").Value, os.Getenv("SLUICE_TEST_ROUND")
	all := only.String() == "" && flag.Lookup("test.fuzz").Value.String() == "" && chosen == ""
	code := 0
	for _, name := range []string{"lite", "portable", "pion"} {
		if code != 0 || !all && name != cmp.Or(chosen, "lite") {
			continue
		}
		round.name, round.portable = name, name == "portable"
		if name == "pion" {
			round.carrier = sfu.CarrierPion
		}
		if all && name != "lite" {
			tests := overSockets()
			fmt.Printf("=== the %d tests over sockets once more: %s\n", len(tests), name)
			_ = only.Set("^(" + strings.Join(tests, "|") + ")$")
		}
		code = m.Run()
	}
	os.Exit(code)
}

// overSockets finds the tests that open an SFU.
func overSockets() (tests []string) {
	files, _ := filepath.Glob("*_test.go")
	for _, file := range files {
		source, _ := os.ReadFile(file)
		for _, f := range strings.Split(string(source), "\nfunc ")[1:] {
			if name, _, _ := strings.Cut(f, "("); strings.HasPrefix(name, "Test") && strings.Contains(f, "start(t, ") {
				tests = append(tests, name)
			}
		}
	}
	return tests
}

// patience is for what a machine that stands still may hold up.
const patience = 30 * time.Second

var localhost = netip.MustParseAddr("127.0.0.1")

type claims struct{ last atomic.Uint64 }

func (c *claims) Claim(context.Context, media.StreamID) (media.Epoch, error) {
	return media.Epoch(c.last.Add(1)), nil
}
func (c *claims) Release(media.StreamID, media.Epoch) {}

// start runs an SFU on loopback until the test ends.
func start(t testing.TB, change func(*sfu.Config)) *sfu.SFU {
	t.Helper()
	c := sfu.Config{Media: "127.0.0.1:0", Claims: &claims{}, Portable: round.portable, Carrier: round.carrier}
	if change != nil {
		change(&c)
	}
	s, err := sfu.New(c)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { _ = s.Run(ctx); close(done) }() // ended by the cleanup below
	t.Cleanup(func() { cancel(); <-done })
	return s
}

// api is a full WebRTC client on loopback, with none of the default interceptors.
func api(t testing.TB) *webrtc.API {
	t.Helper()
	var se webrtc.SettingEngine
	se.SetIncludeLoopbackCandidate(true)
	se.SetNetworkTypes([]webrtc.NetworkType{webrtc.NetworkTypeUDP4})
	var me webrtc.MediaEngine
	if err := me.RegisterDefaultCodecs(); err != nil {
		t.Fatal(err)
	}
	for _, uri := range []string{"urn:ietf:params:rtp-hdrext:sdes:mid", "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id",
		"http://www.webrtc.org/experiments/rtp-hdrext/abs-capture-time", descriptorURI} {
		if err := me.RegisterHeaderExtension(webrtc.RTPHeaderExtensionCapability{URI: uri}, webrtc.RTPCodecTypeVideo); err != nil {
			t.Fatal(err)
		}
	}
	return webrtc.NewAPI(webrtc.WithSettingEngine(se), webrtc.WithMediaEngine(&me), webrtc.WithInterceptorRegistry(&interceptor.Registry{}))
}

// client is a WebRTC client on loopback with the settings that are changed, with Pion's
// codecs and none of its interceptors.
func client(t testing.TB, change func(se *webrtc.SettingEngine)) *webrtc.PeerConnection {
	t.Helper()
	var se webrtc.SettingEngine
	se.SetIncludeLoopbackCandidate(true)
	se.SetNetworkTypes([]webrtc.NetworkType{webrtc.NetworkTypeUDP4})
	change(&se)
	var me webrtc.MediaEngine
	if err := me.RegisterDefaultCodecs(); err != nil {
		t.Fatal(err)
	}
	pc, err := webrtc.NewAPI(webrtc.WithSettingEngine(se), webrtc.WithMediaEngine(&me),
		webrtc.WithInterceptorRegistry(&interceptor.Registry{})).NewPeerConnection(webrtc.Configuration{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = pc.Close() })
	return pc
}

const descriptorURI = "https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension"

// descriptorID is the id under which a client has offered dependency descriptors.
func descriptorID(t testing.TB, pc *webrtc.PeerConnection) uint8 {
	t.Helper()
	before, _, ok := strings.Cut(pc.LocalDescription().SDP, " "+descriptorURI)
	id, err := strconv.Atoi(before[strings.LastIndexByte(before, ':')+1:])
	if !ok || err != nil {
		t.Fatalf("no descriptors were offered: %v", err)
	}
	return uint8(id)
}

func exchange(t testing.TB, pc *webrtc.PeerConnection, post func(media.Offer) (media.Answer, error), o media.Offer) {
	t.Helper()
	offer, err := pc.CreateOffer(nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := pc.SetLocalDescription(offer); err != nil {
		t.Fatal(err)
	}
	o.SDP, o.Arrived, o.Remote, o.At = []byte(offer.SDP), localhost, localhost, time.Now()
	answer, err := post(o)
	var busy *media.BusyError
	for end := time.Now().Add(patience); errors.As(err, &busy) && time.Now().Before(end); answer, err = post(o) {
		<-time.After(100 * time.Millisecond) // a machine that stood still lets nobody in for a moment
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: string(answer.SDP)}); err != nil {
		t.Fatalf("%v\n%s", err, answer.SDP)
	}
}

func withContext(f func(context.Context, media.Offer) (media.Answer, error)) func(media.Offer) (media.Answer, error) {
	return func(o media.Offer) (media.Answer, error) { return f(context.Background(), o) }
}

// encoder is a publisher whose packets the test writes.
type encoder struct {
	t     testing.TB
	pc    *webrtc.PeerConnection
	video *webrtc.TrackLocalStaticRTP
	seq   uint16
	ts    uint32
	plis  atomic.Int64
	nacks atomic.Int64

	described uint8 // id of dependency descriptors; 0: none are sent
	number    uint16
}

var sps = []byte{0x67, 0x42, 0xc0, 0x1f, 0xd9, 0x00, 0x50, 0x05, 0xbb, 0x01, 0x10, 0x00, 0x00, 0x03, 0x00, 0x10, 0x00, 0x00, 0x03, 0x03, 0xc0, 0xf1, 0x83, 0x24, 0x80}

func publish(t testing.TB, s *sfu.SFU, id media.StreamID, session string) *encoder {
	t.Helper()
	pc, err := api(t).NewPeerConnection(webrtc.Configuration{})
	if err != nil {
		t.Fatal(err)
	}
	e := &encoder{t: t, pc: pc, seq: 65500, ts: 4294967295 - 45000} // both wrap within the first second
	e.video, err = webrtc.NewTrackLocalStaticRTP(webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeH264, ClockRate: 90000,
		SDPFmtpLine: "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f"}, "video", "test")
	if err != nil {
		t.Fatal(err)
	}
	sender, err := pc.AddTrack(e.video)
	if err != nil {
		t.Fatal(err)
	}
	go func() { // ends when the PeerConnection is closed
		for {
			packets, _, err := sender.ReadRTCP()
			if err != nil {
				return
			}
			for _, p := range packets {
				switch p.(type) {
				case *rtcp.PictureLossIndication:
					e.plis.Add(1)
				case *rtcp.TransportLayerNack:
					e.nacks.Add(1)
				}
			}
		}
	}()
	connected, once := make(chan struct{}), sync.Once{}
	pc.OnConnectionStateChange(func(st webrtc.PeerConnectionState) {
		if st == webrtc.PeerConnectionStateConnected {
			once.Do(func() { close(connected) }) // it may be lost for a moment
		}
	})
	exchange(t, pc, withContext(s.Publish), media.Offer{Stream: id, Session: media.SessionID(session)})
	t.Cleanup(func() { _ = pc.Close() })
	select {
	case <-connected:
	case <-time.After(patience):
		t.Fatal("the publisher did not connect")
	}
	return e
}

// frame writes one frame; a key frame has parameter sets in packets of their own, as OBS sends them.
func (e *encoder) frame(key bool) {
	e.ts += 3000
	var nals [][]byte
	if key {
		nals = append(nals, sps, []byte{0x68, 0xce, 0x3c, 0x80}, append([]byte{0x65, 0x88, 0x84}, make([]byte, 600)...))
	} else {
		nals = append(nals, append([]byte{0x41, 0x9a, 0x24}, make([]byte, 300)...))
	}
	for i, nal := range nals {
		e.seq++
		p := &rtp.Packet{Header: rtp.Header{Version: 2, PayloadType: 102, SequenceNumber: e.seq, Timestamp: e.ts, Marker: i == len(nals)-1}, Payload: nal}
		if e.described != 0 {
			e.describe(&p.Header, key, i == 0, i == len(nals)-1)
		}
		if err := e.video.WriteRTP(p); err != nil {
			e.t.Error(err)
		}
	}
}

// describe gives a packet the descriptor of an encoding without layers, each frame made from the one before.
func (e *encoder) describe(h *rtp.Header, key, first, last bool) {
	st := descriptor.Structure{Count: 2, Targets: 1}
	for i := range st.Templates[:2] {
		st.Templates[i].Indications = descriptor.Indications(descriptor.Switch)
	}
	st.Templates[1].Diffs = descriptor.Diffs{N: 1, By: [descriptor.MaxDiffs]uint16{1}}
	f := descriptor.Frame{Start: first, End: last, Number: e.number, HasStructure: key && first}
	if !key {
		f.Template = 1
	}
	if last {
		e.number++
	}
	if err := h.SetExtension(e.described, st.Append(nil, &f)); err != nil {
		e.t.Error(err)
	}
}

// screen is a viewer that keeps what comes.
type screen struct {
	pc      *webrtc.PeerConnection
	packets chan *rtp.Packet
	ssrc    atomic.Uint32
}

func watch(t testing.TB, s *sfu.SFU, id media.StreamID, session string) *screen {
	t.Helper()
	pc, err := api(t).NewPeerConnection(webrtc.Configuration{})
	if err != nil {
		t.Fatal(err)
	}
	v := &screen{pc: pc, packets: make(chan *rtp.Packet, 10000)}
	if _, err := pc.AddTransceiverFromKind(webrtc.RTPCodecTypeVideo, webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionRecvonly}); err != nil {
		t.Fatal(err)
	}
	pc.OnTrack(func(tr *webrtc.TrackRemote, _ *webrtc.RTPReceiver) {
		v.ssrc.Store(uint32(tr.SSRC()))
		for {
			p, _, err := tr.ReadRTP()
			if err != nil {
				return
			}
			v.packets <- p
		}
	})
	exchange(t, pc, withContext(s.Subscribe), media.Offer{Stream: id, Session: media.SessionID(session)})
	t.Cleanup(func() { _ = pc.Close() })
	return v
}

func (v *screen) next(t testing.TB) *rtp.Packet {
	t.Helper()
	select {
	case p := <-v.packets:
		return p
	case <-time.After(patience):
		t.Fatalf("no packet came for %v", patience)
		return nil
	}
}

func TestAViewerGetsWhatThePublisherSends(t *testing.T) {
	s := start(t, nil)
	e := publish(t, s, "demo", "pub")
	stop := e.play(100)
	defer stop()
	v := watch(t, s, "demo", "view")
	first := v.next(t)
	if first.Payload[0] != sps[0] {
		t.Fatalf("the first packet is no key frame: % x", first.Payload[:4])
	}
	seq := first.SequenceNumber
	for range 200 {
		p := v.next(t)
		seq++
		if p.SequenceNumber != seq {
			t.Fatalf("packet %d came for %d", p.SequenceNumber, seq)
		}
	}
}

// play sends frames in the background, a key frame each 60, until the returned function is called.
func (e *encoder) play(fps int) (stop func()) {
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(time.Second / time.Duration(fps))
		defer tick.Stop()
		for i := 0; ; i++ {
			select {
			case <-done:
				return
			case <-tick.C:
				e.frame(i%60 == 0)
			}
		}
	}()
	return func() { close(done); <-ended }
}
