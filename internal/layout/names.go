package layout

import (
	"go/ast"
	"go/token"
)

// documentation counts exported names and those without a comment.
func (s source) documentation(r *Report) {
	if s.file.Name.Name == "main" {
		return // nobody can import them
	}
	for _, decl := range s.file.Decls {
		switch d := decl.(type) {
		case *ast.FuncDecl:
			if d.Name.IsExported() && exportedReceiver(d) {
				s.count(r, d.Name, d.Doc != nil)
			}
		case *ast.GenDecl:
			s.group(r, d)
		}
	}
}

// group counts the names of one type, const or var declaration. A comment above
// a group of constants or variables speaks for all of them.
func (s source) group(r *Report, d *ast.GenDecl) {
	for _, spec := range d.Specs {
		switch v := spec.(type) {
		case *ast.TypeSpec:
			if v.Name.IsExported() {
				s.count(r, v.Name, v.Doc != nil || v.Comment != nil || d.Doc != nil && !d.Lparen.IsValid())
			}
		case *ast.ValueSpec:
			for _, name := range v.Names {
				if name.IsExported() && d.Tok != token.IMPORT {
					s.count(r, name, v.Doc != nil || v.Comment != nil || d.Doc != nil)
				}
			}
		}
	}
}

func (s source) count(r *Report, name *ast.Ident, documented bool) {
	r.Exported++
	if !documented {
		r.Undocumented = append(r.Undocumented, s.find(name.Pos(), "%s has no comment", name.Name))
	}
}

// exportedReceiver reports whether a function is one, or a method of an
// exported type.
func exportedReceiver(d *ast.FuncDecl) bool {
	if d.Recv == nil || len(d.Recv.List) == 0 {
		return true
	}
	t := d.Recv.List[0].Type
	for {
		switch v := t.(type) {
		case *ast.StarExpr:
			t = v.X
		case *ast.IndexExpr:
			t = v.X
		case *ast.IndexListExpr:
			t = v.X
		case *ast.Ident:
			return v.IsExported()
		default:
			return false
		}
	}
}
