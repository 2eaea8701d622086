//go:build integration

package matrix_test

import (
	"bufio"
	"bytes"
	"crypto/sha1" // RFC 6455 asks for it
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/sluice-live/sluice/internal/testnet/port"
	"github.com/sluice-live/sluice/loadtest/matrix"
	"github.com/sluice-live/sluice/loadtest/reflector"
	"github.com/sluice-live/sluice/loadtest/source"
)

const liveKitSecret = "a secret of the test, thirty-two bytes long"

// The client that stands for LiveKit's: it joins by one POST, tells its own
// candidates, and takes transforms away.
const fakeClient = `
window.LivekitClient = { Room: class {
  #on = {};
  on(event, f) { this.#on[event] = f; return this; }
  async connect(url, token, { rtcConfig }) {
    const http = url.replace(/^ws/, "http");
    const pc = (this.pc = new RTCPeerConnection(rtcConfig));
    for (const kind of ["audio", "video"]) pc.addTransceiver(kind, { direction: "recvonly" });
    pc.onicecandidate = ({ candidate }) => candidate && fetch(http + "/leak/" + encodeURIComponent(candidate.candidate));
    pc.ontrack = ({ track, receiver }) => {
      receiver.transform = null;
      this.#on.trackSubscribed({ kind: track.kind, attach: (element) => { element.srcObject = new MediaStream([track]); } });
    };
    await pc.setLocalDescription(await pc.createOffer());
    await new Promise((done) => setTimeout(done, 500)); // a candidate would be there
    const offer = await pc.createOffer();
    const res = await fetch(http + "/whep/x?token=" + token, { method: "POST", headers: { "Content-Type": "application/sdp" }, body: offer.sdp });
    const [sdp, candidates] = [await res.text(), []];
    await pc.setRemoteDescription({ type: "answer", sdp: sdp.replace(/a=(candidate:.*)\r\n/g, (_, c) => (candidates.push(c), "")) });
    for (const candidate of candidates) await pc.addIceCandidate({ candidate, sdpMLineIndex: 0 });
  }
  async disconnect() { this.pc.close(); }
} };
`

// fakeLiveKit is a reflector behind LiveKit's signalling.
type fakeLiveKit struct {
	t    *testing.T
	back *reflector.Server

	mu     sync.Mutex // guards what follows
	tracks []string   // as they were announced
	joined []map[string]any
	told   []string // candidates of viewers
}

func (f *fakeLiveKit) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	text := r.URL.Query().Get("access_token") + r.URL.Query().Get("token")
	if text != "" && r.Method != http.MethodOptions {
		grants := jwt.MapClaims{}
		if _, err := jwt.ParseWithClaims(text, grants, func(*jwt.Token) (any, error) { return []byte(liveKitSecret), nil }, jwt.WithIssuer("key"), jwt.WithValidMethods([]string{"HS256"})); err != nil {
			f.t.Errorf("the token: %v", err)
		}
		f.mu.Lock()
		video, _ := grants["video"].(map[string]any)
		f.joined = append(f.joined, video)
		f.mu.Unlock()
	}
	switch {
	case r.URL.Path == "/rtc":
		f.signal(w, r)
	case strings.HasPrefix(r.URL.Path, "/leak/"):
		f.tell(r.URL.Path)
	default:
		if b, err := io.ReadAll(r.Body); err == nil {
			if bytes.Contains(b, []byte("a=candidate:")) {
				f.tell("in an offer")
			}
			r.Body = io.NopCloser(bytes.NewReader(b))
		}
		f.back.ServeHTTP(w, r)
	}
}

func (f *fakeLiveKit) tell(what string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.told = append(f.told, what)
}

