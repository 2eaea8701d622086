package places

import "net/netip"

const (
	// parts is how many shares there are. Behind one address may be a school: with
	// 20,000 places its share is 2,500, and more as long as there is room.
	parts = 8
	// least is a share when there are few places: a player waits for three or four
	// things at once.
	least = 8
	// site is what one owner of IPv6 has at the least (RFC 6177).
	site = 64
)

// Places are places that addresses hold. Begin with New.
type Places struct {
	most, taken int
	held        map[netip.Prefix]int
}

// New has so many places, all of them free.
func New(most int) *Places { return &Places{most: most, held: make(map[netip.Prefix]int)} }

// Take gives an address one more place, or none.
func (p *Places) Take(a netip.Addr) bool {
	who := owner(a)
	if p.taken >= p.most || p.taken >= p.most/2 && p.held[who] >= max(p.most/parts, least) {
		return false
	}
	p.taken++
	p.held[who]++
	return true
}

// Leave takes a place back that Take gave the address.
func (p *Places) Leave(a netip.Addr) {
	who := owner(a)
	p.taken--
	if p.held[who]--; p.held[who] <= 0 {
		delete(p.held, who)
	}
}

// Taken is how many are held.
func (p *Places) Taken() int { return p.taken }

// owner is whose an address is; those that cannot be read are one.
func owner(a netip.Addr) netip.Prefix {
	a = a.Unmap().WithZone("")
	bits := a.BitLen()
	if a.Is6() {
		bits = site
	}
	who, err := a.Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return who
}
