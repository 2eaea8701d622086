package segment_test

import (
	"testing"
	"time"
)

// Nobody was there, and so no key frame is late.
func TestAGapOfMinutesBehindAResumeIsNoLackOfKeyFrames(t *testing.T) {
	cfg := config()
	cfg.Resumed, cfg.First, cfg.From = true, 5, 10*time.Second
	s := newStage(t, cfg)
	s.begins = cfg.From
	v, a := s.video(33333*time.Microsecond, 30*ms), s.sound()
	v.next, a.next = 70*time.Second, 70*time.Second
	s.now = cfg.Start.Add(70 * time.Second)
	s.play(90*time.Second, v, a)
	s.end()
	if v.late != 0 || len(v.segs) < 10 {
		t.Fatalf("%d complaints about key frames, %d segments", v.late, len(v.segs))
	}
}

// Who is deaf is told of all the same.
func TestKeyFramesThatDoNotComeAreToldOnce(t *testing.T) {
	s := newStage(t, config())
	v := s.video(33333*time.Microsecond, 30*ms)
	v.deaf = true
	s.play(60*time.Second, v, s.sound())
	if v.late != 1 {
		t.Fatalf("it was told %d times", v.late)
	}
}
