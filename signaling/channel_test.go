package signaling_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
)

// Over a data channel a viewer gets the events that listeners get over HTTP, each as one message.
func TestCaptionsReachAViewersDataChannel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, _ := captioned(t)
		ctx, cancel := context.WithCancel(t.Context())
		var got []string
		done := make(chan struct{})
		go func() {
			defer close(done)
			d.server.Channel(ctx, "x", "captions", func(b []byte) error { got = append(got, string(b)); return nil })
		}()
		synctest.Wait()
		d.want(200, "POST", captionsOfX, `{"language":"en","text":"Hello"}`, with(asPub, "Content-Type", jsonType)...)
		synctest.Wait()
		if len(got) != 2 || got[0] != `{"event":"languages","data":["en"]}` ||
			!strings.HasPrefix(got[1], `{"event":"caption","data":{"language":"en","start":`) || !strings.HasSuffix(got[1], `"text":"Hello"}}`) {
			t.Errorf("%q", got)
		}
		cancel()
		<-done
		d.server.Channel(t.Context(), "x", "chat", func([]byte) error { t.Error("a label that nobody knows is served"); return nil })
	})
}
