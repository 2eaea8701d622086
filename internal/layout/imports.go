package layout

import (
	"path"
	"slices"
	"strings"
)

// place is where an import stands.
type place struct {
	dir  string // of the package, relative to the module
	test bool   // in a _test.go file
}

// within reports whether a path is a place or beneath it.
func within(dir, top string) bool {
	return dir == top || strings.HasPrefix(dir, top+"/")
}

func withinAny(path string, tops []string) bool {
	return slices.ContainsFunc(tops, func(top string) bool { return within(path, top) })
}

// refuse returns why an import is against the plan, or "".
func (h House) refuse(from place, path string) string {
	if rel, ok := strings.CutPrefix(path, h.Module+"/"); ok {
		return h.refuseOwn(from, rel)
	}
	if path == h.Module {
		return "there is no package at the top of the module"
	}
	if !strings.Contains(strings.Split(path, "/")[0], ".") {
		return h.refuseStandard(from, path)
	}
	return h.refuseModule(from, path)
}

func (h House) kernel(dir string) bool { return withinAny(dir, h.Kernels) }

// refuseOwn judges an import of another package of the house.
func (h House) refuseOwn(from place, to string) string {
	switch {
	case to == from.dir:
		return "" // an external test of the same package
	case within(to, roof):
		if within(from.dir, roof) {
			return ""
		}
		return "nobody imports cmd"
	case within(to, testnet):
		if from.test || within(from.dir, testnet) {
			return ""
		}
		return "only tests import testnet"
	case within(from.dir, roof), within(from.dir, testnet):
		return ""
	case within(to, ground):
		return ""
	case within(from.dir, ground):
		return "media imports nothing of the house but media"
	case h.kernel(from.dir) && !from.test:
		return "a kernel imports nothing of the house but media"
	}
	home, _, _ := strings.Cut(from.dir, "/")
	switch {
	case within(from.dir, load), slices.Contains(h.Rooms, home):
		if within(to, home) {
			return ""
		}
		return home + " imports media and its own parts only; say what you need in an interface and let cmd pass it"
	case within(from.dir, beside):
		if part := strings.Split(from.dir, "/"); len(part) > 1 && within(to, path.Join(part[:2]...)) {
			return ""
		}
		return "what stands beside the house imports media only, and its own parts"
	}
	return "this folder has no place in the plan (internal/layout/house.go)"
}

// refuseStandard judges an import of the standard library.
func (h House) refuseStandard(from place, path string) string {
	if from.test || !h.kernel(from.dir) || withinAny(path, h.Allowed) || !withinAny(path, h.Forbidden) {
		return ""
	}
	return "a kernel decides and does not touch " + path
}

// refuseModule judges an import of somebody else's module.
func (h House) refuseModule(from place, path string) string {
	for module, places := range h.Guarded {
		if within(path, module) && !withinAny(from.dir, places) {
			return module + " appears only in " + strings.Join(places, ", ")
		}
	}
	if !from.test && h.kernel(from.dir) && !withinAny(path, h.Parsers) {
		return "a kernel imports pure parsers only (" + strings.Join(h.Parsers, ", ") + ")"
	}
	return ""
}
