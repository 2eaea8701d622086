package egress

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"testing"

	"github.com/pion/rtp"
	"github.com/pion/srtp/v3"
	"pgregory.net/rapid"
)

var (
	testKey  = []byte("sixteen byte key")
	testSalt = []byte("twelve bytes")
)

// sealers are held to the same promises.
func sealers(t testing.TB, repeats int) map[string]struct {
	Sealer
	opener *srtp.Context
} {
	t.Helper()
	gcm, err := NewGCM(testKey, testSalt, repeats)
	if err != nil {
		t.Fatal(err)
	}
	type pair = struct {
		Sealer
		opener *srtp.Context
	}
	all := map[string]pair{"gcm": {gcm, opener(t, srtp.ProtectionProfileAeadAes128Gcm, testSalt)}}
	for _, p := range []srtp.ProtectionProfile{srtp.ProtectionProfileAes128CmHmacSha1_80, srtp.ProtectionProfileAeadAes128Gcm} {
		salt := testSalt
		if p == srtp.ProtectionProfileAes128CmHmacSha1_80 {
			salt = []byte("fourteen bytes")
		}
		c, err := srtp.CreateContext(testKey, salt, p)
		if err != nil {
			t.Fatal(err)
		}
		all[fmt.Sprintf("generic %v", p)] = pair{NewGeneric(c, repeats), opener(t, p, salt)}
	}
	return all
}

