package blob

import (
	"bytes"
	"context"
	"crypto/md5" //nolint:gosec // a checksum against accidents: it is the one that S3 has
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"gocloud.dev/blob"
	"gocloud.dev/blob/fileblob"
	"gocloud.dev/blob/memblob"
	_ "gocloud.dev/blob/s3blob" // s3://
	"gocloud.dev/gcerrors"

	"github.com/sluice-live/sluice/media"
)

// Store is a place for objects. Keys are made of [A-Za-z0-9._-] and slashes, at
// most 512 bytes, without a dot in front of any element. What is not there is
// media.ErrNotFound, and fs.ErrNotExist. A Store is safe for concurrent use.
type Store interface {
	// Put writes an object of exactly size bytes; the object under that key, if
	// there is one, is replaced when all is well, and stays when it is not.
	Put(ctx context.Context, key string, r io.Reader, size int64) error
	// Open reads size bytes from offset on, to the end when size is negative.
	// Reading ends with ctx.
	Open(ctx context.Context, key string, offset, size int64) (io.ReadCloser, error)
	// Stat returns the size in bytes, and the MD5 where the store knows it (S3 does
	// not for what came in parts).
	Stat(ctx context.Context, key string) (size int64, sum []byte, err error)
	// Delete removes an object; one that is not there is no error.
	Delete(ctx context.Context, key string) error
	// List calls fn for each object whose key begins with prefix, sorted by key.
	List(ctx context.Context, prefix string, fn func(key string, size int64, modified time.Time) error) error
	// SignedURL returns an address by which anybody may GET or PUT the object for
	// some time, or ErrNoSigning.
	SignedURL(ctx context.Context, method, key string, valid time.Duration) (string, error)
	Close() error
}

// The errors of a store.
var (
	ErrNoSigning = errors.New("this store has no signed addresses")
	ErrBadKey    = errors.New("the object's key is not valid")
	ErrDiffers   = errors.New("the store holds something else than was sent")
)

const (
	maxKey = 512 // S3 takes 1024, of which a prefix wants some
	// partSize is what an upload keeps in memory at once, and there are two of them.
	// S3 takes 10,000 parts of at least 5 MiB: this allows 80 GB.
	partSize    = 8 << 20
	partsAtOnce = 2
)

// Open opens the store that a URL names: file:///folder (made when it is not
// there), mem://, or s3://bucket/prefix with region, endpoint, use_path_style and
// the other parameters of gocloud.dev/blob/s3blob. Credentials for S3 come from
// the environment, as with the AWS tools, never from the URL.
func Open(ctx context.Context, address string) (Store, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, errors.New("open the blob store: its URL cannot be read") // it may hold what nobody should read
	}
	switch u.Scheme {
	case "file":
		return openDisk(u.Path)
	case "mem":
		return &bucket{b: memblob.OpenBucket(nil)}, nil
	case "s3":
		return openS3(ctx, u)
	}
	return nil, fmt.Errorf("open the blob store: %q is none of file, s3, mem", u.Scheme)
}

func openDisk(dir string) (Store, error) {
	if !filepath.IsAbs(dir) {
		return nil, fmt.Errorf("open the blob store: the path %q is not absolute; write file:///folder", dir)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("open the blob store: %w", err)
	}
	b, err := fileblob.OpenBucket(dir, &fileblob.Options{
		NoTempDir:   true, // a rename must stay on one file system to be whole or not at all
		Metadata:    fileblob.MetadataDontWrite,
		DirFileMode: 0o700,
	})
	if err != nil {
		return nil, fmt.Errorf("open the blob store: %w", err)
	}
	return &bucket{b: b, dir: dir}, nil
}

func openS3(ctx context.Context, u *url.URL) (Store, error) {
	if u.User != nil || u.Host == "" {
		return nil, errors.New("open the blob store: write s3://bucket; credentials belong into the environment")
	}
	prefix := strings.Trim(u.Path, "/")
	at := url.URL{Scheme: u.Scheme, Host: u.Host, RawQuery: u.RawQuery}
	b, err := blob.OpenBucket(ctx, at.String())
	if err != nil {
		return nil, fmt.Errorf("open the blob store: %w", err)
	}
	if prefix != "" {
		b = blob.PrefixedBucket(b, prefix+"/")
	}
	return &bucket{b: b, signs: true}, nil
}

// bucket is a Store by gocloud.dev.
type bucket struct {
	b     *blob.Bucket
	dir   string // of a disk store
	signs bool
}

var _ Store = (*bucket)(nil)

func (s *bucket) Close() error { return s.b.Close() }

func (s *bucket) Put(ctx context.Context, key string, r io.Reader, size int64) error {
	if err := checkKey(key); err != nil {
		return fmt.Errorf("put %q: %w", key, err)
	}
	sum, err := s.write(ctx, key, r, size)
	if err == nil && s.dir != "" {
		err = s.settle(key)
	}
	if err == nil {
		err = s.compare(ctx, key, size, sum)
	}
	if err != nil {
		return fmt.Errorf("put %s: %w", key, translate(err))
	}
	return nil
}

