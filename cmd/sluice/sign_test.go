package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What is not live is 404 for who may play it, and 401 for who may not: so a link
// is tried without a publisher.
func TestASignedLinkOpensItsStreamAlone(t *testing.T) {
	dir := t.TempDir()
	n := serve(t, dir)
	link := strings.TrimSpace(want(t, "sign", "--data", dir, "lesson"))
	if got := status(t, n.http+link); got != 404 {
		t.Errorf("the link answers %d, not that nothing is there yet", got)
	}
	if got := status(t, n.http+strings.Replace(link, "lesson", "other", 1)); got != 401 {
		t.Errorf("the link of another stream answers %d", got)
	}
	if got := status(t, n.http+link+"x"); got != 401 {
		t.Errorf("a forged link answers %d", got)
	}
	elsewhere := strings.TrimSpace(want(t, "sign", "--data", dir, "--remote", "192.0.2.1", "lesson"))
	if got := status(t, n.http+elsewhere); got != 401 {
		t.Errorf("a link for another address answers %d", got)
	}
	if got := status(t, n.http+"/live/lesson/index.m3u8"); got != 401 {
		t.Errorf("without a token it answers %d", got)
	}
}

func TestKeysOfSignedLinksAreForTheirOwner(t *testing.T) {
	dir := t.TempDir()
	first := want(t, "sign", "--data", dir, "lesson")
	path := filepath.Join(dir, playKeysName)
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("the file is %v: %v", info.Mode(), err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range strings.Fields(string(text))[1:] {
		if strings.Contains(first, secret) {
			t.Error("the link shows the secret")
		}
	}
	if err := os.WriteFile(path, []byte("k1 short\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, _, errs := sluice(t, "sign", "--data", dir, "lesson"); code == 0 || !strings.Contains(errs, "line 1") {
		t.Errorf("a broken file: exit code %d, %s", code, errs)
	}
	if code, _, errs := sluice(t, "sign", "--data", dir, "../x"); code == 0 || errs == "" {
		t.Errorf("a name that is none: exit code %d, %s", code, errs)
	}
}
