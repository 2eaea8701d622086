package disk

import (
	"bytes"
	"net/http"
	"testing"
	"time"
)

func FuzzDecode(f *testing.F) {
	e := Entry{Header: http.Header{"A": {"b"}}, Stored: time.UnixMilli(5), Until: time.UnixMilli(6), Age: time.Second}
	first, err := encode("k", &e, [][]byte{[]byte("bo"), []byte("dy")})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(append(first, "body"...))
	f.Add(first)
	f.Add([]byte(magic))
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := decode("k", b)
		if err != nil {
			return
		}
		again, err := encode("k", e, [][]byte{e.Body})
		if err != nil {
			t.Fatal(err)
		}
		same, err := decode("k", append(again, e.Body...))
		if err != nil || !bytes.Equal(same.Body, e.Body) || !same.Until.Equal(e.Until) || same.Age != e.Age || len(same.Header) != len(e.Header) {
			t.Fatalf("%+v became %+v: %v", e, same, err)
		}
		if _, err := decode("another", b); err == nil {
			t.Fatal("it is taken for another")
		}
	})
}
