package history_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/media/history"
)

var epoch = time.Unix(1_800_000_000, 0)

func packet(seq uint64, at time.Duration, key bool, size int) *media.Packet {
	return &media.Packet{Seq: seq, Arrival: epoch.Add(at), Key: key, Payload: make([]byte, size)}
}

const ms = time.Millisecond

func TestEmptyRing(t *testing.T) {
	r := history.New(history.DefaultConfig())
	if _, ok := r.LastKey(); ok || r.Get(0) != nil || r.Get(1<<16) != nil || r.Len() != 0 || r.Bytes() != 0 || r.Newest() != 0 || r.Oldest() != 0 {
		t.Error("an empty ring has something")
	}
}

// A viewer that joins gets everything from the last key frame, although that is
// older than MinAge; what lies before is kept for MinAge only.
func TestReachesBackToTheLastKey(t *testing.T) {
	r := history.New(history.DefaultConfig())
	for i := range uint64(400) { // 4 s, key frames at 0 and 2 s
		r.Put(packet(70000+i, time.Duration(i)*10*ms, i%200 == 0, 100))
	}
	if seq, ok := r.LastKey(); !ok || seq != 70200 {
		t.Fatalf("the last key is %d, %v", seq, ok)
	}
	if r.Oldest() != 70200 || r.Newest() != 70399 || r.Len() != 200 || r.Bytes() != 20000 {
		t.Errorf("holds %d–%d, %d packets, %d bytes", r.Oldest(), r.Newest(), r.Len(), r.Bytes())
	}
	r.Put(packet(70400, 4*time.Second, true, 100))
	if r.Oldest() != 70300 {
		t.Errorf("after a new key the oldest is %d, want 1 s back", r.Oldest())
	}
}

func TestWithoutKeysKeepsMinAge(t *testing.T) {
	r := history.New(history.DefaultConfig())
	for i := range uint64(500) {
		r.Put(packet(70000+i, time.Duration(i)*20*ms, false, 80))
	}
	if r.Len() != 51 {
		t.Errorf("holds %d packets of 20 ms", r.Len())
	}
}

// A publisher that sends one key frame in ten minutes.
func TestLongGroupOfPicturesIsCutAtMaxAge(t *testing.T) {
	r := history.New(history.DefaultConfig())
	for i := range uint64(2000) {
		r.Put(packet(70000+i, time.Duration(i)*10*ms, i == 0, 100))
		if _, ok := r.LastKey(); ok != (i <= 800) {
			t.Fatalf("at %v the key is there: %v", time.Duration(i)*10*ms, ok)
		}
	}
	if r.Len() != 101 {
		t.Errorf("holds %d packets; without a key to start at, 1 s is enough", r.Len())
	}
}

func TestBytesAreBounded(t *testing.T) {
	cfg := history.DefaultConfig()
	cfg.MaxBytes = 10_000
	r := history.New(cfg)
	for i := range uint64(100) {
		r.Put(packet(70000+i, time.Duration(i)*ms, i == 0, 1000))
		if r.Bytes() > cfg.MaxBytes {
			t.Fatalf("holds %d bytes", r.Bytes())
		}
	}
	if _, ok := r.LastKey(); ok || r.Len() != 10 {
		t.Errorf("key %v, %d packets", ok, r.Len())
	}
}

// Reordered and repaired packets go to their place, duplicates change nothing,
// and a late packet does not make what is behind it younger.
func TestTrap07_LateAndDuplicatePackets(t *testing.T) {
	r := history.New(history.DefaultConfig())
	first := packet(70000, 0, true, 10)
	r.Put(first)
	r.Put(packet(70002, 10*ms, false, 10))
	r.Put(packet(69999, 15*ms, false, 10)) // before the first
	late := packet(70001, 20*ms, false, 10)
	r.Put(late)
	r.Put(packet(70001, 30*ms, false, 999))
	r.Put(packet(70000, 30*ms, true, 999))
	if r.Get(70001) != late || r.Get(70000) != first || r.Len() != 4 || r.Bytes() != 40 {
		t.Errorf("%d packets, %d bytes", r.Len(), r.Bytes())
	}
	if r.Oldest() != 69999 || r.Newest() != 70002 {
		t.Errorf("holds %d–%d", r.Oldest(), r.Newest())
	}
	r.Put(packet(70003, 1012*ms, true, 10))
	if r.Oldest() != 70003 {
		t.Errorf("the oldest is %d; the late packets are as old as their neighbours", r.Oldest())
	}
	if r.Put(packet(70001, 1013*ms, false, 10)); r.Get(70001) != nil {
		t.Error("took back a packet that it had dropped")
	}
}

