package token_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/signaling/token"
)

func create(t *testing.T, k *token.Keys, publish ...media.Pattern) (token.Key, string) {
	t.Helper()
	key, whole, err := k.Create(publish)
	if err != nil {
		t.Fatal(err)
	}
	return key, whole
}

func TestStreamKeysPublishTheirStreamsOnly(t *testing.T) {
	tokens := open(t, t.TempDir())
	key, whole := create(t, tokens.Keys(), "demo", "cam.*")
	if !strings.HasPrefix(whole, "sk_"+key.ID+"_") || len(whole)-len("sk_"+key.ID+"_") < 26 {
		t.Errorf("%q: want sk_<id>_<26 characters of base32>", whole)
	}
	for _, c := range []struct {
		req  token.Request
		want error
	}{
		{token.Request{Action: token.Publish, Stream: "demo", Token: whole}, nil},
		{token.Request{Action: token.Publish, Stream: "cam.1", Token: whole}, nil},
		{token.Request{Action: token.Publish, Stream: "other", Token: whole}, media.ErrForbidden},
		{token.Request{Action: token.Play, Stream: "demo", Token: whole}, media.ErrForbidden},
		{token.Request{Action: token.Admin, Token: whole}, media.ErrForbidden},
		{token.Request{Action: token.Publish, Stream: "demo", Token: whole[:len(whole)-1]}, media.ErrUnauthorized},
		{token.Request{Action: token.Publish, Stream: "demo", Token: whole + "a"}, media.ErrUnauthorized},
		{token.Request{Action: token.Publish, Stream: "demo", Token: "sk_" + key.ID + "_"}, media.ErrUnauthorized},
		{token.Request{Action: token.Publish, Stream: "demo", Token: "sk_nobody_" + strings.Repeat("a", 26)}, media.ErrUnauthorized},
	} {
		g, err := tokens.Authorize(t.Context(), c.req)
		if !errors.Is(err, c.want) {
			t.Errorf("%+v: got %v, want %v", c.req, err, c.want)
		}
		if err == nil && g.Subject != "key:"+key.ID {
			t.Errorf("subject %q", g.Subject)
		}
	}
}

func TestTheFileHoldsNoSecret(t *testing.T) {
	dir := t.TempDir()
	_, whole := create(t, open(t, dir).Keys(), "demo")
	b, err := os.ReadFile(filepath.Join(dir, "keys.json"))
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(b), strings.Split(whole, "_")[2]) {
		t.Error("keys.json holds the secret")
	}
}

func TestARevokedKeyIsRefused(t *testing.T) {
	tokens := open(t, t.TempDir())
	key, whole := create(t, tokens.Keys(), "demo")
	if err := tokens.Keys().Revoke(key.ID); err != nil {
		t.Fatal(err)
	}
	for _, expired := range []bool{false, true} {
		_, err := tokens.Authorize(t.Context(), token.Request{Action: token.Publish, Stream: "demo", Token: whole, Expired: expired})
		if !errors.Is(err, media.ErrUnauthorized) || !strings.Contains(err.Error(), "revoked") {
			t.Errorf("got %v", err)
		}
	}
	if list := tokens.Keys().List(); len(list) != 1 || list[0].Revoked.IsZero() {
		t.Errorf("the list shows %+v", list)
	}
	if err := tokens.Keys().Revoke("nobody"); !errors.Is(err, token.ErrNoKey) {
		t.Errorf("revoking an unknown key: %v", err)
	}
}

func TestCreateRefusesBadPatterns(t *testing.T) {
	keys := open(t, t.TempDir()).Keys()
	for _, p := range [][]media.Pattern{nil, {"a/b"}, {"ok", ""}} {
		if _, _, err := keys.Create(p); err == nil {
			t.Errorf("%v was taken", p)
		}
	}
}

// `sluice key` runs beside the server: what it creates counts and what it
// revokes is told, within about a second.
func TestAnotherProcessChangesTheKeys(t *testing.T) {
	dir := t.TempDir()
	server := open(t, dir)
	old, _ := create(t, server.Keys(), "demo")
	ctx, cancel := context.WithCancel(t.Context())
	told := make(chan string, 10)
	over := make(chan error)
	go func() { over <- server.Run(ctx, func(subject string) { told <- subject }) }()

	other, err := token.OpenKeys(filepath.Join(dir, "keys.json"))
	if err != nil {
		t.Fatal(err)
	}
	_, whole := create(t, other, "demo")
	if err := other.Revoke(old.ID); err != nil {
		t.Fatal(err)
	}
	select {
	case subject := <-told:
		if subject != "key:"+old.ID {
			t.Errorf("told of %q", subject)
		}
	case <-time.After(time.Minute):
		t.Fatal("nothing was told")
	}
	if _, err := server.Authorize(ctx, token.Request{Action: token.Publish, Stream: "demo", Token: whole}); err != nil {
		t.Errorf("the new key: %v", err)
	}
	cancel()
	if err := <-over; err != nil {
		t.Error(err)
	}
}

// A half-written edit by hand must not throw every encoder out.
func TestABrokenFileKeepsTheOldKeys(t *testing.T) {
	dir := t.TempDir()
	tokens := open(t, dir)
	_, whole := create(t, tokens.Keys(), "demo")
	if err := os.WriteFile(filepath.Join(dir, "keys.json"), []byte(`{"keys": [`), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := tokens.Keys().Reload(); err == nil {
		t.Error("the broken file was taken")
	}
	if _, err := tokens.Authorize(t.Context(), token.Request{Action: token.Publish, Stream: "demo", Token: whole}); err != nil {
		t.Errorf("the key is lost: %v", err)
	}
}

// Commands that run at once lose none of each other's keys.
func TestCreatingAtOnceLosesNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys.json")
	var all sync.WaitGroup
	for range 10 {
		all.Go(func() {
			k, err := token.OpenKeys(path)
			if err != nil {
				t.Error(err)
				return
			}
			if _, _, err := k.Create([]media.Pattern{"demo"}); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	k, err := token.OpenKeys(path)
	if err != nil || len(k.List()) != 10 {
		t.Errorf("%d keys, %v", len(k.List()), err)
	}
}

// A grant covers a stream if and only if one of its patterns does, or it is an
// administrator's.
func TestGrantsFollowTheirPatterns(t *testing.T) {
	name := rapid.StringMatching(`[a-c]{1,3}`)
	pattern := rapid.StringMatching(`[a-c]{0,2}\*|[a-c]{1,3}`)
	rapid.Check(t, func(t *rapid.T) {
		var g token.Grant
		stream := media.StreamID(name.Draw(t, "stream"))
		may := false
		for _, p := range rapid.SliceOfN(pattern, 0, 4).Draw(t, "patterns") {
			g.Play = append(g.Play, media.Pattern(p))
			if prefix, wild := strings.CutSuffix(p, "*"); wild && strings.HasPrefix(string(stream), prefix) || p == string(stream) {
				may = true
			}
		}
		g.Admin = rapid.Bool().Draw(t, "admin")
		if g.MayPlay(stream) != (may || g.Admin) || g.MayPublish(stream) != g.Admin {
			t.Fatalf("%+v on %q", g, stream)
		}
	})
}
