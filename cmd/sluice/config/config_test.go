package config_test

import (
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"
	"pgregory.net/rapid"

	"github.com/sluice-live/sluice/cmd/sluice/config"
	"github.com/sluice-live/sluice/media"
)

// sample is the file that is shipped.
const sample = "../../../deploy/sluice.yaml"

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "sluice.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestDefaultsAreUsable(t *testing.T) {
	c := config.Default()
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	loaded, err := config.Load(config.Sources{})
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(loaded, config.Default()) {
		t.Errorf("loading nothing gives %+v", loaded)
	}
}

func TestShippedSampleEqualsTheDefaults(t *testing.T) {
	text, err := os.ReadFile(sample)
	if err != nil {
		t.Fatal(err)
	}
	got, err := config.Parse("sluice.yaml", text)
	if err != nil {
		t.Fatal(err)
	}
	want, _ := config.Default().Show()
	if have, _ := got.Show(); have != want {
		t.Errorf("the sample says\n%s\nthe defaults are\n%s", have, want)
	}
}

func TestShippedSampleNamesEveryKey(t *testing.T) {
	text, err := os.ReadFile(sample)
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range config.Keys() {
		name := key[strings.LastIndexByte(key, '.')+1:]
		if !strings.Contains(string(text), name+":") {
			t.Errorf("the sample does not show %s", key)
		}
	}
}

func TestLaterSourcesWin(t *testing.T) {
	file := write(t, "http: :1\nhttps: :2\nadmin: :3\nlog: {level: debug}\n")
	c, err := config.Load(config.Sources{
		File:    file,
		Environ: []string{"SLUICE_HTTPS=:22", "SLUICE_ADMIN=:33", "PATH=/bin"},
		Flags:   map[string]any{"admin": ":333"},
	})
	if err != nil {
		t.Fatal(err)
	}
	if c.HTTP != ":1" || c.HTTPS != ":22" || c.Admin != ":333" || c.Media != ":8189" {
		t.Errorf("http %q https %q admin %q media %q", c.HTTP, c.HTTPS, c.Admin, c.Media)
	}
	if c.Log.Level != "debug" || c.Log.Format != "text" {
		t.Errorf("a map in the file replaces its siblings' defaults: %+v", c.Log)
	}
}

func TestEnvironmentReadsEveryKind(t *testing.T) {
	c, err := config.Load(config.Sources{Environ: []string{
		"SLUICE_PUBLIC=192.0.2.7, 2001:db8::7",
		"SLUICE_JOIN=a:7946,b:7946",
		"SLUICE_MEDIA=[::]:9000",
		"SLUICE_LIMITS__REQUESTS_BURST=7",
		"SLUICE_LIMITS__TRUSTED_PROXIES=10.0.0.0/8",
		"SLUICE_WHIP__STRICT=true",
		`SLUICE_STREAMS=[{match: "open.*", public: true, hold: 5s}]`,
	}})
	if err != nil {
		t.Fatal(err)
	}
	if want := []netip.Addr{netip.MustParseAddr("192.0.2.7"), netip.MustParseAddr("2001:db8::7")}; !reflect.DeepEqual(c.Public, want) {
		t.Errorf("public is %v", c.Public)
	}
	if len(c.Join) != 2 || c.Media != "[::]:9000" || c.Limits.RequestsBurst != 7 || !c.WHIP.Strict || len(c.Limits.TrustedProxies) != 1 {
		t.Errorf("got %+v", c)
	}
	if p := c.Policy("open.a"); !p.Public || p.Hold != 5*time.Second || p.Absent != media.AbsentWait {
		t.Errorf("open.a is %+v", p)
	}
}