func TestLateKeyIsFound(t *testing.T) {
	r := history.New(history.DefaultConfig())
	r.Put(packet(70000, 0, true, 10))
	r.Put(packet(70002, 10*ms, false, 10))
	r.Put(packet(70001, 20*ms, true, 10))
	if seq, _ := r.LastKey(); seq != 70001 {
		t.Errorf("the last key is %d", seq)
	}
}

// The sender restarted: the numbering went on far above.
func TestJumpBeyondTheSlotsStartsAnew(t *testing.T) {
	r := history.New(history.DefaultConfig())
	for i := range uint64(1000) {
		r.Put(packet(70000+i, time.Duration(i)*ms, i == 0, 10))
	}
	r.Put(packet(131072, 2*time.Second, true, 10))
	if seq, _ := r.LastKey(); seq != 131072 || r.Len() != 1 || r.Bytes() != 10 || r.Get(70999) != nil {
		t.Errorf("key %d, %d packets", seq, r.Len())
	}
	r.Put(packet(1<<63, 2*time.Second, true, 10))
	if r.Len() != 1 || r.Oldest() != 1<<63 {
		t.Errorf("%d packets from %d", r.Len(), r.Oldest())
	}
}

func TestAJumpWithinTheSlotsKeepsTheRest(t *testing.T) {
	cfg := history.Config{MinAge: time.Second, MaxAge: time.Second, MaxBytes: 1 << 20, Slots: 1000} // rounded to 1024
	r := history.New(cfg)
	for i := range uint64(600) {
		r.Put(packet(70000+i, 0, true, 1))
	}
	r.Put(packet(71200, 0, false, 1))
	if r.Oldest() != 70177 || r.Len() != 600-177+1 {
		t.Errorf("holds %d packets from %d", r.Len(), r.Oldest())
	}
}

// The clock of the node stepped back by an hour: nothing explodes.
func TestClockStepsBack(t *testing.T) {
	r := history.New(history.DefaultConfig())
	for i := range uint64(100) {
		r.Put(packet(70000+i, time.Duration(i)*10*ms, i == 0, 10))
	}
	for i := range uint64(100) {
		r.Put(packet(70100+i, -time.Hour+time.Duration(i)*10*ms, false, 10))
	}
	if r.Len() != 200 {
		t.Errorf("holds %d packets", r.Len())
	}
}

// model is the obvious ring: a map, and rules applied to all of it.
type model struct {
	packets map[uint64]*media.Packet
}

func (m *model) check(t *rapid.T, r *history.Ring, cfg history.Config, now time.Duration) {
	var bytes, count int
	var key uint64
	for seq, p := range m.packets {
		switch got := r.Get(seq); {
		case got == nil:
			continue
		case got != p:
			t.Fatalf("Get(%d) is packet %d", seq, got.Seq)
		}
		count++
		bytes += len(p.Payload)
		if p.Key {
			key = max(key, seq)
		}
		if seq < r.Oldest() || seq > r.Newest() {
			t.Fatalf("%d is held outside %d–%d", seq, r.Oldest(), r.Newest())
		}
		if age := now - p.Arrival.Sub(epoch); age > cfg.MaxAge {
			t.Fatalf("%d is kept at an age of %v", seq, age)
		}
	}
	if got, ok := r.LastKey(); got != key || ok != (key != 0) {
		t.Fatalf("the last key is %d, want %d", got, key)
	}
	if count != r.Len() || bytes != r.Bytes() {
		t.Fatalf("says %d packets, %d bytes; has %d, %d", r.Len(), r.Bytes(), count, bytes)
	}
	if r.Get(r.Oldest()) == nil || r.Get(r.Newest()) == nil {
		t.Fatalf("the ends %d–%d are not there", r.Oldest(), r.Newest())
	}
	if bytes > cfg.MaxBytes && count > 1 || r.Newest()-r.Oldest() >= uint64(cfg.Slots) {
		t.Fatalf("holds %d bytes in %d–%d", bytes, r.Oldest(), r.Newest())
	}
}

