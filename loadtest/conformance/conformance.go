package conformance

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/sluice-live/sluice/loadtest/link"
	"github.com/sluice-live/sluice/loadtest/publish"
	"github.com/sluice-live/sluice/loadtest/source"
)

// The kinds of servers.
const (
	WHIP = "whip"
	WHEP = "whep"
)

// Options say what is tested.
type Options struct {
	Kind  string // WHIP or WHEP
	URL   string // the endpoint
	Token string
	// PublishURL is where WHEP rows publish the stream that they watch; without
	// it somebody else must.
	PublishURL, PublishToken string
	// IdleURL is a WHEP endpoint that nobody publishes to. Without it, it is
	// guessed for paths that end in /whep/<stream>.
	IdleURL string
	// Strict takes the RFC by the letter where real clients do not keep it.
	Strict bool
	// Slow also runs what takes ten seconds and more.
	Slow bool
	// Timeout of one row; 0 means 10 s.
	Timeout time.Duration
	// Only runs the rows with these ids; empty means all.
	Only []string
}

// Verdict on one duty.
type Verdict string

// The verdicts.
const (
	Pass      Verdict = "pass"
	Fail      Verdict = "fail"
	Deviation Verdict = "chosen deviation" // lenient where real clients need it
	NA        Verdict = "not applicable"
	Skipped   Verdict = "skipped"
)

// Row is one duty and its verdict.
type Row struct {
	ID      string  `json:"id"`
	Section string  `json:"section"`
	Duty    string  `json:"duty"`
	Verdict Verdict `json:"verdict"`
	Detail  string  `json:"detail,omitempty"`
}

// duty is one row before it was run.
type duty struct {
	id, section, text string
	slow              time.Duration // how long it takes, if that is long
	check             func(context.Context, *bench) outcome
}

// outcome is a verdict with its reason.
type outcome struct {
	verdict Verdict
	detail  string
}

func pass(format string, a ...any) outcome  { return outcome{Pass, fmt.Sprintf(format, a...)} }
func fail(format string, a ...any) outcome  { return outcome{Fail, fmt.Sprintf(format, a...)} }
func na(format string, a ...any) outcome    { return outcome{NA, fmt.Sprintf(format, a...)} }
func skip(format string, a ...any) outcome  { return outcome{Skipped, fmt.Sprintf(format, a...)} }
func chose(format string, a ...any) outcome { return outcome{Deviation, fmt.Sprintf(format, a...)} }

// lenient is a deviation by choice, or a failure in strict mode.
func (b *bench) lenient(format string, a ...any) outcome {
	if b.o.Strict {
		return fail(format, a...)
	}
	return chose(format, a...)
}

const defaultTimeout = 10 * time.Second

// Run runs all rows, one after the other.
func Run(ctx context.Context, o Options) Report {
	if o.Timeout <= 0 {
		o.Timeout = defaultTimeout
	}
	r := Report{Kind: o.Kind, URL: o.URL, Strict: o.Strict, At: time.Now().UTC()}
	b, err := newBench(o)
	if err != nil {
		r.Rows = []Row{{ID: "setup", Duty: "the suite can start", Verdict: Fail, Detail: err.Error()}}
		return r
	}
	duties := whipDuties()
	if o.Kind == WHEP {
		duties = whepDuties()
		stop, err := b.publish(ctx)
		if err != nil {
			r.Rows = []Row{{ID: "setup", Duty: "there is a stream to watch", Verdict: Fail, Detail: err.Error()}}
			return r
		}
		defer stop()
	}
	for _, d := range duties {
		if o.wants(d.id) {
			r.Rows = append(r.Rows, b.run(ctx, d))
		}
	}
	r.Server = b.server
	return r
}

// sessionDuties are those that WHIP and WHEP share.
func sessionDuties() []duty {
	return slices.Concat(httpDuties(), corsDuties(), accessDuties(), trickleDuties(), restartDuties(), endDuties(), answerDuties(), inputDuties())
}

func (o *Options) wants(id string) bool {
	return len(o.Only) == 0 || slices.Contains(o.Only, id)
}

func (b *bench) run(ctx context.Context, d duty) Row {
	row := Row{ID: d.id, Section: d.section, Duty: d.text}
	if ctx.Err() != nil {
		row.Verdict, row.Detail = Skipped, "the run was ended"
		return row
	}
	if d.slow > 0 && !b.o.Slow {
		row.Verdict, row.Detail = Skipped, fmt.Sprintf("takes %v; run with slow rows", d.slow)
		return row
	}
	timed, cancel := context.WithTimeout(ctx, b.o.Timeout+d.slow)
	defer cancel()
	out := d.check(timed, b)
	b.clean(context.WithoutCancel(ctx))
	row.Verdict, row.Detail = out.verdict, out.detail
	return row
}

// publish makes the stream that WHEP rows watch.
func (b *bench) publish(ctx context.Context) (stop func(), err error) {
	if b.o.PublishURL == "" {
		return func() {}, nil
	}
	dialling, cancel := context.WithTimeout(ctx, b.o.Timeout)
	defer cancel()
	p, err := b.dial(dialling, publish.Config{URL: b.o.PublishURL, Token: b.o.PublishToken, Shape: publish.GStreamer})
	if err != nil {
		return nil, err
	}
	playing, end := context.WithCancel(ctx)
	over := make(chan struct{})
	go func() { defer close(over); _ = p.Run(playing) }() // stop waits for it; rows tell what is wrong
	// Servers that refuse viewers before the first media shall have seen it.
	wait(ctx, time.Second)
	return func() { end(); <-over }, nil
}

// dial publishes; 429 is waited for, as in do.
func (b *bench) dial(ctx context.Context, c publish.Config) (*publish.Publisher, error) {
	c.Media, c.Client = b.media, b.client
	for {
		p, err := publish.Dial(ctx, c)
		var refused *link.StatusError
		if !errors.As(err, &refused) || refused.Code != http.StatusTooManyRequests || ctx.Err() != nil {
			return p, err
		}
		wait(ctx, refused.Retry)
	}
}

// wait is a pause that ends with ctx.
func wait(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// bench is what rows work with.
type bench struct {
	o      Options
	client *http.Client
	cert   link.Certificate
	media  *source.Media
	server string // the Server header, if one was seen

	opened []string // sessions to delete after the row
	peers  []*link.Peer
}

func newBench(o Options) (*bench, error) {
	if o.Kind != WHIP && o.Kind != WHEP {
		return nil, fmt.Errorf("kind %q is neither whip nor whep", o.Kind)
	}
	if !strings.HasPrefix(o.URL, "http://") && !strings.HasPrefix(o.URL, "https://") {
		return nil, fmt.Errorf("%q is no http or https URL", o.URL)
	}
	cert, err := link.NewCertificate()
	if err != nil {
		return nil, err
	}
	// Nobody watches the pictures: media that needs no ffmpeg will do.
	return &bench{o: o, client: link.NewClient(), cert: cert, media: source.Synthetic(1, 1_000_000)}, nil
}
