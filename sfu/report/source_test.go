package report_test

import (
	"testing"
	"time"

	"github.com/pion/rtcp"
	"pgregory.net/rapid"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/sfu/report"
)

func at(i int) time.Time { return start.Add(time.Duration(i) * 10 * time.Millisecond) }

func TestReceptionReport(t *testing.T) {
	s := report.NewSource(90000)
	if b := s.Reception(9, start); b != (rtcp.ReceptionReport{SSRC: 9}) {
		t.Errorf("before the first packet: %+v", b)
	}
	for i := range 100 {
		if i%4 != 1 { // 25 of 100 are lost
			s.Packet(1<<16+65500+uint64(i), media.Ticks(i*900), at(i), 1000)
		}
	}
	s.SenderReport(&rtcp.SenderReport{NTPTime: 0x1122334455667788}, 0, start)
	b := s.Reception(9, start.Add(500*time.Millisecond))
	want := rtcp.ReceptionReport{
		SSRC: 9, FractionLost: 64, TotalLost: 25, LastSequenceNumber: 65599,
		LastSenderReport: 0x33445566, Delay: 1 << 15,
	}
	if b != want {
		t.Errorf("got %+v, want %+v", b, want)
	}
	if _, err := b.Marshal(); err != nil {
		t.Error(err)
	}
	s.Packet(1<<16+65600, 90000, at(100), 1000)
	if b := s.Reception(9, start); b.FractionLost != 0 || b.TotalLost != 25 {
		t.Errorf("the next interval has no loss: %+v", b)
	}
	if s.Lost() != 25 || s.Received() != 76 {
		t.Errorf("lost %d, received %d", s.Lost(), s.Received())
	}
}

// The fields of a block hold extremes: eight million lost, a report from days ago, a clock that went back.
func TestReceptionAtTheEndsOfItsFields(t *testing.T) {
	s := report.NewSource(90000)
	for i := range uint64(3000) {
		s.Packet(70000+i*3000, 0, start, 1)
	}
	s.SenderReport(&rtcp.SenderReport{NTPTime: report.NTP(start)}, 0, start)
	b := s.Reception(1, start.Add(-time.Second))
	if b.TotalLost != 1<<23-1 || b.FractionLost != 255 || b.Delay != 0 {
		t.Errorf("%+v", b)
	}
	if b = s.Reception(1, start.Add(72*time.Hour)); b.Delay != 1<<32-1 {
		t.Errorf("the delay is %d", b.Delay)
	}
	if _, err := b.Marshal(); err != nil {
		t.Error(err)
	}
}

func TestDuplicatesAreNotNegativeLoss(t *testing.T) {
	s := report.NewSource(90000)
	for range 5 {
		s.Packet(70000, 0, start, 10)
	}
	if b := s.Reception(1, start); b.FractionLost != 0 || b.TotalLost != 0 || s.LossRatio(start) != 0 {
		t.Errorf("%+v %v", b, s.LossRatio(start))
	}
}

func TestRestartIsNotLoss(t *testing.T) {
	s := report.NewSource(90000)
	s.Packet(70000, 0, start, 10)
	s.Packet(70002, 0, start, 10)
	s.Packet(70002+65536, 0, start, 10)
	if s.Lost() != 1 {
		t.Errorf("%d lost, want 1", s.Lost())
	}
	if b := s.Reception(1, start); b.LastSequenceNumber != 70002 {
		t.Errorf("highest is %d", b.LastSequenceNumber)
	}
}

// Loss as a block tells it agrees with what was lost, for any pattern of loss, reordering and intervals; and what is
// told can always be written.
func TestReceptionCountsWhatWasLost(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := report.NewSource(90000)
		seq := rapid.Uint64Range(1<<16, 1<<17).Draw(t, "seq")
		s.Packet(seq, 0, start, 1)
		lost, interval, expected := uint64(0), uint64(0), uint64(1)
		for i := range rapid.IntRange(1, 500).Draw(t, "packets") {
			gap := rapid.SampledFrom([]uint64{0, 0, 0, 1, 5, 100}).Draw(t, "gap")
			seq += 1 + gap
			lost, interval, expected = lost+gap, interval+gap, expected+1+gap
			s.Packet(seq, media.Ticks(i), start, 1)
			if gap > 0 && rapid.Bool().Draw(t, "late") {
				s.Packet(seq-1, media.Ticks(i), start, 1)
				lost, interval = lost-1, interval-1
			}
			if rapid.IntRange(0, 20).Draw(t, "report") == 0 {
				b := s.Reception(1, start)
				if b.TotalLost != uint32(lost) || uint64(b.FractionLost) != min(interval*256/expected, 255) || uint16(b.LastSequenceNumber) != uint16(seq) {
					t.Fatalf("%+v, lost %d in all, %d of %d since the last", b, lost, interval, expected)
				}
				if _, err := b.Marshal(); err != nil {
					t.Fatal(err)
				}
				interval, expected = 0, 0
			}
		}
	})
}

