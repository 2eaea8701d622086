//go:build integration

package sfu_test

import (
	"net"
	"testing"

	"github.com/pion/ice/v4"
	"github.com/pion/webrtc/v4"

	"github.com/sluice-live/sluice/internal/testnet"
	"github.com/sluice-live/sluice/media"
)

// Trap 19: a client that vanishes without a word frees its seat within 30 s.
func TestTrap19_AVanishedViewerIsFreed(t *testing.T) {
	s := start(t, nil)
	e := publish(t, s, "demo", "pub")
	defer e.play(30)()
	socket, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	var se webrtc.SettingEngine
	se.SetIncludeLoopbackCandidate(true)
	se.SetICEUDPMux(ice.NewUDPMuxDefault(ice.UDPMuxParams{UDPConn: socket}))
	var me webrtc.MediaEngine
	if err := me.RegisterDefaultCodecs(); err != nil {
		t.Fatal(err)
	}
	pc, err := webrtc.NewAPI(webrtc.WithSettingEngine(se), webrtc.WithMediaEngine(&me)).NewPeerConnection(webrtc.Configuration{})
	if err != nil {
		t.Fatal(err)
	}
	defer pc.Close()
	if _, err := pc.AddTransceiverFromKind(webrtc.RTPCodecTypeVideo, webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionRecvonly}); err != nil {
		t.Fatal(err)
	}
	exchange(t, pc, withContext(s.Subscribe), media.Offer{Stream: "demo", Session: "view"})
	testnet.Eventually(t, "media flows", func() bool {
		st, _ := s.Stream("demo")
		return len(st.Sessions) == 1 && st.Sessions[0].Packets > 10
	})
	_ = socket.Close() // the cable is pulled
	testnet.Eventually(t, "its seat is free", func() bool { st, _ := s.Stream("demo"); return st.Viewers == 0 })
}
