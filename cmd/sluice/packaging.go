package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"path/filepath"
	"strings"
	"time"

	"github.com/sluice-live/sluice/hls-fallback"
	"github.com/sluice-live/sluice/internal/blob"
	"github.com/sluice-live/sluice/internal/store"
	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/recorder"
	"github.com/sluice-live/sluice/recorder/journal"
	"github.com/sluice-live/sluice/recorder/upload"
	"github.com/sluice-live/sluice/sfu"
	"github.com/sluice-live/sluice/signaling/token"
	"github.com/sluice-live/sluice/vod"
)

// What the rooms of packaging ask of each other, and who gives it.
var (
	_ recorder.Logs      = (*recorder.Files)(nil)
	_ recorder.Uploads   = (*upload.Uploader)(nil)
	_ recorder.Assets    = (*vod.Vod)(nil)
	_ hlsfallback.Source = (*recorder.Recorder)(nil)
	_ hlsfallback.Source = (*vod.Videos)(nil)
	_ vod.Live           = (*recorder.Recorder)(nil)
	_ vod.Recordings     = (*recorder.Files)(nil)
	_ vod.Store          = (*store.Store)(nil)
	_ vod.Blobs          = blob.Store(nil)
)

// packaging is what makes and serves recordings.
type packaging struct {
	database *store.Store
	blobs    blob.Store
	// originals is where uploaded files are kept as they came: blobs, or a store of its own.
	originals blob.Store
	uploader  *upload.Uploader // nil when recordings stay on this node
	files     *recorder.Files
	recorder  *recorder.Recorder
	vod       *vod.Vod
	origin    *hlsfallback.Server
	keys      []hlsfallback.Key // of signed links
}

// openTime is for the stores to answer at the start.
const openTime = 15 * time.Second