// signal speaks as much WebSocket (RFC 6455) as one publisher needs.
func (f *fakeLiveKit) signal(w http.ResponseWriter, r *http.Request) {
	conn, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		f.t.Error(err)
		return
	}
	defer func() { _ = conn.Close() }()
	sum := sha1.Sum([]byte(r.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	fmt.Fprintf(conn, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n", base64.StdEncoding.EncodeToString(sum[:]))
	_, _ = conn.Write([]byte{0x82, 3, 1, 2, 3}) // the first word is binary
	for {
		text, err := frame(rw.Reader)
		if err != nil {
			return
		}
		var m struct {
			AddTrack json.RawMessage
			Offer    struct{ SDP string }
		}
		if err := json.Unmarshal(text, &m); err != nil {
			continue // the goodbye
		}
		if m.AddTrack != nil {
			f.mu.Lock()
			f.tracks = append(f.tracks, string(m.AddTrack))
			f.mu.Unlock()
		}
		if m.Offer.SDP != "" {
			f.answer(conn, m.Offer.SDP)
		}
	}
}

// answer is without candidates: LiveKit trickles them.
func (f *fakeLiveKit) answer(conn net.Conn, offer string) {
	sdp := "v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\nc=IN IP4 0.0.0.0\r\n" + strings.Repeat("a=x\r\n", 20) // no short frame
	if strings.Contains(offer, "H264") {
		r := httptest.NewRequestWithContext(f.t.Context(), http.MethodPost, "/whip/x", strings.NewReader(offer))
		r.Header.Set("Content-Type", "application/sdp")
		w := httptest.NewRecorder()
		f.back.ServeHTTP(w, r)
		sdp = ""
		for line := range strings.Lines(w.Body.String()) {
			if !strings.HasPrefix(line, "a=candidate:") {
				sdp += line
			}
		}
	}
	b, _ := json.Marshal(map[string]any{"answer": map[string]string{"type": "answer", "sdp": sdp}}) // strings cannot fail
	_, _ = conn.Write(append(binary.BigEndian.AppendUint16([]byte{0x81, 126}, uint16(len(b))), b...))
}

// frame reads a masked frame of less than 64 KB.
func frame(r *bufio.Reader) ([]byte, error) {
	head := make([]byte, 2)
	if _, err := io.ReadFull(r, head); err != nil {
		return nil, err
	}
	size := int(head[1] & 0x7f)
	if size == 126 {
		long := make([]byte, 2)
		if _, err := io.ReadFull(r, long); err != nil {
			return nil, err
		}
		size = int(binary.BigEndian.Uint16(long))
	}
	b := make([]byte, 4+size)
	if _, err := io.ReadFull(r, b); err != nil {
		return nil, err
	}
	for i := range b[4:] {
		b[4+i] ^= b[i%4]
	}
	return b[4:], nil
}

// liveKit starts the fake, and returns it, the command of the player before it,
// and where the player stands as WHIP and WHEP server.
func liveKit(t *testing.T) (f *fakeLiveKit, command, gateway string) {
	t.Helper()
	back, err := reflector.New(reflector.Config{})
	if err != nil {
		t.Fatal(err)
	}
	f = &fakeLiveKit{t: t, back: back}
	web := httptest.NewServer(f)
	t.Cleanup(func() { back.Close(); web.Close() })
	client := filepath.Join(t.TempDir(), "client.js")
	if err := os.WriteFile(client, []byte(fakeClient), 0o600); err != nil {
		t.Fatal(err)
	}
	gateway = port.Address(t)
	t.Setenv("LIVEKIT_API_KEY", "key")
	t.Setenv("LIVEKIT_API_SECRET", liveKitSecret)
	return f, fmt.Sprintf("node livekit.mjs --client %s --server %s --media %s --listen %s", client, web.URL, back.Media(), gateway), "http://" + gateway
}

func TestLiveKitsClientWatchesThroughTheRelayAndByNoOtherWay(t *testing.T) {
	m, err := source.Open(t.Context(), source.Config{Dir: t.TempDir(), Bitrate: 600_000, Seconds: 4})
	if err != nil {
		t.Fatal(err)
	}
	f, command, gateway := liveKit(t)
	r, err := matrix.Run(t.Context(), matrix.Options{Server: gateway, Chromium: command, Viewers: []string{matrix.Chromium}, Profiles: []string{"loss5"}, Layers: []int{1}, For: 5 * time.Second, Seed: 1,
		Source: map[int]*source.Media{1: m}, Uplink: []string{}, Browser: []string{}}, &bytes.Buffer{})
	if err != nil {
		t.Fatal(err)
	}
	row := r.Rows[0]
	if row.Error != "" || len(row.Seen.Errors)+len(row.Control.Errors) > 0 || row.Seen.Frames < 10 || row.Control.Frames < 10 || row.Seen.Latency[0] <= 0 {
		t.Errorf("%+v", row)
	}
	if c := row.Flow.Counts; c.Packets < 200 || c.Lost == 0 {
		t.Errorf("the relay saw %+v", c)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.told) > 0 {
		t.Errorf("the server was told %v", f.told)
	}
	for i, grant := range f.joined { // the publisher, then two viewers
		if grant["room"] != "matrix-1" || grant["canPublish"] != (i == 0) || grant["canSubscribe"] != (i > 0) {
			t.Errorf("%d: %v", i, grant)
		}
	}
	if len(f.joined) != 3 || len(f.tracks) != 2 || !strings.Contains(f.tracks[0], `"AUDIO"`) || strings.Contains(f.tracks[1], `"LOW"`) {
		t.Errorf("%d joined, tracks %v", len(f.joined), f.tracks)
	}
}

func TestLiveKitIsToldOfThreeLayersAndTheAnswerOfItsMedia(t *testing.T) {
	f, command, gateway := liveKit(t)
	words := strings.Fields(command)
	player := exec.CommandContext(t.Context(), words[0], words[1:]...)
	in, err := player.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := player.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := player.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = in.Close(); _ = player.Wait() }()
	if line, err := bufio.NewReader(out).ReadString('\n'); !strings.Contains(line, "ready") {
		t.Fatalf("%q, %v", line, err)
	}
	offer := "v=0\r\nm=audio 9 X 111\r\na=msid:s sound\r\nm=video 9 X 102\r\na=msid:s picture\r\na=simulcast:send q;h;f\r\n"
	res, err := http.Post(gateway+"/whip/class", "application/sdp", strings.NewReader(offer))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	answer, err := io.ReadAll(res.Body)
	host, port, _ := strings.Cut(f.back.Media().String(), ":")
	if err != nil || res.StatusCode != http.StatusCreated || !strings.Contains(string(answer), " "+host+" "+port+" typ host") || !strings.HasPrefix(res.Header.Get("Location"), "/whip/class/") {
		t.Errorf("%d, %s, %v", res.StatusCode, answer, err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.tracks) != 2 || !strings.Contains(f.tracks[0], `"cid":"sound"`) || !strings.Contains(f.tracks[1], `"cid":"picture"`) || !strings.Contains(f.tracks[1], `{"quality":"LOW","width":320,"height":180}`) {
		t.Errorf("%v", f.tracks)
	}
}
