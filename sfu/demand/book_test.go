package demand_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/sfu/demand"
)

const (
	low  = media.Layer(2) // numbers are not ranks
	mid  = media.Layer(0)
	high = media.Layer(1)
)

var began = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// play is a publisher that does as it is told, a moment later.
type play struct {
	t    *testing.T
	book *demand.Book
	now  time.Time
	deaf bool
	gone media.LayerSet // layers that the encoder gave up by itself
}

func newPlay(t *testing.T) *play {
	return &play{t: t, book: demand.New(demand.Config{}), now: began}
}

func (p *play) infos() []media.LayerInfo {
	all := []media.LayerInfo{{ID: mid, Width: 640, Height: 360}, {ID: high, Width: 1280, Height: 720}, {ID: low, Width: 320, Height: 180}}
	for i := range all {
		l := all[i].ID
		all[i].Active = !p.gone.Has(l) && (p.deaf || !p.book.Rests(l))
	}
	return all
}

// pass lets time go by, with the same wishes throughout.
func (p *play) pass(wanted media.LayerSet, d time.Duration) {
	for end := p.now.Add(d); p.now.Before(end); p.now = p.now.Add(time.Second) {
		p.book.Update(wanted, p.infos(), p.now)
	}
	p.book.Update(wanted, p.infos(), p.now)
}

func (p *play) rest(what string, want ...media.Layer) {
	p.t.Helper()
	var got, wanted media.LayerSet
	for _, l := range want {
		wanted = wanted.With(l)
	}
	for _, l := range []media.Layer{low, mid, high} {
		if p.book.Rests(l) {
			got = got.With(l)
		}
	}
	if got != wanted {
		p.t.Errorf("%s: %03b rest, want %03b", what, got, wanted)
	}
}

func set(layers ...media.Layer) media.LayerSet {
	var s media.LayerSet
	for _, l := range layers {
		s = s.With(l)
	}
	return s
}

func TestALayerRestsWhenNobodyWantedItFor10s(t *testing.T) {
	p := newPlay(t)
	p.pass(set(low, mid, high), time.Minute)
	p.rest("all are wanted")
	p.pass(set(low, mid), 9*time.Second)
	p.rest("the highest is unwanted for 9 s")
	p.pass(set(low, mid), 2*time.Second)
	p.rest("for 11 s", high)
	if !p.book.Update(set(low, mid, high), p.infos(), p.now) {
		t.Error("the publisher is not told that it is wanted again")
	}
	p.rest("wanted again: at once")
	if p.book.Update(set(low, mid, high), p.infos(), p.now) {
		t.Error("it is told twice")
	}
}

func TestWithoutViewersTheLowestGoesOn(t *testing.T) {
	p := newPlay(t)
	p.pass(0, 9*time.Second)
	p.rest("the first seconds")
	p.pass(0, 5*time.Second)
	p.rest("then", mid, high)
	p.pass(set(high), 20*time.Second)
	p.rest("one who wants the highest", mid)
}

func TestAWavererKeepsItsLayer(t *testing.T) {
	p := newPlay(t)
	for range 10 {
		p.pass(set(low), 8*time.Second)
		p.pass(set(high), time.Second)
		if p.book.Rests(high) {
			t.Fatal("it rests although it was wanted within 10 s")
		}
	}
}

// An encoder that gives its lowest layer up while the others rest would leave everybody without a picture.
func TestNothingRestsWhereNothingElseFlows(t *testing.T) {
	p := newPlay(t)
	p.pass(set(low), 20*time.Second)
	p.rest("only the lowest is wanted", mid, high)
	p.gone = set(low)
	p.pass(set(low), time.Second)
	p.rest("the lowest has gone")
}

