package transport

import (
	"encoding/binary"
	"errors"

	"golang.org/x/sys/unix"
)

// segmentable tells that this system may cut one write into equal datagrams.
const segmentable = true

// controlSize is a control message that holds one uint16.
const controlSize = 24

// segmentControl fills in the control message UDP_SEGMENT: the kernel cuts what
// follows into datagrams of so many bytes (udp(7)). One walk through the stack
// then serves them all.
//
// hot:
func segmentControl(b *[controlSize]byte, size int) []byte {
	binary.NativeEndian.PutUint64(b[0:], uint64(unix.CmsgLen(2)))
	binary.NativeEndian.PutUint32(b[8:], unix.SOL_UDP)
	binary.NativeEndian.PutUint32(b[12:], unix.UDP_SEGMENT)
	binary.NativeEndian.PutUint16(b[16:], uint16(size))
	return b[:unix.CmsgSpace(2)]
}

// unsegmentable tells errors of kernels and drivers that cannot, from others.
func unsegmentable(err error) bool {
	return errors.Is(err, unix.EIO) || errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOPROTOOPT)
}
