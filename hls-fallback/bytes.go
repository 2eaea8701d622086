package hlsfallback

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sluice-live/sluice/hls-fallback/playlist"
	"github.com/sluice-live/sluice/media"
)

// content is the bytes of one resource: in memory, or where extents are.
type content struct {
	memory  [][]byte
	extents []media.Extent
	size    int64
}

func (c *content) add(s *media.Segment) {
	if data, size, ok := inMemory(s); ok && len(c.extents) == 0 {
		c.memory, c.size = append(c.memory, data...), c.size+size
		return
	}
	c.extents = append(c.extents, s.Extent)
	c.size += s.Extent.Size
}

// inMemory returns the parts of a finished segment, when all are there.
func inMemory(s *media.Segment) (data [][]byte, size int64, ok bool) {
	for i := range s.Parts {
		p := &s.Parts[i]
		if p.Gap {
			continue
		}
		if p.Data == nil {
			return nil, 0, false
		}
		data, size = append(data, p.Data), size+int64(len(p.Data))
	}
	return data, size, len(data) > 0
}

// part serves a Partial Segment. One that is hinted is waited for: no byte of it
// goes out before it is whole (section 6.2.6).
func (s *Server) part(w *reply, r *http.Request, v *visit) error {
	var found *media.Part
	err := s.await(r.Context(), v, func() (bool, error) {
		if found = v.p.Part(v.r, v.first, v.route.part); found != nil {
			return true, nil
		}
		if msn, next := v.p.NextPart(v.r); v.p.Ended || msn != v.first || next != v.route.part {
			return false, errMissing // also when what was hinted will not come
		}
		return false, nil
	})
	if err != nil {
		return err
	}
	if found.Gap {
		return errMissing
	}
	if found.Data != nil {
		return s.bytes(w, r, v, content{memory: [][]byte{found.Data}, size: int64(len(found.Data))})
	}
	return s.bytes(w, r, v, content{extents: []media.Extent{found.Extent}, size: found.Extent.Size})
}

// segment serves a finished segment, or follows the one that is being made.
func (s *Server) segment(w *reply, r *http.Request, v *visit) error {
	if found := playlist.Segment(v.r, v.first); found != nil {
		if found.Gap {
			return errMissing
		}
		if v.r.Kind == media.SubtitleRendition && !v.vtt {
			return s.textChunk(w, r, v, found)
		}
		var c content
		c.add(found)
		return s.bytes(w, r, v, c)
	}
	if msn, _ := v.r.Next(); msn != v.first || v.p.Ended {
		return errMissing
	}
	return s.follow(w, r, v)
}

// follow sends the parts of the open segment as they come, each at once when it is
// whole: what low-latency DASH asks for.
func (s *Server) follow(w *reply, r *http.Request, v *visit) error {
	sent, done := 0, false
	for !done {
		var now *media.Segment
		err := s.await(r.Context(), v, func() (bool, error) {
			if now = playlist.Segment(v.r, v.first); now != nil {
				done = true
				return true, nil
			}
			now = v.r.Open
			if v.p.Ended || now != nil && now.MSN != v.first {
				return false, errMissing
			}
			return now != nil && len(now.Parts) > sent, nil
		})
		if err != nil {
			return err
		}
		if now.Gap || done && sent > 0 && len(now.Parts) < sent {
			return errMissing
		}
		if sent == 0 {
			if done {
				return s.segment(w, r, v) // it ended while we waited: it has a length now
			}
			s.label(w, v)
			if r.Method == http.MethodHead {
				return nil
			}
		}
		for ; sent < len(now.Parts); sent++ {
			if err := s.pass(w, r, v, &now.Parts[sent]); err != nil {
				return err
			}
		}
		if err := http.NewResponseController(w).Flush(); err != nil {
			return errAway
		}
	}
	return nil
}

// pass writes one part of a segment.
func (s *Server) pass(w *reply, r *http.Request, v *visit, p *media.Part) error {
	switch {
	case p.Gap:
		return nil
	case p.Data != nil:
		_, err := w.Write(p.Data)
		return away(err)
	}
	return s.copy(r.Context(), w, v, p.Extent)
}

// joined serves the segments that a legacy playlist made one of.
func (s *Server) joined(w *reply, r *http.Request, v *visit) error {
	run := playlist.Joinable(v.r, v.first, v.last)
	if len(run) < 2 {
		return errMissing
	}
	var c content
	for _, one := range run {
		if one.Gap {
			return errMissing
		}
		if len(c.extents) == 0 {
			if data, size, ok := inMemory(one); ok {
				c.memory, c.size = append(c.memory, data...), c.size+size
				continue
			}
		}
		if len(c.memory) > 0 {
			// Older ones have left memory and newer ones have not: read them all.
			c = content{}
			for _, all := range run {
				c.extents, c.size = append(c.extents, all.Extent), c.size+all.Extent.Size
			}
			break
		}
		c.extents, c.size = append(c.extents, one.Extent), c.size+one.Extent.Size
	}
	return s.bytes(w, r, v, c)
}

