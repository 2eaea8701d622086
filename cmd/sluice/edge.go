package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/sluice-live/sluice/cmd/sluice/front"
	"github.com/sluice-live/sluice/hls-fallback"
	"github.com/sluice-live/sluice/hls-fallback/edge"
	"github.com/sluice-live/sluice/hls-fallback/edge/logfile"
	"github.com/sluice-live/sluice/internal/blob"
	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/signaling/token"
)

// bytesize is a number of bytes as people write it: 512MiB, 1GiB, 2GB.
type bytesize int64

// UnmarshalText reads a number and a unit.
func (b *bytesize) UnmarshalText(text []byte) error {
	number := strings.TrimRight(string(text), "BKMGTkibm")
	scale, ok := map[string]float64{"": 1, "B": 1, "KB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12,
		"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}[string(text)[len(number):]]
	n, err := strconv.ParseFloat(number, 64)
	if err != nil || !ok || n < 0 || n*scale > math.MaxInt64/2 {
		return fmt.Errorf("%q is not a size; write 512MiB or 1GiB", text)
	}
	*b = bytesize(n * scale)
	return nil
}

// edgeCmd is a caching server in front of nodes.
type edgeCmd struct {
	Origin    []string      `name:"origin" required:"" placeholder:"URL" help:"Node, or another edge, that is asked for what is not here; may be repeated, the preferred one first."`
	Listen    string        `name:"listen" default:":8090" placeholder:"ADDR" help:"Address for clients."`
	HTTPS     string        `name:"https" placeholder:"ADDR" help:"Address for clients with TLS and HTTP/2; needs --cert and --key."`
	Cert      string        `name:"cert" placeholder:"FILE" help:"Certificate (PEM); it is read again when it changes."`
	Key       string        `name:"key" placeholder:"FILE" help:"The certificate's key."`
	Plain     bool          `name:"plain" help:"Answer without TLS too, although there is --https: behind a proxy, or for other edges."`
	Pass      []string      `name:"pass" placeholder:"PATH" help:"Path that is handed through to an origin without being kept, for example /v1/ or /whip/; may be repeated."`
	Admin     string        `name:"admin" default:"127.0.0.1:8091" placeholder:"ADDR" help:"Address of metrics and health, loopback only."`
	Size      bytesize      `name:"size" default:"1GiB" help:"Memory for what is kept."`
	Object    bytesize      `name:"object" default:"64MiB" help:"Largest answer that is kept; larger ones are passed on."`
	Disk      string        `name:"disk" placeholder:"DIR" help:"Folder for segments beside memory; they are there after a restart, too. One edge alone uses it."`
	DiskSize  bytesize      `name:"disk-size" default:"10GiB" help:"How much of the disk may be used."`
	Clients   int           `name:"clients" default:"20000" help:"Requests that are answered at once."`
	Timeout   time.Duration `name:"timeout" default:"30s" help:"How long an origin may take to begin an answer; more than three target durations."`
	Hedge     time.Duration `name:"hedge" default:"1s" help:"How long an origin may take before the next one is asked as well."`
	Secret    string        `name:"secret" env:"SLUICE_EDGE_SECRET" placeholder:"TEXT" help:"Sent to origins, which know their edges by it."`
	EdgesOnly bool          `name:"edges-only" help:"Answer only edges that send the secret."`

	SigningKey  string        `name:"signing-key" placeholder:"FILE" help:"A copy of the nodes' signing.key, to check tokens here. Without any key origins are asked, once per token and minute."`
	JWKS        string        `name:"jwks" placeholder:"URL" help:"Key set of the identity provider whose tokens count."`
	JWKSIssuer  string        `name:"jwks-issuer" placeholder:"TEXT" help:"The iss that its tokens must carry."`
	JWKSPrivate bool          `name:"jwks-private" help:"Allow plain http and private addresses for --jwks."`
	PlayKeys    string        `name:"play-keys" placeholder:"FILE" help:"A copy of the nodes' play.keys, to check signed links here."`
	Revoked     string        `name:"revoked" placeholder:"URL|FILE" help:"List of tokens (jti) that count no longer, one per line; read each ten seconds."`
	Pathway     []string      `name:"pathway" placeholder:"NAME=HOST" help:"Another edge that players may go to (HLS content steering); may be repeated."`
	LogDir      string        `name:"log-dir" placeholder:"DIR" help:"Folder for the request log: JSON lines, with CMCD."`
	LogUpload   string        `name:"log-upload" placeholder:"URL" help:"Store that takes whole log files (file:///DIR, s3://BUCKET); they go from the folder then."`
	LogEvery    time.Duration `name:"log-every" default:"5m" help:"How long one log file lasts."`
}

// Run serves until ctx is done.
func (c *edgeCmd) Run(ctx context.Context, term terminal) error {
	log := slog.New(slog.NewTextHandler(term.err, nil))
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	cfg, err := c.config()
	if err != nil {
		return err
	}
	cfg.Logger, cfg.Metrics = log, registry
	var parts []func(context.Context) error
	verifier, err := c.verifier(log)
	if err != nil {
		return err
	}
	if verifier != nil {
		parts = append(parts, verifier.Run)
	}
	var keys []hlsfallback.Key
	if c.PlayKeys != "" {
		if keys, err = readPlayKeys(c.PlayKeys); err != nil {
			return err
		}
	}
	cfg.Authorize = authorizeEdge(verifier, keys)
	files, err := c.files(log)
	if err != nil {
		return err
	}
	if files != nil {
		registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "sluice_edge_log_lost_total",
			Help: "Lines of the request log that the disk did not take."}, func() float64 { return float64(files.Lost()) }))
		cfg.Record = recordTo(files)
		parts = append(parts, files.Run)
	}
	e, err := edge.New(cfg)
	if err != nil {
		return err
	}
	parts = append(parts, e.Run)
	if c.LogUpload != "" {
		store, err := blob.Open(ctx, c.LogUpload)
		if err != nil {
			return err
		}
		defer func() { _ = store.Close() }() // each log was compared with what the store has
		parts = append(parts, func(ctx context.Context) error { return uploadLogs(ctx, files, store, log) })
	}
	health := &front.Health{}
	servers, cert, err := c.servers(e, health, registry, log)
	if err != nil {
		return err
	}
	if cert != nil {
		parts = append(parts, cert.Run)
	}
	health.Ready()
	attrs := []any{"version", version(), "origins", strings.Join(cfg.Origins, ",")}
	for _, s := range servers {
		attrs = append(attrs, s.Name, s.Addr().String())
	}
	log.Info("edge started", attrs...)
	return runEdge(ctx, servers, health, parts)
}