// A Kubernetes service named "sluice" sets these in every pod of its namespace.
func TestServiceLinksOfKubernetesAreIgnored(t *testing.T) {
	_, err := config.Load(config.Sources{Environ: []string{
		"SLUICE_SERVICE_HOST=10.0.0.1", "SLUICE_SERVICE_PORT_HTTP=8080", "SLUICE_PORT=tcp://10.0.0.1:8080",
		"SLUICE_PORT_8080_TCP=tcp://10.0.0.1:8080", "SLUICE_CONFIG=x.yaml",
	}})
	if err != nil {
		t.Fatal(err)
	}
}

func TestFirstMatchingPolicyWins(t *testing.T) {
	c, err := config.Parse("f", []byte(`
streams:
  - {match: lobby, public: true}
  - {match: "class.*", second: reject, codecs: [VP8], max_height: 720}
`))
	if err != nil {
		t.Fatal(err)
	}
	if p := c.Policy("lobby"); !p.Public || p.Second != media.TakenTakeover {
		t.Errorf("lobby is %+v", p)
	}
	if p := c.Policy("class.1"); p.Public || p.Second != media.TakenReject || len(p.Codecs) != 1 || p.MaxHeight != 720 {
		t.Errorf("class.1 is %+v", p)
	}
	if p := c.Policy("else"); !reflect.DeepEqual(p, media.DefaultPolicy()) {
		t.Errorf("a stream that no pattern covers is %+v", p)
	}
}

func TestMistakesAreNamed(t *testing.T) {
	for _, tc := range []struct{ name, text, want string }{
		{"misspelt", "htps: :1", `key "htps" is not known; the nearest is "https"`},
		{"misspelt section", "hlss: {window: 1h}", `key "hlss" is not known; the nearest is "hls"`},
		{"misspelt inside", "log: {levle: debug}", `the nearest is "log.level"`},
		{"wrong depth", "level: debug", `the nearest is "log.level"`},
		{"misspelt in a list", "streams: [{match: a}, {match: b, hodl: 3s}]", `key "streams[1].hodl" is not known; the nearest is "streams[].hold"`},
		{"nothing near", "qqqqqqqqqqqqqqqqqqq: 1", "`sluice check` prints all"},
		{"dotted key", "log.levl: debug", `the nearest is "log.level"`},
		{"value for a section", "log: debug", "log holds keys of its own (level, format)"},
		{"map for a list", "streams: {match: a}", "streams is a list"},
		{"text for a number", "limits: {requests_burst: many}", "limits.requests_burst: "},
		{"no unit", "streams: [{match: a, hold: 30}]", "needs a unit"},
		{"long hold", "streams: [{match: a, hold: 30h}]", "hold"},
		{"no match", "streams: [{public: true}]", "match"},
		{"bad pattern", "streams: [{match: 'a*b'}]", "match"},
		{"bad codec", "streams: [{match: a, codecs: [MPEG2]}]", "MPEG2"},
		{"audio codec", "streams: [{match: a, codecs: [opus]}]", "not a video codec"},
		{"aac when", "hls: {aac: sometimes}", "hls.aac"},
		{"a step that is not there", "hls: {ladder: [1081p]}", "2160p, 1080p, 720p, 480p, 360p, classic"},
		{"a step twice", "hls: {ladder: [720p, 720p]}", "twice"},
		{"ladder when", "hls: {ladder: [720p], ladder_when: 'off'}", "hls.ladder_when"},
		{"captions in no language", "streams: [{match: a, captions: [english]}, {match: b, captions: [en_US]}]", "en_US"},
		{"captions twice", "streams: [{match: a, captions: [en, en]}]", "twice"},
		{"codec twice", "streams: [{match: a, codecs: [VP8, VP8]}]", "twice"},
		{"no codec", "streams: [{match: a, codecs: []}]", "at least one"},
		{"absent", "streams: [{match: a, absent: never}]", "wait or refuse"},
		{"second", "streams: [{match: a, second: both}]", "takeover or reject"},
		{"negative", "streams: [{match: a, max_bitrate: -1}]", "negative"},
		{"no door", "http: ''", "both off"},
		{"no port", "http: localhost", "HOST:PORT"},
		{"port", "media: ':99999'", "0 to 65535"},
		{"half a certificate", "https: ':1'\ntls: {cert: a}", "belong together"},
		{"certificate without https", "tls: {cert: a, key: b}", "https has no address"},
		{"turn", "turn: ':99999'", "turn: "},
		{"turn over TLS", "turn_tls: 'x'", "turn_tls: "},
		{"turn's host", "turn_host: 'a\">'", "turn_host"},
		{"level", "log: {level: loud}", "log.level"},
		{"format", "log: {format: xml}", "log.format"},
		{"public", "public: [0.0.0.0]", "public"},
		{"public name", "public: [example.com]", "public"},
		{"join", "join: [':1']", "HOST:PORT"},
		{"plain jwks", "tokens: {jwks_url: 'http://a/b'}", "https://"},
		{"captions to nobody", "hls: {captions_to: ['node-b:8080']}", "hls.captions_to"},
		{"edges without a secret", "hls: {edges_only: true}", "hls.edge_secret"},
		{"ice", "ice_servers: [{urls: ['http://a']}]", "stun:host:port"},
		{"turn without password", "ice_servers: [{urls: ['turn:a:1']}]", "username and credential"},
		{"header injection", "ice_servers: [{urls: ['turn:a:1'], username: \"a\\r\\nb\", credential: c}]", "Link header"},
		{"no sessions", "limits: {sessions: 0}", "limits.sessions"},
		{"burst", "limits: {requests_burst: 0}", "requests_burst"},
		{"not a number", "limits: {requests_per_second: .nan}", "requests_per_second"},
		{"proxy", "limits: {trusted_proxies: [10.0.0.1]}", "trusted_proxies"},
		{"twice", "http: ':1'\nhttp: ':2'", "already defined"},
		{"a list", "- a", "cannot unmarshal"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := config.Parse("sluice.yaml", []byte(tc.text))
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
			if err != nil && strings.Contains(err.Error(), "\n") {
				t.Errorf("more than one line: %v", err)
			}
		})
	}
}

