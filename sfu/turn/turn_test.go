package turn_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pion/interceptor"
	"github.com/pion/logging"
	"github.com/pion/rtp"
	pion "github.com/pion/turn/v5"
	"github.com/pion/webrtc/v4"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/sluice-live/sluice/internal/testnet/port"
	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/sfu"
	"github.com/sluice-live/sluice/sfu/turn"
)

var localhost = netip.MustParseAddr("127.0.0.1")

type claims struct{ last atomic.Uint64 }

func (c *claims) Claim(context.Context, media.StreamID) (media.Epoch, error) {
	return media.Epoch(c.last.Add(1)), nil
}
func (c *claims) Release(media.StreamID, media.Epoch) {}

// node is an SFU on loopback and the relay in front of it.
type node struct {
	sfu     *sfu.SFU
	turn    *turn.Server
	metrics *prometheus.Registry
	stop    func() // ends the relay, and waits for it
}

func start(t *testing.T, change func(*turn.Config)) *node {
	t.Helper()
	s, err := sfu.New(sfu.Config{Media: "127.0.0.1:0", Claims: &claims{}})
	if err != nil {
		t.Fatal(err)
	}
	run(t, s.Run)
	n := &node{sfu: s, metrics: prometheus.NewRegistry()}
	c := turn.Config{Listen: port.Address(t), Secure: "127.0.0.1:0", TLS: selfSigned(t), Media: s, Host: "127.0.0.1", Metrics: n.metrics}
	if change != nil {
		change(&c)
	}
	if n.turn, err = turn.New(c); err != nil {
		t.Fatal(err)
	}
	n.stop = run(t, n.turn.Run)
	return n
}

// run runs a part until the test or the returned function ends it.
func run(t *testing.T, part func(context.Context) error) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { // ended by stop
		defer close(done)
		if err := part(ctx); err != nil {
			t.Error(err)
		}
	}()
	stop = func() { cancel(); <-done }
	t.Cleanup(stop)
	return stop
}

func selfSigned(t *testing.T) *tls.Config {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
}

// client is a TURN client; the ticket says where to and over what.
func client(t *testing.T, k turn.Ticket, over string) *pion.Client {
	t.Helper()
	var conn net.PacketConn
	var at string
	for _, url := range k.URLs {
		host, transport, _ := strings.Cut(url, "?transport=")
		scheme, host, _ := strings.Cut(host, ":")
		if scheme+"/"+transport == over {
			at = host
		}
	}
	var err error
	switch over {
	case "turn/udp":
		conn, err = net.ListenPacket("udp4", "127.0.0.1:0")
	case "turn/tcp":
		conn, err = stream(net.Dial("tcp", at))
	case "turns/tcp":
		conn, err = stream(tls.Dial("tcp", at, &tls.Config{InsecureSkipVerify: true})) // signed by itself
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	c, err := pion.NewClient(&pion.ClientConfig{TURNServerAddr: at, Conn: conn, Username: k.Username, Password: k.Password,
		LoggerFactory: &logging.DefaultLoggerFactory{DefaultLogLevel: logging.LogLevelDisabled}})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Listen(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func stream[C net.Conn](c C, err error) (net.PacketConn, error) {
	if err != nil {
		return nil, err
	}
	return pion.NewSTUNConn(c), nil
}

func api(mux net.PacketConn) *webrtc.API {
	var se webrtc.SettingEngine
	se.SetIncludeLoopbackCandidate(true)
	se.SetNetworkTypes([]webrtc.NetworkType{webrtc.NetworkTypeUDP4})
	if mux != nil {
		se.SetICEUDPMux(webrtc.NewICEUDPMux(nil, mux))
	}
	var me webrtc.MediaEngine
	_ = me.RegisterDefaultCodecs() // of a new engine: cannot fail
	return webrtc.NewAPI(webrtc.WithSettingEngine(se), webrtc.WithMediaEngine(&me), webrtc.WithInterceptorRegistry(&interceptor.Registry{}))
}

type accept func(context.Context, media.Offer) (media.Answer, error)

func exchange(t *testing.T, pc *webrtc.PeerConnection, to accept, session media.SessionID) {
	t.Helper()
	offer, err := pc.CreateOffer(nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := pc.SetLocalDescription(offer); err != nil {
		t.Fatal(err)
	}
	answer, err := to(context.Background(), media.Offer{Stream: "demo", Session: session, SDP: []byte(offer.SDP), Arrived: localhost, Remote: localhost, At: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	if err := pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: string(answer.SDP)}); err != nil {
		t.Fatal(err)
	}
}

// speak publishes sound until the test ends.
func (n *node) speak(t *testing.T) {
	t.Helper()
	pc, err := api(nil).NewPeerConnection(webrtc.Configuration{})
	if err != nil {
		t.Fatal(err)
	}
	track, err := webrtc.NewTrackLocalStaticRTP(webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeOpus, ClockRate: 48000, Channels: 2}, "audio", "test")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := pc.AddTrack(track); err != nil {
		t.Fatal(err)
	}
	exchange(t, pc, n.sfu.Publish, "pub")
	done, ended := make(chan struct{}), make(chan struct{})
	go func() { // ended by the cleanup
		defer close(ended)
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for seq := uint16(1); ; seq++ {
			select {
			case <-done:
				return
			case <-tick.C:
			}
			_ = track.WriteRTP(&rtp.Packet{Header: rtp.Header{Version: 2, PayloadType: 111, SequenceNumber: seq, Timestamp: uint32(seq) * 960}, Payload: []byte("sound")})
		}
	}()
	t.Cleanup(func() { close(done); <-ended; _ = pc.Close() })
}

// hears watches over a connection and waits for sound.
func (n *node) hears(t *testing.T, over net.PacketConn, session media.SessionID) {
	t.Helper()
	pc, err := api(over).NewPeerConnection(webrtc.Configuration{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = pc.Close() })
	if _, err := pc.AddTransceiverFromKind(webrtc.RTPCodecTypeAudio, webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionRecvonly}); err != nil {
		t.Fatal(err)
	}
	heard := make(chan string, 1)
	pc.OnTrack(func(tr *webrtc.TrackRemote, _ *webrtc.RTPReceiver) {
		for {
			p, _, err := tr.ReadRTP()
			if err != nil {
				return
			}
			select {
			case heard <- string(p.Payload):
			default:
			}
		}
	})
	exchange(t, pc, n.sfu.Subscribe, session)
	select {
	case got := <-heard:
		if got != "sound" {
			t.Errorf("heard %q", got)
		}
	case <-time.After(time.Minute):
		t.Fatal("nothing was heard for a minute")
	}
}

func TestAViewerBehindTheRelayHears(t *testing.T) {
	n := start(t, nil)
	n.speak(t)
	for _, over := range []string{"turn/udp", "turn/tcp", "turns/tcp"} {
		t.Run(over, func(t *testing.T) {
			relayed, err := client(t, n.turn.Ticket("", time.Now()), over).Allocate()
			if err != nil {
				t.Fatal(err)
			}
			before := n.value(t, "sluice_turn_bytes_total")
			n.hears(t, relayed, media.SessionID("view-"+over))
			if got := n.value(t, "sluice_turn_bytes_total") - before; got < 1000 { // a DTLS handshake is more
				t.Errorf("only %v bytes were relayed", got)
			}
		})
	}
}

// value is the sum of a metric over its labels.
func (n *node) value(t *testing.T, name string) (sum float64) {
	t.Helper()
	families, err := n.metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			for _, m := range f.GetMetric() {
				sum += m.GetGauge().GetValue() + m.GetCounter().GetValue()
			}
		}
	}
	return sum
}

