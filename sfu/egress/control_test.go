package egress

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"

	"github.com/pion/srtp/v3"
	"pgregory.net/rapid"
)

var (
	controlKeyBytes  = []byte("0123456789abcdef")
	controlSaltBytes = []byte("saltsaltsalt")
)

func controlPair(t testing.TB) (*ControlGCM, *ControlGCMOpener, *srtp.Context) {
	t.Helper()
	sealer, err := NewControlGCM(controlKeyBytes, controlSaltBytes)
	if err != nil {
		t.Fatal(err)
	}
	opener, err := NewControlGCMOpener(controlKeyBytes, controlSaltBytes)
	if err != nil {
		t.Fatal(err)
	}
	context, err := srtp.CreateContext(controlKeyBytes, controlSaltBytes, srtp.ProtectionProfileAeadAes128Gcm, srtp.SRTCPReplayProtection(64))
	if err != nil {
		t.Fatal(err)
	}
	return sealer, opener, context
}

// report is a receiver report without blocks, and some bytes behind it.
func report(ssrc uint32, extra int) []byte {
	b := binary.BigEndian.AppendUint32([]byte{0x80, 201, 0, 1}, ssrc)
	return append(b, bytes.Repeat([]byte{7}, extra)...)
}

// What we seal, pion opens, and the other way round: two writers of RFC 7714.
func TestControlAgreesWithPion(t *testing.T) {
	sealer, opener, context := controlPair(t)
	_, other, reader := controlPair(t)
	for n := range 300 {
		want := report(uint32(n%3+1), n)
		sealed, err := sealer.SealControl(nil, want)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := reader.DecryptRTCP(nil, sealed, nil); err != nil || !bytes.Equal(got, want) {
			t.Fatalf("packet %d: pion opened % x: %v", n, got, err)
		}
		if got, err := opener.OpenControl(nil, sealed); err != nil || !bytes.Equal(got, want) {
			t.Fatalf("packet %d: opened % x: %v", n, got, err)
		}
		theirs, err := context.EncryptRTCP(nil, want, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := other.OpenControl([]byte("before"), theirs); err != nil || !bytes.Equal(got, append([]byte("before"), want...)) {
			t.Fatalf("packet %d of pion's: opened % x: %v", n, got, err)
		}
	}
}

// Each packet opens once, in any order within the window; a changed one never.
func TestControlOpensOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		sealer, err := NewControlGCM(controlKeyBytes, controlSaltBytes)
		if err != nil {
			t.Fatal(err)
		}
		opener, _ := NewControlGCMOpener(controlKeyBytes, controlSaltBytes)
		var sealed [][]byte
		for n := range 40 {
			b, _ := sealer.SealControl(nil, report(uint32(n%2), n))
			sealed = append(sealed, b)
		}
		opened := map[int]bool{}
		for range rapid.IntRange(1, 120).Draw(t, "steps") {
			i := rapid.IntRange(0, len(sealed)-1).Draw(t, "packet")
			b := bytes.Clone(sealed[i])
			if rapid.Bool().Draw(t, "forge") {
				b[rapid.IntRange(0, len(b)-1).Draw(t, "at")] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
				if _, err := opener.OpenControl(nil, b); err == nil {
					t.Fatal("a changed packet was opened")
				}
				continue
			}
			_, err := opener.OpenControl(nil, b)
			if opened[i] != (err != nil) {
				t.Fatalf("packet %d opened before: %v, now: %v", i, opened[i], err)
			}
			opened[i] = true
		}
	})
}

func TestControlRefusesWhatItCannotTell(t *testing.T) {
	sealer, opener, _ := controlPair(t)
	old, _ := sealer.SealControl(nil, report(1, 0))
	for range 64 {
		b, _ := sealer.SealControl(nil, report(1, 0))
		if _, err := opener.OpenControl(nil, b); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := opener.OpenControl(nil, old); !errors.Is(err, ErrReplayed) {
		t.Errorf("a packet from before the window: %v", err)
	}
	for n := range maxSenders + 1 {
		b, _ := sealer.SealControl(nil, report(uint32(100+n), 0))
		if _, err := opener.OpenControl(nil, b); (err != nil) != (n >= maxSenders-1) {
			t.Errorf("sender %d: %v", n, err)
		}
	}
	sealer.index = lastControl
	if _, err := sealer.SealControl(nil, report(1, 0)); !errors.Is(err, ErrExhausted) {
		t.Errorf("an index was used again: %v", err)
	}
}

func TestControlAllocatesNothing(t *testing.T) {
	sealer, opener, _ := controlPair(t)
	packet, room, plain := report(1, 60), make([]byte, 0, 200), make([]byte, 0, 200)
	if n := testing.AllocsPerRun(500, func() {
		b, err := sealer.SealControl(room, packet)
		if err == nil {
			_, err = opener.OpenControl(plain, b)
		}
		if err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzOpenControl(f *testing.F) {
	sealer, opener, _ := controlPair(f)
	good, _ := sealer.SealControl(nil, report(1, 20))
	f.Add(good)
	f.Add([]byte{})
	f.Add(good[:20])
	if _, err := opener.OpenControl(nil, good); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, err := opener.OpenControl(nil, b); err == nil {
			t.Error("a packet of nobody's was opened")
		}
	})
}
