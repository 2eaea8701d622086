package vod

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"os"
	"time"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/vod/upload"
)

// originalPath is where the file of an upload is kept: apart from what players read,
// with policies of its own.
func originalPath(a media.Asset) string { return "originals/" + string(a.Stream) + "/" + a.ID }

func originalKey(a media.Asset) string { return originalPath(a) + "/file" }

// keepOriginal stores the file that an asset was made of, and notes it. Begun again, it
// writes the same object again.
func (v *Vod) keepOriginal(ctx context.Context, a media.Asset, info upload.Info) error {
	if !v.cfg.Uploads.Originals {
		return nil
	}
	f, err := os.Open(v.uploads.Path(a.ID))
	if err != nil {
		return fmt.Errorf("keep the original of %s: %w", a.ID, err)
	}
	err = v.parts.Originals.Put(ctx, originalKey(a), f, info.Size)
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("keep the original of %s: %w", a.ID, err)
	}
	_, err = v.change(ctx, a.ID, func(a *media.Asset) ([]media.AssetEvent, error) {
		a.Original = media.Original{Name: info.Name, Type: info.Type, Size: info.Size}
		return nil, nil
	})
	return err
}

// original serves an upload as it came, or a range of it, to those who may change the
// asset: it may hold more than what was published of it.
func (v *Vod) original(w http.ResponseWriter, r *http.Request) error {
	a, l, err := v.asset(r, true)
	if err == nil {
		err = l.mayChange(a.Stream)
	}
	if err != nil {
		return err
	}
	if a.Original.Size == 0 {
		return fmt.Errorf("%w: no original is kept of the asset", media.ErrNotFound)
	}
	at := &object{open: func(offset int64) (io.ReadCloser, error) {
		return v.parts.Originals.Open(r.Context(), originalKey(a), offset, -1)
	}, size: a.Original.Size}
	defer at.close()
	if err := at.begin(); err != nil { // before anything is promised
		return err
	}
	h := w.Header()
	h.Set("Content-Type", a.Original.Type)
	h.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": a.Original.Name}))
	h.Set("Cache-Control", cacheControl(false, 0))
	h.Set("ETag", `"`+a.ID+`"`)                                     // it never changes
	_ = http.NewResponseController(w).SetWriteDeadline(time.Time{}) // it may be large
	http.ServeContent(w, r, "", a.Created, at)
	return nil
}

// object reads an object of the blob store from wherever somebody wants.
type object struct {
	open func(offset int64) (io.ReadCloser, error)
	size int64

	at int64
	in io.ReadCloser
}

// Seek sets where the next Read begins.
func (o *object) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += o.at
	case io.SeekEnd:
		offset += o.size
	}
	if offset < 0 || offset > o.size {
		return 0, errors.New("seek: beyond the object")
	}
	if offset != o.at {
		o.close()
		o.at = offset
	}
	return offset, nil
}

// Read reads on.
func (o *object) Read(b []byte) (int, error) {
	if o.at >= o.size {
		return 0, io.EOF
	}
	if err := o.begin(); err != nil {
		return 0, err
	}
	n, err := o.in.Read(b)
	o.at += int64(n)
	return n, err
}

func (o *object) begin() error {
	if o.in != nil {
		return nil
	}
	in, err := o.open(o.at)
	if err != nil {
		return fmt.Errorf("read the original: %w", err)
	}
	o.in = in
	return nil
}

func (o *object) close() {
	if o.in != nil {
		_ = o.in.Close() // it was only read
		o.in = nil
	}
}
