package keyframe_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/sluice-live/sluice/sfu/keyframe"
)

var start = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

func ms(n int) time.Time { return start.Add(time.Duration(n) * time.Millisecond) }

// publisher answers requests like an encoder: the first lost of them never arrive, answers come after delay (never if
// zero), and on its own beat (if any) it sends key frames anyway.
type publisher struct {
	r     *keyframe.Requester
	lost  int
	delay int // ms
	beat  int // ms

	due      int // when the answer leaves; 0: none
	requests []int
	keys     []int
	gaveUp   []int
}

// run lets time pass in steps of 10 ms; ask says when viewers ask.
func (p *publisher) run(from, to int, ask func(at int) bool) {
	for at := from; at < to; at += 10 {
		now := ms(at)
		send := ask(at) && p.r.Ask(now)
		if next := p.r.Next(); !next.IsZero() && !now.Before(next) {
			again, gaveUp := p.r.Wake(now)
			if gaveUp {
				p.gaveUp = append(p.gaveUp, at)
			}
			send = send || again
		}
		if send {
			p.requests = append(p.requests, at)
			if p.lost > 0 {
				p.lost--
			} else if p.delay > 0 && p.due == 0 {
				p.due = at + p.delay
			}
		}
		answer := p.due != 0 && at >= p.due
		if answer {
			p.due = 0
		}
		if answer || p.beat > 0 && at%p.beat == 0 {
			p.keys = append(p.keys, at)
			p.r.Arrived(now)
		}
	}
}

func once(at int) func(int) bool { return func(now int) bool { return now == at } }

func always(int) bool { return true }

func TestOneRequestServesAllWhoAskMeanwhile(t *testing.T) {
	p := publisher{r: keyframe.New(keyframe.Config{}), delay: 80}
	p.run(0, 80, always)
	if len(p.requests) != 1 {
		t.Errorf("%d requests before the key frame came", len(p.requests))
	}
}

func TestAskWithinTheGapIsServedAfterIt(t *testing.T) {
	p := publisher{r: keyframe.New(keyframe.Config{}), delay: 50}
	p.run(0, 200, once(0))
	p.run(200, 2000, once(200))
	if len(p.requests) != 2 || p.requests[1] != 500 {
		t.Errorf("requests at %v ms", p.requests)
	}
}

func TestAKeyFrameServesWhoIsQueued(t *testing.T) {
	p := publisher{r: keyframe.New(keyframe.Config{}), delay: 50}
	p.run(0, 200, once(0))
	p.r.Ask(ms(200))
	p.r.Arrived(ms(300))
	if !p.r.Next().IsZero() {
		t.Error("a request is still to be sent")
	}
}

func TestGivesUpAfterTheLastTry(t *testing.T) {
	p := publisher{r: keyframe.New(keyframe.Config{Tries: 3})}
	p.run(0, 9000, once(0))
	if len(p.requests) != 3 || len(p.gaveUp) != 1 || !p.r.Next().IsZero() {
		t.Errorf("requests at %v, gave up at %v", p.requests, p.gaveUp)
	}
}

func TestEachNeedHasAllItsTries(t *testing.T) {
	p := publisher{r: keyframe.New(keyframe.Config{}), delay: 50}
	p.run(0, 20000, func(at int) bool { return at%5000 == 0 })
	p.delay, p.requests = 0, nil
	p.run(20000, 40000, once(20000))
	if len(p.requests) != 5 || len(p.gaveUp) != 1 {
		t.Errorf("requests at %v, gave up at %v", p.requests, p.gaveUp)
	}
}