func (h *house) openPackaging() error {
	ctx, cancel := context.WithTimeout(context.Background(), openTime)
	defer cancel()
	for _, step := range []func(context.Context) error{h.openStores, h.openUploads, h.openFiles, h.openRecorder, h.openVod, h.openOrigin} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (h *house) openStores(ctx context.Context) (err error) {
	at := h.cfg.Database
	if at == "" {
		at = filepath.Join(h.cfg.Data, "catalogue.db")
	}
	if h.database, err = store.Open(ctx, at); err != nil {
		return err
	}
	at = h.cfg.Storage
	if at == "" {
		dir, err := filepath.Abs(filepath.Join(h.cfg.Data, "objects"))
		if err != nil {
			return fmt.Errorf("find the folder of objects: %w", err)
		}
		at = "file://" + dir
	}
	if h.blobs, err = blob.Open(ctx, at); err != nil || h.cfg.Uploads.Storage == "" {
		h.originals = h.blobs
		return err
	}
	h.originals, err = blob.Open(ctx, h.cfg.Uploads.Storage)
	return err
}

// openUploads takes recordings to a store that was named. Without one they stay
// where they were written.
func (h *house) openUploads(context.Context) (err error) {
	if h.cfg.Storage == "" {
		return nil
	}
	h.uploader, err = upload.New(upload.Config{
		Blobs: h.blobs, Logger: h.log, Registerer: h.registry,
		// Who goes back within the window is not made to wait for the store.
		Keep: h.cfg.HLS.Window,
		// The catalogue is made later; nothing runs before it is there.
		Done: func(ctx context.Context, r upload.Recording, _ *journal.Manifest) error {
			return h.vod.Stored(ctx, r.Incarnation, r.Prefix())
		},
	})
	return err
}

func (h *house) openFiles(context.Context) (err error) {
	cfg := recorder.FilesConfig{
		Dir: filepath.Join(h.cfg.Data, "recordings"), Windows: filepath.Join(h.cfg.Data, "live"),
		Grace: h.cfg.HLS.Grace, Assets: later{h}, Logger: h.log, Registerer: h.registry,
	}
	if h.uploader != nil {
		cfg.Uploads, cfg.Blobs = h.uploader, h.blobs
	}
	h.files, err = recorder.OpenFiles(cfg)
	return explainData(h.cfg.Data, err)
}

func (h *house) openRecorder(context.Context) (err error) {
	cfg := recorder.DefaultConfig()
	cfg.Part, cfg.Segment, cfg.Target = h.cfg.HLS.Part, h.cfg.HLS.Segment, h.cfg.HLS.Target
	cfg.Window, cfg.Grace, cfg.Redundant = h.cfg.HLS.Window, h.cfg.HLS.Grace, h.cfg.HLS.Redundant
	cfg.FFmpeg, cfg.LadderAlways = "ffmpeg", h.cfg.HLS.LadderWhen == "always"
	cfg.AAC = map[string]recorder.When{"always": recorder.Always, "off": recorder.Never}[h.cfg.HLS.AAC]
	for _, name := range h.cfg.HLS.Ladder {
		rung, _, _ := recorder.Profile(name) // checked when it was read
		cfg.Ladder = append(cfg.Ladder, rung)
	}
	h.recorder, err = recorder.New(cfg, recorder.Parts{
		Streams: streams{h.sfu}, Policy: h.cfg.Policy, Logs: h.files, Publishing: streams{h.sfu}.publishing,
		Assets: later{h}, Logger: h.log, Registerer: h.registry,
	})
	return err
}

func (h *house) openVod(context.Context) (err error) {
	cfg := vod.DefaultConfig()
	cfg.Dir = filepath.Join(h.cfg.Data, "catalogue")
	cfg.Uploads.MaxSize, cfg.Uploads.Originals = h.cfg.Uploads.MaxSize, h.cfg.Uploads.Originals
	cfg.AAC = h.cfg.HLS.AAC != "off"
	cfg.Limits = vod.LimitConfig{PerSecond: h.cfg.Limits.CataloguePerSecond, Burst: h.cfg.Limits.CatalogueBurst}
	for _, s := range h.cfg.Streams {
		cfg.Retention = append(cfg.Retention, vod.Rule{Streams: s.Match, Days: s.KeepDays})
	}
	h.vod, err = vod.New(cfg, vod.Parts{
		Store: h.database, Blobs: h.blobs, Originals: h.originals, Live: h.recorder, Recordings: h.files,
		Remote:    func(r *http.Request) netip.Addr { return h.signaling.Remote(r) }, // made later; nothing asks before
		Authorize: h.leave, Policy: h.cfg.Policy, Logger: h.log, Registerer: h.registry,
	})
	return err
}

func (h *house) openOrigin(context.Context) (err error) {
	cfg := hlsfallback.DefaultConfig()
	if h.keys, err = playKeys(h.cfg.Data); err != nil {
		return explainData(h.cfg.Data, err)
	}
	cfg.Keys = h.keys
	content, err := openKeys(&h.cfg)
	if err != nil {
		return explainData(h.cfg.Data, err)
	}
	h.origin, err = hlsfallback.New(cfg, hlsfallback.Parts{
		Live: h.recorder, Videos: h.vod.Videos(), Keys: content, Authorize: h.mayPlay, Checks: h.edges().checks, Remote: h.edges().remote, Logger: h.log, Registerer: h.registry,
	})
	return err
}

// mayPlay decides on a stream or an asset beneath /live/ and /videos/.
func (h *house) mayPlay(ctx context.Context, a hlsfallback.Ask) error {
	if a.Videos {
		leave, err := h.grant(ctx, a.Token)
		if err != nil && h.vod.MayPlay(ctx, vod.Leave{}, a.Name) == nil {
			return nil // a public asset, and a token that has ended
		}
		if err != nil {
			return err
		}
		return h.vod.MayPlay(ctx, leave, a.Name)
	}
	id, err := media.ParseStreamID(a.Name)
	if err != nil {
		return media.ErrNotFound
	}
	if h.cfg.Policy(id).Public {
		return nil
	}
	_, err = h.tokens.Authorize(ctx, token.Request{Action: token.Play, Stream: id, Token: a.Token})
	return err
}

// leave is what a request to the catalogue may do.
func (h *house) leave(r *http.Request, inURL bool) (vod.Leave, error) {
	text := ""
	if scheme, rest, ok := strings.Cut(r.Header.Get("Authorization"), " "); ok && strings.EqualFold(scheme, "Bearer") {
		text = strings.TrimSpace(rest)
	}
	if text == "" && inURL {
		text = r.URL.Query().Get("token")
	}
	if leave, err := h.link(r, text); !errors.Is(err, hlsfallback.ErrForeign) {
		return leave, err
	}
	return h.grant(r.Context(), text)
}

// link is what a signed link opens of the catalogue: the asset that it plays, with its
// pictures, or the picture of the stream.
func (h *house) link(r *http.Request, text string) (vod.Leave, error) {
	leave := vod.Leave{Subject: "link", Asset: r.PathValue("asset")}
	name := leave.Asset
	if name == "" {
		name = r.PathValue("stream")
		leave.Stream = media.StreamID(name)
	}
	grant := hlsfallback.Grant{Videos: leave.Asset != "", Name: name, Remote: edges{cfg: h.cfg.HLS}.remote(r)}
	_, err := hlsfallback.Verify(h.keys, text, grant, time.Now())
	return leave, err
}

func (h *house) grant(ctx context.Context, text string) (vod.Leave, error) {
	if text == "" {
		return vod.Leave{}, nil
	}
	g, err := h.tokens.Authorize(ctx, token.Request{Action: token.Look, Token: text})
	if err != nil {
		return vod.Leave{}, err
	}
	return vod.Leave{Subject: g.Subject, Play: g.Play, Publish: g.Publish, Admin: g.Admin}, nil
}

// streams gives the recorder the sfu's packets.
type streams struct{ sfu *sfu.SFU }

func (s streams) Attach(id media.StreamID, to recorder.Sink) (recorder.Feed, error) {
	return s.sfu.Attach(id, to)
}

// publishing reports whether somebody publishes, sending or not.
func (s streams) publishing(id media.StreamID) bool {
	status, err := s.sfu.Stream(id)
	return err == nil && status.Epoch > 0 // of one who has the stream
}

// later is the catalogue, which is made after the recorder.
type later struct{ h *house }

func (l later) Lost(ctx context.Context, incarnation, why string) error {
	return l.h.vod.Lost(ctx, incarnation, why)
}

func (l later) Began(ctx context.Context, stream media.StreamID, incarnation string, at time.Time) error {
	return l.h.vod.Began(ctx, stream, incarnation, at)
}

func (l later) Ended(ctx context.Context, stream media.StreamID, incarnation string) error {
	return l.h.vod.Ended(ctx, stream, incarnation)
}

// close closes what packaging holds.
func (p *packaging) close() error {
	var errs []error
	if p.database != nil {
		errs = append(errs, p.database.Close())
	}
	if p.originals != nil && p.originals != p.blobs {
		errs = append(errs, p.originals.Close())
	}
	if p.blobs != nil {
		errs = append(errs, p.blobs.Close())
	}
	return errors.Join(errs...)
}
