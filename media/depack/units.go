package depack

import (
	"bytes"
	"encoding/binary"
	"slices"

	"github.com/sluice-live/sluice/media"
)

const (
	// maxSet bounds a parameter set in bytes: with scaling lists and hypothetical
	// decoder parameters of all layers some have a few kilobytes.
	maxSet = 16 << 10
	// maxSets bounds how many are kept. Encoders send one or two of a kind.
	maxSets = 64
)

// role is what a NAL unit is for.
type role uint8

const (
	other   role = iota
	useless      // delimiters, filler, layers that nobody decodes
	slice
	keySlice
	leading // a slice that cannot be decoded if decoding begins at the key frame before
	vps
	sps
	pps
)

// nalKind is what H.264 and H.265 do differently.
type nalKind interface {
	// header is the length of a NAL unit's header in bytes.
	header() int
	// role of a unit that is at least as long as its header.
	role(unit []byte) role
	// open reports whether a picture may begin with a unit, of which the beginning is here.
	open(unit []byte) bool
	// id of a parameter set.
	id(r role, unit []byte) (int, error)
	// carrier tells how a payload carries units.
	carrier(payload []byte) carrier
	// piece takes a fragment apart; unit begins with a whole header where begin is set.
	piece(payload []byte) (header [2]byte, body []byte, begin, end bool, err error)
	// size of the picture.
	size(sps []byte) (width, height int, err error)
	// needs are the sets without which nothing is decoded.
	needs() []role
}

// carrier is one of three ways to carry units.
type carrier uint8

const (
	single carrier = iota
	aggregate
	fragment
	unsupported
)

// set is one parameter set.
type set struct {
	role role
	id   int
	data []byte
}

// units puts NAL units together (RFC 6184, RFC 7798).
type units struct {
	kind  nalKind
	sets  []set // sorted by role and id
	dirty bool  // they changed since the last format
	told  bool  // sets came in the stream, so that key frames are expected to bring theirs
	since bool  // decoding began at the last key frame

	// Of the frame being put together.
	open  int // where the unit that goes on in the next packet begins, or -1
	came  []set
	roles [pps + 1]bool
}

func newUnits(k nalKind, sprop [][]byte) *units {
	u := &units{kind: k, open: -1}
	for _, b := range sprop {
		u.keep(b)
	}
	u.came, u.told = nil, false
	return u
}

func (u *units) opens(payload []byte) bool {
	if len(payload) < u.kind.header() {
		return false
	}
	switch u.kind.carrier(payload) {
	case single:
		return u.kind.open(payload)
	case aggregate:
		first, _, err := nextUnit(payload[u.aggregateHeader():])
		return err == nil && u.kind.open(first)
	case fragment:
		header, body, begin, _, err := u.kind.piece(payload)
		return err == nil && begin && u.kind.open(append(header[:u.kind.header():u.kind.header()], body[:min(len(body), 4)]...))
	}
	return false
}

// aggregateHeader is 1 for STAP-A, 2 for AP.
func (u *units) aggregateHeader() int { return u.kind.header() }

// nextUnit cuts the first unit off an aggregation packet.
func nextUnit(b []byte) (unit, rest []byte, err error) {
	if len(b) < 2 {
		return nil, nil, errShort
	}
	size := int(binary.BigEndian.Uint16(b))
	if size == 0 || size > len(b)-2 {
		return nil, nil, errShort
	}
	return b[2 : 2+size], b[2+size:], nil
}

func (u *units) add(a *assembly, payload []byte) error {
	if len(payload) < u.kind.header() {
		return errShort
	}
	kind := u.kind.carrier(payload)
	if kind != fragment && u.open >= 0 {
		return errPiece
	}
	switch kind {
	case single:
		u.whole(a, payload)
		return nil
	case aggregate:
		rest := payload[u.aggregateHeader():]
		if len(rest) == 0 {
			return errShort
		}
		for len(rest) > 0 {
			unit, after, err := nextUnit(rest)
			if err != nil || len(unit) < u.kind.header() {
				return errShort
			}
			u.whole(a, unit)
			rest = after
		}
		return nil
	case fragment:
		return u.fragment(a, payload)
	}
	return errForm
}

