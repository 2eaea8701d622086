package conformance_test

import (
	"bytes"
	"net/http"
)

const (
	get, head, post = http.MethodGet, http.MethodHead, http.MethodPost
	patch, del, opt = http.MethodPatch, http.MethodDelete, http.MethodOptions
)

// wrongServers spoil one duty each.
var wrongServers = []struct {
	kind, row string
	spoil     spoiler
}{
	{"whip", "get-endpoint", status(get, "/x", 405)},
	{"whip", "get-endpoint", text(get, "", "x")},
	{"whip", "get-session", status(get, "", 404)},
	{"whip", "post", become(post, 201, 200)},
	{"whip", "post", header(post, "Location", "")},
	{"whip", "post", header(post, "Content-Type", "text/plain")},
	{"whip", "location", header(post, "Location", "x/session")},
	{"whip", "type-parameters", ask(post, func(r *http.Request, b []byte) []byte {
		if r.Header.Get("Content-Type") != "application/sdp" {
			r.Header.Set("Content-Type", "x/y")
		}
		return b
	})},
	{"whip", "type-wrong", demands(post, "Content-Type", "application/sdp")},
	{"whip", "sdp-malformed", become(post, 400, 500)},
	{"whip", "options", header(opt, "Accept-Post", "")},
	{"whip", "options", status(opt, "", 405)},
	{"whip", "preflight", header(opt, "Access-Control-Allow-Methods", "POST")},
	{"whip", "preflight", header(opt, "Access-Control-Allow-Headers", "*")},
	{"whip", "preflight", header(opt, "Access-Control-Allow-Origin", "")},
	{"whip", "preflight-options", header(opt, "Access-Control-Allow-Methods", "POST, PATCH, DELETE")},
	{"whip", "expose", header(post, "Access-Control-Expose-Headers", "Location")},
	{"whip", "expose-patch", header(patch, "Access-Control-Expose-Headers", "")},
	{"whip", "auth", header("", "WWW-Authenticate", "")},
	{"whip", "auth", become(post, 401, 404)},
	{"whip", "auth-wrong", become(post, 401, 500)},
	{"whip", "ice-servers", header(post, "Link", "stun:stun.example; rel=ice-server")},
	{"whip", "ice-servers", header(post, "Link", `<turn:turn.example:443%3Ftransport=tcp>; rel="ice-server"`)},
	{"whip", "ice-servers", header(post, "Link", `<http://turn.example>; rel="ice-server"`)},
	{"whip", "session-random", header(post, "Location", "/whip/x/1")},
	{"whip", "session-unknown", become(del, 404, 400)},
	{"whip", "session-unknown", become(patch, 404, 500)},
	{"whip", "big-body", ask(post, func(_ *http.Request, b []byte) []byte { return b[:min(len(b), 1200)] })},
	{"whip", "many-lines", become(post, 400, 500)},
	{"whip", "etag", header(post, "ETag", "*")},
	{"whip", "etag", header(post, "ETag", "")},
	{"whip", "etag", header(post, "ETag", `W/"1"`)},
	{"whip", "etag-unique", header(post, "ETag", `"1"`)},
	{"whip", "trickle", become(patch, 204, 200)},
	{"whip", "trickle", header(patch, "ETag", `"1"`)},
	{"whip", "trickle-empty", become(patch, 204, 400)},
	{"whip", "trickle-mdns", refuseLines(".local")},
	{"whip", "trickle-foreign", refuseLines("SCTP")},
	{"whip", "trickle-mid", refuseLines("RTP/AVP 0")},
	{"whip", "patch-type", become(patch, 415, 204)},
	{"whip", "patch-malformed", become(patch, 400, 204)},
	{"whip", "patch-untagged", ask(patch, func(r *http.Request, b []byte) []byte {
		if r.Header.Get("If-Match") == "" {
			r.Header.Set("If-Match", `"x"`)
		}
		return b
	})},
	{"whip", "patch-wrong-tag", become(patch, 412, 500)},
	{"whip", "patch-wrong-tag", demands(patch, "If-Match", "*")},
	{"whip", "restart", become(patch, 200, 204)},
	{"whip", "restart", header(patch, "Content-Type", "application/sdp")},
	{"whip", "restart", text(patch, "a=ice-pwd:", "a=x:")},
	{"whip", "restart", header(patch, "ETag", "")},
	{"whip", "restart-tag", demands(patch, "If-Match", "*")},
	{"whip", "restart-candidate", text(patch, "a=candidate:", "a=candidate:1 1 udp 1 127.0.0.1 1 typ host\r\na=candidate:")},
	{"whip", "restart-lite", text(patch, "a=mid:", "a=ice-lite\r\na=mid:")},
	{"whip", "restart-path", text(patch, "a=ice-pwd:", "a=ice-pwd:x")},
	{"whip", "restart-failed", become(patch, 400, 200)},
	{"whip", "restart-failed", endWhenPatched()},
	{"whip", "delete-tag", on(del, "", func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if r.Header.Get("If-Match") != "" {
			w.WriteHeader(412)
			return
		}
		next.ServeHTTP(w, r)
	})},
	{"whip", "delete", become(del, 200, 204)},
	{"whip", "delete-again", once(del, 404)},
	{"whip", "delete-patch", forget},
	{"whip", "delete-path", forget},
	{"whip", "dtls-close", become(patch, 404, 204)},
	{"whip", "close-delete", become(del, 200, 404)},
	{"whip", "bundle", text(post, "a=group:BUNDLE 0 1", "a=group:BUNDLE 0")},
	{"whip", "rtcp-mux", text(post, "a=rtcp-mux\r\n", "")},
	{"whip", "rtcp-mux-only", text(post, "a=rtcp-mux-only\r\n", "")},
	{"whip", "candidates", text(post, "udp", "tcp")},
	{"whip", "connect", text(post, "a=candidate:", "a=candidate:9 1 udp 1 127.0.0.1 9 typ host\r\na=candidate:")},
	{"whip", "connect", text(post, "a=fingerprint:sha-256 ", "a=fingerprint:sha-256 00:")},
	{"whip", "setup-active", text(post, "a=setup:passive", "a=setup:active")},
	{"whip", "direction", text(post, "a=recvonly", "a=sendrecv")},
	{"whip", "sendrecv", asks(post, "a=sendrecv", "a=inactive")},
	{"whip", "inactive", asks(post, "a=inactive", "a=sendonly")},
	{"whip", "recvonly", asks(post, "a=recvonly", "a=sendonly")},
	{"whip", "two-videos", become(post, 422, 201)},
	{"whip", "no-partial", asks(post, "THEORA/90000", "H264/90000")},
	{"whip", "no-packetization-mode", status(post, "/x", 500)},
	{"whip", "passive", text(post, "a=setup:active", "a=setup:passive")},
	{"whip", "passive", become(post, 201, 400)},
	{"whip", "bundle-only", text(post, "m=audio 9", "m=audio 0")},
	{"whip", "obs", text(post, "a=fingerprint:sha-256 ", "a=fingerprint:sha-256 00:")},
	{"whip", "simulcast", text(post, "a=simulcast:recv 0;1;2", "a=simulcast:recv 0")},
	{"whip", "simulcast", text(post, "a=rid:1 recv\r\n", "")},
	{"whip", "media", text(post, "a=candidate:", "a=candidate:9 1 udp 1 127.0.0.1 9 typ host\r\na=candidate:")},
	{"whip", "post", always("v=0\r\n")},

	{"whep", "head", status(head, "", 405)},
	{"whep", "head", header(head, "Content-Type", "text/plain")},
	{"whep", "direction", text(post, "a=sendonly", "a=inactive")},
	{"whep", "sendonly", asks(post, "a=sendonly", "a=recvonly")},
	{"whep", "inactive", asks(post, "a=inactive", "a=recvonly")},
	{"whep", "type-wrong", rewrite(post, func(_ http.Header, code *int, body *[]byte) {
		if *code == 415 {
			*body = []byte("v=0\r\n")
		}
	})},
	{"whep", "sdp-patch", become(patch, 422, 204)},
	{"whep", "stray-406", become(post, 400, 406)},
	{"whep", "not-live", on(post, "publishes-this", func(w http.ResponseWriter, _ *http.Request, _ http.Handler) { w.WriteHeader(409) })},
	{"whep", "not-live", status(post, "publishes-this", 404)},
	{"whep", "chromium", ask(post, func(_ *http.Request, b []byte) []byte {
		if bytes.Contains(b, []byte("AV1/90000")) {
			return nil
		}
		return b
	})},
	{"whep", "firefox", status(post, "/x", 500)},
	{"whep", "stream", text(post, "a=msid:reflected video", "a=msid:other video")},
	{"whep", "audio-only", ask(post, func(_ *http.Request, b []byte) []byte {
		if !bytes.Contains(b, []byte("m=video")) {
			return nil
		}
		return b
	})},
	{"whep", "data-channel", ask(post, func(_ *http.Request, b []byte) []byte {
		if at := bytes.Index(b, []byte("m=application")); at > 0 {
			return b[:at] // the answer lacks the m-line
		}
		return b
	})},
	{"whep", "sse-link", linkText(`events="`, `x="`)},
	{"whep", "sse-create", status(post, "/events", 200)},
	{"whep", "sse-unknown", asks(post, "no-such-event", "active")},
	{"whep", "sse-stream", text(get, "event: active", "event: inactive")},
	{"whep", "sse-stream", text(get, "data: {}", "data: {")},
	{"whep", "sse-stream", header(get, "Content-Type", "text/plain")},
	{"whep", "sse-delete", forget},
	{"whep", "sse-session", forget},
	{"whep", "layer-automatic", status(post, "/layers", 400)},
	{"whep", "layer-constraint", status(post, "/layers", 204)},
	{"whep", "layer-bad", become(post, 400, 200)},
}
