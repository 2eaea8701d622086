package fragment

import (
	"encoding/binary"
	"fmt"
	"io"
)

// Elements of Matroska (RFC 9559 section 5.1) by which a picture is found.
const (
	idCluster     = 0x1F43B675
	idTimestamp   = 0xE7
	idSimpleBlock = 0xA3
)

// ClusterPicture reads clusters of WebM, and returns the first with its first frame
// alone: behind the head, what a decoder needs to show one picture.
func ClusterPicture(r io.Reader) ([]byte, error) {
	var at []byte // the timestamp's element
	for {
		id, size, err := element(r)
		if err != nil {
			return nil, unexpected(err)
		}
		switch id {
		case idCluster:
			continue // what is in it
		case idTimestamp, idSimpleBlock:
		default:
			if _, err := io.CopyN(io.Discard, r, int64(min(size, MaxBox))); err != nil {
				return nil, unexpected(err)
			}
			continue
		}
		if size > MaxBox {
			return nil, fmt.Errorf("%w: a block of %d bytes", ErrBad, size)
		}
		body := make([]byte, size)
		if _, err := io.ReadFull(r, body); err != nil {
			return nil, unexpected(err)
		}
		if id == idTimestamp {
			at = appendElement(nil, id, body)
			continue
		}
		return appendElement(nil, idCluster, appendElement(at, id, body)), nil
	}
}

// element reads an identifier and a size (RFC 8794 section 4); all bits of a size
// that are set mean that it is unknown, and are read as very large.
func element(r io.Reader) (id, size uint64, err error) {
	if id, _, err = vint(r, true); err != nil {
		return 0, 0, err
	}
	size, unknown, err := vint(r, false)
	if unknown {
		size = 1 << 62
	}
	return id, size, err
}

// vint reads a number whose first bits tell its length; identifiers keep them.
func vint(r io.Reader, whole bool) (v uint64, full bool, err error) {
	var b [8]byte
	if _, err := io.ReadFull(r, b[:1]); err != nil {
		return 0, false, err
	}
	n := 1
	for bit := byte(0x80); n <= 8 && b[0]&bit == 0; bit >>= 1 {
		n++
	}
	if n > 8 {
		return 0, false, fmt.Errorf("%w: it is no WebM", ErrBad)
	}
	if !whole {
		b[0] &= 0xff >> n
	}
	if _, err := io.ReadFull(r, b[1:n]); err != nil {
		return 0, false, unexpected(err)
	}
	v = binary.BigEndian.Uint64(append(make([]byte, 8-n, 8), b[:n]...))
	return v, v == 1<<(7*n)-1, nil
}

func appendElement(b []byte, id uint64, body []byte) []byte {
	for shift := 24; shift >= 0; shift -= 8 {
		if id>>shift != 0 {
			b = append(b, byte(id>>shift))
		}
	}
	b = binary.BigEndian.AppendUint64(b, 1<<56|uint64(len(body)))
	return append(b, body...)
}
