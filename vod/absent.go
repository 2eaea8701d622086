package vod

import (
	"context"
	"io"

	"github.com/sluice-live/sluice/media"
)

// nobody is a node on which nothing records.
type nobody struct{}

func (nobody) Presentation(context.Context, string) (*media.Presentation, error) {
	return nil, media.ErrNotFound
}
func (nobody) Changed(string, string) <-chan struct{} { return nil }
func (nobody) Read(context.Context, *media.Presentation, string, media.Extent) (io.ReadCloser, error) {
	return nil, media.ErrNotFound
}
func (nobody) Want(string, string) {}

// nothing is a node that has no recordings.
type nothing struct{}

func (nothing) Manifest(context.Context, string) (*media.Manifest, error) {
	return nil, media.ErrNotFound
}
func (nothing) Read(context.Context, *media.Presentation, string, media.Extent) (io.ReadCloser, error) {
	return nil, media.ErrNotFound
}
func (nothing) Delete(context.Context, string) error { return nil }
