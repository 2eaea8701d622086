package blob_test

import (
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"testing"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"

	"github.com/sluice-live/sluice/internal/blob"
	"github.com/sluice-live/sluice/internal/blob/conform"
)

func open(t *testing.T, address string) blob.Store {
	t.Helper()
	s, err := blob.Open(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// fakeS3 serves S3's protocol from memory and returns the address of a store in it.
func fakeS3(t *testing.T) string {
	t.Helper()
	backend := s3mem.New()
	if err := backend.CreateBucket("media"); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(gofakes3.New(backend).Server())
	t.Cleanup(server.Close)
	t.Setenv("AWS_ACCESS_KEY_ID", "test")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "not a secret")
	return "s3://media/sluice/one?region=us-east-1&use_path_style=true&endpoint=" + url.QueryEscape(server.URL)
}

func TestDisk(t *testing.T) {
	conform.Run(t, open(t, "file://"+filepath.Join(t.TempDir(), "blob")), conform.Disk)
}

func TestMemory(t *testing.T) { conform.Run(t, open(t, "mem://"), conform.Memory) }

func TestS3(t *testing.T) { conform.Run(t, open(t, fakeS3(t)), conform.S3) }
