package signaling_test

import (
	"fmt"
	"net/netip"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-live/sluice/signaling"
)

func limits(edit func(*signaling.Limits)) setting {
	return func(cfg *signaling.Config) { edit(&cfg.Limits) }
}

func small(l *signaling.Limits) { l.Requests, l.RequestsBurst = 1, 3 }

// spent sends GETs from an address until one is refused.
func spent(d *door, address string, head ...string) (served int, retry string) {
	for ; served < 1000; served++ {
		resp := d.do("GET", "/whip/x", "", append([]string{"Remote", address}, head...)...)
		if resp.StatusCode == 429 {
			return served, resp.Header.Get("Retry-After")
		}
	}
	return served, ""
}

func TestRequestsPerAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDoor(t)
		if n, retry := spent(d, "192.0.2.1:1"); n != 500 || retry != "1" {
			t.Errorf("%d were served, Retry-After %q", n, retry)
		}
		if n, _ := spent(d, "192.0.2.2:1"); n != 500 {
			t.Errorf("another address: %d were served", n)
		}
		time.Sleep(time.Second)
		if n, _ := spent(d, "192.0.2.1:2"); n != 50 {
			t.Errorf("a second later %d were served", n)
		}
	})
}

func TestPreflightsAreNotLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDoor(t, limits(small))
		spent(d, "192.0.2.1:1")
		d.want(200, "OPTIONS", "/whip/x", "", "Remote", "192.0.2.1:1", "Origin", "https://a", "Access-Control-Request-Method", "POST")
		d.want(429, "OPTIONS", "/whip/x", "", "Remote", "192.0.2.1:1")
	})
}

func TestIPv6CountsByNetwork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDoor(t, limits(small))
		for _, c := range []struct {
			address string
			served  int
		}{
			{"[2001:db8:1:2::1]:1", 3}, {"[2001:db8:1:2:ffff::9]:1", 0}, {"[2001:db8:1:3::1]:1", 3},
			{"192.0.2.1:1", 3}, {"[::ffff:192.0.2.1]:1", 0},
		} {
			if n, _ := spent(d, c.address); n != c.served {
				t.Errorf("%s: %d were served, want %d", c.address, n, c.served)
			}
		}
	})
}

func TestForwardedAddressesCountFromTrustedProxiesOnly(t *testing.T) {
	trust := func(l *signaling.Limits) {
		small(l)
		l.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}
	}
	for _, c := range []struct {
		name, remote string
		forwarded    []string
		want         string
	}{
		{"a stranger's word", "192.0.2.1:1", []string{"203.0.113.5"}, "192.0.2.1"},
		{"a proxy's word", "10.1.1.1:1", []string{"203.0.113.5"}, "203.0.113.5"},
		{"the client's own entry in front", "10.1.1.1:1", []string{"1.2.3.4, 203.0.113.5"}, "203.0.113.5"},
		{"two proxies", "10.1.1.1:1", []string{"1.2.3.4, 203.0.113.5, 10.2.2.2"}, "203.0.113.5"},
		{"two headers", "10.1.1.1:1", []string{"1.2.3.4", "203.0.113.5"}, "203.0.113.5"},
		{"with a port", "10.1.1.1:1", []string{"203.0.113.5:9999"}, "203.0.113.5"},
		{"IPv6", "[fd00::1]:1", []string{"2001:db8::5"}, "2001:db8::5"},
		{"IPv6 with a port", "[fd00::1]:1", []string{"[2001:db8::5]:99"}, "2001:db8::5"},
		{"nonsense", "10.1.1.1:1", []string{"unknown"}, "10.1.1.1"},
		{"none", "10.1.1.1:1", nil, "10.1.1.1"},
	} {
		d := newDoor(t, limits(trust))
		head := with(asPub, "Content-Type", sdpType, "Remote", c.remote)
		for _, f := range c.forwarded {
			head = append(head, "X-Forwarded-For", f)
		}
		d.want(201, "POST", "/whip/x", offer, head...)
		if got := d.offers[0].Remote.String(); got != c.want {
			t.Errorf("%s: got %s, want %s", c.name, got, c.want)
		}
	}
}

func TestPublishesPerKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDoor(t)
		post := func(auth string, i int) int {
			resp := d.do("POST", "/whip/x", offer+strconv.Itoa(i), "Content-Type", sdpType, "Authorization", auth, "Remote", fmt.Sprintf("192.0.2.%d:1", i))
			if resp.StatusCode == 429 && resp.Header.Get("Retry-After") != "1" {
				t.Errorf("Retry-After %q", resp.Header.Get("Retry-After"))
			}
			return resp.StatusCode
		}
		for i := range 8 {
			if want := map[bool]int{true: 201, false: 429}[i < 5]; post("Bearer pub", i) != want {
				t.Errorf("publish %d: not %d", i, want)
			}
		}
		if post("Bearer pub2", 9) != 201 {
			t.Error("another key was refused")
		}
		time.Sleep(time.Second)
		if post("Bearer pub", 10) != 201 {
			t.Error("a second later it is still refused")
		}
	})
}

// Ten wrong tokens a minute, then 429. Right ones pass all the same: one broken
// encoder must not lock out all who share its address.
func TestFailedLoginsPerAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDoor(t)
		guess := func(status int, remote string) {
			t.Helper()
			resp := d.want(status, "POST", "/whip/x", offer, "Content-Type", sdpType, "Authorization", "Bearer guess", "Remote", remote)
			if status == 429 && resp.Header.Get("Retry-After") != "6" {
				t.Errorf("Retry-After %q", resp.Header.Get("Retry-After"))
			}
		}
		for range 10 {
			guess(401, "192.0.2.1:1")
		}
		guess(429, "192.0.2.1:1")
		guess(401, "192.0.2.2:1")
		d.want(201, "POST", "/whip/x", offer, with(asPub, "Content-Type", sdpType, "Remote", "192.0.2.1:1")...)
		d.want(401, "POST", "/whip/x", offer, "Content-Type", sdpType, "Remote", "192.0.2.1:1") // no token is no guess
		time.Sleep(6 * time.Second)
		guess(401, "192.0.2.1:1")
		guess(429, "192.0.2.1:1")
	})
}

func TestZeroMeansNoLimit(t *testing.T) {
	d := newDoor(t, limits(func(l *signaling.Limits) { l.Requests, l.Publishes, l.FailedLogins = 0, 0, 0 }))
	if n, _ := spent(d, "192.0.2.1:1"); n != 1000 {
		t.Errorf("%d were served", n)
	}
}

// The table is full of other addresses: the oldest is forgotten, and memory
// stays bounded.
func TestFullTableForgetsTheAddressUnusedForLongest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDoor(t, limits(func(l *signaling.Limits) { small(l); l.Addresses = 2 }))
		spent(d, "192.0.2.1:1")
		spent(d, "192.0.2.2:1")
		if n, _ := spent(d, "192.0.2.1:1"); n != 0 {
			t.Errorf("a remembered address was served %d times", n)
		}
		spent(d, "192.0.2.3:1") // 192.0.2.2 goes
		if n, _ := spent(d, "192.0.2.1:1"); n != 0 {
			t.Errorf("the address used last was forgotten: %d", n)
		}
		if n, _ := spent(d, "192.0.2.2:1"); n != 3 {
			t.Errorf("the address unused for longest was served %d times", n)
		}
	})
}

func TestSettingsAreChecked(t *testing.T) {
	for name, edit := range map[string]func(*signaling.Config){
		"short tag":         func(c *signaling.Config) { c.Tag = "abc" },
		"tag with a slash":  func(c *signaling.Config) { c.Tag = "ab/c" },
		"ICE over http":     func(c *signaling.Config) { c.ICE = []signaling.ICEServer{{URL: "http://x"}} },
		"ICE with >":        func(c *signaling.Config) { c.ICE = []signaling.ICEServer{{URL: "stun:x>; rel=y"}} },
		"TURN without user": func(c *signaling.Config) { c.ICE = []signaling.ICEServer{{URL: "turn:x"}} },
		"TURN with newline": func(c *signaling.Config) {
			c.ICE = []signaling.ICEServer{{URL: "turn:x", Username: "a\r\nSet-Cookie: b", Credential: "c"}}
		},
		"negative rate": func(c *signaling.Config) { c.Limits.Requests = -1 },
		"no burst":      func(c *signaling.Config) { c.Limits.RequestsBurst = 0 },
		"no addresses":  func(c *signaling.Config) { c.Limits.Addresses = 0 },
	} {
		cfg := signaling.DefaultConfig()
		edit(&cfg)
		if cfg.Validate() == nil {
			t.Errorf("%s was taken", name)
		}
	}
	if err := signaling.DefaultConfig().Validate(); err != nil {
		t.Error(err)
	}
}