// Whatever is put: limits hold, Get is exact, and what is young or follows the
// last key is there unless a hard bound forbids it.
func TestRingAgainstModel(t *testing.T) { rapid.Check(t, ringAgainstModel) }

func ringAgainstModel(t *rapid.T) {
	cfg := history.Config{MinAge: 100 * ms, MaxAge: 800 * ms, MaxBytes: rapid.SampledFrom([]int{3000, 1 << 20}).Draw(t, "bytes"), Slots: 1 << rapid.IntRange(3, 10).Draw(t, "slots")}
	r, m := history.New(cfg), model{packets: map[uint64]*media.Packet{}}
	top, now := uint64(70000), time.Duration(0)
	for n := range rapid.IntRange(1, 300).Draw(t, "packets") {
		now += time.Duration(rapid.IntRange(0, 12).Draw(t, "ms")) * ms
		delta := rapid.SampledFrom([]int64{1, 1, 1, 1, 1, 1, 1, 2, 3, 40, 2000, 0, -1, -2, -30, -400}).Draw(t, "delta")
		p := packet(uint64(int64(top)+delta), now, rapid.IntRange(0, 30).Draw(t, "key") == 0, rapid.IntRange(0, 200).Draw(t, "size"))
		if m.packets[p.Seq] == nil || r.Get(p.Seq) == nil {
			m.packets[p.Seq] = p
		}
		if r.Put(p); n == 0 {
			top = p.Seq
		}
		top = max(top, p.Seq)
		m.check(t, r, cfg, now)
		if r.Get(top) == nil {
			t.Fatalf("the newest packet %d is gone", top)
		}
	}
}

// In order and within the hard bounds, nothing is dropped too early.
func TestNothingIsDroppedTooEarly(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cfg := history.Config{MinAge: 100 * ms, MaxAge: 800 * ms, MaxBytes: 1 << 20, Slots: 1 << 12}
		r := history.New(cfg)
		var all []*media.Packet
		var key uint64
		now := time.Duration(0)
		for range rapid.IntRange(1, 300).Draw(t, "packets") {
			now += time.Duration(rapid.IntRange(0, 12).Draw(t, "ms")) * ms
			p := packet(70000+uint64(len(all)), now, rapid.IntRange(0, 40).Draw(t, "key") == 0, 10)
			all = append(all, p)
			r.Put(p)
			if p.Key {
				key = p.Seq
			}
			for _, p := range all {
				age := now - p.Arrival.Sub(epoch)
				must := age <= cfg.MinAge || key != 0 && p.Seq >= key && now-all[key-70000].Arrival.Sub(epoch) <= cfg.MaxAge
				if must && r.Get(p.Seq) != p {
					t.Fatalf("%d of age %v is gone; key %d", p.Seq, age, key)
				}
			}
		}
	})
}

func TestHotPathsDoNotAllocate(t *testing.T) {
	r := history.New(history.DefaultConfig())
	packets := make([]*media.Packet, 30000)
	for i := range packets {
		packets[i] = packet(70000+uint64(i), time.Duration(i)*ms/4, i%500 == 0, 100)
	}
	n := 0
	put := func() { r.Put(packets[n]); n++ }
	for range 20000 {
		put()
	}
	if got := testing.AllocsPerRun(5000, put); got != 0 {
		t.Errorf("Put allocates %v times", got)
	}
	if got := testing.AllocsPerRun(1000, func() {
		if seq, ok := r.LastKey(); !ok || r.Get(seq) == nil {
			t.Error("no key")
		}
	}); got != 0 {
		t.Errorf("Get allocates %v times", got)
	}
}

func FuzzRing(f *testing.F) {
	f.Add([]byte{1, 2, 3, 4, 5, 6, 7, 8})
	f.Add([]byte("\x01\x80\x01\xff\x00\x00\x00\x00\x00\x00\x00\x00\x02\x02\x02\x02\x09\x09\x09\x09"))
	f.Fuzz(rapid.MakeFuzz(ringAgainstModel))
}
