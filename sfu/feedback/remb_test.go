package feedback_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/sfu/feedback"
)

// second lets a second of media at this rate come in, and returns the estimate after it.
func second(r *feedback.REMB, now *time.Time, rate media.Bitrate, loss float64) media.Bitrate {
	for i := range 100 {
		r.Receive(int(rate/800), now.Add(time.Duration(i)*10*time.Millisecond))
	}
	*now = now.Add(time.Second)
	return r.Update(loss, *now)
}

func TestREMBStartsWhereAPublisherCanLive(t *testing.T) {
	var r feedback.REMB
	if e := r.Estimate(); e != 1_000_000 {
		t.Errorf("starts at %d", e)
	}
	if e := r.Update(0, start); e != 1_000_000 {
		t.Errorf("nothing came, and the estimate is %d", e)
	}
	small := feedback.REMB{Max: 500_000}
	if e := small.Estimate(); e != 500_000 {
		t.Errorf("starts at %d, above its bound", e)
	}
}

// An encoder that obeys, and sends what it may, reaches 10 Mbit/s within ten seconds.
func TestREMBLetsAnObedientEncoderGrow(t *testing.T) {
	var r feedback.REMB
	now := start
	for range 10 {
		second(&r, &now, r.Estimate(), 0)
	}
	if e := r.Estimate(); e < 10_000_000 {
		t.Errorf("%d after ten seconds", e)
	}
	for range 10 {
		second(&r, &now, r.Estimate(), 0)
	}
	if e := r.Estimate(); e != 20_000_000 {
		t.Errorf("%d, the bound is 20 Mbit/s", e)
	}
}

func TestREMBGrowsWithoutMediaToMeasure(t *testing.T) {
	var r feedback.REMB
	now := start
	before := second(&r, &now, 100_000, 0)
	if e := second(&r, &now, 100_000, 0); float64(e) < float64(before)*1.079 {
		t.Errorf("from %d to %d in a second", before, e)
	}
}

// Behind a bottleneck of 2 Mbit/s the estimate comes down to it and does not bounce off it every other second.
func TestREMBHoldsAtABottleneck(t *testing.T) {
	var r feedback.REMB
	const link = 2_000_000
	now := start
	bad := 0
	for i := range 60 {
		sent := r.Estimate()
		arrived := min(sent, link)
		loss := 1 - float64(arrived)/float64(sent)
		if i >= 20 && loss > 0.1 {
			bad++
		}
		if i >= 20 && sent < link/2 {
			t.Errorf("second %d: only %d is sent over a link of %d", i, sent, link)
		}
		second(&r, &now, arrived, loss)
	}
	if bad > 8 {
		t.Errorf("more than 10 %% was lost in %d of 40 seconds", bad)
	}
}

// After a cut the estimate climbs at 8 % per second for ten seconds, whatever comes in; then the rate counts again.
func TestREMBClimbsSlowlyAfterACut(t *testing.T) {
	var r feedback.REMB
	now := start
	second(&r, &now, 4_000_000, 0)
	cut := second(&r, &now, 2_000_000, 0.5)
	if cut != 3_000_000 {
		t.Errorf("cut to %d; 4 Mbit/s were sent, half was lost", cut)
	}
	if e := second(&r, &now, 3_000_000, 0); e > 3_250_000 {
		t.Errorf("a second later %d", e)
	}
	for range 10 {
		second(&r, &now, 8_000_000, 0)
	}
	if e := r.Estimate(); e != 12_000_000 {
		t.Errorf("eleven seconds later %d", e)
	}
}

func TestREMBEarnsNothingInSilence(t *testing.T) {
	var r feedback.REMB
	now := start
	before := second(&r, &now, 1_000_000, 0)
	now = now.Add(time.Minute)
	if e := r.Update(0, now); float64(e) > float64(before)*1.17 {
		t.Errorf("from %d to %d in a minute of silence", before, e)
	}
}

func TestREMBTellsAllSSRCs(t *testing.T) {
	var r feedback.REMB
	m := r.Report(1, []uint32{2, 3})
	if raw, err := m.Marshal(); err != nil || len(raw) != 28 || m.Bitrate != 1e6 {
		t.Errorf("%+v: %x %v", m, raw, err)
	}
}

// No loss, rate or pace of calls leads out of the bounds, and heavy loss never raises the estimate.
func TestREMBStaysWithinItsBounds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := feedback.REMB{Max: media.Bitrate(rapid.Int64Range(100_000, 50_000_000).Draw(t, "max"))}
		now := start
		for range rapid.IntRange(1, 50).Draw(t, "updates") {
			before := r.Estimate()
			loss := rapid.Float64Range(0, 1).Draw(t, "loss")
			for range rapid.IntRange(0, 20).Draw(t, "packets") {
				r.Receive(rapid.IntRange(0, 65535).Draw(t, "size"), now)
			}
			now = now.Add(time.Duration(rapid.IntRange(0, 5000).Draw(t, "ms")) * time.Millisecond)
			e := r.Update(loss, now)
			if e < 100_000 || e > r.Max || loss > 0.1 && e > before {
				t.Fatalf("%d after %d at loss %v", e, before, loss)
			}
		}
	})
}
