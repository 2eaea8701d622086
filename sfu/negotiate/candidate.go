package negotiate

import (
	"hash/fnv"
	"net/netip"
	"strconv"
)

// Type preferences of RFC 8445 section 5.1.2.2: host candidates get the
// recommended 126; TCP ranks below every UDP host candidate (RFC 6544 section 4.2).
const (
	preferUDP = 126
	preferTCP = 90
)

// Candidate returns the value of a=candidate for a host address of component 1
// (there is no other: RTCP is multiplexed). TCP candidates are passive. A
// larger preference (0–65535) is tried first among those of one transport.
func Candidate(ip netip.Addr, port uint16, tcp bool, preference int) string {
	ip = ip.Unmap().WithZone("")
	transport, kind, rank := "udp", "", preferUDP
	if tcp {
		transport, kind, rank = "tcp", " tcptype passive", preferTCP
	}
	preference = min(max(preference, 0), 65535)
	priority := uint64(rank)<<24 | uint64(preference)<<8 | 255 // 256 − component
	// Candidates of one base and transport share the foundation (RFC 8445 section 5.1.1.3).
	h := fnv.New32a()
	b := ip.As16()
	_, _ = h.Write(b[:])
	_, _ = h.Write([]byte(transport))
	return strconv.FormatUint(uint64(h.Sum32()), 10) + " 1 " + transport + " " +
		strconv.FormatUint(priority, 10) + " " + ip.String() + " " + strconv.Itoa(int(port)) + " typ host" + kind
}
