package layer

// window is how many frames back references are followed: 2 s of 30 pictures/s in three spatial layers, rounded up.
const window = 256

// frames remembers what became of the newest frames of a source, by frame number.
type frames struct {
	newest     int64
	seen, sent [window / 64]uint64
}

// unwrap extends a frame number next to the newest one.
func (f *frames) unwrap(number uint16) int64 {
	return f.newest + int64(int16(number-uint16(f.newest)))
}

// restart begins at frame n: nothing is known of what was before.
func (f *frames) restart(n int64) { *f = frames{newest: n} }

// advance makes n the newest frame.
func (f *frames) advance(n int64) {
	if n-f.newest >= window {
		f.restart(n)
		return
	}
	for i := f.newest + 1; i <= n; i++ {
		word, bit := place(i)
		f.seen[word] &^= bit
		f.sent[word] &^= bit
	}
	f.newest = n
}

func (f *frames) note(n int64, sent bool) {
	word, bit := place(n)
	f.seen[word] |= bit
	if sent {
		f.sent[word] |= bit
	}
}

func (f *frames) known(n int64) bool { return n <= f.newest && f.newest-n < window }

func (f *frames) wasSeen(n int64) bool {
	word, bit := place(n)
	return f.known(n) && f.seen[word]&bit != 0
}

func (f *frames) wasSent(n int64) bool {
	word, bit := place(n)
	return f.known(n) && f.sent[word]&bit != 0
}

func place(n int64) (word int, bit uint64) {
	return int(uint64(n) % window / 64), 1 << (uint64(n) % 64)
}
