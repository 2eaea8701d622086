package conformance

import (
	"bytes"
	"context"
	"fmt"

	"github.com/sluice-live/sluice/loadtest/link"
)

// inputDuties are those of input that must be refused.
func inputDuties() []duty {
	return []duty{
		{id: "big-body", section: "input", text: "An SDP of 1 MB is refused with 4xx, and the next POST is served", check: bigBody},
		{id: "many-lines", section: "input", text: "500 m-lines are refused with 4xx, and the next POST is served", check: manyLines},
	}
}

func bigBody(ctx context.Context, b *bench) outcome {
	return b.hostile(ctx, append(b.offer(link.NewCredentials()), bytes.Repeat([]byte("a=x:yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n"), 1<<20/42)...))
}

// manyLines adds short m-lines, so that it is their number that counts.
func manyLines(ctx context.Context, b *bench) outcome {
	offer := b.offer(link.NewCredentials())
	for i := range 500 {
		offer = fmt.Appendf(offer, "m=video 9 UDP/TLS/RTP/SAVPF 96\r\nc=IN IP4 0.0.0.0\r\na=mid:x%d\r\na=rtpmap:96 H264/90000\r\n", i)
	}
	return b.hostile(ctx, offer)
}

// hostile posts what must be refused, then what must not.
func (b *bench) hostile(ctx context.Context, offer []byte) outcome {
	res, err := b.post(ctx, offer)
	status := "the connection was closed"
	if err == nil {
		if !res.refused() {
			return fail("answered %s", res.says())
		}
		status = res.says()
	} else if ctx.Err() != nil {
		return fail("%v", err)
	}
	if _, err := b.open(ctx); err != nil {
		return fail("%s; but then: %v", status, err)
	}
	return pass("%s", status)
}
