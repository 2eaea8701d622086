package fragment_test

import (
	"bytes"
	"testing"

	"github.com/sluice-live/sluice/vod/fragment"
)

func FuzzClusterPicture(f *testing.F) {
	f.Add([]byte("\x1f\x43\xb6\x75\x8a\xe7\x81\x00\xa3\x85\x81\x00\x00\x80\xf0"))
	f.Add([]byte("\x1f\x43\xb6\x75\x01\xff\xff\xff\xff\xff\xff\xff\xe7\x81\x00\xa3\x01\x00\x00\x00\x00\x00\x00\x01\xf0"))
	f.Add([]byte("\xec\xff\xa3\x21\xff"))
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := fragment.ClusterPicture(bytes.NewReader(b))
		if err != nil {
			return
		}
		again, err := fragment.ClusterPicture(bytes.NewReader(got))
		if err != nil || !bytes.Equal(again, got) {
			t.Fatalf("%x becomes %x, then %x: %v", b, got, again, err)
		}
	})
}
