package negotiate_test

import (
	"testing"

	"github.com/sluice-live/sluice/sfu/negotiate"
)

// A viewer's join: read the longest offer there is, and write its answer.
func BenchmarkSubscribe(b *testing.B) {
	o, l := load(b, "chromium-156-whep.offer.sdp"), local()
	b.ReportAllocs()
	for b.Loop() {
		r, err := negotiate.Subscribe(o, negotiate.DefaultConfig())
		if err != nil || len(r.Answer(l)) == 0 {
			b.Fatal(err)
		}
	}
}

func BenchmarkPublish(b *testing.B) {
	o, l := load(b, "chromium-156-whip-default.offer.sdp"), local()
	b.ReportAllocs()
	for b.Loop() {
		r, err := negotiate.Publish(o, negotiate.DefaultConfig())
		if err != nil || len(r.Answer(l)) == 0 {
			b.Fatal(err)
		}
	}
}
