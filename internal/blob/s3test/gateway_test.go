package s3test

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/versity/versitygw/backend/meta"
	"github.com/versity/versitygw/backend/posix"
	"github.com/versity/versitygw/embedgw"

	"github.com/sluice-live/sluice/internal/blob"
	"github.com/sluice-live/sluice/internal/blob/conform"
	"github.com/sluice-live/sluice/internal/testnet/port"
)

const (
	access = "sluice-test"
	secret = "nobody knows it"
)

// gateway starts an S3 gateway with one bucket and returns its URL. There can be
// one in a process.
func gateway(t *testing.T) string {
	t.Helper()
	top := t.TempDir()
	root, side := filepath.Join(top, "root"), filepath.Join(top, "side")
	for _, dir := range []string{filepath.Join(root, "media"), side} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	where, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Chdir(where) }) // the gateway goes into its root
	sidecar, err := meta.NewSideCar(side)
	if err != nil {
		t.Fatal(err)
	}
	be, err := posix.New(root, sidecar, posix.PosixOpts{SideCarDir: side})
	if err != nil {
		t.Fatal(err)
	}
	address := port.Address(t)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { // ends with the test
		done <- embedgw.RunVersityGW(ctx, be, &embedgw.Config{
			RootUserAccess: access, RootUserSecret: secret, Region: "us-east-1", Ports: []string{address},
			MaxConnections: 1000, MaxRequests: 1000, MultipartMaxParts: 10000, Quiet: true,
		})
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil && !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
	ready(t, address)
	return "http://" + address
}

func ready(t *testing.T, address string) {
	t.Helper()
	end := time.Now().Add(30 * time.Second)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		answer, err := http.Get("http://" + address + "/")
		if err == nil {
			_ = answer.Body.Close()
			return
		}
		if time.Now().After(end) {
			t.Fatalf("the gateway does not answer: %v", err)
		}
		<-tick.C
	}
}

// A real S3 server takes, gives back, lists, signs and refuses as the others do.
func TestARealServer(t *testing.T) {
	endpoint := gateway(t)
	t.Setenv("AWS_ACCESS_KEY_ID", access)
	t.Setenv("AWS_SECRET_ACCESS_KEY", secret)
	address := "s3://media/sluice?region=us-east-1&use_path_style=true&endpoint=" + url.QueryEscape(endpoint)
	s, err := blob.Open(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	conform.Run(t, s, conform.S3)

	t.Run("a recording is uploaded", func(t *testing.T) { uploads(t, s) })

	t.Run("a wrong secret", func(t *testing.T) {
		t.Setenv("AWS_SECRET_ACCESS_KEY", "guessed")
		s, err := blob.Open(t.Context(), address)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		err = s.Put(t.Context(), "stolen", bytes.NewReader([]byte("x")), 1)
		if err == nil || !strings.Contains(err.Error(), "SignatureDoesNotMatch") {
			t.Errorf("put: %v", err)
		}
	})
	t.Run("a bucket that is not there", func(t *testing.T) {
		s, err := blob.Open(t.Context(), strings.Replace(address, "media", "nowhere", 1))
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		if err := s.Put(t.Context(), "lost", bytes.NewReader([]byte("x")), 1); err == nil {
			t.Error("it was taken")
		}
	})
	t.Run("a signed address ends", func(t *testing.T) {
		u, err := s.SignedURL(t.Context(), http.MethodGet, "nothing", time.Second)
		if err != nil {
			t.Fatal(err)
		}
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for end := time.Now().Add(20 * time.Second); ; <-tick.C {
			answer, err := http.Get(u)
			if err != nil {
				t.Fatal(err)
			}
			_ = answer.Body.Close()
			if answer.StatusCode == http.StatusForbidden {
				return
			}
			if time.Now().After(end) {
				t.Fatalf("after 20 s it still answers %s", answer.Status)
			}
		}
	})
}
