package layout_test

import (
	"os"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/sluice-live/sluice/internal/layout"
)

// documented is the least share of exported names with a comment.
const documented = 0.95

// The repository follows its plan.
func TestTheHouseStandsAsPlanned(t *testing.T) {
	r, err := layout.Sluice().Check(os.DirFS("../.."))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range r.Findings {
		t.Error(f)
	}
	if r.Files < 20 {
		t.Errorf("only %d files were read: is this the repository?", r.Files)
	}
	if r.Documented() < documented {
		t.Errorf("%.1f %% of %d exported names have a comment, at least %.0f %% should", 100*r.Documented(), r.Exported, 100*documented)
		for _, f := range r.Undocumented {
			t.Log(f)
		}
	}
}

// own is an import of the house itself.
func own(path string) string { return `"github.com/sluice-live/sluice/` + path + `"` }

// check holds one made-up file against the plan.
func check(t *testing.T, name, source string) layout.Report {
	t.Helper()
	if !strings.Contains(source, "package ") {
		t.Fatal("no package clause")
	}
	r, err := layout.Sluice().Check(fstest.MapFS{name: {Data: []byte("// Package p is made up.\n" + source)}})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestImportsAgainstThePlanAreFound(t *testing.T) {
	for _, tc := range []struct{ file, imported, want string }{
		// Rule 1: the roof.
		{"sfu/a.go", own("cmd/sluice/config"), "nobody imports cmd"},
		{"sfu/a_test.go", own("cmd/sluice/config"), "nobody imports cmd"},
		{"cmd/sluice/a.go", own("sfu"), ""},
		{"cmd/sluice/a.go", own("cmd/sluice/config"), ""},
		{"cmd/sluice/a.go", own("internal/testnet"), "only tests import testnet"},
		{"loadtest/a.go", own("media"), ""},
		{"loadtest/view/a.go", own("loadtest/link"), ""},
		{"loadtest/a.go", own("sfu"), "own parts only"},
		{"loadtest/a.go", `"github.com/pion/webrtc/v4"`, ""},
		// Rule 2: rooms do not know each other.
		{"sfu/a.go", own("signaling"), "own parts only"},
		{"sfu/a_test.go", own("signaling"), "own parts only"},
		{"sfu/a.go", own("sfu/layer"), ""},
		{"sfu/a.go", own("media/history"), ""},
		{"sfu/a.go", own("internal/claims"), "own parts only"},
		{"signaling/token/a.go", own("signaling"), ""},
		{"sfux/a.go", own("sfu"), "no place in the plan"},
		{"media/a.go", own("sfu"), "nothing of the house but media"},
		{"media/codec/a.go", own("media"), ""},
		{"internal/claims/a.go", own("media"), ""},
		{"internal/claims/a.go", own("sfu"), "media only"},
		{"internal/claims/a.go", own("internal/layout"), "media only"},
		{"internal/claims/a.go", own("internal/claims/deep"), ""},
		// Rule 3: kernels.
		{"sfu/layer/a.go", own("sfu"), "nothing of the house but media"},
		{"sfu/layer/a.go", own("sfu/munge"), "nothing of the house but media"},
		{"sfu/layer/a_test.go", own("sfu/munge"), ""},
		{"sfu/layer/a_test.go", own("sfu/layer"), ""},
		{"sfu/layer/a_test.go", own("signaling"), "own parts only"},
		{"sfu/layer/a.go", own("media/codec"), ""},
		{"sfu/layer/a.go", `"net"`, "does not touch net"},
		{"sfu/layer/a.go", `"net/http"`, "does not touch net/http"},
		{"sfu/layer/a.go", `"net/netip"`, ""},
		{"sfu/layer/a.go", `"os"`, "does not touch os"},
		{"sfu/layer/a.go", `"os/exec"`, "does not touch os/exec"},
		{"sfu/layer/a.go", `"log/slog"`, "does not touch log/slog"},
		{"sfu/layer/a.go", `"context"`, "does not touch context"},
		{"sfu/layer/a.go", `"sync"`, "does not touch sync"},
		{"sfu/layer/a.go", `"sync/atomic"`, ""},
		{"sfu/layer/a_test.go", `"sync"`, ""},
		{"sfu/layer/a.go", `"github.com/pion/webrtc/v4"`, "pure parsers only"},
		{"sfu/layer/a.go", `"github.com/pion/rtp"`, ""},
		{"sfu/layer/a.go", `"github.com/pion/rtp/codecs"`, ""},
		{"sfu/layer/a.go", `"github.com/pion/rtpx"`, "pure parsers only"},
		{"media/history/a.go", `"sync"`, "does not touch sync"},
		{"media/history/a.go", `"github.com/prometheus/client_golang/prometheus"`, "pure parsers only"},
		{"signaling/sdpfrag/a.go", `"net"`, "does not touch net"},
		{"signaling/a.go", `"net/http"`, ""},
		// Rule 4: pion/webrtc and testnet.
		{"signaling/a.go", `"github.com/pion/webrtc/v4"`, "appears only in"},
		{"signaling/a_test.go", `"github.com/pion/webrtc/v4"`, "appears only in"},
		{"cmd/sluice/a.go", `"github.com/pion/webrtc/v4/pkg/media"`, "appears only in"},
		{"sfu/a.go", `"github.com/pion/webrtc/v4"`, ""},
		{"sfu/negotiate/a_test.go", `"github.com/pion/webrtc/v4"`, ""},
		{"internal/testnet/a.go", `"github.com/pion/webrtc/v4"`, ""},
		{"internal/testnet/a.go", own("sfu"), ""},
		{"sfu/a.go", own("internal/testnet"), "only tests import testnet"},
		{"sfu/a_test.go", own("internal/testnet"), ""},
	} {
		r := check(t, tc.file, "package p\n\nimport _ "+tc.imported+"\n")
		switch {
		case tc.want == "" && len(r.Findings) > 0:
			t.Errorf("%s importing %s: %v, want nothing", tc.file, tc.imported, r.Findings)
		case tc.want != "" && (len(r.Findings) != 1 || !strings.Contains(r.Findings[0].Text, tc.want) || r.Findings[0].Line != 4):
			t.Errorf("%s importing %s: %v, want %q", tc.file, tc.imported, r.Findings, tc.want)
		}
	}
}

func TestShapesAgainstThePlanAreFound(t *testing.T) {
	for _, tc := range []struct{ name, file, source, want string }{
		{"clock in a kernel", "sfu/munge/a.go", "package p\nimport \"time\"\nvar t = time.Now()\n", "time.Now"},
		{"timer in a kernel", "media/nack/a.go", "package p\nimport \"time\"\nvar t = time.NewTimer(1)\n", "time.NewTimer"},
		{"renamed clock", "sfu/munge/a.go", "package p\nimport clock \"time\"\nvar t = clock.Since(clock.Time{})\n", "time.Since"},
		{"dotted clock", "sfu/munge/a.go", "package p\nimport . \"time\"\nvar t = Now()\n", "by its name"},
		{"clock as a value", "sfu/munge/a.go", "package p\nimport \"time\"\nvar now = time.Now\n", "time.Now"},
		{"clock in a kernel's test", "sfu/munge/a_test.go", "package p\nimport \"time\"\nvar t = time.Now()\n", ""},
		{"clock in a shell", "sfu/a.go", "package p\nimport \"time\"\nvar t = time.Now()\n", ""},
		{"duration in a kernel", "sfu/munge/a.go", "package p\nimport \"time\"\nvar t = time.Second\n", ""},
		{"sleep in a test", "sfu/a_test.go", "package p\nimport \"time\"\nfunc f() { time.Sleep(1) }\n", "time.Sleep"},
		{"sleep in a bubble", "sfu/a_test.go", "package p\nimport (\n\"testing/synctest\"\n\"time\"\n)\nvar _ = synctest.Wait\nfunc f() { time.Sleep(1) }\n", ""},
		{"init", "sfu/a.go", "package p\nfunc init() {}\n", "func init"},
		{"method init", "sfu/a.go", "package p\ntype t int\nfunc (t) init() {}\n", ""},
		{"longest function", "sfu/a.go", "package p\nfunc f() {\n" + strings.Repeat("\n", 98) + "}\n", ""},
		{"too long a function", "sfu/a.go", "package p\nfunc f() {\n" + strings.Repeat("\n", 99) + "}\n", "101 lines"},
		{"longest file", "sfu/a.go", "package p\n" + strings.Repeat("\n", 598), ""},
		{"too long a file", "sfu/a.go", "package p\n" + strings.Repeat("\n", 599), "601 lines"},
		{"long test", "sfu/a_test.go", "package p\n" + strings.Repeat("\n", 900), ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := check(t, tc.file, tc.source)
			switch {
			case tc.want == "" && len(r.Findings) > 0:
				t.Errorf("%v, want nothing", r.Findings)
			case tc.want != "" && (len(r.Findings) == 0 || !strings.Contains(r.Findings[0].Text, tc.want)):
				t.Errorf("%v, want %q", r.Findings, tc.want)
			}
		})
	}
}