// opener is the receiver: pion/srtp, with a replay window as browsers have.
func opener(t testing.TB, p srtp.ProtectionProfile, salt []byte) *srtp.Context {
	t.Helper()
	c, err := srtp.CreateContext(testKey, salt, p, srtp.SRTPReplayProtection(window))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// header returns a marshalled header with an extension and, for odd numbers, CSRCs.
func header(ssrc uint32, seq uint16) []byte {
	h := rtp.Header{Version: 2, PayloadType: 96, SequenceNumber: seq, Timestamp: uint32(seq) * 7, SSRC: ssrc, Marker: seq%5 == 0}
	if seq%2 == 1 {
		h.CSRC = []uint32{1, 2}
	}
	_ = h.SetExtension(3, []byte{byte(seq >> 8), byte(seq)})
	b, _ := h.Marshal()
	return b
}

func payload(ssrc uint32, seq uint16) []byte {
	return bytes.Repeat([]byte{byte(ssrc), byte(seq), byte(seq >> 8)}, 1+int(seq)%60)
}

// Pion opens what we seal: over wraps of the number, RTX, several SSRCs, late packets.
func TestSealedPacketsOpen(t *testing.T) {
	for name, s := range sealers(t, 0) {
		t.Run(name, func(t *testing.T) {
			check := func(ssrc uint32, seq uint16) {
				t.Helper()
				h, p := header(ssrc, seq), payload(ssrc, seq)
				dst := make([]byte, 3, 2000)
				sealed, err := s.Seal(dst, h, p)
				if err != nil {
					t.Fatalf("seal %d/%d: %v", ssrc, seq, err)
				}
				if got := len(sealed) - 3; got > len(h)+len(p)+s.Overhead() {
					t.Fatalf("sealing %d bytes makes %d", len(h)+len(p), got)
				}
				opened, err := s.opener.DecryptRTP(nil, sealed[3:], nil)
				if err != nil || !bytes.Equal(opened, append(h, p...)) {
					t.Fatalf("open %d/%d: %v", ssrc, seq, err)
				}
			}
			main, rtx, audio := uint16(65_000), uint16(10), uint16(40_000)
			for i := range 67_000 { // wraps twice
				if i%100 == 50 { // repaired at the ingest: it comes after its successors
					check(1, main+20)
				}
				if i%100 != 70 {
					check(1, main)
				}
				main++
				if i%37 == 0 {
					check(2, rtx)
					rtx++
				}
				if i%3 == 0 {
					check(3, audio)
					audio++
				}
			}
		})
	}
}

// What lies where it goes, next to each other, is sealed in place.
func TestSealingInPlace(t *testing.T) {
	for name, s := range sealers(t, 0) {
		for seq := range uint16(100) {
			h, p := header(9, seq), payload(9, seq)
			buf := make([]byte, 2000)
			n := copy(buf[5:], h)
			copy(buf[5+n:], p)
			sealed, err := s.Seal(buf[:5], buf[5:5+n], buf[5+n:5+n+len(p)])
			if err != nil || &sealed[0] != &buf[0] {
				t.Fatalf("%s: %v", name, err)
			}
			if opened, err := s.opener.DecryptRTP(nil, sealed[5:], nil); err != nil || !bytes.Equal(opened, append(h, p...)) {
				t.Fatalf("%s: %v", name, err)
			}
		}
	}
}

func TestWhatCannotBeSealedSpendsNothing(t *testing.T) {
	for name, s := range sealers(t, 0) {
		h, p := header(1, 7), payload(1, 7)
		if _, err := s.Seal(nil, h[:11], p); !errors.Is(err, ErrBadPacket) {
			t.Errorf("%s: %v", name, err)
		}
		for room := range len(h) + len(p) + s.Overhead() {
			dst := make([]byte, 4, 4+room)
			if got, err := s.Seal(dst, h, p); !errors.Is(err, ErrNoRoom) || len(got) != 4 {
				t.Fatalf("%s: room for %d: %v", name, room, err)
			}
		}
		if _, err := s.Seal(make([]byte, 0, 2000), h, p); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := NewGCM(testKey[:15], testSalt, 0); err == nil {
		t.Error("a short key is taken")
	}
	if _, err := NewGCM(testKey, testSalt[:11], 0); err == nil {
		t.Error("a short salt is taken")
	}
}

// A number is sealed once. Where repeats are allowed, the very same packet may be
// sealed again, and any other one under its number may not.
func TestANumberIsSealedOnce(t *testing.T) {
	dst := make([]byte, 0, 3000)
	for name, s := range sealers(t, 0) {
		for _, seq := range []uint16{100, 102} {
			if _, err := s.Seal(dst, header(1, seq), payload(1, seq)); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
		for _, seq := range []uint16{100, 102} {
			if _, err := s.Seal(dst, header(1, seq), payload(1, seq)); !errors.Is(err, ErrReused) {
				t.Errorf("%s: %d again: %v", name, seq, err)
			}
		}
		if _, err := s.Seal(dst, header(1, 101), payload(1, 101)); err != nil {
			t.Errorf("%s: a late one: %v", name, err)
		}
		if _, err := s.Seal(dst, header(1, 5000), payload(1, 0)); err != nil {
			t.Errorf("%s: a leap: %v", name, err)
		}
		if _, err := s.Seal(dst, header(1, 5000-window), payload(1, 0)); !errors.Is(err, ErrLate) {
			t.Errorf("%s: one that nobody remembers: %v", name, err)
		}
	}
	for name, s := range sealers(t, 100) {
		for seq := range uint16(200) {
			first, err := s.Seal(dst, header(1, seq), payload(1, seq))
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			again, err := s.Seal(make([]byte, 0, 3000), header(1, seq), payload(1, seq))
			if err != nil || !bytes.Equal(first, again) {
				t.Fatalf("%s: the same once more: %v", name, err)
			}
			other := payload(1, seq)
			other[0]++
			if got, err := s.Seal(dst, header(1, seq), other); !errors.Is(err, ErrReused) || len(got) != 0 || bytes.ContainsFunc(got[:30], func(r rune) bool { return r != 0 }) {
				t.Fatalf("%s: another one under the number: %v", name, err)
			}
			if back := header(1, seq-128); seq >= 128 {
				if _, err := s.Seal(dst, back, payload(1, seq-128)); !errors.Is(err, ErrReused) {
					t.Fatalf("%s: one that is not remembered: %v", name, err)
				}
			}
		}
	}
}

func TestAKeyIsUsedUp(t *testing.T) {
	g, err := NewGCM(testKey, testSalt, 0)
	if err != nil {
		t.Fatal(err)
	}
	s := g.numbers.stream(1)
	s.begun, s.top = true, lastIndex-1
	dst := make([]byte, 0, 2000)
	if _, err := g.Seal(dst, header(1, 0xffff), nil); err != nil {
		t.Error(err)
	}
	if _, err := g.Seal(dst, header(1, 0), nil); !errors.Is(err, ErrExhausted) {
		t.Errorf("one too many: %v", err)
	}
}

// ledger opens the nonces of what leaves: the promise itself, told from the
// outside by what the receiver takes.
type ledger map[[2]uint64][]byte

// No (SSRC, index) is ever used for two packets: over wraps, RTX, late packets,
// leaps and restarts of the numbering. What leaves is opened by a receiver that
// guesses indices by itself, and what is refused was used or is out of reach.
func TestNoNonceIsUsedTwice(t *testing.T) {
	for _, repeats := range []int{0, 64} {
		rapid.Check(t, func(r *rapid.T) {
			g, err := NewGCM(testKey, testSalt, repeats)
			if err != nil {
				r.Fatal(err)
			}
			seen := &spy{Sealer: g, g: g, packets: ledger{}}
			at := map[uint32]uint16{}
			for _, ssrc := range []uint32{1, 2, 3} {
				at[ssrc] = rapid.Uint16().Draw(r, "first")
			}
			for range rapid.IntRange(1, 300).Draw(r, "steps") {
				ssrc := rapid.SampledFrom([]uint32{1, 1, 1, 2, 3}).Draw(r, "ssrc")
				switch rapid.SampledFrom([]string{"on", "on", "on", "late", "leap", "wrap", "restart", "again"}).Draw(r, "step") {
				case "on":
					for range rapid.IntRange(1, 40).Draw(r, "run") {
						at[ssrc]++
						seen.seal(r, ssrc, at[ssrc], byte(rapid.IntRange(0, 1).Draw(r, "what")))
					}
				case "late":
					seen.seal(r, ssrc, at[ssrc]-uint16(rapid.IntRange(1, 2*window).Draw(r, "by")), 0)
				case "leap":
					at[ssrc] += uint16(rapid.IntRange(1, 1<<15).Draw(r, "by"))
				case "wrap":
					at[ssrc] = at[ssrc]&0x7fff | 0x8000
					seen.seal(r, ssrc, at[ssrc], 0)
					at[ssrc] = 0xfff0 + uint16(rapid.IntRange(0, 20).Draw(r, "to"))
				case "restart":
					at[ssrc] = rapid.Uint16().Draw(r, "to")
				case "again":
					seen.seal(r, ssrc, at[ssrc], byte(rapid.IntRange(0, 1).Draw(r, "what")))
				}
			}
		})
	}
}

// spy seals and notes under which nonce each packet left.
type spy struct {
	Sealer
	g       *GCM
	packets ledger
}

func (s *spy) seal(r *rapid.T, ssrc uint32, seq uint16, what byte) {
	plain := []byte{what, 1, 2, 3, 4, 5, 6, 7}
	sealed, err := s.Seal(make([]byte, 0, 100), header(ssrc, seq), plain)
	if err != nil {
		return
	}
	iv := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint64(nil, s.g.saltHigh), s.g.saltLow)
	for i := range iv { // taken apart again: it is what was used
		iv[i] ^= s.g.iv[i]
	}
	var nonce [2]uint64
	for i, b := range iv[2:] {
		nonce[i/6] = nonce[i/6]<<8 | uint64(b)
	}
	if before, used := s.packets[nonce]; used && !bytes.Equal(before, sealed) {
		r.Fatalf("nonce %x was used for two packets", nonce)
	}
	if uint16(iv[10])<<8|uint16(iv[11]) != seq {
		r.Fatalf("nonce %x for number %d", iv, seq)
	}
	s.packets[nonce] = bytes.Clone(sealed)
}

// The receiver guesses the index that we used, as long as it gets packets.
func TestReceiversGuessOurIndex(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		g, err := NewGCM(testKey, testSalt, 0)
		if err != nil {
			r.Fatal(err)
		}
		o := opener(t, srtp.ProtectionProfileAeadAes128Gcm, testSalt)
		seq := rapid.Uint16().Draw(r, "first")
		for range rapid.IntRange(1, 200).Draw(r, "packets") {
			sealed, err := g.Seal(make([]byte, 0, 1500), header(1, seq), payload(1, seq))
			if err == nil {
				if _, err = o.DecryptRTP(nil, sealed, nil); err != nil {
					r.Fatalf("number %d: %v", seq, err)
				}
			}
			seq += uint16(rapid.OneOf(rapid.IntRange(-900, 900), rapid.IntRange(0, 30_000)).Draw(r, "step"))
		}
	})
}

func TestSealingAllocatesNothing(t *testing.T) {
	for name, s := range sealers(t, 512) {
		dst := make([]byte, 0, 2000)
		headers := [][]byte{header(1, 0), header(2, 0), header(3, 0)}
		body := make([]byte, 1200)
		seq := uint16(0)
		if n := testing.AllocsPerRun(2000, func() {
			h := headers[seq%3]
			h[2], h[3] = byte(seq>>8), byte(seq)
			if _, err := s.Seal(dst, h, body); err != nil {
				t.Fatal(err)
			}
			seq++
		}); n != 0 {
			t.Errorf("%s: %v allocations for each packet", name, n)
		}
	}
}