func TestJitter(t *testing.T) {
	steady, shaky := report.NewSource(90000), report.NewSource(90000)
	for i := range 500 {
		ts := media.Ticks(i * 900)
		steady.Packet(70000+uint64(i), ts, at(i), 1)
		shaky.Packet(70000+uint64(i), ts, at(i).Add(time.Duration(i%2)*8*time.Millisecond), 1)
	}
	if j := steady.Jitter(); j > 10*time.Microsecond {
		t.Errorf("steady: %v", j)
	}
	if j := shaky.Jitter(); (j - 8*time.Millisecond).Abs() > 100*time.Microsecond {
		t.Errorf("8 ms to and fro: %v", j)
	}
	before := steady.Jitter()
	steady.Packet(70500, 1<<40, at(500), 1)
	if j := steady.Jitter(); j != before {
		t.Errorf("a new clock is not jitter: %v", j)
	}
}

func TestLossRatioAndBitrateAreOfTheNewestPast(t *testing.T) {
	s := report.NewSource(90000)
	if s.LossRatio(start) != 0 || s.Bitrate(start) != 0 {
		t.Error("there is neither loss nor rate before the first packet")
	}
	for i := range 4000 { // 40 s, with 10 % lost in the third ten seconds
		if i/1000 != 2 || i%10 != 0 {
			s.Packet(70000+uint64(i), 0, at(i), 1250)
		}
		switch i {
		case 1999, 3999:
			if r := s.LossRatio(at(i)); r != 0 {
				t.Errorf("after %d packets: %v", i+1, r)
			}
			if b := s.Bitrate(at(i)); b != 1_000_000 {
				t.Errorf("after %d packets: %d bit/s", i+1, b)
			}
		case 2999:
			if r := s.LossRatio(at(i)); r < 0.099 || r > 0.101 {
				t.Errorf("10 %% were lost, got %v", r)
			}
		}
	}
	if later := at(4000).Add(time.Minute); s.LossRatio(later) != 0 || s.Bitrate(later) != 0 {
		t.Error("a minute of silence leaves neither loss nor rate")
	}
}

func TestBooksAllocateNothing(t *testing.T) {
	s, c, out := report.NewSource(90000), &report.Clock{}, &report.Sender{}
	c.SenderReport(report.NTP(start), start)
	s.SenderReport(&rtcp.SenderReport{NTPTime: report.NTP(start)}, 0, start)
	i := 0
	if n := testing.AllocsPerRun(1000, func() {
		i++
		s.Packet(70000+uint64(i), media.Ticks(i*900), at(i), 1000)
		s.Capture(media.Ticks(i*900), c)
		out.Packet(uint32(i), 1000, at(i))
	}); n != 0 {
		t.Errorf("%v allocations per packet", n)
	}
}

func TestSenderReport(t *testing.T) {
	var s report.Sender
	if !s.Last().IsZero() {
		t.Error("nothing was sent yet")
	}
	s.Packet(1, 100, start)
	s.Packet(2, 50, at(1))
	want := rtcp.SenderReport{SSRC: 7, NTPTime: report.NTP(start), RTPTime: 99, PacketCount: 2, OctetCount: 150}
	got := s.Report(7, 99, start)
	if got.SSRC != want.SSRC || got.NTPTime != want.NTPTime || got.RTPTime != want.RTPTime || got.PacketCount != want.PacketCount || got.OctetCount != want.OctetCount {
		t.Errorf("got %+v", got)
	}
	if s.Packets() != 2 || s.Octets() != 150 || !s.Last().Equal(at(1)) {
		t.Errorf("%d packets, %d octets, last at %v", s.Packets(), s.Octets(), s.Last())
	}
}

// The round trip comes out of our report, the other side's delay and its block, to the unit of the format.
func TestRTT(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		there := time.Duration(rapid.Int64Range(0, 5e9).Draw(t, "there"))
		hold := time.Duration(rapid.Int64Range(0, 60e9).Draw(t, "hold"))
		back := time.Duration(rapid.Int64Range(0, 5e9).Draw(t, "back"))
		sent := start.Add(time.Duration(rapid.Int64Range(0, 1e15).Draw(t, "at")))
		var out report.Sender
		sr := out.Report(1, 2, sent)
		peer := report.NewSource(90000)
		peer.SenderReport(&sr, 2, sent.Add(there))
		block := peer.Reception(1, sent.Add(there+hold))
		rtt, ok := report.RTT(block, sent.Add(there+hold+back))
		if !ok || (rtt-there-back).Abs() > 50*time.Microsecond {
			t.Fatalf("%v %v, want %v", rtt, ok, there+back)
		}
	})
}

func TestRTTOfGarbage(t *testing.T) {
	now := uint32(report.NTP(start) >> 16)
	for name, b := range map[string]rtcp.ReceptionReport{
		"no report": {}, "from the future": {LastSenderReport: now + 1<<16}, "ages ago": {LastSenderReport: now - 60<<16},
	} {
		if rtt, ok := report.RTT(b, start); ok {
			t.Errorf("%s: %v", name, rtt)
		}
	}
}

func BenchmarkPacketAndCapture(b *testing.B) {
	s, c := report.NewSource(90000), &report.Clock{}
	c.SenderReport(report.NTP(start), start)
	s.SenderReport(&rtcp.SenderReport{NTPTime: report.NTP(start)}, 0, start)
	for i := range b.N {
		s.Packet(70000+uint64(i), media.Ticks(i*900), at(i), 1000)
		s.Capture(media.Ticks(i*900), c)
	}
}
