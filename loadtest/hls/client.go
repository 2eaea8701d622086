package hls

import (
	"context"
	"errors"
	"net/url"
	"os"
	"strconv"
	"time"

	"github.com/sluice-live/sluice/loadtest/source"
)

// client is one on one playlist: of pictures, or of sound.
type client struct {
	*Crowd
	kind  int
	looks bool // for stamps
}

// follow asks for one playlist after the other, with what they hint.
func (c *client) follow(ctx context.Context, list *url.URL) {
	lists, parts := &line{crowd: c.Crowd}, &line{crowd: c.Crowd}
	defer lists.close()
	defer parts.close()
	var e edge
	ask := list
	for ctx.Err() == nil {
		text, err := c.timed(ctx, lists, ask, true)
		if err == nil {
			var next edge
			if next, err = parse(text); err == nil {
				c.arrived(next, e, ask != list, time.Now())
				e = next
			}
		}
		if err != nil {
			c.failed(ctx, err)
			ask = list
			pause(ctx, time.Second)
			continue
		}
		ask = directed(list, e)
		if !c.cfg.NoParts {
			c.both(ctx, lists, parts, list, e)
		}
	}
}

// both asks for the next playlist and the hinted part at once, until one fails.
func (c *client) both(ctx context.Context, lists, parts *line, list *url.URL, e edge) {
	hints := make(chan *url.URL)
	done := make(chan loaded, 1)
	defer close(hints)
	go func() { // ends with hints
		for hint := range hints {
			data, err := c.timed(ctx, parts, hint, false)
			done <- loaded{data, err}
		}
	}()
	for ctx.Err() == nil {
		hint, err := resolve(list, e.hint)
		if err != nil {
			c.failed(ctx, err)
			return
		}
		hints <- hint
		text, err := c.timed(ctx, lists, directed(list, e), true)
		at := time.Now()
		part := <-done
		if part.err != nil {
			c.failed(ctx, part.err)
		}
		var next edge
		if err == nil {
			next, err = parse(text)
		}
		if err != nil {
			c.failed(ctx, err)
			return
		}
		c.arrived(next, e, true, at)
		if c.looks && next.lists(e) {
			c.look(part.data, at)
		}
		e = next
	}
}

// loaded is what a hint led to.
type loaded struct {
	data []byte
	err  error
}

// directed is the request for what comes next.
func directed(list *url.URL, e edge) *url.URL {
	u := *list
	if u.RawQuery != "" {
		u.RawQuery += "&"
	}
	u.RawQuery += "_HLS_msn=" + strconv.FormatUint(e.msn, 10) + "&_HLS_part=" + strconv.FormatUint(e.part, 10)
	return &u
}

func pause(ctx context.Context, d time.Duration) {
	wait := time.NewTimer(d)
	defer wait.Stop()
	select {
	case <-wait.C:
	case <-ctx.Done():
	}
}

// timed asks and counts.
func (c *client) timed(ctx context.Context, by *line, from *url.URL, playlist bool) ([]byte, error) {
	limit := int64(maxPart)
	if playlist {
		limit = maxPlaylist
	}
	began := time.Now()
	text, size, err := by.get(ctx, from, limit, playlist || c.looks)
	took := time.Since(began)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if playlist {
		keep(&c.now.playlist, took)
	} else {
		keep(&c.now.hinted, took)
	}
	c.now.bytes += uint64(size)
	return text, nil
}

// keep notes one more, as long as there is room.
func keep(to *[]time.Duration, d time.Duration) {
	if len(*to) < maxSamples {
		*to = append(*to, d)
	}
}

// arrived counts a playlist that came at at, and was waited for, or was not.
func (c *client) arrived(e, before edge, waited bool, at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now.target = e.target
	if !waited {
		return
	}
	if e.msn < before.msn || e.msn == before.msn && e.part <= before.part {
		c.now.behind++
	}
	switch {
	case e.msn == before.msn && e.part > before.part+1:
		c.now.missed += e.part - before.part - 1
	case e.msn > before.msn && e.part > 1:
		// The segment's first may have been hinted at the end of the one before.
		c.now.missed += e.part - 1
	}
	if !e.end.IsZero() {
		keep(&c.now.edge[c.kind], at.Sub(e.end))
	}
}

// look finds when the last picture was sent of a part whose playlist came at at.
func (c *client) look(part []byte, at time.Time) {
	stamp, ok := source.LastStamp(part)
	if !ok {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	keep(&c.now.newest, at.Sub(stamp.Sent))
}

func (c *Crowd) failed(ctx context.Context, err error) {
	if ctx.Err() != nil {
		return
	}
	why := "network"
	var status statusError
	switch {
	case errors.As(err, &status):
		why = err.Error()
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		why = "timeout"
	case errors.Is(err, errNoHint):
		why = "no hint"
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now.errors[why]++
}
