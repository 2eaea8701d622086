package history_test

import (
	"encoding/binary"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/media/history"
)

// fill makes a payload that tells its number, as often as it has room.
func fill(seq uint64, size int) []byte {
	b := make([]byte, size)
	for i := 0; i+8 <= size; i += 8 {
		binary.BigEndian.PutUint64(b[i:], seq)
	}
	return b
}

func sound(p *media.Packet, seq uint64) bool {
	for i := 0; i+8 <= len(p.Payload); i += 8 {
		if binary.BigEndian.Uint64(p.Payload[i:]) != seq {
			return false
		}
	}
	return p.Seq == seq
}

// One writer and eight readers on a ring so small that every slot is reused
// thousands of times, with reordering, jumps and growth: a reader never sees a
// packet other than the one it asked for (ABA). Run it with the race detector.
func TestReadersNeverSeeAnotherPacket(t *testing.T) {
	r := history.New(history.Config{MinAge: time.Millisecond, MaxAge: 50 * time.Millisecond, MaxBytes: 1 << 20, Slots: 512})
	var done atomic.Bool
	var hits, bad atomic.Int64
	var readers sync.WaitGroup
	for i := range uint64(8) {
		readers.Go(func() {
			rng := rand.New(rand.NewPCG(i, 1))
			for !done.Load() {
				newest := r.Newest()
				seq := newest - rng.Uint64N(600)
				if rng.IntN(3) == 0 {
					seq, _ = r.LastKey()
				}
				if p := r.Get(seq); p != nil {
					hits.Add(1)
					if !sound(p, seq) {
						bad.Add(1)
					}
				}
			}
		})
	}
	write(r, func() bool { return hits.Load() > 20_000 })
	done.Store(true)
	readers.Wait()
	if bad.Load() != 0 {
		t.Errorf("%d of %d packets were not those asked for", bad.Load(), hits.Load())
	}
}

// write puts at least 100,000 packets and goes on until the readers have had
// enough.
func write(r *history.Ring, enough func() bool) {
	rng := rand.New(rand.NewPCG(7, 7))
	top := uint64(1 << 16)
	for n := 0; n < 100_000 || !enough(); n++ {
		seq := top + 1
		switch rng.IntN(50) {
		case 0:
			seq = top - rng.Uint64N(500)
		case 1:
			seq = top + 1 + rng.Uint64N(100)
		case 2:
			seq = top + 512*rng.Uint64N(4)
		}
		top = max(top, seq)
		r.Put(&media.Packet{Seq: seq, Key: rng.IntN(100) == 0, Arrival: epoch.Add(time.Duration(n) * 100 * time.Microsecond), Payload: fill(seq, 64)})
	}
}

// The newest packet and the last key are there as soon as they are announced,
// as long as the writer has not gone on by a whole ring.
func TestAnnouncedPacketsAreThere(t *testing.T) {
	r := history.New(history.DefaultConfig())
	const packets = 4000 // less than the ring keeps
	var missed atomic.Int64
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for {
				newest := r.Newest()
				if newest != 0 && r.Get(newest) == nil {
					missed.Add(1)
				}
				if key, ok := r.LastKey(); ok && r.Get(key) == nil {
					missed.Add(1)
				}
				if newest >= 1<<16+packets {
					return
				}
			}
		})
	}
	for i := range uint64(packets + 1) {
		r.Put(&media.Packet{Seq: 1<<16 + i, Key: i%100 == 0, Arrival: epoch, Payload: fill(i, 8)})
	}
	readers.Wait()
	if missed.Load() != 0 {
		t.Errorf("%d announced packets were not there", missed.Load())
	}
}

func BenchmarkPut(b *testing.B) {
	r := history.New(history.DefaultConfig())
	packets := make([]*media.Packet, 1<<15)
	for i := range packets {
		packets[i] = &media.Packet{Key: i%500 == 0, Payload: make([]byte, 1100)}
	}
	seq := uint64(1 << 16)
	b.ReportAllocs()
	for b.Loop() {
		p := packets[seq%uint64(len(packets))] // long dropped when it comes round again
		p.Seq, p.Arrival = seq, epoch.Add(time.Duration(seq)*time.Millisecond/4)
		r.Put(p)
		seq++
	}
}

func BenchmarkGet(b *testing.B) {
	r := history.New(history.DefaultConfig())
	for i := range uint64(4000) {
		r.Put(&media.Packet{Seq: 1<<16 + i, Arrival: epoch, Payload: make([]byte, 1100)})
	}
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		seq := uint64(0)
		for pb.Next() {
			if r.Get(1<<16+seq%4000) == nil {
				b.Error("a packet is missing")
			}
			seq += 7
		}
	})
}