// write sends the object and returns its MD5. A stream that has another length
// than it should leaves nothing behind.
func (s *bucket) write(ctx context.Context, key string, r io.Reader, size int64) ([]byte, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	w, err := s.b.NewWriter(ctx, key, &blob.WriterOptions{
		BufferSize: partSize, MaxConcurrency: partsAtOnce, ContentType: contentType(key),
		DisableContentTypeDetection: true,
	})
	if err != nil {
		return nil, err
	}
	sum := md5.New() //nolint:gosec // see the import
	n, err := io.Copy(io.MultiWriter(w, sum), io.LimitReader(r, size+1))
	if err == nil && n != size {
		err = fmt.Errorf("the stream has %d bytes or more, not %d: %w", n, size, io.ErrUnexpectedEOF)
	}
	if err != nil {
		cancel() // before Close: it forgets what was sent
		_ = w.Close()
		return nil, err
	}
	return sum.Sum(nil), w.Close()
}

// compare holds what the store says against what was sent.
func (s *bucket) compare(ctx context.Context, key string, size int64, sum []byte) error {
	have, stored, err := s.Stat(ctx, key)
	if err != nil {
		return err
	}
	if have != size || len(stored) > 0 && !bytes.Equal(stored, sum) {
		return fmt.Errorf("%w: %d bytes, MD5 %x; sent were %d bytes, MD5 %x", ErrDiffers, have, stored, size, sum)
	}
	return nil
}

// settle puts a file of a disk store on disk for good, with the names that lead to
// it: the driver does not.
func (s *bucket) settle(key string) error {
	path := filepath.Join(s.dir, filepath.FromSlash(key))
	for {
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		if err := errors.Join(f.Sync(), f.Close()); err != nil {
			return err
		}
		if path == filepath.Clean(s.dir) {
			return nil
		}
		path = filepath.Dir(path)
	}
}

func (s *bucket) Open(ctx context.Context, key string, offset, size int64) (io.ReadCloser, error) {
	if err := checkKey(key); err != nil {
		return nil, fmt.Errorf("open %q: %w", key, err)
	}
	r, err := s.b.NewRangeReader(ctx, key, offset, size, nil)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", key, translate(err))
	}
	return r, nil
}

func (s *bucket) Stat(ctx context.Context, key string) (int64, []byte, error) {
	if err := checkKey(key); err != nil {
		return 0, nil, fmt.Errorf("look at %q: %w", key, err)
	}
	a, err := s.b.Attributes(ctx, key)
	if err != nil {
		return 0, nil, fmt.Errorf("look at %s: %w", key, translate(err))
	}
	return a.Size, a.MD5, nil
}

func (s *bucket) Delete(ctx context.Context, key string) error {
	if err := checkKey(key); err != nil {
		return fmt.Errorf("delete %q: %w", key, err)
	}
	if err := s.b.Delete(ctx, key); err != nil && gcerrors.Code(err) != gcerrors.NotFound {
		return fmt.Errorf("delete %s: %w", key, err)
	}
	return nil
}

func (s *bucket) List(ctx context.Context, prefix string, fn func(key string, size int64, modified time.Time) error) error {
	it := s.b.List(&blob.ListOptions{Prefix: prefix})
	for {
		o, err := it.Next(ctx)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("list %s: %w", prefix, translate(err))
		}
		if err := fn(o.Key, o.Size, o.ModTime); err != nil {
			return err
		}
	}
}

func (s *bucket) SignedURL(ctx context.Context, method, key string, valid time.Duration) (string, error) {
	if err := checkKey(key); err != nil {
		return "", fmt.Errorf("sign %q: %w", key, err)
	}
	if !s.signs || method != http.MethodGet && method != http.MethodPut {
		return "", ErrNoSigning
	}
	u, err := s.b.SignedURL(ctx, key, &blob.SignedURLOptions{Method: method, Expiry: valid})
	if err != nil {
		return "", fmt.Errorf("sign %s: %w", key, translate(err))
	}
	return u, nil
}

// translate makes the driver's word for what is not there the house's, and the
// standard library's.
func translate(err error) error {
	if gcerrors.Code(err) == gcerrors.NotFound {
		return fmt.Errorf("%w: %w: %w", media.ErrNotFound, fs.ErrNotExist, err)
	}
	return err
}

// checkKey keeps keys to what every store takes as it is.
func checkKey(key string) error {
	if key == "" || len(key) > maxKey {
		return ErrBadKey
	}
	for element := range strings.SplitSeq(key, "/") {
		if element == "" || element[0] == '.' {
			return ErrBadKey
		}
		for _, c := range []byte(element) {
			if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '.' && c != '_' && c != '-' {
				return ErrBadKey
			}
		}
	}
	return nil
}

// contentType is what a store tells browsers that are sent to it.
func contentType(key string) string {
	switch filepath.Ext(key) {
	case ".json":
		return "application/json"
	case ".mp4", ".cmaf", ".m4s":
		return "video/mp4"
	case ".webm":
		return "video/webm"
	case ".jpg":
		return "image/jpeg"
	case ".vtt":
		return "text/vtt"
	}
	return "application/octet-stream"
}