// label writes the headers of media: what it is, how long it may be kept, and how
// urgent it is.
func (s *Server) label(w *reply, v *visit) {
	h := w.Header()
	switch v.r.Kind {
	case media.VideoRendition:
		h["Content-Type"] = typeVideo
	case media.AudioRendition:
		h["Content-Type"] = typeAudio
	default:
		h["Content-Type"] = typeVTT
		if !v.vtt {
			h["Content-Type"] = typeWVTT
		}
	}
	h["Cache-Control"] = keepLive
	if v.fixed() {
		h["Cache-Control"] = keepForever
	}
	h["Priority"] = urgency[v.rank()]
}

// rank is the urgency of a rendition: sound 2, then pictures from the smallest up;
// a higher bitrate is never more urgent (R18).
func (v *visit) rank() int {
	if v.r.Kind != media.VideoRendition {
		return 2
	}
	rank := 3
	for _, other := range v.p.Renditions {
		if other.Kind == media.VideoRendition && other.Bandwidth < v.r.Bandwidth {
			rank++
		}
	}
	return min(rank, len(urgency)-1)
}

// bytes serves a resource that is whole, or a range of it.
func (s *Server) bytes(w *reply, r *http.Request, v *visit, c content) error {
	s.label(w, v)
	h := w.Header()
	h["Accept-Ranges"] = byteRanges
	etag := v.etag()
	h["Etag"] = []string{etag}
	if match := r.Header["If-None-Match"]; match != nil && matches(match, etag) {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	if err := s.gather(r.Context(), w, v, &c); err != nil {
		return err
	}
	from, size, status := int64(0), c.size, http.StatusOK
	if want := r.Header.Get("Range"); want != "" && r.Method == http.MethodGet && (r.Header.Get("If-Range") == "" || r.Header.Get("If-Range") == etag) {
		var ok, partial bool
		if from, size, partial, ok = cutRange(want, c.size); !ok {
			// Kept for long, it would be what others get who ask for the whole.
			h.Set("Cache-Control", "no-store")
			h.Set("Content-Range", "bytes */"+strconv.FormatInt(c.size, 10))
			w.WriteHeader(http.StatusRequestedRangeNotSatisfiable)
			return nil
		}
		if partial {
			status = http.StatusPartialContent
			h.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, from+size-1, c.size))
		}
	}
	if status == http.StatusOK && r.Method == http.MethodGet && len(c.extents) > 0 {
		return s.read(w, r, v, c) // nothing is promised before the first byte is there
	}
	h["Content-Length"] = []string{strconv.FormatInt(size, 10)}
	if r.Method == http.MethodHead {
		w.WriteHeader(status)
		return nil
	}
	if len(c.extents) > 0 {
		return s.readRange(w, r, v, c, from, size, status)
	}
	if status != http.StatusOK {
		w.WriteHeader(status)
	}
	return away(c.write(w, from, size))
}

// maxMade bounds what is made for one answer, in bytes: sound of six seconds at the
// highest rate that AAC-LC has is a quarter of it.
const maxMade = 8 << 20

// makingTakes is what making it may take, with what has to be made before.
const makingTakes = 90 * time.Second

// gather reads what has no size before it is made.
func (s *Server) gather(ctx context.Context, w *reply, v *visit, c *content) error {
	if !slices.ContainsFunc(c.extents, func(e media.Extent) bool { return e.Size < 0 }) {
		return nil
	}
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(makingTakes)) // tests' writers have none
	*c = content{extents: c.extents}
	for _, e := range c.extents {
		in, err := v.src.Read(ctx, v.p, v.rendition, e)
		if err != nil {
			return fmt.Errorf("make a segment: %w", err)
		}
		if it, ok := in.(*made); ok { // it is in memory, and shared
			for _, b := range it.parts {
				c.memory, c.size = append(c.memory, b), c.size+int64(len(b))
			}
			continue
		}
		b, err := io.ReadAll(io.LimitReader(in, maxMade))
		if err = errors.Join(err, in.Close()); err != nil {
			return fmt.Errorf("%w: %w", errBytes, err)
		}
		c.memory, c.size = append(c.memory, b), c.size+int64(len(b))
	}
	c.extents = nil
	return nil
}

