package sfu_test

import (
	"bytes"
	"encoding/binary"
	"net"
	"slices"
	"sync"
	"testing"

	"github.com/pion/ice/v4"
	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"

	"github.com/sluice-live/sluice/internal/testnet"
	"github.com/sluice-live/sluice/media"
)

// tap is a client's socket that keeps what comes under each SRTP and SRTCP number.
type tap struct {
	net.PacketConn
	mu      sync.Mutex
	sealed  map[uint64][]byte // by SSRC and number, as it came
	rolls   map[uint32]uint64 // highest sequence number, 64 bits, by SSRC
	again   int               // the very same once more
	differs []uint64          // another one under a used number
}

func (p *tap) ReadFrom(b []byte) (int, net.Addr, error) {
	n, from, err := p.PacketConn.ReadFrom(b)
	if n >= 12 && b[0] >= 128 && b[0] < 192 {
		p.keep(b[:n])
	}
	return n, from, err
}

// keep notes a packet under the number that its nonce is made of (RFC 7714 sections 8.1 and 9.1).
func (p *tap) keep(b []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var key uint64
	if b[1] >= 192 && b[1] <= 223 { // SRTCP: its index is at the end
		key = 1<<63 | uint64(binary.BigEndian.Uint32(b[4:])&(1<<31-1))<<32 | uint64(binary.BigEndian.Uint32(b[len(b)-4:])&(1<<31-1))
	} else {
		ssrc, seq := binary.BigEndian.Uint32(b[8:]), binary.BigEndian.Uint16(b[2:])
		top := p.rolls[ssrc]
		full := top + uint64(int64(int16(seq-uint16(top))))
		p.rolls[ssrc] = max(top, full)
		key = uint64(ssrc&(1<<31-1))<<32 | full&(1<<32-1)
	}
	switch before, used := p.sealed[key]; {
	case !used:
		p.sealed[key] = slices.Clone(b)
	case bytes.Equal(before, b):
		p.again++
	default:
		p.differs = append(p.differs, key)
	}
}

// A nonce is used once, whatever happens to a viewer: packets that it asks for again, an ICE restart, another publisher.
func TestANonceIsUsedOnce(t *testing.T) {
	s := start(t, nil)
	first := publish(t, s, "demo", "pub1")
	stop := first.play(100)
	socket, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	p := &tap{PacketConn: socket, sealed: map[uint64][]byte{}, rolls: map[uint32]uint64{}}
	mux := ice.NewUDPMuxDefault(ice.UDPMuxParams{UDPConn: p})
	t.Cleanup(func() { _ = mux.Close() })
	pc := client(t, func(se *webrtc.SettingEngine) { se.SetICEUDPMux(mux) })
	v := &screen{pc: pc, packets: make(chan *rtp.Packet, 10000)}
	pc.OnTrack(func(tr *webrtc.TrackRemote, _ *webrtc.RTPReceiver) {
		v.ssrc.Store(uint32(tr.SSRC()))
		for p, _, err := tr.ReadRTP(); err == nil; p, _, err = tr.ReadRTP() {
			v.packets <- p
		}
	})
	if _, err := pc.AddTransceiverFromKind(webrtc.RTPCodecTypeVideo, webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionRecvonly}); err != nil {
		t.Fatal(err)
	}
	exchange(t, pc, withContext(s.Subscribe), media.Offer{Stream: "demo", Session: "view"})
	see := func(n int) {
		for range n {
			got := v.next(t)
			if got.SequenceNumber%8 == 0 { // it says that it has lost this one
				_ = pc.WriteRTCP([]rtcp.Packet{&rtcp.TransportLayerNack{MediaSSRC: v.ssrc.Load(), Nacks: []rtcp.NackPair{{PacketID: got.SequenceNumber - 3}}}})
			}
		}
	}
	see(100)
	renew(t, s, v)
	see(100)
	stop()
	second := publish(t, s, "demo", "pub2")
	defer second.play(100)()
	see(100)
	testnet.Eventually(t, "packets came again, or by RTX", func() bool {
		see(10)
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.again > 0 || len(p.rolls) > 1
	})
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.differs) > 0 || len(p.sealed) < 300 {
		t.Errorf("of %d numbers %d were used for two packets", len(p.sealed), len(p.differs))
	}
}