func (c *edgeCmd) config() (edge.Config, error) {
	cfg := edge.DefaultConfig()
	cfg.Origins, cfg.Secret, cfg.EdgesOnly, cfg.Pass = c.Origin, c.Secret, c.EdgesOnly, c.Pass
	cfg.Size, cfg.Object, cfg.Clients = int64(c.Size), min(int64(c.Object), int64(c.Size)), c.Clients
	cfg.Disk, cfg.DiskSize = c.Disk, int64(c.DiskSize)
	cfg.Timeout, cfg.Hedge, cfg.Revoked = c.Timeout, c.Hedge, c.Revoked
	for _, text := range c.Pathway {
		id, host, ok := strings.Cut(text, "=")
		if !ok {
			return cfg, fmt.Errorf("--pathway %s: write NAME=HOST", text)
		}
		cfg.Pathways = append(cfg.Pathways, edge.Pathway{ID: id, Host: host})
	}
	if c.LogUpload != "" && c.LogDir == "" {
		return cfg, errors.New("--log-upload needs --log-dir, where the files are written first")
	}
	return cfg, cfg.Validate()
}

// verifier is nil when only origins can check tokens.
func (c *edgeCmd) verifier(log *slog.Logger) (*token.Verifier, error) {
	if c.SigningKey == "" && c.JWKS == "" {
		return nil, nil
	}
	jwks := token.DefaultConfig().JWKS
	jwks.URL, jwks.Issuer, jwks.Private = c.JWKS, c.JWKSIssuer, c.JWKSPrivate
	return token.NewVerifier(token.VerifierConfig{SigningKey: c.SigningKey, JWKS: jwks, Logger: log})
}

func (c *edgeCmd) files(log *slog.Logger) (*logfile.Files, error) {
	if c.LogDir == "" {
		return nil, nil
	}
	cfg := logfile.DefaultConfig()
	cfg.Dir, cfg.Every, cfg.Logger = c.LogDir, c.LogEvery, log
	if host, err := os.Hostname(); err == nil && host != "" {
		cfg.Name = "edge-" + strings.ReplaceAll(host, "/", "-")
	}
	return logfile.New(cfg)
}

// authorizeEdge checks what can be checked without a catalogue: whose an asset is,
// only its origin knows.
func authorizeEdge(v *token.Verifier, keys []hlsfallback.Key) edge.Authorize {
	return func(ctx context.Context, a edge.Ask) (edge.Leave, error) {
		expires, err := hlsfallback.Verify(keys, a.Token, hlsfallback.Grant{Videos: !a.Live, Name: a.Name, Remote: a.Remote}, time.Now())
		switch {
		case err == nil:
			return edge.Leave{Subject: "link", Expires: expires}, nil
		case !errors.Is(err, hlsfallback.ErrForeign) && keys != nil:
			return edge.Leave{}, err
		case !errors.Is(err, hlsfallback.ErrForeign), v == nil:
			return edge.Leave{}, edge.ErrUnsure
		}
		g, err := v.Grant(ctx, a.Token)
		leave := edge.Leave{Subject: g.Subject, Expires: g.Expires}
		switch {
		case err != nil, a.Live && g.MayPlay(media.StreamID(a.Name)), g.Admin:
			return leave, err
		case !a.Live:
			return leave, edge.ErrUnsure
		}
		return leave, media.ErrForbidden
	}
}

