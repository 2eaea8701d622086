//go:build linux

package egress

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pion/dtls/v3"
	"github.com/pion/ice/v4"
	"github.com/pion/interceptor"
	"github.com/pion/logging"
	"github.com/pion/rtp"
	"github.com/pion/srtp/v3"
	"github.com/pion/webrtc/v4"
	"golang.org/x/sys/unix"
)

// Benchmarks of sending bursts of k packets of 1,200 bytes to each of 100 viewers,
// over loopback to a socket that nobody reads: loopback's receiving is part of it,
// and is the same for all. CPU time of the process is what counts on a machine
// that others use too; take the least of several runs, and ratios.

const benchViewers = 100

// cpu returns the time that this process has used.
func cpu() time.Duration {
	var r unix.Rusage
	_ = unix.Getrusage(unix.RUSAGE_SELF, &r)
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

// measure runs one burst to all viewers over and over.
func measure(b *testing.B, packets int, burst func()) {
	burst()
	b.ReportAllocs()
	before := cpu()
	for b.Loop() {
		burst()
	}
	total := float64(b.N) * float64(packets)
	b.ReportMetric(float64(cpu()-before)/total, "cpu-ns/packet")
	b.ReportMetric(float64(b.Elapsed())/total, "ns/packet")
	b.ReportMetric(0, "ns/op")
}

// plainHeader is what a shard writes: RTP and a transport-wide number.
func plainHeader(dst []byte, ssrc uint32, seq uint16) []byte {
	dst = append(dst, 0x90, 96, byte(seq>>8), byte(seq), 0, 0, 0, 1)
	dst = binary.BigEndian.AppendUint32(dst, ssrc)
	return append(dst, 0xBE, 0xDE, 0, 1, 0x31, byte(seq>>8), byte(seq), 0)
}

// sink is a socket that nobody reads.
func sink(b *testing.B) netip.AddrPort {
	return listen(b, "udp4", "127.0.0.1:0").LocalAddr().(*net.UDPAddr).AddrPort()
}

type benchViewer struct {
	dest Dest
	ssrc uint32
	seq  uint16
}

func benchDests(b *testing.B, batch Batch, to netip.AddrPort) []*benchViewer {
	var all []*benchViewer
	for i := range benchViewers {
		key := append([]byte{}, testKey...)
		key[0] = byte(i)
		g, err := NewGCM(key, testSalt, 0)
		if err != nil {
			b.Fatal(err)
		}
		all = append(all, &benchViewer{dest: Dest{batch, NewAddr(to), g}, ssrc: uint32(i)})
	}
	return all
}

func BenchmarkEngine(b *testing.B) {
	for _, kind := range []struct {
		name   string
		cfg    Config
		copied bool  // the payload is built in the arena, as where it is patched
		sizes  []int // in turn
		batch  func(*net.UDPConn) Batch
	}{
		{name: "segments"},
		{name: "copied", copied: true},
		{name: "runs of 32", cfg: Config{Run: 32}},
		{name: "arena 256 KB", cfg: Config{Arena: 256 << 10}},
		{name: "arena 512 KB", cfg: Config{Arena: 512 << 10}},
		{name: "arena 2 MB", cfg: Config{Arena: 2 << 20}},
		{name: "uneven", sizes: []int{1199, 1199, 1199, 1199, 1200, 1200, 1200, 1200}},
		{name: "uneven, rounded to 16", sizes: []int{1199, 1199, 1199, 1199, 1200, 1200, 1200, 1200}, cfg: Config{Round: 16}},
		{name: "alternating", sizes: []int{1199, 1200}},
		{name: "alternating, rounded to 16", sizes: []int{1199, 1200}, cfg: Config{Round: 16}},
		{name: "plain", batch: func(c *net.UDPConn) Batch {
			l, _ := NewLinux(c)
			l.plain.Store(true)
			return l
		}},
		{name: "portable", batch: func(c *net.UDPConn) Batch { return NewPortable(c) }},
		{name: "no socket", batch: func(*net.UDPConn) Batch { return &wire{void: true} }},
	} {
		for _, k := range []int{1, 8, 32} {
			b.Run(fmt.Sprintf("%s/k=%d", kind.name, k), func(b *testing.B) {
				var batch Batch
				if c := listen(b, "udp4", "127.0.0.1:0"); kind.batch != nil {
					batch = kind.batch(c)
				} else {
					batch = New(c)
				}
				viewers := benchDests(b, batch, sink(b))
				e := NewEngine(kind.cfg)
				body := make([]byte, 1200)
				measure(b, benchViewers*k, func() {
					for _, v := range viewers {
						e.Begin(&v.dest)
						for i := range k {
							p := body
							if len(kind.sizes) > 0 {
								p = body[:kind.sizes[i%len(kind.sizes)]]
							}
							h := plainHeader(e.Room(1400), v.ssrc, v.seq)
							v.seq++
							if kind.copied {
								n := len(h)
								h = append(h, p...)
								h, p = h[:n], h[n:]
							}
							_ = e.Packet(h, p)
						}
					}
					e.Flush()
				})
			})
		}
	}
}

func BenchmarkSeal(b *testing.B) {
	body := make([]byte, 1200)
	for name, s := range sealers(b, 0) {
		b.Run(name, func(b *testing.B) {
			dst := make([]byte, 0, 1400)
			var head [32]byte
			seq := uint16(0)
			measure(b, 1, func() {
				seq++
				_, _ = s.Seal(dst, plainHeader(head[:0], 1, seq), body)
			})
		})
	}
}

// BenchmarkOneByOne is what there was before: pion/srtp, and one system call for
// each packet, or for each viewer's run.
func BenchmarkOneByOne(b *testing.B) {
	for _, runs := range []bool{false, true} {
		for _, k := range []int{1, 8, 32} {
			b.Run(fmt.Sprintf("%s/k=%d", map[bool]string{false: "a call for each packet", true: "a call for each run"}[runs], k), func(b *testing.B) {
				conn, to := listen(b, "udp4", "127.0.0.1:0"), sink(b)
				var contexts []*srtp.Context
				for i := range benchViewers {
					key := append([]byte{}, testKey...)
					key[0] = byte(i)
					c, err := srtp.CreateContext(key, testSalt, srtp.ProtectionProfileAeadAes128Gcm)
					if err != nil {
						b.Fatal(err)
					}
					contexts = append(contexts, c)
				}
				body, plain, sealed := make([]byte, 1200), make([]byte, 0, 1400), make([]byte, 0, 16*1400)
				var h rtp.Header
				var oob [24]byte
				seq := uint16(0)
				first := seq
				measure(b, benchViewers*k, func() {
					for i, c := range contexts {
						seq = first
						sealed = sealed[:0]
						for n := range k {
							plain = append(plainHeader(plain[:0], uint32(i), seq), body...)
							seq++
							at := len(sealed)
							out, err := c.EncryptRTP(sealed[at:at:cap(sealed)], plain, &h)
							if err != nil {
								b.Fatal(err)
							}
							if !runs {
								_, _ = conn.WriteToUDPAddrPort(out, to)
								continue
							}
							sealed = sealed[:at+len(out)]
							if n%16 == 15 || n == k-1 {
								_, _, _ = conn.WriteMsgUDPAddrPort(sealed, segments(&oob, len(out)), to)
								sealed = sealed[:0]
							}
						}
					}
					first = seq
				})
			})
		}
	}
}

func segments(b *[24]byte, size int) []byte {
	binary.NativeEndian.PutUint64(b[0:], uint64(unix.CmsgLen(2)))
	binary.NativeEndian.PutUint32(b[8:], unix.SOL_UDP)
	binary.NativeEndian.PutUint32(b[12:], unix.UDP_SEGMENT)
	binary.NativeEndian.PutUint16(b[16:], uint16(size))
	return b[:unix.CmsgSpace(2)]
}

// BenchmarkPion is what most Go servers do: one TrackLocalStaticRTP to all.
func BenchmarkPion(b *testing.B) {
	for _, bare := range []bool{true, false} {
		name := map[bool]string{true: "bare", false: "default interceptors"}[bare]
		b.Run(name, func(b *testing.B) {
			track := pionViewers(b, bare)
			for _, k := range []int{1, 8, 32} {
				b.Run(fmt.Sprintf("k=%d", k), func(b *testing.B) {
					p := &rtp.Packet{Header: rtp.Header{Version: 2}, Payload: make([]byte, 1200)}
					measure(b, benchViewers*k, func() {
						for range k {
							p.SequenceNumber = pionSeq
							pionSeq++
							_ = track.WriteRTP(p)
						}
					})
				})
			}
		})
	}
}

var pionSeq uint16 // goes on over the benchmarks of one set of viewers: a number is sealed once

// gate is a socket that stops reading when told: its peers then write to nobody.
type gate struct {
	*net.UDPConn
	shut atomic.Bool
	done chan struct{}
}

func (g *gate) ReadFrom(b []byte) (int, net.Addr, error) {
	n, a, err := g.UDPConn.ReadFrom(b)
	if g.shut.Load() {
		<-g.done
		return 0, nil, net.ErrClosed
	}
	return n, a, err
}

// ReadFromAddrPort is the other way in which ICE reads.
func (g *gate) ReadFromAddrPort(b []byte) (int, netip.AddrPort, error) {
	n, a, err := g.ReadFromUDPAddrPort(b)
	if g.shut.Load() {
		<-g.done
		return 0, netip.AddrPort{}, net.ErrClosed
	}
	return n, a, err
}

// WriteToAddrPort is the other way in which ICE writes.
func (g *gate) WriteToAddrPort(b []byte, a netip.AddrPort) (int, error) {
	return g.WriteToUDPAddrPort(b, a)
}

func pionViewers(b *testing.B, bare bool) *webrtc.TrackLocalStaticRTP {
	b.Helper()
	pionSeq = 0
	server, done := listen(b, "udp4", "127.0.0.1:0"), make(chan struct{})
	b.Cleanup(func() { close(done) })
	api := func(c net.PacketConn) *webrtc.API {
		m := &webrtc.MediaEngine{}
		if err := m.RegisterDefaultCodecs(); err != nil {
			b.Fatal(err)
		}
		i := &interceptor.Registry{}
		if !bare {
			if err := webrtc.RegisterDefaultInterceptors(m, i); err != nil {
				b.Fatal(err)
			}
		}
		var s webrtc.SettingEngine
		s.SetICEUDPMux(ice.NewUDPMuxDefault(ice.UDPMuxParams{UDPConn: c}))
		s.SetIncludeLoopbackCandidate(true)
		s.SetNetworkTypes([]webrtc.NetworkType{webrtc.NetworkTypeUDP4})
		s.LoggerFactory = &logging.DefaultLoggerFactory{Writer: io.Discard}
		s.SetICETimeouts(time.Hour, time.Hour, time.Hour)
		s.SetSRTPProtectionProfiles(dtls.SRTP_AEAD_AES_128_GCM)
		return webrtc.NewAPI(webrtc.WithMediaEngine(m), webrtc.WithInterceptorRegistry(i), webrtc.WithSettingEngine(s))
	}
	from := api(server)
	var clients []*gate // each of its own address: the server's socket tells them apart by it
	track, err := webrtc.NewTrackLocalStaticRTP(webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeVP8}, "v", "s")
	if err != nil {
		b.Fatal(err)
	}
	connected := make(chan struct{}, 2*benchViewers)
	for range benchViewers {
		client := &gate{UDPConn: listen(b, "udp4", "127.0.0.1:0"), done: done}
		clients = append(clients, client)
		connectPion(b, from, api(client), track, connected)
	}
	for range 2 * benchViewers {
		<-connected
	}
	for _, client := range clients {
		client.shut.Store(true)
	}
	return track
}