func (u *units) fragment(a *assembly, payload []byte) error {
	header, body, begin, end, err := u.kind.piece(payload)
	switch {
	case err != nil:
		return err
	case begin != (u.open < 0):
		return errPiece
	case begin:
		u.open = len(a.data)
		a.data = append(a.data, 0, 0, 0, 0)
		a.data = append(a.data, header[:u.kind.header()]...)
	}
	a.data = append(a.data, body...)
	if end {
		start := u.open
		u.open = -1
		u.close(a, start)
	}
	return nil
}

func (u *units) whole(a *assembly, unit []byte) {
	start := len(a.data)
	a.data = append(a.data, 0, 0, 0, 0)
	a.data = append(a.data, unit...)
	u.close(a, start)
}

// close ends the unit that begins at start: it stays, or goes elsewhere.
func (u *units) close(a *assembly, start int) {
	unit := a.data[start+4:]
	r := u.kind.role(unit)
	u.roles[r] = true
	switch r {
	case vps, sps, pps:
		u.keep(unit)
		a.data = a.data[:start]
	case useless:
		a.data = a.data[:start]
	default:
		binary.BigEndian.PutUint32(a.data[start:], uint32(len(unit)))
	}
}

// keep takes a parameter set over in place of the one with its number.
func (u *units) keep(unit []byte) {
	if len(unit) < u.kind.header() || len(unit) > maxSet {
		return
	}
	r := u.kind.role(unit)
	id, err := u.kind.id(r, unit)
	if err != nil || r < vps {
		return
	}
	u.told = true
	i, found := slices.BinarySearchFunc(u.sets, set{role: r, id: id}, compareSets)
	switch {
	case found && bytes.Equal(u.sets[i].data, unit):
	case found:
		u.sets[i].data, u.dirty = bytes.Clone(unit), true
	case len(u.sets) < maxSets:
		u.sets, u.dirty = slices.Insert(u.sets, i, set{r, id, bytes.Clone(unit)}), true
	}
	if len(u.came) < maxSets {
		u.came = append(u.came, set{role: r, id: id})
	}
}

func compareSets(a, b set) int {
	if a.role != b.role {
		return int(a.role) - int(b.role)
	}
	return a.id - b.id
}

// finish tells of the frame and begins anew.
func (u *units) finish(a *assembly) (told, error) {
	roles, came, open := u.roles, u.came, u.open
	inStream := u.told
	u.roles, u.came, u.open = [pps + 1]bool{}, u.came[:0], -1
	t := told{key: roles[keySlice], empty: !roles[slice] && !roles[keySlice] && !roles[leading]}
	switch {
	case open >= 0 || a.broken:
		return told{}, errPiece
	case t.empty:
		return t, nil
	case t.key && a.unsure && inStream && !roles[sps]:
		return told{}, errPiece // what is missing may have been new parameter sets
	case t.key:
		u.since = a.fresh
		if complete(roles, u.kind.needs()) {
			u.only(came)
		}
	case roles[leading] && u.since:
		t.skip = true
		return t, nil
	}
	if !u.dirty {
		return t, nil
	}
	f, err := u.format()
	if err != nil {
		return told{}, err
	}
	u.dirty = false
	t.format = f
	return t, nil
}

func complete(roles [pps + 1]bool, needs []role) bool {
	for _, r := range needs {
		if !roles[r] {
			return false
		}
	}
	return true
}

// only forgets sets that a key frame which brought all it needs did not bring.
func (u *units) only(came []set) {
	before := len(u.sets)
	u.sets = slices.DeleteFunc(u.sets, func(s set) bool {
		return !slices.ContainsFunc(came, func(c set) bool { return compareSets(c, s) == 0 })
	})
	u.dirty = u.dirty || len(u.sets) != before
}

// format makes what a decoder has to be told.
func (u *units) format() (*media.Format, error) {
	f := &media.Format{Codec: media.H264}
	if u.kind.header() == 2 {
		f.Codec = media.H265
	}
	var has [pps + 1]bool
	for _, s := range u.sets {
		if s.role == sps && !has[sps] {
			width, height, err := u.kind.size(s.data)
			if err != nil {
				return nil, err
			}
			f.Width, f.Height = width, height
		}
		has[s.role] = true
		f.Parameters = append(f.Parameters, s.data)
	}
	if !complete(has, u.kind.needs()) {
		return nil, errUnknown
	}
	return f, nil
}