func TestNothingButTheMediaPortIsAPeer(t *testing.T) {
	n := start(t, nil)
	other, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = other.Close() }()
	heard := make(chan string, 1)
	go func() { // ends when other is closed
		b := make([]byte, 100)
		if k, _, err := other.ReadFrom(b); err == nil {
			heard <- string(b[:k])
		}
	}()
	relayed, err := client(t, n.turn.Ticket("", time.Now()), "turn/udp").Allocate()
	if err != nil {
		t.Fatal(err)
	}
	for _, at := range []string{"198.51.100.1:53", "169.254.169.254:80", "10.255.255.254:8080"} {
		to := net.UDPAddrFromAddrPort(netip.MustParseAddrPort(at))
		if _, err := relayed.WriteTo([]byte("x"), to); err == nil {
			t.Errorf("a permission for %s was given", at)
		}
	}
	// This machine's address, but another port: permissions know no ports.
	if _, err := relayed.WriteTo([]byte("to another port"), other.LocalAddr()); err != nil {
		t.Fatal(err)
	}
	before := n.value(t, "sluice_turn_refused_total")
	if before < 3 {
		t.Errorf("%v refusals counted", before)
	}
	deadline := time.Now().Add(time.Minute)
	for n.value(t, "sluice_turn_refused_total") == before && len(heard) == 0 && time.Now().Before(deadline) {
		if _, err := relayed.WriteTo([]byte("to another port"), other.LocalAddr()); err != nil {
			t.Fatal(err)
		}
	}
	select {
	case got := <-heard:
		t.Errorf("another port heard %q", got)
	default:
	}
	if n.value(t, "sluice_turn_refused_total") == before || n.value(t, "sluice_turn_bytes_total") != 0 {
		t.Error("what went to another port was not refused")
	}
}

func TestTicketsThatDoNotCount(t *testing.T) {
	n := start(t, nil)
	good := n.turn.Ticket("", time.Now())
	for what, k := range map[string]turn.Ticket{
		"expired":              n.turn.Ticket("", time.Now().Add(-11*time.Minute)),
		"with a wrong word":    {URLs: good.URLs, Username: good.Username, Password: "wrong"},
		"of another":           {URLs: good.URLs, Username: n.turn.Ticket("", time.Now()).Username, Password: good.Password},
		"with a name made up":  {URLs: good.URLs, Username: "admin", Password: "admin"},
		"from the year 9999":   {URLs: good.URLs, Username: "253370764800:AAAAAAAAAAAAAAAA", Password: good.Password},
		"without a name at it": {URLs: good.URLs, Username: "0:", Password: ""},
	} {
		if _, err := client(t, k, "turn/udp").Allocate(); err == nil {
			t.Errorf("a ticket %s counts", what)
		}
	}
	if _, err := client(t, good, "turn/udp").Allocate(); err != nil {
		t.Errorf("a good one does not: %v", err)
	}
}

