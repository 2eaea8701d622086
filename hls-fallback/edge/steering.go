package edge

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/sluice-live/sluice/hls-fallback/edge/cache"
)

const (
	steeringPath = "/steering"
	// steeringTTL is how often players ask again, in seconds.
	steeringTTL = 60
	// maxMultivariant bounds a playlist or manifest into which pathways are written, in
	// bytes: a manifest of a day with four renditions has 5 MB at worst.
	maxMultivariant = 32 << 20
)

// Pathway is another way to the same streams: an edge elsewhere (RFC 8216bis
// section 7, Content Steering).
type Pathway struct {
	ID   string // [A-Za-z0-9._-]
	Host string // host or host:port that stands in for ours
}

func (p Pathway) validate() error {
	if p.ID == "" || p.ID == "." || strings.Trim(p.ID, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") != "" {
		return fmt.Errorf("read edge settings: the pathway's name %q must be made of letters, digits, '.', '-' and '_'", p.ID)
	}
	if u, err := url.Parse("//" + p.Host); err != nil || p.Host == "" || u.Host != p.Host {
		return fmt.Errorf("read edge settings: pathway %s must have a host, or host:port, not %q", p.ID, p.Host)
	}
	return nil
}

// manifest is a steering manifest, version 1.
type manifest struct {
	Version  int      `json:"VERSION"`
	TTL      int      `json:"TTL"`
	Reload   string   `json:"RELOAD-URI"`
	Priority []string `json:"PATHWAY-PRIORITY"`
}

// steer answers with the pathways: the one whose playlist the player has first,
// as it is near, then the others in the order of the settings. A player that
// cannot read from one goes to the next by itself.
func (e *Edge) steer(q *request) {
	m := manifest{Version: 1, TTL: steeringTTL, Reload: steeringPath, Priority: []string{"."}}
	for _, p := range e.others(q) {
		m.Priority = append(m.Priority, p.ID)
	}
	text, err := json.Marshal(m)
	if err != nil {
		q.refuse(http.StatusInternalServerError, "the pathways cannot be written")
		return
	}
	h := q.w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "max-age="+strconv.Itoa(steeringTTL/2))
	h.Set("Access-Control-Allow-Origin", "*")
	_, _ = q.w.Write(text)
}

// others are the pathways beside the one by which a request came.
func (e *Edge) others(q *request) []Pathway {
	return slices.DeleteFunc(slices.Clone(e.cfg.Pathways), func(p Pathway) bool { return p.Host == q.r.Host })
}

// steered reports whether the answer is what players begin with, in which pathways are
// named.
func steered(q *request, h *head, pathways int) bool {
	return pathways > 0 && h.status == http.StatusOK && (strings.HasSuffix(q.target.Path, "/index.m3u8") || isMPD(q))
}

func isMPD(q *request) bool { return strings.HasSuffix(q.target.Path, "/manifest.mpd") }

// ways are the pathways in a manifest of DASH. Its own has the name that it has in HLS,
// so that one steering manifest serves both, and relative addresses: with absolute ones
// Shaka Player 5.2.12 asked the edge that had died again and again.
func (e *Edge) ways(q *request) []cache.Way {
	dir, name := path.Split(q.target.Address(q.access, q.token))
	ways := []cache.Way{{ID: ".", Base: "./", Manifest: name}}
	for _, p := range e.others(q) {
		base := "//" + p.Host + dir
		ways = append(ways, cache.Way{ID: p.ID, Base: base, Manifest: base + name})
	}
	return ways
}

// steering is the absolute address of the steering manifest, as dash.js wants it.
func steering(q *request) string {
	if q.r.TLS != nil || q.r.Header.Get("X-Forwarded-Proto") == "https" {
		return "https://" + q.r.Host + steeringPath
	}
	return "http://" + q.r.Host + steeringPath
}

// serveSteered writes the pathways into what players begin with. A manifest of DASH gets
// them as BaseURL and Location; in the latter is the token with which it was asked for, so
// that it is the viewer's alone, and an edge that asks gets none.
//
// A multivariant playlist gets EXT-X-CONTENT-STEERING, and beside
// its variants those of the other pathways. Its own have no PATHWAY-ID: they are pathway
// "." (section 4.4.6.2). Clones by the steering manifest would be shorter, but they
// replace the host's name alone, not its port, and come too late for a player whose
// first edge dies at once.
func (e *Edge) serveSteered(q *request, f *flight, h *head) {
	text, err := multivariant(&reader{f: f, ctx: q.r.Context()}, packed(h.header))
	if err != nil {
		e.failed(q, err)
		return
	}
	out := q.w.Header()
	out.Del("Content-Encoding")
	weaken(out)
	out.Set("Vary", "Accept-Encoding")
	text = e.name(q, out, text)
	if takesGzip(q.r.Header) {
		var z bytes.Buffer
		w := gzip.NewWriter(&z)
		_, err1 := w.Write(text)
		if err := errors.Join(err1, w.Close()); err == nil { // memory takes all
			out.Set("Content-Encoding", "gzip")
			text = z.Bytes()
		}
	}
	out.Set("Content-Length", strconv.Itoa(len(text)))
	q.w.WriteHeader(h.status)
	if q.r.Method != http.MethodHead {
		_, _ = q.w.Write(text)
	}
}

// name writes the pathways into a text.
func (e *Edge) name(q *request, out http.Header, text []byte) []byte {
	switch {
	case isMPD(q):
		if q.trusted && q.access == cache.InQuery {
			break
		}
		if q.access == cache.InQuery {
			narrow(out)
		}
		text = []byte(cache.Steer(string(text), steering(q), e.ways(q)))
	case bytes.HasPrefix(text, []byte("#EXTM3U")) && !bytes.Contains(text, []byte("#EXT-X-CONTENT-STEERING:")):
		first, rest, _ := bytes.Cut(text, []byte("\n"))
		tag := []byte("\n#EXT-X-CONTENT-STEERING:SERVER-URI=\"" + steeringPath + "\"\n")
		text = bytes.Join([][]byte{first, rest}, tag)
		for _, p := range e.others(q) {
			text = append(text, cache.Along(string(rest), p.ID, "//"+p.Host+path.Dir(q.target.Path)+"/")...)
		}
	}
	return text
}

func multivariant(r io.Reader, packed bool) ([]byte, error) {
	if packed {
		z, err := gzip.NewReader(r)
		if err != nil {
			return nil, fmt.Errorf("unpack a playlist: %w", err)
		}
		r = z
	}
	text, err := io.ReadAll(io.LimitReader(r, maxMultivariant+1))
	if err != nil {
		return nil, fmt.Errorf("read a playlist: %w", err)
	}
	if len(text) > maxMultivariant {
		return nil, fmt.Errorf("read a playlist: it has more than %d bytes", maxMultivariant)
	}
	return text, nil
}