// What an encoder dropped for its own reasons costs nothing, and is not ours to bring back.
func TestWhatDoesNotFlowIsNotToldToRest(t *testing.T) {
	p := newPlay(t)
	p.gone = set(high)
	p.pass(set(low, mid), time.Minute)
	p.rest("the highest never flowed")
	if p.book.Comes(high) {
		t.Error("it is promised to viewers")
	}
	p.gone = 0
	p.pass(set(low, mid), 9*time.Second)
	p.rest("it began 9 s ago")
	p.pass(set(low, mid), 2*time.Second)
	p.rest("11 s ago", high)
}

// An encoder short of processor sends a frame now and then.
func TestALayerThatStuttersRestsLikeOthers(t *testing.T) {
	p := newPlay(t)
	p.pass(set(high), 5*time.Second)
	for range 6 {
		p.gone = set(high)
		p.pass(set(low), time.Second)
		p.gone = 0
		p.pass(set(low), time.Second)
	}
	if !p.book.Rests(high) {
		t.Error("unwanted for 12 s, it goes on")
	}
}

func TestALayerIsPromisedWhileItWakesAndNoLonger(t *testing.T) {
	p := newPlay(t)
	p.pass(set(low), 20*time.Second)
	if !p.book.Comes(high) || p.book.Comes(low) {
		t.Error("resting layers are there for the asking, others are not resting")
	}
	p.gone = set(high) // told to send it again, the encoder does not
	p.pass(set(low, high), 4*time.Second)
	p.rest("it is awake", mid)
	if !p.book.Comes(high) {
		t.Error("it is given up before its time")
	}
	p.pass(set(low, high), 3*time.Second)
	if p.book.Comes(high) {
		t.Error("viewers wait for ever")
	}
}

func TestALayerOfUnknownSizeDoesNotRest(t *testing.T) {
	book := demand.New(demand.Config{})
	for i := range 60 {
		book.Update(0, []media.LayerInfo{{ID: 0, Active: true}, {ID: 1, Active: true}, {ID: 2, Active: true, Width: 320, Height: 180}}, began.Add(time.Duration(i)*time.Second))
	}
	for l := range media.Layer(3) {
		if book.Rests(l) {
			t.Errorf("layer %d rests", l)
		}
	}
}

// Whatever is wanted and whatever flows, these hold after each look.
func TestProperties(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		p := newPlay(t)
		p.deaf = rapid.Bool().Draw(rt, "deaf")
		var last [media.MaxLayers]time.Time // wanted
		for l := range last {
			last[l] = p.now
		}
		for range rapid.IntRange(1, 60).Draw(rt, "steps") {
			p.now = p.now.Add(time.Duration(rapid.IntRange(0, 8000).Draw(rt, "ms")) * time.Millisecond)
			p.gone = media.LayerSet(rapid.IntRange(0, 7).Draw(rt, "gone"))
			wanted := media.LayerSet(rapid.IntRange(0, 7).Draw(rt, "wanted"))
			before := p.book
			was := [3]bool{before.Rests(0), before.Rests(1), before.Rests(2)}
			infos := p.infos()
			changed := p.book.Update(wanted, infos, p.now)
			moved, flows, lowest := false, false, -1
			for i, info := range infos {
				l := info.ID
				if wanted.Has(l) {
					last[l] = p.now
				}
				moved = moved || was[l] != p.book.Rests(l)
				flows = flows || info.Active && !p.book.Rests(l)
				if info.Active && (lowest < 0 || info.Less(infos[lowest])) {
					lowest = i
				}
				if p.book.Rests(l) && p.now.Sub(last[l]) < 10*time.Second {
					rt.Fatalf("layer %d rests, wanted %v ago", l, p.now.Sub(last[l]))
				}
			}
			if changed != moved {
				rt.Fatalf("changed is %v, moved %v", changed, moved)
			}
			if lowest >= 0 && p.book.Rests(infos[lowest].ID) || lowest >= 0 && !flows {
				rt.Fatalf("the lowest that flows rests: %+v", infos)
			}
			if lowest < 0 && (p.book.Rests(0) || p.book.Rests(1) || p.book.Rests(2)) {
				rt.Fatal("nothing flows, and something rests")
			}
		}
	})
}
