package edge

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluice-live/sluice/hls-fallback/edge/cache"
	"github.com/sluice-live/sluice/hls-fallback/edge/disk"
	"github.com/sluice-live/sluice/hls-fallback/places"
)

var errEnd = io.EOF

// The errors of a fetch; each has one status.
var (
	errOrigin  = errors.New("no origin gave an answer")
	errSlow    = errors.New("the origin took too long")
	errFull    = errors.New("too many requests wait for the origin")
	errRoom    = errors.New("too many bytes are on their way")
	errNobody  = errors.New("nobody waits any more")
	errStopped = errors.New("the edge is shutting down")
)

// Edge is a caching server. Safe for concurrent use.
type Edge struct {
	cfg     Config
	log     *slog.Logger
	metrics *metrics
	client  *http.Client
	ctx     context.Context // of fetches; ends with Run
	stop    context.CancelCauseFunc
	fetches sync.WaitGroup
	clients atomic.Int64
	air     atomic.Int64 // bytes on their way
	revoked atomic.Pointer[map[string]bool]
	disk    *disk.Store // nil: memory alone

	// mu guards the following, and is never held while anything waits.
	mu      sync.Mutex
	shelf   *cache.Shelf[*flight]
	flights map[string]*flight
	fetched *places.Places // a place for each flight that is on its way
	leaves  *cache.Shelf[verdict]
	origins *cache.Origins
	places  *cache.Shelf[cache.Place]
	mixed   *cache.Shelf[uint64] // segments without parts, by playlist
}

// New makes an edge. It starts nothing; fetches end with Run.
func New(cfg Config) (*Edge, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	for i, o := range cfg.Origins {
		cfg.Origins[i] = strings.TrimSuffix(o, "/")
	}
	e := &Edge{
		cfg: cfg, log: cfg.Logger,
		client:  client(cfg),
		shelf:   cache.NewShelf[*flight](cfg.Size),
		flights: make(map[string]*flight),
		fetched: places.New(cfg.Fetches),
		leaves:  cache.NewShelf[verdict](leavesSize),
		origins: cache.NewOrigins(len(cfg.Origins)),
		places:  cache.NewShelf[cache.Place](placesSize),
		mixed:   cache.NewShelf[uint64](placesSize),
	}
	if e.log == nil {
		e.log = slog.New(slog.DiscardHandler)
	}
	e.ctx, e.stop = context.WithCancelCause(context.Background())
	e.metrics = newMetrics(e, cfg.Metrics)
	if cfg.Disk != "" {
		var err error
		if e.disk, err = disk.New(disk.Config{Dir: cfg.Disk, Size: cfg.DiskSize, Logger: e.log, Registerer: cfg.Metrics}); err != nil {
			// A disk that is not mounted is no reason to answer nobody.
			e.log.Error("disk cache off: answers come from memory and origins", "dir", cfg.Disk, "err", err)
		}
	}
	return e, nil
}

