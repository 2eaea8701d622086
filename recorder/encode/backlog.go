package encode

import (
	"time"

	"github.com/sluice-live/sluice/media"
)

const (
	// keptSound is how much sound is kept: what came while a process started, and what
	// a decoder needs before the first sample that counts.
	keptSound = 3 * time.Second
	// preRoll is what an Opus decoder needs to converge (RFC 7845 section 4.6).
	preRoll = 80 * time.Millisecond
	// keptFrames and keptBytes bound the pictures that are kept, from a key frame on.
	keptFrames = 1200
	keptBytes  = 16 << 20
	// late is how far pictures may be behind before those up to a newer key frame are
	// left out.
	late = 3 * time.Second
)

// backlog holds the newest samples: those that are not encoded yet, and those that
// the next process has to be told again. Full, it lets go of the oldest.
type backlog struct {
	kind    media.Kind
	first   uint64 // number of samples[0]
	samples []Sample
	bytes   int
	next    uint64 // number of the next one to encode
}

func (b *backlog) end() uint64 { return b.first + uint64(len(b.samples)) }

func (b *backlog) at(n uint64) *Sample { return &b.samples[n-b.first] }

// push keeps a sample.
func (b *backlog) push(s Sample) {
	b.samples = append(b.samples, s)
	b.bytes += len(s.Data)
	if b.kind == media.Audio {
		for len(b.samples) > 1 && s.Time-b.samples[0].Time > b.ticks(keptSound) {
			b.drop(1)
		}
		return
	}
	if s.Key && b.next >= b.end()-1 { // all before it is encoded
		b.drop(len(b.samples) - 1)
	}
	if len(b.samples) > keptFrames || b.bytes > keptBytes {
		b.drop(b.newestKey())
		if len(b.samples) > keptFrames || b.bytes > keptBytes {
			b.drop(len(b.samples)) // a key frame may be asked for
		}
	}
}

// newestKey is the index of the newest key frame, or len(samples).
func (b *backlog) newestKey() int {
	for i := len(b.samples) - 1; i >= 0; i-- {
		if b.samples[i].Key {
			return i
		}
	}
	return len(b.samples)
}

func (b *backlog) drop(n int) {
	for i := range n {
		b.bytes -= len(b.samples[i].Data)
		b.samples[i] = Sample{}
	}
	b.samples = b.samples[n:]
	b.first += uint64(n)
	b.next = max(b.next, b.first)
}

func (b *backlog) ticks(d time.Duration) media.Ticks {
	rate := media.Ticks(90000)
	if b.kind == media.Audio {
		rate = 48000
	}
	return rate * media.Ticks(d) / media.Ticks(time.Second)
}

// idle tells that nobody encodes: all counts as done.
func (b *backlog) idle() { b.next = b.end() }

// rewind finds where a process has to begin so that what comes out may begin at
// from. False: nothing is here to begin with.
func (b *backlog) rewind(from media.Ticks) bool {
	if b.kind == media.Audio {
		b.next = b.end()
		for b.next > b.first && b.at(b.next-1).Time+b.at(b.next-1).Duration > from-b.ticks(preRoll) {
			b.next--
		}
		return b.next < b.end()
	}
	found := -1
	for i := range b.samples {
		if b.samples[i].Key && (found < 0 || b.samples[i].Time <= from) {
			found = i
		}
	}
	if found < 0 {
		b.next = b.end()
		return false
	}
	b.next = b.first + uint64(found)
	return true
}

// take returns the next sample. Follows tells that it goes on where before ends;
// what does not needs another process. Pictures that are late are left out up to a
// newer key frame.
func (b *backlog) take(before *Sample) (s Sample, ok, follows bool) {
	if b.next >= b.end() {
		return Sample{}, false, true
	}
	s = *b.at(b.next)
	if b.kind == media.Video {
		if k := b.newestKey(); k < len(b.samples) && b.first+uint64(k) > b.next && b.samples[len(b.samples)-1].Time-s.Time > b.ticks(late) {
			b.next = b.first + uint64(k)
			s = *b.at(b.next)
		}
	}
	if before != nil {
		same := before.Epoch == s.Epoch && before.Format == s.Format
		if !same || b.kind == media.Audio && before.Time+before.Duration != s.Time {
			return s, true, false
		}
	}
	b.next++
	return s, true, true
}