func TestMissingCommentsAreCounted(t *testing.T) {
	r := check(t, "sfu/a.go", `package p

// A is.
type A int

type B int // B is, too

type C int

// These speak for all.
const (
	D = 1
	E = 2
)

const F = 3

func G() {}

// H does.
func (A) H() {}

func (A) I() {}

func (c hidden) J() {}

type hidden struct{ X int }

func k() {}
`)
	var got []string
	for _, f := range r.Undocumented {
		got = append(got, strings.Fields(f.Text)[0])
	}
	if want := "C F G I"; strings.Join(got, " ") != want {
		t.Errorf("without a comment: %v, want %s", got, want)
	}
	if r.Exported != 9 {
		t.Errorf("%d exported names", r.Exported)
	}
	if r.Documented() > 0.56 || r.Documented() < 0.55 {
		t.Errorf("documented %v", r.Documented())
	}
}

func TestMissingPackageCommentIsFound(t *testing.T) {
	r, err := layout.Sluice().Check(fstest.MapFS{
		"sfu/a.go":      {Data: []byte("package sfu\n")},
		"sfu/b.go":      {Data: []byte("package sfu\n")},
		"media/a.go":    {Data: []byte("package media\n")},
		"media/b.go":    {Data: []byte("// Package media has words.\npackage media\n")},
		"ads/x_test.go": {Data: []byte("package ads\n")},
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Findings) != 1 || r.Findings[0].File != "sfu" {
		t.Errorf("got %v", r.Findings)
	}
}

func TestOtherPeoplesSourceIsLeftOut(t *testing.T) {
	bad := &fstest.MapFile{Data: []byte("package p\nfunc init() {}\n")}
	r, err := layout.Sluice().Check(fstest.MapFS{
		"clients/node_modules/x/a.go": bad, "sfu/testdata/a.go": bad, ".git/a.go": bad, "_old/a.go": bad,
		"loadtest/heavy/go.mod": {Data: []byte("module x\n")}, "loadtest/heavy/a.go": bad,
	})
	if err != nil || r.Files != 0 {
		t.Errorf("%d files read, %v, %v", r.Files, r.Findings, err)
	}
}

func TestSourceThatDoesNotParseIsAnError(t *testing.T) {
	if _, err := layout.Sluice().Check(fstest.MapFS{"sfu/a.go": {Data: []byte("package")}}); err == nil {
		t.Error("no error")
	}
}
