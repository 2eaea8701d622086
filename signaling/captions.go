package signaling

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/signaling/problem"
	"github.com/sluice-live/sluice/signaling/token"
)

// Captions packages captions; the recorder does. media.ErrNotFound when the stream is
// not packaged here: then they are for viewers alone.
type Captions interface {
	Caption(ctx context.Context, stream media.StreamID, all []media.Caption) (media.Captioned, error)
}

// PassedHeader tells that another node took the captions and passes them on: they go no
// further.
const PassedHeader = "Sluice-Passed-On" //nolint:gosec // no secret: a header's name

const (
	typeLines = "application/x-ndjson"
	// maxCaptions bounds one request: half a minute of fast speech, word by word.
	maxCaptions     = 100
	maxCaptionsBody = 64 << 10
	// captionSlack is how far from now a caption may begin: recognisers are some seconds
	// late, people who correct them more; scripts are read ahead.
	captionSlack = time.Minute
	// usualCaption is how long one without an end is shown.
	usualCaption = 4 * time.Second
	// Captions per second and stream, with a burst: the last of a connection that was gone.
	captionRate  = 10
	captionBurst = 200
)

// captionIn is a caption as it is sent.
type captionIn struct {
	Language string  `json:"language"`
	Text     string  `json:"text"`
	Start    moment  `json:"start"`
	End      moment  `json:"end"`
	Seconds  float64 `json:"seconds"`
}

// moment is RFC 3339, or milliseconds since 1970.
type moment struct{ time.Time }

// UnmarshalJSON reads either.
func (m *moment) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '"' {
		return json.Unmarshal(b, &m.Time)
	}
	var ms float64
	if err := json.Unmarshal(b, &ms); err != nil {
		return err
	}
	const year9999 = 253402300800000
	if !(ms >= 0 && ms < year9999) {
		return errors.New("a time is out of range")
	}
	m.Time = time.UnixMilli(int64(ms))
	return nil
}

// caption says when it is shown, by the node's clock.
func (c captionIn) caption(now time.Time) (media.Caption, error) {
	language, err := media.ParseLanguage(c.Language)
	if err != nil {
		return media.Caption{}, err
	}
	out := media.Caption{Language: language, Text: strings.TrimSpace(c.Text), Start: cmp.Or(c.Start.Time, now), End: c.End.Time}
	if out.End.IsZero() {
		if !(c.Seconds >= 0 && c.Seconds <= media.MaxCaptionTime.Seconds()) {
			return out, fmt.Errorf("%w: seconds is from 0 to %g", media.ErrBadQuery, media.MaxCaptionTime.Seconds())
		}
		out.End = out.Start.Add(cmp.Or(time.Duration(c.Seconds*float64(time.Second)), usualCaption))
	}
	out.Start, out.End = out.Start.UTC().Truncate(time.Millisecond), out.End.UTC().Truncate(time.Millisecond)
	if d := out.Start.Sub(now); d < -captionSlack || d > captionSlack {
		return out, fmt.Errorf("%w: start is %v from the node's clock (GET /v1/time), at most %v is allowed", media.ErrBadQuery, d.Round(time.Second), captionSlack)
	}
	return out, out.Validate()
}

// readCaptions reads one caption, an array, or one in each line. One that is wrong
// refuses all.
func readCaptions(b []byte, now time.Time) ([]media.Caption, error) {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	var all []media.Caption
	for {
		var raw json.RawMessage
		if err := d.Decode(&raw); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, fmt.Errorf("%w: %w", problem.ErrBadJSON, err)
		}
		some := []json.RawMessage{raw}
		if raw[0] == '[' {
			if err := json.Unmarshal(raw, &some); err != nil {
				return nil, fmt.Errorf("%w: %w", problem.ErrBadJSON, err)
			}
		}
		if len(all)+len(some) > maxCaptions {
			return nil, fmt.Errorf("%w: at most %d captions come at once", problem.ErrTooLarge, maxCaptions)
		}
		for _, one := range some {
			c, err := readCaption(one, now)
			if err != nil {
				return nil, fmt.Errorf("caption %d: %w", len(all)+1, err)
			}
			all = append(all, c)
		}
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("%w: there is no caption in it", problem.ErrBadJSON)
	}
	return all, nil
}

func readCaption(b []byte, now time.Time) (media.Caption, error) {
	var in captionIn
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&in); err != nil {
		return media.Caption{}, fmt.Errorf("%w: %w", problem.ErrBadJSON, err)
	}
	return in.caption(now)
}

