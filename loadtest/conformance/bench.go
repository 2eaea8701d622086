package conformance

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"

	"github.com/sluice-live/sluice/loadtest/link"
	"github.com/sluice-live/sluice/loadtest/publish"
	"github.com/sluice-live/sluice/loadtest/view"
)

// response is one HTTP response, read.
type response struct {
	*link.Response
}

// says is a short form for details.
func (r *response) says() string {
	body := strings.Join(strings.Fields(string(r.Body)), " ")
	if len(body) > 90 {
		body = body[:90] + "…"
	}
	if body != "" {
		body = ": " + body
	}
	return strconv.Itoa(r.StatusCode) + body
}

func (r *response) ok() bool      { return r.StatusCode/100 == 2 }
func (r *response) refused() bool { return r.StatusCode/100 == 4 }

// request is what a row sends.
type request struct {
	method, url string
	header      http.Header
	body        []byte
	bare        bool // without the token
}

// do sends; 429 is waited for, as a suite is a flood to a careful server.
func (b *bench) do(ctx context.Context, r request) (*response, error) {
	token := b.o.Token
	if r.bare {
		token = ""
	}
	for try := 0; ; try++ {
		res, err := link.Do(ctx, b.client, link.Request{Method: r.method, URL: r.url, Token: token, Header: r.header, Body: r.body})
		if err != nil {
			return nil, err
		}
		if s := res.Header.Get("Server"); s != "" {
			b.server = s
		}
		out := &response{res}
		if res.StatusCode == http.StatusCreated {
			if l, err := link.Resolve(res.URL, res.Header.Get("Location")); err == nil {
				b.opened = append(b.opened, l)
			}
		}
		if res.StatusCode != http.StatusTooManyRequests || try == 5 {
			return out, nil
		}
		wait(ctx, link.RetryAfter(res.Header))
	}
}

// clean ends what the row opened.
func (b *bench) clean(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, b.o.Timeout)
	defer cancel()
	for _, p := range b.peers {
		p.Close(false)
	}
	for _, u := range b.opened {
		_, _ = link.Do(ctx, b.client, link.Request{Method: http.MethodDelete, URL: u, Token: b.o.Token}) // may be gone already
	}
	b.peers, b.opened = nil, nil
}

// edit changes an offer's text.
type edit func(sdp string) string

func replace(from, to string) edit {
	return func(s string) string { return strings.ReplaceAll(s, from, to) }
}

// offer is the plain offer of the kind: OBS's for WHIP, our viewer's for WHEP.
func (b *bench) offer(local link.Credentials, edits ...edit) []byte {
	text := string(view.Offer(local, b.cert.Fingerprint, view.Wishes{RTX: true}))
	if b.o.Kind == WHIP {
		text = b.shaped(publish.OBS, local)
	}
	for _, e := range edits {
		text = e(text)
	}
	return []byte(text)
}

// shaped is the recorded offer of a client.
func (b *bench) shaped(s publish.Shape, local link.Credentials) string {
	n := rand.Uint32() //nolint:gosec // chance, not secrets
	offer, err := publish.Offer(s, publish.Identity{Local: local, Fingerprint: b.cert.Fingerprint, Audio: n, Video: n + 1, Repair: n + 2}, b.media)
	if err != nil {
		return err.Error() // no SDP: the server refuses it, the row shows it
	}
	return string(offer)
}

// post sends an offer as application/sdp.
func (b *bench) post(ctx context.Context, offer []byte) (*response, error) {
	return b.do(ctx, request{method: http.MethodPost, url: b.o.URL, header: http.Header{"Content-Type": {link.TypeSDP}}, body: offer})
}

// session is one that was answered 201.
type session struct {
	url    string
	tag    string
	local  link.Credentials
	answer link.Answer
	res    *response
}

// open makes a session, or says why there is none.
func (b *bench) open(ctx context.Context, edits ...edit) (*session, error) {
	local := link.NewCredentials()
	return b.openOffer(ctx, local, b.offer(local, edits...))
}

func (b *bench) openOffer(ctx context.Context, local link.Credentials, offer []byte) (*session, error) {
	res, err := b.post(ctx, offer)
	if err != nil {
		return nil, err
	}
	if res.StatusCode != http.StatusCreated {
		return nil, fmt.Errorf("the POST was answered %s", res.says())
	}
	location, err := link.Resolve(res.URL, res.Header.Get("Location"))
	if err != nil {
		return nil, err
	}
	answer, err := link.ParseAnswer(res.Body)
	if err != nil {
		return nil, err
	}
	return &session{url: location, tag: res.Header.Get("ETag"), local: local, answer: answer, res: res}, nil
}

// connect goes on to ICE and DTLS with a session.
func (b *bench) connect(ctx context.Context, s *session, c link.Config) (*link.Peer, error) {
	c.Certificate, c.Local, c.Answer = b.cert, s.local, s.answer
	p, err := link.Dial(ctx, c)
	if err != nil {
		return nil, err
	}
	b.peers = append(b.peers, p)
	return p, nil
}

// fragment is a trickle body for the session's first, BUNDLE-tagged m-line.
func (s *session) fragment(c link.Credentials, lines ...string) []byte {
	kind, mid := "audio", "0"
	if len(s.answer.Media) > 0 {
		kind, mid = s.answer.Media[0].Kind, s.answer.Media[0].MID
	}
	head := []string{"a=ice-ufrag:" + c.Ufrag, "a=ice-pwd:" + c.Pwd, "m=" + kind + " 9 UDP/TLS/RTP/SAVPF 0", "a=mid:" + mid}
	return []byte(strings.Join(append(head, lines...), "\r\n") + "\r\n")
}

// patch sends a fragment; an empty tag sends no If-Match.
func (b *bench) patch(ctx context.Context, s *session, tag string, fragment []byte) (*response, error) {
	h := http.Header{"Content-Type": {link.TypeFragment}}
	if tag != "" {
		h.Set("If-Match", tag)
	}
	return b.do(ctx, request{method: http.MethodPatch, url: s.url, header: h, body: fragment})
}

func (b *bench) delete(ctx context.Context, url string) (*response, error) {
	return b.do(ctx, request{method: http.MethodDelete, url: url})
}

// hostCandidate is a candidate like any browser's.
const hostCandidate = "a=candidate:1 1 UDP 2130706431 127.0.0.1 40000 typ host"

// strong tells a strong entity-tag (RFC 9110 section 8.8.3).
func strong(tag string) bool {
	return len(tag) > 2 && tag[0] == '"' && tag[len(tag)-1] == '"' && !strings.Contains(tag[1:len(tag)-1], `"`)
}

// listed tells whether a comma-separated header names a word, in any case.
func listed(h http.Header, name, word string) bool {
	for _, v := range h.Values(name) {
		for _, w := range strings.Split(v, ",") {
			if strings.EqualFold(strings.TrimSpace(w), word) {
				return true
			}
		}
	}
	return false
}