func recordTo(files *logfile.Files) func(edge.Record) {
	return func(r edge.Record) {
		if line, err := json.Marshal(r); err == nil {
			files.Write(line)
		}
	}
}

// uploadEvery is how often it is looked for whole log files.
const uploadEvery = 2 * time.Second

// uploadLogs takes whole files to the store. What is there with its size goes
// from the folder; a store that is away is tried again with the next look.
func uploadLogs(ctx context.Context, files *logfile.Files, store blob.Store, log *slog.Logger) error {
	tick := time.NewTicker(uploadEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		paths, err := files.Ended()
		for _, path := range paths {
			if err == nil {
				err = uploadLog(ctx, path, store)
			}
		}
		if err != nil && ctx.Err() == nil {
			log.Error("request log not uploaded; it stays in the folder", "err", err)
		}
	}
}

func uploadLog(ctx context.Context, path string, store blob.Store) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("open a log: %w", err)
	}
	defer func() { _ = f.Close() }() // it was only read
	info, err := f.Stat()
	if err != nil {
		return fmt.Errorf("look at a log: %w", err)
	}
	key := "edge-logs/" + filepath.Base(path)
	if err := store.Put(ctx, key, f, info.Size()); err != nil {
		return fmt.Errorf("upload a log: %w", err)
	}
	if size, _, err := store.Stat(ctx, key); err != nil || size != info.Size() {
		return fmt.Errorf("upload a log: the store has %d bytes of %d: %w", size, info.Size(), errors.Join(err, blob.ErrDiffers))
	}
	if err := os.Remove(path); err != nil {
		return fmt.Errorf("remove a log that was uploaded: %w", err)
	}
	return nil
}

// servers opens the addresses.
func (c *edgeCmd) servers(e *edge.Edge, health *front.Health, registry prometheus.Gatherer, log *slog.Logger) ([]*front.Server, *front.Certificate, error) {
	var out []*front.Server
	var cert *front.Certificate
	fail := func(err error) ([]*front.Server, *front.Certificate, error) {
		for _, s := range out {
			s.Close()
		}
		return nil, nil, err
	}
	host, _, err := net.SplitHostPort(c.Admin)
	if err != nil {
		return fail(fmt.Errorf("--admin %s: %w", c.Admin, err))
	}
	admin := &front.Admin{Health: health, Gatherer: registry, Authorize: func(string) bool { return false }, Host: host}
	door := &edgeDoor{health: health, edge: e}
	var secure *tls.Config
	if c.HTTPS != "" {
		if cert, err = front.OpenCertificate(c.Cert, c.Key, log); err != nil {
			return fail(err)
		}
		secure = cert.TLS()
	}
	for _, l := range []struct {
		name, addr string
		tls        *tls.Config
	}{{"https", c.HTTPS, secure}, {"listen", c.Listen, nil}, {"admin", c.Admin, nil}} {
		if l.addr == "" {
			continue
		}
		handler := door.handler()
		if l.name == "admin" {
			handler = admin.Handler()
		}
		s, err := front.Listen(l.name, l.addr, handler, l.tls, log)
		if err != nil {
			return fail(err)
		}
		out = append(out, s)
		if l.tls != nil && !c.Plain {
			door.hsts = true
			if _, door.secure, err = net.SplitHostPort(s.Addr().String()); err != nil {
				return fail(fmt.Errorf("--https %s: %w", c.HTTPS, err))
			}
		}
	}
	return out, cert, nil
}

// runEdge runs all until ctx is done or one fails.
func runEdge(ctx context.Context, servers []*front.Server, health *front.Health, parts []func(context.Context) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var all sync.WaitGroup
	errs := make(chan error, len(servers)+len(parts))
	for _, s := range servers {
		all.Go(func() { errs <- s.Run(); cancel() }) // waited for below
	}
	for _, run := range parts {
		all.Go(func() { errs <- run(ctx) }) // waited for below
	}
	<-ctx.Done()
	health.Drain()
	end, done := context.WithTimeout(context.WithoutCancel(ctx), answeringTime)
	defer done()
	var ending sync.WaitGroup
	for _, s := range servers {
		ending.Go(func() { s.Shutdown(end) }) // waited for below
	}
	ending.Wait()
	all.Wait()
	close(errs)
	var failed error
	for err := range errs {
		failed = errors.Join(failed, err)
	}
	return failed
}