// postCaptions takes captions from who may publish the stream.
func (s *Server) postCaptions(w http.ResponseWriter, r *http.Request) error {
	stream, err := media.ParseStreamID(r.PathValue("stream"))
	if err != nil {
		return err
	}
	if _, err := s.authorize(r, token.Request{Action: token.Publish, Stream: stream}); err != nil {
		return err
	}
	if kind := mediaType(r); kind != typeJSON && kind != typeLines && kind != "application/jsonl" {
		return fmt.Errorf("%w: send %s or %s", problem.ErrMediaType, typeJSON, typeLines)
	}
	b, err := body(w, r, maxCaptionsBody)
	if err != nil {
		return err
	}
	now := time.Now()
	all, err := readCaptions(b, now)
	if err != nil {
		return err
	}
	if st, err := s.parts.Views.Stream(stream); err != nil && !errors.Is(err, media.ErrNoStream) {
		return err
	} else if err != nil || !st.Live {
		return media.ErrNotLive
	}
	for range all {
		if ok, after := s.said.take(stream, now); !ok {
			s.metrics.limited.WithLabelValues("captions").Inc()
			return &problem.Wait{Err: problem.ErrTooManyCaptions, After: after}
		}
	}
	if !s.hub.fits(stream, all) {
		return fmt.Errorf("%w: a stream has captions in at most %d languages", media.ErrBadQuery, media.MaxLanguages)
	}
	var done media.Captioned
	if s.parts.Captions != nil {
		done, err = s.parts.Captions.Caption(r.Context(), stream, all)
		if err != nil && !errors.Is(err, media.ErrNotFound) {
			return fmt.Errorf("package captions: %w", err)
		}
	}
	s.hub.add(stream, all, now)
	if s.parts.PassOn != nil && r.Header.Get(PassedHeader) == "" {
		s.parts.PassOn(r.Header.Get("Authorization"), stream, all)
	}
	return writeJSON(w, struct {
		Accepted int `json:"accepted"`
		Packaged int `json:"packaged"`
		Recorded int `json:"recorded"`
		Late     int `json:"late"`
	}{len(all), done.Packaged, done.Recorded, done.Late})
}

// captionOut is a caption as listeners get it.
type captionOut struct {
	Language string  `json:"language"`
	Start    float64 `json:"start"` // Unix milliseconds, node clock
	End      float64 `json:"end"`
	Text     string  `json:"text"`
}

// getCaptions sends a stream's captions as they come, to who may play it.
func (s *Server) getCaptions(w http.ResponseWriter, r *http.Request) error {
	stream, err := media.ParseStreamID(r.PathValue("stream"))
	if err != nil {
		return err
	}
	if _, err := s.authorize(r, token.Request{Action: token.Play, Stream: stream}); err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no") // nginx would collect events otherwise
	if r.Method == http.MethodHead {
		return nil
	}
	if !s.hub.enter() {
		return &media.BusyError{Why: "as many listen to captions as may listen", After: patience}
	}
	defer s.hub.leave()
	s.metrics.feeds.Inc()
	defer s.metrics.feeds.Dec()
	line := newLine(w)
	defer line.done()
	if line.comment() == nil {
		s.tellCaptions(r.Context(), stream, line)
	}
	return nil
}

// tellCaptions writes what is new until the client or this node goes.
func (s *Server) tellCaptions(ctx context.Context, stream media.StreamID, line paper) {
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	var told []string
	seen := uint64(0)
	for {
		news := s.hub.since(stream, seen, time.Now())
		if !slices.Equal(told, news.languages) {
			told = news.languages
			if s.tell(line, "languages", told) != nil {
				return
			}
		}
		for _, c := range news.captions {
			out := captionOut{c.Language, float64(c.Start.UnixMilli()), float64(c.End.UnixMilli()), c.Text}
			if s.tell(line, "caption", out) != nil {
				return // the client is gone
			}
		}
		seen = news.last
		for quiet := true; quiet; {
			select {
			case <-news.changed:
				quiet = false
			case <-beat.C:
				if line.comment() != nil {
					return
				}
			case <-ctx.Done():
				return
			case <-s.closing:
				return
			}
		}
	}
}

func (s *Server) tell(line paper, name string, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("write an event: %w", err)
	}
	if err := line.event(event{name, b}); err != nil {
		return err
	}
	s.metrics.events.WithLabelValues(name).Inc()
	return nil
}