func TestMistakesInTheEnvironmentAreNamed(t *testing.T) {
	for variable, want := range map[string]string{
		"SLUICE_HTPS=:1":                     `the nearest is "https"`,
		"SLUICE_LOG=debug":                   "SLUICE_LOG: log holds keys of its own",
		"SLUICE_LOG__LEVEL__X=1":             `"log.level"`,
		"SLUICE_LIMITS__REQUESTS_BURST=a: b": "limits.requests_burst",
		"SLUICE_PUBLIC=here":                 "public",
	} {
		_, err := config.Load(config.Sources{Environ: []string{variable}})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", variable, err, want)
		}
	}
}

func TestMissingAndHugeFiles(t *testing.T) {
	if _, err := config.Load(config.Sources{File: filepath.Join(t.TempDir(), "none.yaml")}); err == nil {
		t.Error("a missing file is not an error")
	}
	huge := write(t, "# "+strings.Repeat("x", 2<<20))
	if _, err := config.Load(config.Sources{File: huge}); err == nil || !strings.Contains(err.Error(), "at most") {
		t.Errorf("a huge file gives %v", err)
	}
}

func TestShowHidesSecretsAndCanBeReadAgain(t *testing.T) {
	c, err := config.Parse("f", []byte("ice_servers: [{urls: ['turn:a:1'], username: u, credential: hunter2}]\nhls: {edge_secret: hunter2, edges_only: true}\n"+
		"database: 'postgres://u:hunter2@host/name?sslmode=require&password=hunter2'"))
	if err != nil {
		t.Fatal(err)
	}
	text, err := c.Show()
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(text, "hunter2") {
		t.Errorf("the credential is shown:\n%s", text)
	}
	if c.ICEServers[0].Credential != "hunter2" {
		t.Error("Show changed the configuration")
	}
	if _, err := config.Parse("again", []byte(text)); err != nil {
		t.Error(err)
	}
}

