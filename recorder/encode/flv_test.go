package encode

import (
	"bytes"
	"testing"
)

// The end of a file in the middle of a tag is an end; what is no FLV is an error.
func FuzzReadTag(f *testing.F) {
	f.Add([]byte("\x08\x00\x00\x04\x00\x10\x00\x00\x00\x00\x00\xaf\x01\x21\x10\x00\x00\x00\x0f"))
	f.Add([]byte("\x09\x00\x00\x07\x00\x10\x00\x01\x00\x00\x00\x17\x01\x00\x00\x00\x65\x88\x00\x00\x00\x12"))
	f.Add([]byte("\x09\xff\xff\xff\x00\x10\x00\x01\x00\x00\x00\x17"))
	f.Fuzz(func(t *testing.T, b []byte) {
		r := bytes.NewReader(b)
		for {
			before := r.Len()
			got, err := readTag(r)
			if err != nil {
				return
			}
			if len(got.data) == 0 || len(got.data) > before {
				t.Fatalf("%d bytes out of %d", len(got.data), before)
			}
		}
	})
}

func TestReadTag(t *testing.T) {
	in := bytes.NewReader([]byte("FLV\x01\x01\x00\x00\x00\x09\x00\x00\x00\x00" +
		"\x12\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\xff\x00\x00\x00\x0c" + // metadata
		"\x09\x00\x00\x07\x00\x10\x00\x01\x00\x00\x00\x17\x01\x00\x00\x00\x65\x88\x00\x00\x00\x12"))
	if err := readHead(in); err != nil {
		t.Fatal(err)
	}
	got, err := readTag(in)
	if err != nil || got.audio || got.config || !got.key || got.at != 1<<24|0x1000 || !bytes.Equal(got.data, []byte{0x65, 0x88}) {
		t.Fatalf("%+v, %v", got, err)
	}
	if readHead(bytes.NewReader([]byte("RIFFxxxxxxxxxxxx"))) == nil {
		t.Error("RIFF is taken for FLV")
	}
}
