// Package clients serves the pages that people see: home, publish and watch, as
// built by Vite and embedded in the binary. It promises that no page runs a
// script that is not ours, and that a new build is seen at the next load. Owned by
// clients; cmd mounts Handler beneath everything else.
package clients

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"fmt"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strconv"
	"strings"
)

// The build is not committed. The placeholder is, so that go build works on a
// machine without Node.
//
//go:embed all:dist
var dist embed.FS

// Scripts, styles and connections only from where the page came from. MediaStreams
// are set as objects and need no source; blob: is for pictures drawn by the page.
const contentSecurityPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; " +
	"media-src 'self' blob:; connect-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'self'"

// What the publish page asks for, and nothing else.
const permissionsPolicy = "camera=(self), microphone=(self), display-capture=(self), fullscreen=(self), " +
	"picture-in-picture=(self), autoplay=(self), geolocation=(), payment=(), usb=()"

// Smaller files gain nothing from compression.
const worthPacking = 1024

// file is one file of the build, ready to send.
type file struct {
	body        []byte
	packed      []byte // gzip; nil where it would not be smaller
	contentType string
	etag        string
	immutable   bool // its name holds a hash of its content
}

// site is the build: immutable after newSite, so it needs no lock.
type site struct {
	index *file
	files map[string]*file // by path, "/assets/…"
}

// Handler serves the embedded pages: the index for "/", "/publish/…",
// "/watch/…" and "/recordings…", the files of the build under their own names, 404 for the rest.
func Handler() http.Handler {
	build, err := fs.Sub(dist, "dist/site")
	if err == nil {
		if _, err = fs.Stat(build, "index.html"); err == nil {
			return handlerOf(build)
		}
	}
	placeholder, err := fs.Sub(dist, "dist/placeholder")
	if err != nil {
		panic("clients: the committed placeholder is not embedded: " + err.Error())
	}
	return handlerOf(placeholder)
}

func handlerOf(build fs.FS) http.Handler {
	s, err := newSite(build)
	if err != nil {
		panic("clients: read the embedded build: " + err.Error()) // memory cannot fail to be read
	}
	return s
}

func newSite(build fs.FS) (*site, error) {
	s := &site{files: make(map[string]*file)}
	err := fs.WalkDir(build, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		body, err := fs.ReadFile(build, name)
		if err != nil {
			return fmt.Errorf("read %s: %w", name, err)
		}
		s.files["/"+name] = newFile(name, body)
		return nil
	})
	if err != nil {
		return nil, err
	}
	s.index = s.files["/index.html"]
	if s.index == nil {
		return nil, fmt.Errorf("find index.html: %w", fs.ErrNotExist)
	}
	delete(s.files, "/index.html") // one address per page
	return s, nil
}

func newFile(name string, body []byte) *file {
	sum := sha256.Sum256(body)
	f := &file{
		body:        body,
		packed:      pack(body),
		contentType: contentType(name),
		etag:        `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`,
		immutable:   strings.HasPrefix(name, "assets/"), // Vite puts the hash into every name there
	}
	return f
}

// contentType does not ask the system's tables, which differ from machine to machine.
func contentType(name string) string {
	switch path.Ext(name) {
	case ".html":
		return "text/html; charset=utf-8"
	case ".js":
		return "text/javascript; charset=utf-8"
	case ".css":
		return "text/css; charset=utf-8"
	case ".svg":
		return "image/svg+xml"
	}
	if t := mime.TypeByExtension(path.Ext(name)); t != "" {
		return t
	}
	return "application/octet-stream"
}

func pack(body []byte) []byte {
	if len(body) < worthPacking {
		return nil
	}
	var b bytes.Buffer
	w, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		return nil
	}
	if _, err := w.Write(body); err != nil || w.Close() != nil || b.Len() >= len(body) {
		return nil
	}
	return b.Bytes()
}

// ServeHTTP sends a page or one of its files.
func (s *site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	secure(w.Header())
	f := s.find(r.URL.Path)
	switch {
	case f == nil:
		http.Error(w, "There is no such page.", http.StatusNotFound)
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "Pages are only read.", http.StatusMethodNotAllowed)
	default:
		f.send(w, r)
	}
}

func (s *site) find(p string) *file {
	if p == "/" || p == "/recordings" || strings.HasPrefix(p, "/recordings/") || strings.HasPrefix(p, "/publish/") || strings.HasPrefix(p, "/watch/") {
		return s.index
	}
	return s.files[p]
}

func secure(h http.Header) {
	h.Set("Content-Security-Policy", contentSecurityPolicy)
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Permissions-Policy", permissionsPolicy)
}

func (f *file) send(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", f.contentType)
	h.Set("ETag", f.etag)
	h.Set("Vary", "Accept-Encoding")
	h.Set("Cache-Control", "no-cache")
	if f.immutable {
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	if strings.Contains(r.Header.Get("If-None-Match"), f.etag) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	body := f.body
	if f.packed != nil && acceptsGzip(r.Header.Get("Accept-Encoding")) {
		body = f.packed
		h.Set("Content-Encoding", "gzip")
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	if r.Method == http.MethodHead {
		return
	}
	// An error means that the reader has gone: nobody is left to tell.
	_, _ = w.Write(body)
}

// acceptsGzip reads Accept-Encoding as far as we need it: gzip named, and not with a zero quality (RFC 9110 section 12.5.3).
func acceptsGzip(header string) bool {
	for _, part := range strings.Split(header, ",") {
		name, params, _ := strings.Cut(strings.TrimSpace(part), ";")
		if !strings.EqualFold(strings.TrimSpace(name), "gzip") {
			continue
		}
		q, found := strings.CutPrefix(strings.ReplaceAll(params, " ", ""), "q=")
		weight, err := strconv.ParseFloat(q, 64)
		return !found || err != nil || weight > 0
	}
	return false
}