// Whatever can be configured can be printed and read again unchanged.
func TestShowRoundTrips(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := config.Default()
		c.HTTP = rapid.SampledFrom([]string{":0", "[::1]:80", "127.0.0.1:65535"}).Draw(t, "http")
		c.Data = rapid.StringMatching(`[ -~]{1,20}`).Draw(t, "data")
		c.Limits.RequestsBurst = rapid.IntRange(1, 1e9).Draw(t, "burst")
		c.Streams = nil
		for range rapid.IntRange(0, 4).Draw(t, "n") {
			c.Streams = append(c.Streams, config.Stream{
				Match:   media.Pattern(rapid.StringMatching(`[a-z0-9_-]{1,8}\*?`).Draw(t, "match")),
				Protect: media.ProtectClearKey, Absent: media.AbsentRefuse, Second: media.TakenReject,
				Public:     rapid.Bool().Draw(t, "public"),
				Hold:       time.Duration(rapid.Int64Range(0, int64(time.Hour)).Draw(t, "hold")),
				Codecs:     rapid.SliceOfNDistinct(rapid.SampledFrom([]media.Codec{media.H264, media.VP8, media.AV1}), 1, 3, rapid.ID).Draw(t, "codecs"),
				MaxBitrate: media.Bitrate(rapid.Int64Range(0, 1<<40).Draw(t, "bitrate")),
			})
		}
		text, err := c.Show()
		if err != nil {
			t.Fatal(err)
		}
		again, err := config.Parse("again", []byte(text))
		if err != nil {
			t.Fatalf("%v in\n%s", err, text)
		}
		if other, _ := again.Show(); other != text {
			t.Errorf("read again it is\n%s\nnot\n%s", other, text)
		}
	})
}

// FuzzParse: whatever the file holds, there is an answer; and what is accepted
// is valid, and prints as something that is accepted again.
func FuzzParse(f *testing.F) {
	if text, err := os.ReadFile(sample); err == nil {
		f.Add(text)
	}
	for _, seed := range []string{"", "http: :1", "streams: [{match: '*', hold: 3s}]", "a: &a [*a]", "log: {level: debug}\n---\nx", "limits:\n", "public: [::1]", "streams: 3", "ice_servers: [{urls: ['stun:a']}]", "? [a]\n: b", "1: 2", "data: 2001-01-01"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := config.Parse("fuzz", text)
		if err != nil {
			return
		}
		if err := c.Validate(); err != nil {
			t.Fatalf("accepted, yet %v", err)
		}
		shown, err := c.Show()
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(shown, "(hidden)") {
			return
		}
		again, err := config.Parse("again", []byte(shown))
		if err != nil {
			t.Fatalf("printed form is refused: %v\n%s", err, shown)
		}
		if other, _ := again.Show(); other != shown {
			t.Fatalf("printed form reads as\n%s\nnot\n%s", other, shown)
		}
	})
}

// FuzzEnvironment: no variable makes Load panic, or hang.
func FuzzEnvironment(f *testing.F) {
	for _, key := range config.Keys() {
		f.Add(strings.ToUpper(strings.ReplaceAll(key, ".", "__")), "1")
	}
	f.Fuzz(func(t *testing.T, name, value string) {
		c, err := config.Load(config.Sources{Environ: []string{"SLUICE_" + name + "=" + value}})
		if err != nil {
			return
		}
		if err := c.Validate(); err != nil {
			t.Fatalf("accepted, yet %v", err)
		}
	})
}

// The YAML names are an interface: every field has one, and it is snake case.
func TestEveryKeyIsNamed(t *testing.T) {
	var any map[string]yaml.Node
	text, _ := config.Default().Show()
	if err := yaml.Unmarshal([]byte(text), &any); err != nil {
		t.Fatal(err)
	}
	for _, key := range config.Keys() {
		if key == "" || strings.HasSuffix(key, ".") || strings.ToLower(key) != key || strings.ContainsAny(key, "- ") {
			t.Errorf("key %q", key)
		}
	}
}
