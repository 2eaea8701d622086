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
	// maxMultivariant bounds a playlist into which the tag is written, in bytes.
	maxMultivariant = 1 << 20
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

// steered reports whether the answer is a multivariant playlist that gets the tag.
func steered(q *request, h *head, pathways int) bool {
	return pathways > 0 && h.status == http.StatusOK && strings.HasSuffix(q.target.Path, "/index.m3u8")
}

// serveSteered writes EXT-X-CONTENT-STEERING into a multivariant playlist, and beside
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
	if bytes.HasPrefix(text, []byte("#EXTM3U")) && !bytes.Contains(text, []byte("#EXT-X-CONTENT-STEERING:")) {
		first, rest, _ := bytes.Cut(text, []byte("\n"))
		tag := []byte("\n#EXT-X-CONTENT-STEERING:SERVER-URI=\"" + steeringPath + "\"\n")
		text = bytes.Join([][]byte{first, rest}, tag)
		for _, p := range e.others(q) {
			text = append(text, cache.Along(string(rest), p.ID, "//"+p.Host+path.Dir(q.target.Path)+"/")...)
		}
	}
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

func multivariant(r io.Reader, packed bool) ([]byte, error) {
	if packed {
		z, err := gzip.NewReader(r)
		if err != nil {
			return nil, fmt.Errorf("unpack a playlist: %w", err)
		}
		r = z
	}
	text, err := io.ReadAll(io.LimitReader(r, maxMultivariant))
	if err != nil {
		return nil, fmt.Errorf("read a playlist: %w", err)
	}
	return text, nil
}
