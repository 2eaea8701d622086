package vod

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sluice-live/sluice/media"
)

// Store keeps the rows. Its errors are media.ErrNotFound and media.ErrStale, or
// wrap them.
type Store interface {
	// Assets lists what the query asks for.
	Assets(ctx context.Context, q media.AssetQuery) (media.AssetPage, error)
	// Asset is one row.
	Asset(ctx context.Context, id string) (media.Asset, error)
	// Save writes a row and, in the same transaction, events. Version is the one that
	// was read (0: there is no row yet); media.ErrStale when the row has another. It
	// returns the version that the row has now.
	Save(ctx context.Context, a media.Asset, events ...media.AssetEvent) (version int64, err error)
	// Remove deletes a row and writes the event. A row that is not there is no error.
	Remove(ctx context.Context, id string, event media.AssetEvent) error
	// Viewed adds to the counts of views; it does not change versions.
	Viewed(ctx context.Context, views map[string]int64) error
	// Events are the oldest events after a number, at most limit of them.
	Events(ctx context.Context, after int64, limit int) ([]media.AssetEvent, error)
	// TrimEvents deletes those before a time, and all but the newest few.
	TrimEvents(ctx context.Context, before time.Time, newest int64) error
}

// Live shows streams that are recorded now, by the stream's name. The recorder
// gives it; it is what hls-fallback plays live streams from.
type Live interface {
	Presentation(ctx context.Context, stream string) (*media.Presentation, error)
	Changed(stream, rendition string) <-chan struct{}
	Read(ctx context.Context, p *media.Presentation, rendition string, e media.Extent) (io.ReadCloser, error)
	Want(stream, rendition string)
}

// Recordings are the files of recordings that have ended and are on this node, by
// incarnation. media.ErrNotFound when they are not, or not any more.
type Recordings interface {
	Manifest(ctx context.Context, incarnation string) (*media.Manifest, error)
	Read(ctx context.Context, p *media.Presentation, rendition string, e media.Extent) (io.ReadCloser, error)
	// Delete removes all files of a recording on this node; none is no error.
	Delete(ctx context.Context, incarnation string) error
}

// Blobs is the object store (internal/blob). An object is there whole or not at
// all; media.ErrNotFound when it is not there.
type Blobs interface {
	Put(ctx context.Context, key string, r io.Reader, size int64) error
	// Open reads size bytes from offset; size -1 means up to the end.
	Open(ctx context.Context, key string, offset, size int64) (io.ReadCloser, error)
	Delete(ctx context.Context, key string) error
	// List calls fn for each object whose key begins with prefix.
	List(ctx context.Context, prefix string, fn func(key string, size int64, modified time.Time) error) error
}

// Leave is what the bearer of a request may do; nothing, for one without a token.
type Leave struct {
	Subject string // "token:…", for the log
	Play    []media.Pattern
	Publish []media.Pattern
	Admin   bool
	// Asset and Stream are what a signed link opens: it alone, to be played.
	Asset  string
	Stream media.StreamID
}

// Parts are the others that the catalogue works with.
type Parts struct {
	Store      Store
	Blobs      Blobs
	Originals  Blobs      // where files are kept as they were uploaded; nil: in Blobs
	Live       Live       // nil: nothing records here
	Recordings Recordings // nil: nothing recorded here
	// Authorize tells what a request may do. inURL tells that it is for a media file,
	// where a token in the URL or a cookie counts too. No token is no error;
	// media.ErrUnauthorized is one that is not valid.
	Authorize func(r *http.Request, inURL bool) (Leave, error)
	// Remote is the address of who asks, when proxies stand before the server; nil takes
	// the connection's.
	Remote func(r *http.Request) netip.Addr
	// Policy of a stream: Public is what its new recordings are.
	Policy     func(media.StreamID) media.Policy
	Logger     *slog.Logger          // nil is silent
	Registerer prometheus.Registerer // nil registers nowhere
	// Now is the clock; nil is time.Now.
	Now func() time.Time
}
