package layout

import (
	"cmp"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

// Finding is one departure from the plan.
type Finding struct {
	File string
	Line int
	Text string
}

// String writes a finding as compilers do.
func (f Finding) String() string { return fmt.Sprintf("%s:%d: %s", f.File, f.Line, f.Text) }

// Report is what one look at a source tree gives.
type Report struct {
	Findings []Finding
	// Files is how many were read.
	Files int
	// Exported names outside tests, and those of them without a comment.
	Exported     int
	Undocumented []Finding
}

// Documented is the share of exported names with a comment, 0 to 1.
func (r Report) Documented() float64 {
	if r.Exported == 0 {
		return 1
	}
	return 1 - float64(len(r.Undocumented))/float64(r.Exported)
}

// Check reads every Go file beneath root, nested modules and folders that Go
// itself leaves out apart.
func (h House) Check(root fs.FS) (Report, error) {
	var r Report
	packages := map[string]bool{} // by folder: has a package comment
	err := fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			return enter(root, name)
		}
		if !strings.HasSuffix(name, ".go") {
			return nil
		}
		text, err := fs.ReadFile(root, name)
		if err != nil {
			return err
		}
		s, err := parse(name, text)
		if err != nil {
			return err
		}
		r.Files++
		h.checkFile(s, &r)
		if !s.from.test {
			packages[s.from.dir] = packages[s.from.dir] || s.file.Doc != nil
		}
		return nil
	})
	if err != nil {
		return r, fmt.Errorf("read the source: %w", err)
	}
	for dir, documented := range packages {
		if !documented {
			r.Findings = append(r.Findings, Finding{dir, 1, "no package comment: what for, what it promises, who owns it"})
		}
	}
	slices.SortFunc(r.Findings, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line))
	})
	return r, nil
}

// enter skips folders that are not this module's source.
func enter(root fs.FS, dir string) error {
	base := path.Base(dir)
	if dir == "." {
		return nil
	}
	if base == "testdata" || base == "node_modules" || base == "vendor" || base[0] == '.' || base[0] == '_' {
		return fs.SkipDir
	}
	if _, err := fs.Stat(root, path.Join(dir, "go.mod")); err == nil {
		return fs.SkipDir
	}
	return nil
}

// source is one parsed file.
type source struct {
	name string
	from place
	set  *token.FileSet
	file *ast.File
}

func parse(name string, text []byte) (source, error) {
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, name, text, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return source{}, err
	}
	return source{name, place{path.Dir(name), strings.HasSuffix(name, "_test.go")}, set, file}, nil
}

func (s source) line(p token.Pos) int { return s.set.Position(p).Line }

func (s source) find(p token.Pos, format string, args ...any) Finding {
	return Finding{s.name, s.line(p), fmt.Sprintf(format, args...)}
}

func (h House) checkFile(s source, r *Report) {
	for _, spec := range s.file.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			continue // the parser has accepted it
		}
		if why := h.refuse(s.from, imported); why != "" {
			r.Findings = append(r.Findings, s.find(spec.Pos(), "imports %s: %s", imported, why))
		}
	}
	if s.from.test {
		r.Findings = append(r.Findings, s.sleeps()...)
		return
	}
	r.Findings = append(r.Findings, h.shape(s)...)
	if h.kernel(s.from.dir) {
		r.Findings = append(r.Findings, s.clocks(clockCalls, "a kernel takes now as an argument, and never calls time.%s")...)
	}
	s.documentation(r)
}

// shape checks lengths, and that nothing runs before main.
func (h House) shape(s source) []Finding {
	var out []Finding
	if n := s.line(s.file.FileEnd); n > h.MaxFile {
		out = append(out, s.find(s.file.Package, "%d lines; at most %d", n, h.MaxFile))
	}
	for _, decl := range s.file.Decls {
		f, ok := decl.(*ast.FuncDecl)
		if !ok {
			continue
		}
		if n := s.line(f.End()) - s.line(f.Pos()) + 1; n > h.MaxFunc {
			out = append(out, s.find(f.Pos(), "%s has %d lines; at most %d", f.Name.Name, n, h.MaxFunc))
		}
		if f.Recv == nil && f.Name.Name == "init" {
			out = append(out, s.find(f.Pos(), "func init runs before anybody asked for it"))
		}
	}
	return out
}

// sleeps finds time.Sleep in tests whose file has no synctest bubble.
func (s source) sleeps() []Finding {
	for _, spec := range s.file.Imports {
		if spec.Path.Value == `"testing/synctest"` {
			return nil
		}
	}
	return s.clocks([]string{"Sleep"}, "a test polls with a deadline or runs in a synctest bubble; it does not call time.%s")
}

// clocks finds uses of functions of package time, under whatever name it goes.
func (s source) clocks(names []string, format string) []Finding {
	local := ""
	for _, spec := range s.file.Imports {
		if spec.Path.Value == `"time"` {
			local = "time"
			if spec.Name != nil {
				local = spec.Name.Name
			}
		}
	}
	if local == "" {
		return nil
	}
	var out []Finding
	ast.Inspect(s.file, func(n ast.Node) bool {
		sel, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		if pkg, ok := sel.X.(*ast.Ident); ok && pkg.Name == local && slices.Contains(names, sel.Sel.Name) {
			out = append(out, s.find(sel.Pos(), format, sel.Sel.Name))
		}
		return true
	})
	if local == "." {
		out = append(out, s.find(s.file.Package, "package time goes by its name"))
	}
	return out
}