func TestPlacesAreBoundedAndComeFree(t *testing.T) {
	for what, c := range map[string]struct {
		limits turn.Limits
		same   bool // one ticket for all
	}{
		"in all":      {turn.Limits{Allocations: 2}, false},
		"per address": {turn.Limits{PerAddress: 2}, false},
		"per ticket":  {turn.Limits{PerTicket: 2}, true},
	} {
		t.Run(what, func(t *testing.T) {
			n := start(t, func(k *turn.Config) { k.Limits = c.limits })
			one := n.turn.Ticket("", time.Now())
			next := func() (net.PacketConn, error) {
				k := n.turn.Ticket("", time.Now())
				if c.same {
					k = one
				}
				return client(t, k, "turn/udp").Allocate()
			}
			first, err := next()
			if err != nil {
				t.Fatal(err)
			}
			if _, err := next(); err != nil {
				t.Fatal(err)
			}
			if _, err := next(); err == nil {
				t.Fatal("a third one was given")
			}
			if err := first.Close(); err != nil { // tells the server
				t.Fatal(err)
			}
			deadline := time.Now().Add(time.Minute)
			for n.value(t, "sluice_turn_allocations") > 1 && time.Now().Before(deadline) {
				<-time.After(time.Millisecond)
			}
			if _, err := next(); err != nil {
				t.Errorf("no place came free: %v", err)
			}
		})
	}
}

func TestTheEndEndsAllocationsAndConnections(t *testing.T) {
	n := start(t, nil)
	for _, over := range []string{"turn/udp", "turn/tcp", "turns/tcp"} {
		if _, err := client(t, n.turn.Ticket("", time.Now()), over).Allocate(); err != nil {
			t.Fatal(err)
		}
	}
	n.stop()
	if got := n.value(t, "sluice_turn_allocations"); got != 0 {
		t.Errorf("%v allocations are left", got)
	}
}

func TestAConnectionOfJunkIsClosed(t *testing.T) {
	n := start(t, nil)
	at := strings.TrimSuffix(strings.TrimPrefix(n.turn.Ticket("", time.Now()).URLs[1], "turn:"), "?transport=tcp")
	for what, b := range map[string][]byte{
		"another protocol":                []byte("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"),
		"a length that 16 bits hold as 0": append([]byte{0, 1, 0xff, 0xec, 0x21, 0x12, 0xa4, 0x42}, make([]byte, 12)...),
	} {
		c, err := net.Dial("tcp", at)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = c.Write(b)
		_ = c.SetReadDeadline(time.Now().Add(8 * time.Second)) // before the server gives up waiting for an allocation
		if _, err := c.Read(make([]byte, 1)); err == nil || strings.Contains(err.Error(), "timeout") {
			t.Errorf("%s: %v", what, err)
		}
		_ = c.Close()
	}
}

func TestURLsNameWhereClientsReachTheNode(t *testing.T) {
	for _, c := range []struct {
		what, host, public, name string
		want                     string
	}{
		{"by the name of the request", "", "", "live.example", "turn:live.example turn:live.example turns:live.example"},
		{"by the public address, TLS by name", "", "192.0.2.1", "live.example", "turn:192.0.2.1 turn:192.0.2.1 turns:live.example"},
		{"by the configured host", "turn.example", "192.0.2.1", "live.example", "turn:turn.example turn:turn.example turns:turn.example"},
		{"by an IPv6 address", "", "", "2001:db8::1", "turn:[2001:db8::1] turn:[2001:db8::1] turns:[2001:db8::1]"},
		{"never by what is no name", "", "192.0.2.1", "a\"b>\r\n", "turn:192.0.2.1 turn:192.0.2.1 turns:192.0.2.1"},
		{"not at all without one", "", "", "", ""},
	} {
		s, err := turn.New(turn.Config{Listen: port.Address(t), Secure: "127.0.0.1:0", TLS: &tls.Config{}, Host: c.host, Public: public(c.public), Media: still{}})
		if err != nil {
			t.Fatal(err)
		}
		var hosts []string
		for _, u := range s.Ticket(c.name, time.Now()).URLs {
			hosts = append(hosts, u[:strings.LastIndexByte(u, ':')])
		}
		if got := strings.Join(hosts, " "); got != c.want {
			t.Errorf("%s: %s", c.what, got)
		}
		s.Close()
	}
}

func public(ip string) []netip.Addr {
	if ip == "" {
		return nil
	}
	return []netip.Addr{netip.MustParseAddr(ip)}
}

// still is a node without a media port.
type still struct{}

func (still) Reach(bool) netip.AddrPort { return netip.AddrPort{} }
func (still) Announced() []netip.Addr   { return nil }