// etag names the bytes: they never change, and so its name is the resource's.
func (v *visit) etag() string {
	b := make([]byte, 0, 64)
	b = append(append(b, '"'), v.incarnation...)
	b = append(append(append(b, '/'), v.rendition...), '/')
	b = strconv.AppendUint(b, v.first, 10)
	b = append(b, fileNames[v.file][0])
	b = strconv.AppendUint(b, v.last+uint64(v.route.part), 10)
	b = append(b, v.init...)
	if v.vtt {
		b = append(b, "vtt"...)
	}
	return string(append(b, '"'))
}

// write writes a run of what is in memory.
func (c *content) write(w io.Writer, from, size int64) error {
	for _, data := range c.memory {
		n := int64(len(data))
		if from >= n {
			from -= n
			continue
		}
		data = data[from:min(n, from+size)]
		from, size = 0, size-int64(len(data))
		if _, err := w.Write(data); err != nil {
			return err
		}
		if size == 0 {
			break
		}
	}
	return nil
}

// read sends whole extents.
func (s *Server) read(w *reply, r *http.Request, v *visit, c content) error {
	return s.readRange(w, r, v, c, 0, c.size, http.StatusOK)
}

// readRange sends a run of what is in extents. The first is opened before the
// status is written, so that what cannot be read is an error and not half an
// answer.
func (s *Server) readRange(w *reply, r *http.Request, v *visit, c content, from, size int64, status int) error {
	w.Header()["Content-Length"] = []string{strconv.FormatInt(size, 10)}
	for _, e := range c.extents {
		if from >= e.Size {
			from -= e.Size
			continue
		}
		e.Offset, e.Size = e.Offset+from, min(e.Size-from, size)
		from, size = 0, size-e.Size
		in, err := v.src.Read(r.Context(), v.p, v.rendition, e)
		if err != nil {
			w.Header().Del("Content-Length")
			return fmt.Errorf("%w: %w", errBytes, err)
		}
		if w.status == 0 {
			w.WriteHeader(status)
		}
		err = send(w, in, e.Size)
		_ = in.Close() // it was only read
		if err != nil || size == 0 {
			return err
		}
	}
	return nil
}

// copy sends one extent in the middle of an answer.
func (s *Server) copy(ctx context.Context, w *reply, v *visit, e media.Extent) error {
	in, err := v.src.Read(ctx, v.p, v.rendition, e)
	if err != nil {
		return fmt.Errorf("%w: %w", errBytes, err)
	}
	defer func() { _ = in.Close() }() // it was only read
	return send(w, in, e.Size)
}

// send copies size bytes, or all there are when it is negative. That the client has gone is not a fault of the disk: who
// rewinds leaves many answers half read.
func send(w *reply, in io.Reader, size int64) error {
	if size >= 0 {
		in = io.LimitReader(in, size)
	}
	from := reading{in: in}
	n, err := io.Copy(w, &from)
	switch {
	case from.err != nil:
		return fmt.Errorf("%w: %w", errBytes, from.err)
	case err != nil:
		return errAway
	case n < size:
		return fmt.Errorf("%w: %d bytes of %d", errBytes, n, size)
	}
	return nil
}

// reading remembers whether it was reading that failed.
type reading struct {
	in  io.Reader
	err error
}

// Read reads.
func (s *reading) Read(b []byte) (int, error) {
	n, err := s.in.Read(b)
	if err != nil && err != io.EOF { // the end comes as it is
		s.err = err
	}
	return n, err
}

// cutRange reads a Range header of one range. Several ranges and other units are
// answered with the whole (RFC 9110 section 14.2 allows it).
func cutRange(header string, total int64) (from, size int64, partial, ok bool) {
	spec, found := strings.CutPrefix(header, "bytes=")
	if !found || strings.Contains(spec, ",") {
		return 0, total, false, true
	}
	first, last, found := strings.Cut(strings.TrimSpace(spec), "-")
	if !found {
		return 0, total, false, true
	}
	var a, b uint64
	switch {
	case first == "": // the last b bytes
		if !digits(last, &b) {
			return 0, total, false, true
		}
		size = min(int64(b), total)
		return total - size, size, true, size > 0
	case !digits(first, &a):
		return 0, total, false, true
	case int64(a) >= total:
		return 0, 0, false, false
	case last == "":
		return int64(a), total - int64(a), true, true
	case !digits(last, &b) || b < a:
		return 0, total, false, true
	}
	return int64(a), min(int64(b), total-1) - int64(a) + 1, true, true
}

// digits reads a number with zeros before it, as ranges may have.
func digits(s string, to *uint64) bool {
	for len(s) > 1 && s[0] == '0' {
		s = s[1:]
	}
	return decimal(s, to)
}
