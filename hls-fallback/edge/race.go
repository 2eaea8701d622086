package edge

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/sluice-live/sluice/hls-fallback/edge/cache"
)

var (
	// errLost withdraws a question that another origin has answered.
	errLost = errors.New("another origin answered first")
	// errBehind refuses a playlist that would take players back.
	errBehind = errors.New("the origins are behind what was served already")
)

// outcome is what became of a question to one origin.
type outcome struct {
	origin int
	resp   *http.Response
	err    error
	took   time.Duration
	// held tells that the answer was asked for with a directive of ours, so that it is
	// no older than what was served before.
	held bool
}

// good reports whether there is no need for another origin's answer. What one origin
// does not have another may: it joined later, or has begun anew.
func (o *outcome) good() bool {
	return o.err == nil && !broken(o.resp.StatusCode) && o.resp.StatusCode != http.StatusNotFound
}

// close lets go of an answer that nobody reads.
func (o *outcome) close() {
	if o.resp != nil {
		_ = o.resp.Body.Close()
	}
}

// race is one question on its way to several origins.
type race struct {
	e       *Edge
	ctx     context.Context
	q       question
	order   []int
	asked   int                             // of order
	waiting map[int]context.CancelCauseFunc // who has not answered yet
	results chan outcome
	hedge   *time.Timer
	best    outcome // of those that are not good
}

// race asks the origins in order: the next one when one fails, or when it has not
// begun to answer for the time of the hedge. The first good answer wins. The ends of
// ctx ends the answer.
func (e *Edge) race(ctx context.Context, q question, order []int) outcome {
	r := &race{e: e, ctx: ctx, q: q, order: order, waiting: map[int]context.CancelCauseFunc{}, results: make(chan outcome, len(order)),
		hedge: time.NewTimer(e.cfg.Hedge), best: outcome{err: errOrigin}}
	defer r.hedge.Stop()
	r.launch()
	for len(r.waiting) > 0 {
		select {
		case o := <-r.results:
			delete(r.waiting, o.origin)
			if o.good() {
				r.won(&o)
				return o
			}
			r.lost(o)
		case <-r.hedge.C:
			if r.asked < len(order) {
				r.launch()
			}
		}
	}
	return r.best
}

// launch asks the next origin.
func (r *race) launch() {
	i := r.order[r.asked]
	r.asked++
	r.hedge.Reset(r.e.cfg.Hedge)
	ctx, cancel := context.WithCancelCause(r.ctx) // its end is that of r.ctx, at the latest
	r.waiting[i] = cancel
	r.e.fetches.Go(func() { r.results <- r.e.attempt(ctx, r.q, i) }) // Run waits for it
}

// lost keeps an answer that is not good, in case that there is no better one, and asks
// the next origin.
func (r *race) lost(o outcome) {
	err := o.err
	if err == nil && broken(o.resp.StatusCode) {
		err = errOrigin
	}
	r.e.judged(o.origin, err)
	if r.best.resp == nil || broken(r.best.resp.StatusCode) && o.resp != nil {
		r.best.close()
		r.best = o
	} else {
		o.close()
	}
	// Who took all of the time leaves none to the next.
	if r.asked < len(r.order) && r.ctx.Err() == nil && !errors.Is(o.err, errSlow) {
		r.launch()
	}
}

// won withdraws the other questions. Who was asked earlier and has not answered is
// slow.
func (r *race) won(o *outcome) {
	e, late := r.e, len(r.waiting)
	e.judged(o.origin, nil)
	r.best.close()
	earlier := true
	for _, i := range r.order[:r.asked] {
		earlier = earlier && i != o.origin
		if cancel := r.waiting[i]; cancel != nil {
			cancel(errLost)
			if earlier {
				e.judged(i, errSlow)
			}
		}
	}
	if late > 0 {
		e.fetches.Go(func() { // Run waits for it
			for range late {
				o := <-r.results
				o.close()
			}
		})
	}
}

// attempt asks one origin. A playlist that is older than what was served before is
// not taken: the origin is asked to answer when it has caught up.
func (e *Edge) attempt(ctx context.Context, q question, origin int) (o outcome) {
	began := time.Now()
	o.origin = origin
	defer func() { o.took = time.Since(began) }()
	o.resp, o.err = e.ask(ctx, q, origin) //nolint:bodyclose // who takes the outcome closes it
	if o.err != nil || o.resp.StatusCode != http.StatusOK || !older(o.resp, q.served) {
		return o
	}
	o.close()
	again := q
	again.target, o.held = q.target.Reaching(q.served), true
	o.resp, o.err = e.ask(ctx, again, origin) //nolint:bodyclose // likewise
	if o.err != nil || o.resp.StatusCode == http.StatusServiceUnavailable {
		return o
	}
	if o.resp.StatusCode != http.StatusOK || older(o.resp, q.served) {
		o.close()
		o.resp, o.err = nil, errBehind
	}
	return o
}

func older(resp *http.Response, than cache.Place) bool {
	p := cache.ParsePlace(resp.Header.Get(cache.PlaceHeader))
	return p != cache.Place{} && p.IsBefore(than)
}
