package turn

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var noon = time.Unix(1_800_000_000, 0)

func TestTicketCountsForItsTimeAndIsTheServersOwn(t *testing.T) {
	mine, other := secret("a"), secret("b")
	name, password := mine.mint(noon.Add(ticketLife))
	for _, c := range []struct {
		what  string
		s     secret
		at    time.Time
		grace time.Duration
		ok    bool
	}{
		{"at once", mine, noon, 0, true},
		{"in the last second", mine, noon.Add(ticketLife), 0, true},
		{"a second later", mine, noon.Add(ticketLife + time.Second), 0, false},
		{"a second later, with grace", mine, noon.Add(ticketLife + time.Second), time.Minute, true},
		{"after the grace", mine, noon.Add(ticketLife + 2*time.Minute), time.Minute, false},
		{"before it can have been made", mine, noon.Add(-time.Minute), 0, false},
		{"with another secret", other, noon, 0, false},
	} {
		got, ok := c.s.verify(name, c.at, c.grace)
		if good := ok && got == password; good != c.ok {
			t.Errorf("%s: %v", c.what, good)
		}
	}
}

func TestUserNamesThatWeNeverMake(t *testing.T) {
	s := secret("a")
	for _, name := range []string{"", ":", "1800000000", "1800000000:", "1800000000:short", ":AAAAAAAAAAAAAAAA", "-800000000:AAAAAAAAAAAAAAAA",
		"+800000000:AAAAAAAAAAAAAAAA", "0800000000:AAAAAAAAAAAAAAAA", "999999999999:AAAAAAAAAAAAAAAA", "1800000000:AAAAAAAAAAAAAAA\x00", "1800000000:AAAAAAAAAAAAAAAAA"} {
		if _, ok := s.verify(name, noon, longest); ok {
			t.Errorf("%q counts", name)
		}
	}
}

func TestPropertyAChangedUserNameNeedsAnotherPassword(t *testing.T) {
	s := secret("a")
	rapid.Check(t, func(t *rapid.T) {
		name, password := s.mint(noon)
		i := rapid.IntRange(0, len(name)-1).Draw(t, "at")
		b := rapid.Byte().Draw(t, "byte")
		if b == name[i] {
			return
		}
		changed := name[:i] + string([]byte{b}) + name[i+1:]
		if got, ok := s.verify(changed, noon, longest); ok && got == password {
			t.Fatalf("%q counts with the password of %q", changed, name)
		}
	})
}

func FuzzUserName(f *testing.F) {
	name, _ := secret("a").mint(noon)
	f.Add(name)
	f.Add("1800000000:AAAAAAAAAAAAAAAA")
	f.Fuzz(func(t *testing.T, name string) {
		at, ok := expires(name)
		if ok && (at.Unix() < 1 || strings.Count(name, ":") != 1 || strings.ContainsAny(name, "\"\r\n\\ ")) {
			t.Errorf("%q read as %v", name, at)
		}
	})
}

func FuzzHostName(f *testing.F) {
	for _, s := range []string{"live.example.org", "::1", "10.0.0.1", "a\"b", "x>; rel=y", "fe80::1%eth0", ""} {
		f.Add(s)
	}
	s := &Server{}
	f.Fuzz(func(t *testing.T, name string) {
		if plain(name) && strings.ContainsAny(name, "<>\"\\%/?#; \t\r\n") {
			t.Errorf("%q can stand in a URL", name)
		}
		_ = s.Ticket(name, noon)
	})
}