func TestAskAllocatesNothing(t *testing.T) {
	r := keyframe.New(keyframe.Config{})
	now := start
	if n := testing.AllocsPerRun(1000, func() {
		now = now.Add(100 * time.Millisecond)
		r.Ask(now)
		r.Wake(now)
		r.Next()
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestTrap12_FloodOfRequests(t *testing.T) {
	p := publisher{r: keyframe.New(keyframe.Config{}), delay: 30}
	p.run(0, 60000, func(at int) bool {
		for range 100 { // 10,000 viewers' requests per second
			p.r.Ask(ms(at).Add(-time.Nanosecond))
		}
		return true
	})
	if n := len(p.requests); n > 61 {
		t.Errorf("%d requests in 60 s", n)
	}
}

func TestTrap13_LostRequestsAreRepeated(t *testing.T) {
	p := publisher{r: keyframe.New(keyframe.Config{}), delay: 50, lost: 3}
	p.run(0, 30000, once(0))
	if len(p.keys) != 1 || p.keys[0] > 3500 {
		t.Errorf("requests at %v, key frames at %v", p.requests, p.keys)
	}
	if p.r.Deaf() {
		t.Error("it answered at last, so it is not deaf")
	}
}

func TestTrap14_DeafPublisherIsLeftAlone(t *testing.T) {
	for _, beat := range []int{0, 2000, 2500, 10000} {
		p := publisher{r: keyframe.New(keyframe.Config{}), beat: beat}
		p.run(0, 120000, always)
		if !p.r.Deaf() {
			t.Errorf("beat %d ms: not found out, requests at %v", beat, p.requests)
		}
		late := 0
		for _, at := range p.requests {
			if at >= 60000 {
				late++
			}
		}
		if late > 6 {
			t.Errorf("beat %d ms: %d requests in the second minute", beat, late)
		}
		p.delay = 60 // the encoder was replaced by one that hears
		p.run(120000, 150000, always)
		if p.r.Deaf() {
			t.Errorf("beat %d ms: still deaf after answers", beat)
		}
	}
}

// For any behaviour of viewers, network and publisher: at most one request per MinGap and two per two seconds, and
// every need ends in bounded time with a key frame or a give-up.
func TestPaceAndLiveness(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := publisher{
			r:     keyframe.New(keyframe.Config{}),
			lost:  rapid.IntRange(0, 20).Draw(t, "lost"),
			delay: rapid.SampledFrom([]int{0, 20, 300, 900, 1500}).Draw(t, "delay"),
			beat:  rapid.SampledFrom([]int{0, 0, 1000, 2000, 7000}).Draw(t, "beat"),
		}
		every := rapid.SampledFrom([]int{10, 70, 400, 3000, 20000}).Draw(t, "every")
		const end = 60000
		p.run(0, end, func(at int) bool { return at%every == 0 })
		for i := 1; i < len(p.requests); i++ {
			if gap := p.requests[i] - p.requests[i-1]; gap < 500 {
				t.Fatalf("two requests within %d ms", gap)
			}
			if i > 1 && p.requests[i]-p.requests[i-2] < 2000 {
				t.Fatalf("three requests within %d ms", p.requests[i]-p.requests[i-2])
			}
		}
		// The last need ends when nobody asks any more: one gap for the deaf, then Tries with their retries.
		p.run(end, end+10000+2*5*1000, func(int) bool { return false })
		if !p.r.Next().IsZero() {
			t.Fatal("a need never ends")
		}
		if len(p.requests) > 0 && len(p.keys) == 0 && len(p.gaveUp) == 0 {
			t.Fatal("a request ended neither in a key frame nor in a give-up")
		}
	})
}

// A layer that was paused could not answer: it is asked at the usual pace once it is back.
func TestALayerThatReturnsIsNotDeaf(t *testing.T) {
	r := keyframe.New(keyframe.Config{})
	now := time.Unix(1000, 0)
	r.Ask(now)
	for range 3 {
		now = now.Add(2 * time.Second)
		r.Wake(now)
	}
	if !r.Deaf() {
		t.Fatal("nothing was found out of a publisher that does not answer")
	}
	now = now.Add(100 * time.Millisecond)
	r.Returned()
	if r.Deaf() {
		t.Error("a layer that returns counts as deaf")
	}
	r.Ask(now)
	next := r.Next()
	if wait := next.Sub(now); next.IsZero() || wait > 2*time.Second {
		t.Fatalf("it is asked after %v", wait)
	}
	if send, _ := r.Wake(next); !send {
		t.Error("it is not asked")
	}
}
