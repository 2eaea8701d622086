//go:build !linux

package transport

// segmentable: only Linux cuts one write into datagrams.
const segmentable = false

const controlSize = 24

func segmentControl(*[controlSize]byte, int) []byte { return nil }

func unsegmentable(error) bool { return true }
