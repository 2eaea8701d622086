package feedback

import "github.com/pion/rtcp"

const (
	oneBits  = 14 // symbols in a status vector of one bit each (draft-holmer-rmcat-transport-wide-cc-extensions-01 section 3.1.4)
	twoBits  = 7  // and of two bits each
	lostOrOK = rtcp.TypeTCCPacketReceivedSmallDelta
)

// chunks packs statuses into as few chunks as a look at the next fourteen allows.
func chunks(symbols []uint16) []rtcp.PacketStatusChunk {
	var out []rtcp.PacketStatusChunk
	for len(symbols) > 0 {
		run := runOf(symbols)
		n := min(oneBits, len(symbols))
		switch {
		case run >= n:
			n = run // below 1<<13, which is all that the chunk holds, as maxStatuses is
			out = append(out, &rtcp.RunLengthChunk{
				Type: rtcp.TypeTCCRunLengthChunk, PacketStatusSymbol: symbols[0], RunLength: uint16(n),
			})
		case small(symbols[:n]):
			out = append(out, vector(rtcp.TypeTCCSymbolSizeOneBit, oneBits, symbols[:n]))
		default:
			n = min(twoBits, n)
			out = append(out, vector(rtcp.TypeTCCSymbolSizeTwoBit, twoBits, symbols[:n]))
		}
		symbols = symbols[n:]
	}
	return out
}

// vector writes up to size statuses; those that are not there are zeros.
func vector(kind uint16, size int, symbols []uint16) *rtcp.StatusVectorChunk {
	list := make([]uint16, size)
	copy(list, symbols)
	return &rtcp.StatusVectorChunk{Type: rtcp.TypeTCCStatusVectorChunk, SymbolSize: kind, SymbolList: list}
}

// runOf returns how many of the first symbols are the same.
func runOf(symbols []uint16) int {
	n := 1
	for n < len(symbols) && symbols[n] == symbols[0] {
		n++
	}
	return n
}

// small reports whether one bit tells each status.
func small(symbols []uint16) bool {
	for _, s := range symbols {
		if s > lostOrOK {
			return false
		}
	}
	return true
}
