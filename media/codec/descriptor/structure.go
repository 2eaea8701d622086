package descriptor

import "errors"

// Bounds of appendix A: six bits number a template, five bits a decode target and its chain. The specification sets no
// bound for references; AV1 has seven reference frames.
const (
	MaxTemplates = 64
	MaxTargets   = 32
	MaxChains    = 32
	MaxDiffs     = 8
	maxSpatial   = 8 // of a structure with resolutions, which are told per spatial layer
)

// Why a descriptor cannot be read. Fixed values: a flood of broken packets must not allocate.
var (
	ErrShort       = errors.New("read dependency descriptor: it ends too early")
	ErrNoStructure = errors.New("read dependency descriptor: its structure is not known")
	ErrTemplate    = errors.New("read dependency descriptor: its template is not in the structure")
	ErrBounds      = errors.New("read dependency descriptor: it has more templates, layers or references than can be")
)

// Indication is what a frame is for one decode target (section A.4).
type Indication uint8

// The indications, as two bits tell them.
const (
	NotPresent  Indication = iota // the frame does not belong to the target
	Discardable                   // it does, and nothing later of the target needs it
	Switch                        // it does, and whoever can decode it can decode all that follows of the target
	Required                      // it does
)

// Indications are those of all decode targets, two bits each from the lowest.
type Indications uint64

// Of returns the indication for one decode target.
func (i Indications) Of(target int) Indication { return Indication(i >> (2 * target) & 3) }

func (i *Indications) set(target int, v Indication) {
	*i = *i&^(3<<(2*target)) | Indications(v)<<(2*target)
}

// Targets returns the set of decode targets that have this indication.
func (i Indications) Targets(v Indication) (set uint32) {
	for t := range MaxTargets {
		if i.Of(t) == v {
			set |= 1 << t
		}
	}
	return set
}

// Chains are distances to the previous frame of each chain; 0 where the chain begins with this frame.
type Chains [MaxChains]uint8

// Diffs are the references of a frame: how many frame numbers back each of them is.
type Diffs struct {
	N  uint8
	By [MaxDiffs]uint16 // 1 to 4096
}

// All returns the references.
func (d *Diffs) All() []uint16 { return d.By[:d.N] }

func (d *Diffs) add(by uint16) bool {
	if d.N == MaxDiffs {
		return false
	}
	d.By[d.N] = by
	d.N++
	return true
}

// Template is what most frames of one kind have in common.
type Template struct {
	Spatial, Temporal uint8
	Indications       Indications
	Diffs             Diffs
	Chains            Chains
}

// Resolution is the size of one spatial layer, in pixels.
type Resolution struct{ Width, Height int }

// Layers are the highest layers of one decode target.
type Layers struct{ Spatial, Temporal uint8 }

// Structure is a template dependency structure: it comes with a key frame and holds until the next one. The zero value
// knows nothing.
type Structure struct {
	First     uint8 // template_id_offset
	Count     uint8 // templates
	Targets   uint8 // decode targets
	Chains    uint8
	Protects  [MaxTargets]uint8 // the chain that protects each decode target
	Templates [MaxTemplates]Template
	// Layers of each decode target.
	Layers [MaxTargets]Layers
	// Sizes of the spatial layers; HasSizes tells whether there are any.
	HasSizes bool
	Sizes    [maxSpatial]Resolution
}

// Known reports whether there is a structure.
func (s *Structure) Known() bool { return s != nil && s.Count > 0 }

// Spatials returns the number of spatial layers.
func (s *Structure) Spatials() int {
	if s.Count == 0 {
		return 0
	}
	return int(s.Templates[s.Count-1].Spatial) + 1
}

// All returns the set of all decode targets.
func (s *Structure) All() uint32 { return uint32(1<<s.Targets - 1) }

// Within returns the decode targets that need no layer above these.
func (s *Structure) Within(spatial, temporal uint8) (set uint32) {
	for t, l := range s.Layers[:s.Targets] {
		if l.Spatial <= spatial && l.Temporal <= temporal {
			set |= 1 << t
		}
	}
	return set
}

// template returns the template that id stands for.
func (s *Structure) template(id uint8) (*Template, bool) {
	i := (id - s.First) & (MaxTemplates - 1)
	if i >= s.Count {
		return nil, false
	}
	return &s.Templates[i], true
}

// derive fills in Layers: a target has the layers of the frames that belong to it (decode_target_layers).
func (s *Structure) derive() {
	s.Layers = [MaxTargets]Layers{}
	for i := range s.Templates[:s.Count] {
		m := &s.Templates[i]
		for t := range s.Layers[:s.Targets] {
			if m.Indications.Of(t) != NotPresent {
				l := &s.Layers[t]
				l.Spatial, l.Temporal = max(l.Spatial, m.Spatial), max(l.Temporal, m.Temporal)
			}
		}
	}
}
