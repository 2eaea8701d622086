package reflector

import (
	"crypto/rand"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/pion/ice/v4"
	"github.com/pion/interceptor"
	"github.com/pion/rtcp"
	"github.com/pion/webrtc/v4"
)

// Config of a reflector.
type Config struct {
	Token  string // wanted as Bearer, when set
	Strict bool   // 428 for PATCH without If-Match
	// NoPLI sends no PLI to the publisher when viewers come.
	NoPLI bool
	// Bare registers none of Pion's interceptors: no resends, no reports.
	Bare bool
	// Sockets gives each session a socket of its own, as Pion does by default,
	// instead of one that all share.
	Sockets bool
}

// Server reflects one stream. It is an http.Handler for /whip/x and /whep/x.
type Server struct {
	c           Config
	api         *webrtc.API
	mux         *ice.UDPMuxDefault
	audio       *webrtc.TrackLocalStaticRTP
	video       *webrtc.TrackLocalStaticRTP
	mu          sync.Mutex
	sessions    map[string]*session
	publisher   *session
	videoSource uint32
}

// session is one WHIP or WHEP resource.
type session struct {
	id, kind string
	mu       sync.Mutex // serializes PATCHes
	pc       *webrtc.PeerConnection
	offer    string
	tag      string
	ended    bool
	events   map[string]bool
}

// New makes a server on a UDP port of the loopback.
func New(c Config) (*Server, error) {
	sock, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	s := &Server{c: c, sessions: map[string]*session{}, mux: ice.NewUDPMuxDefault(ice.UDPMuxParams{UDPConn: sock})}
	if s.api, err = newAPI(c, s.mux); err != nil {
		return nil, err
	}
	if s.audio, err = webrtc.NewTrackLocalStaticRTP(webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeOpus, ClockRate: 48000, Channels: 2}, "audio", "reflected"); err != nil {
		return nil, err
	}
	s.video, err = webrtc.NewTrackLocalStaticRTP(webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeH264, ClockRate: 90000, SDPFmtpLine: "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f"}, "video", "reflected")
	return s, err
}

func newAPI(c Config, mux ice.UDPMux) (*webrtc.API, error) {
	m, i := &webrtc.MediaEngine{}, &interceptor.Registry{}
	if err := m.RegisterDefaultCodecs(); err != nil {
		return nil, err
	}
	if !c.Bare {
		if err := webrtc.RegisterDefaultInterceptors(m, i); err != nil {
			return nil, err
		}
	}
	set := webrtc.SettingEngine{}
	if c.Sockets {
		set.SetIPFilter(net.IP.IsLoopback)
	} else {
		set.SetICEUDPMux(mux)
	}
	set.SetNetworkTypes([]webrtc.NetworkType{webrtc.NetworkTypeUDP4})
	set.SetIncludeLoopbackCandidate(true)
	set.SetICEMulticastDNSMode(ice.MulticastDNSModeDisabled)
	set.SetICETimeouts(5*time.Second, 10*time.Second, 2*time.Second)
	return webrtc.NewAPI(webrtc.WithMediaEngine(m), webrtc.WithInterceptorRegistry(i), webrtc.WithSettingEngine(set)), nil
}

// Close ends all sessions.
func (s *Server) Close() {
	s.mu.Lock()
	all := make([]*session, 0, len(s.sessions))
	for _, x := range s.sessions {
		all = append(all, x)
	}
	s.mu.Unlock()
	for _, x := range all {
		s.end(x)
	}
	_ = s.mux.Close()
}

// Media is the one UDP address of all sessions.
func (s *Server) Media() net.Addr { return s.mux.GetListenAddresses()[0] }

// Sessions counts those that are open.
func (s *Server) Sessions() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, x := range s.sessions {
		if !x.ended {
			n++
		}
	}
	return n
}

// KickPublisher ends the publisher's session.
func (s *Server) KickPublisher() {
	s.mu.Lock()
	p := s.publisher
	s.mu.Unlock()
	if p != nil {
		s.end(p)
	}
}

// end closes a session; it is remembered.
func (s *Server) end(x *session) {
	s.mu.Lock()
	was := x.ended
	x.ended = true
	if s.publisher == x {
		s.publisher = nil
	}
	// It is remembered that it was; the connection and its buffers are not.
	s.sessions[x.id] = &session{id: x.id, kind: x.kind, ended: true}
	s.mu.Unlock()
	if !was {
		_ = x.pc.Close()
	}
}

// start makes a session's PeerConnection and the answer.
func (s *Server) start(kind, offer string) (*session, string, error) {
	pc, err := s.api.NewPeerConnection(webrtc.Configuration{})
	if err != nil {
		return nil, "", err
	}
	x := &session{id: rand.Text() + rand.Text(), kind: kind, pc: pc, offer: offer, tag: `"` + rand.Text() + `"`, events: map[string]bool{}}
	pc.OnConnectionStateChange(func(st webrtc.PeerConnectionState) {
		switch st {
		case webrtc.PeerConnectionStateConnected:
			if kind == "whep" && !s.c.NoPLI {
				s.askKey()
			}
		case webrtc.PeerConnectionStateClosed, webrtc.PeerConnectionStateFailed:
			go s.end(x) // Close within its own callback would wait for itself
		}
	})
	if kind == "whip" {
		pc.OnTrack(func(t *webrtc.TrackRemote, _ *webrtc.RTPReceiver) { s.reflect(x, t) })
	} else if err := s.sends(pc); err != nil {
		_ = pc.Close()
		return nil, "", err
	}
	answer, err := negotiate(pc, offer)
	if err != nil {
		_ = pc.Close()
		return nil, "", err
	}
	s.mu.Lock()
	s.sessions[x.id] = x
	if kind == "whip" {
		s.publisher = x
	}
	s.mu.Unlock()
	return x, answer, nil
}

func (s *Server) sends(pc *webrtc.PeerConnection) error {
	for _, t := range []*webrtc.TrackLocalStaticRTP{s.audio, s.video} {
		sender, err := pc.AddTrack(t)
		if err != nil {
			return err
		}
		go func() { // ends with the PeerConnection
			for {
				packets, _, err := sender.ReadRTCP()
				if err != nil {
					return
				}
				for _, p := range packets {
					if _, ok := p.(*rtcp.PictureLossIndication); ok {
						s.askKey()
					}
				}
			}
		}()
	}
	return nil
}

// reflect forwards a track; of simulcast layers only the largest, as our
// publishers name it.
func (s *Server) reflect(x *session, t *webrtc.TrackRemote) {
	out := s.audio
	if t.Kind() == webrtc.RTPCodecTypeVideo {
		out = s.video
		if rid := t.RID(); rid == "" || rid == "0" || rid == "f" {
			s.mu.Lock()
			s.videoSource = uint32(t.SSRC())
			s.mu.Unlock()
		} else {
			out = nil
		}
	}
	for {
		p, _, err := t.ReadRTP()
		if err != nil {
			return
		}
		s.mu.Lock()
		current := s.publisher == x
		s.mu.Unlock()
		if out == nil || !current {
			continue
		}
		p.Extension, p.Extensions = false, nil // ids differ per viewer
		_ = out.WriteRTP(p)                    // a viewer that left is no error of the stream
	}
}

func (s *Server) askKey() {
	s.mu.Lock()
	p, ssrc := s.publisher, s.videoSource
	s.mu.Unlock()
	if p != nil && ssrc != 0 {
		_ = p.pc.WriteRTCP([]rtcp.Packet{&rtcp.PictureLossIndication{MediaSSRC: ssrc}})
	}
}

var _ http.Handler = (*Server)(nil)
