package nack

import "github.com/pion/rtcp"

// Pairs appends the numbers, which must rise, in the form of RFC 4585 section
// 6.2.1: a packet id and a bit for each of the sixteen after it. The caller
// splits what does not fit into one RTCP packet.
//
// hot: once per request; allocates only to grow dst.
func Pairs(seqs []uint64, dst []rtcp.NackPair) []rtcp.NackPair {
	for i := 0; i < len(seqs); {
		first := seqs[i]
		pair := rtcp.NackPair{PacketID: uint16(first)}
		for i++; i < len(seqs) && seqs[i]-first <= 16; i++ {
			if seqs[i] > first {
				pair.LostPackets |= 1 << (seqs[i] - first - 1)
			}
		}
		dst = append(dst, pair)
	}
	return dst
}
