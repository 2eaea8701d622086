package relay

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

// landing notes what comes and when.
type landing struct {
	begun time.Time
	b     []byte
	at    []time.Duration
}

func (l *landing) Emit(b []byte) {
	l.b = append(l.b, b...)
	l.at = append(l.at, time.Since(l.begun))
}

func TestPacketsLeaveInTheirTimeAndOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		w := NewWheel()
		done := make(chan struct{})
		go func() { w.Run(ctx); close(done) }()
		l := &landing{begun: time.Now()}
		for i, ms := range []int{30, 10, 20, 10, 500} {
			w.At(l.begun.Add(time.Duration(ms)*time.Millisecond), []byte{byte(i)}, l)
			synctest.Wait() // it sleeps for a later one when an earlier one comes
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if !slices.Equal(l.b, []byte{1, 3, 2, 0, 4}) {
			t.Errorf("order %v", l.b)
		}
		for i, ms := range []int{10, 10, 20, 30, 500} {
			if late := l.at[i] - time.Duration(ms)*time.Millisecond; late < -soon || late > soon {
				t.Errorf("packet %d is %v late", i, late)
			}
		}
		stop()
		<-done
	})
}

func TestAWheelKeepsNoMoreThanItMay(t *testing.T) {
	w := NewWheel()
	big := make([]byte, most/2)
	later := time.Now().Add(time.Hour)
	for range 2 {
		if !w.At(later, big, nil) {
			t.Error("what it may keep was refused")
		}
	}
	if w.At(later, []byte{1}, nil) {
		t.Error("the bound is not kept")
	}
}

func TestWhatIsDueComesSorted(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w, begun := NewWheel(), time.Unix(1000, 0)
		times := rapid.SliceOfN(rapid.IntRange(0, 20), 1, 100).Draw(t, "times, ms")
		for i, ms := range times {
			w.At(begun.Add(time.Duration(ms)*time.Millisecond), []byte{byte(i)}, nil)
		}
		left := len(times)
		for now := begun; left > 0; {
			due, wait := w.due(nil, now)
			for i := range due {
				if due[i].at.Sub(now) >= soon {
					t.Fatalf("%v came at %v", due[i].at, now)
				}
				if i > 0 && (due[i].at.Before(due[i-1].at) || due[i].at.Equal(due[i-1].at) && due[i].n < due[i-1].n) {
					t.Fatal("out of order")
				}
			}
			if left -= len(due); left > 0 && wait <= 0 {
				t.Fatalf("told to wait %v with %d left", wait, left)
			}
			now = now.Add(wait)
		}
	})
}
