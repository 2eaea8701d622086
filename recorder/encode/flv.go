package encode

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// FLV (Adobe Flash Video File Format Specification 10.1, annex E) is how encoded
// frames come back: it tells each frame at once, as MP4 stores it, with its time.

const (
	flvHead    = 9 + 4 // signature, and the size of the tag before the first
	flvTagHead = 11
	flvTagTail = 4 // size of the tag before
	flvAudio   = 8
	flvVideo   = 9
	flvAAC     = 10
	flvAVC     = 7
	flvKey     = 1
	// flvMost bounds a tag: a key frame of 2160p at 50 Mbit/s is 2 MB.
	flvMost = 8 << 20
)

var errFLV = errors.New("what ffmpeg wrote is no FLV")

// tag is what one FLV tag holds.
type tag struct {
	at     int64 // ms, of decoding
	audio  bool
	config bool // Data is AudioSpecificConfig or avcC
	key    bool
	data   []byte
}

// readHead reads the beginning of a file.
func readHead(r io.Reader) error {
	var b [flvHead]byte
	if _, err := io.ReadFull(r, b[:]); err != nil {
		return err
	}
	if string(b[:3]) != "FLV" || binary.BigEndian.Uint32(b[5:]) != flvHead-flvTagTail {
		return errFLV
	}
	return nil
}

// readTag reads the next tag with AAC or H.264; io.EOF when there is none.
func readTag(r io.Reader) (tag, error) {
	for {
		var h [flvTagHead]byte
		if _, err := io.ReadFull(r, h[:]); err != nil {
			return tag{}, err
		}
		size := int(h[1])<<16 | int(h[2])<<8 | int(h[3])
		if size > flvMost {
			return tag{}, fmt.Errorf("%w: a tag of %d bytes", errFLV, size)
		}
		body := make([]byte, size+flvTagTail)
		if _, err := io.ReadFull(r, body); err != nil {
			return tag{}, err
		}
		at := int64(h[7])<<24 | int64(h[4])<<16 | int64(h[5])<<8 | int64(h[6])
		if t, ok := parseTag(h[0]&0x1f, body[:size]); ok {
			t.at = at
			return t, nil
		}
	}
}

// parseTag reads a tag's body. False: it holds nothing that is wanted.
func parseTag(kind byte, b []byte) (tag, bool) {
	switch {
	case kind == flvAudio && len(b) > 2 && b[0]>>4 == flvAAC:
		return tag{audio: true, config: b[1] == 0, key: true, data: b[2:]}, b[1] <= 1
	case kind == flvVideo && len(b) > 5 && b[0]&0x0f == flvAVC:
		return tag{config: b[1] == 0, key: b[0]>>4 == flvKey, data: b[5:]}, b[1] <= 1
	}
	return tag{}, false
}