// Run reads the list of revoked tokens until ctx is done, then ends all fetches
// and waits for them.
func (e *Edge) Run(ctx context.Context) error {
	defer e.fetches.Wait()
	defer e.stop(errStopped)
	if e.disk != nil {
		e.fetches.Go(func() { _ = e.disk.Run(ctx) }) // waited for above; it ends with ctx, without an error
	}
	if e.cfg.Revoked == "" {
		<-ctx.Done()
		return nil
	}
	tick := time.NewTicker(e.cfg.RevokedEvery)
	defer tick.Stop()
	for failed := false; ; {
		err := e.pullRevoked(ctx)
		if err != nil && !failed && ctx.Err() == nil {
			e.log.Error("revoked tokens could not be read; the list before stays", "from", e.cfg.Revoked, "err", err)
		}
		failed = err != nil
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// request is one request on its way through.
type request struct {
	w      *writer
	r      *http.Request
	target cache.Target
	access cache.Access
	token  string
	bearer bool // the token came as Authorization
	// trusted requests come from another edge.
	trusted bool
	remote  netip.Addr
	began   time.Time
	record  *Record
	retry   int
	ranged  bool // a part of the whole is sent
}

// ServeHTTP answers.
func (e *Edge) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	q := &request{w: &writer{ResponseWriter: w, stall: e.cfg.Stall}, r: r, began: time.Now(), record: &Record{}}
	defer func() { // also when a broken body ends the handler by a panic
		e.done(q)
	}()
	// The server's own time for an answer does not know of requests that block.
	_ = http.NewResponseController(w).SetWriteDeadline(q.began.Add(e.cfg.Timeout*time.Duration(len(e.cfg.Origins)) + e.cfg.Stall))
	e.route(q)
}

func (e *Edge) route(q *request) {
	if r := q.r; r.URL.Path == steeringPath && len(e.cfg.Pathways) > 0 {
		e.steer(q)
		return
	}
	if e.passes(q.r.URL.Path) || forLicence(q.r) {
		if e.enter(q) {
			defer e.clients.Add(-1)
			e.through(q)
		}
		return
	}
	switch q.r.Method {
	case http.MethodGet, http.MethodHead:
	case http.MethodOptions:
		preflight(q.w)
		return
	default:
		q.w.Header().Set("Allow", "GET, HEAD, OPTIONS")
		q.refuse(http.StatusMethodNotAllowed, "only GET and HEAD are answered here")
		return
	}
	var err error
	if q.target, err = cache.Parse(q.r.URL.EscapedPath(), q.r.URL.RawQuery); err != nil {
		status := http.StatusNotFound
		if errors.Is(err, cache.ErrQuery) {
			status = http.StatusBadRequest
		}
		q.refuse(status, err.Error())
		return
	}
	if !e.enter(q) {
		return
	}
	defer e.clients.Add(-1)
	q.identify()
	if !e.admit(q) {
		return
	}
	e.answer(q)
}

// enter counts a client in, until it is counted out; false: it was refused.
func (e *Edge) enter(q *request) bool {
	if q.trusted = e.knows(q.r); e.cfg.EdgesOnly && !q.trusted {
		q.record.Result = Refused
		q.refuse(http.StatusForbidden, "only edges are answered here")
		return false
	}
	if e.clients.Add(1) > int64(e.cfg.Clients) {
		e.clients.Add(-1)
		q.busy("too many requests are being answered")
		return false
	}
	return true
}

// retries is how often a client that waited for an answer that was for another
// client only asks anew; the last time it takes what comes.
const retries = 3

// answer finds the flight and serves from it.
func (e *Edge) answer(q *request) {
	for {
		f, result := e.find(q)
		if f == nil {
			q.record.Result = Failed
			q.busy(errFull.Error())
			return
		}
		q.record.Result = result
		h, err := f.headed(q.r.Context())
		e.leave(f)
		if err != nil {
			e.failed(q, err)
			return
		}
		q.record.Origin = h.origin
		if h.disk && result == Miss {
			q.record.Result = Disk
		}
		switch {
		case h.alone:
			q.record.Result = Passed
			e.pass(q)
			return
		case h.life.Private && result == Coalesced && q.retry < retries:
			q.retry++
			continue
		}
		e.serve(q, f, h)
		return
	}
}

// find returns what is kept, or what is on its way, or sets out; nil when too
// many are on their way.
func (e *Edge) find(q *request) (*flight, Result) {
	key := q.target.Key(q.access)
	now := time.Now()
	e.mu.Lock()
	defer e.mu.Unlock()
	if f, ok := e.shelf.Find(key, now); ok {
		f.join()
		return f, Hit
	}
	if f, ok := e.flights[key]; ok {
		f.join()
		return f, Coalesced
	}
	if !e.fetched.Take(q.remote) {
		return nil, Failed
	}
	ctx, cancel := context.WithCancelCause(e.ctx)
	f := newFlight(key, func() { cancel(errNobody) })
	f.who = q.remote
	f.join()
	e.flights[key] = f
	order := e.origins.Order(now)
	ask := question{target: q.target, access: q.access, token: q.token, header: q.credentials(), served: e.servedOf(q.target, now)}
	// Run waits for it.
	e.fetches.Go(func() {
		defer cancel(nil)
		e.fetch(ctx, f, ask, order)
	})
	return f, Miss
}

func (f *flight) join() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.waiting++
}

// leave ends the wait for a head. When nobody is left and nothing came, the
// question is withdrawn: a player that went away shall not keep the origin busy.
func (e *Edge) leave(f *flight) {
	e.mu.Lock()
	defer e.mu.Unlock()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.waiting--
	if f.waiting == 0 && f.head == nil && !f.over {
		if e.flights[f.key] == f {
			delete(e.flights, f.key)
		}
		f.cancel()
	}
}

// failed answers for a fetch without a head.
func (e *Edge) failed(q *request, err error) {
	q.record.Result = Failed
	switch {
	case q.r.Context().Err() != nil:
		q.record.Status = statusLeft
	case errors.Is(err, errSlow):
		q.refuse(http.StatusGatewayTimeout, err.Error())
	case errors.Is(err, errStopped), errors.Is(err, errBehind):
		q.busy(err.Error())
	default:
		q.w.Header().Set("Retry-After", "1")
		q.refuse(http.StatusBadGateway, errOrigin.Error())
	}
}

// statusLeft is what nginx logs for a client that went away; none is sent.
const statusLeft = 499