func connectPion(b *testing.B, from, to *webrtc.API, track webrtc.TrackLocal, connected chan<- struct{}) {
	b.Helper()
	var pcs [2]*webrtc.PeerConnection
	for i, api := range []*webrtc.API{from, to} {
		pc, err := api.NewPeerConnection(webrtc.Configuration{})
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { go func() { _ = pc.Close() }() }) // ends with the process
		pc.OnConnectionStateChange(func(s webrtc.PeerConnectionState) {
			if s == webrtc.PeerConnectionStateConnected {
				connected <- struct{}{}
			}
		})
		pcs[i] = pc
	}
	if _, err := pcs[0].AddTrack(track); err != nil {
		b.Fatal(err)
	}
	describe := func(pc, other *webrtc.PeerConnection, make func() (webrtc.SessionDescription, error)) {
		d, err := make()
		if err != nil {
			b.Fatal(err)
		}
		gathered := webrtc.GatheringCompletePromise(pc)
		if err := pc.SetLocalDescription(d); err != nil {
			b.Fatal(err)
		}
		<-gathered
		if err := other.SetRemoteDescription(*pc.LocalDescription()); err != nil {
			b.Fatal(err)
		}
	}
	describe(pcs[0], pcs[1], func() (webrtc.SessionDescription, error) { return pcs[0].CreateOffer(nil) })
	describe(pcs[1], pcs[0], func() (webrtc.SessionDescription, error) { return pcs[1].CreateAnswer(nil) })
}
