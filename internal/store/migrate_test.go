package store_test

import (
	"database/sql"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/pressly/goose/v3"

	"github.com/sluice-live/sluice/internal/store"
)

var notes = regexp.MustCompile(`--[^+\n][^+\n].*`)

// plain is SQL without comments and white space that mean nothing.
func plain(text string) string {
	text = strings.Join(strings.Fields(notes.ReplaceAllString(text, "")), " ")
	return strings.ReplaceAll(text, ") ;", ");")
}

// The migrations of both databases, which were written twice, are still what they were:
// testdata has them.
func TestMigrationsAreWhatTheyWere(t *testing.T) {
	for name, postgres := range map[string]bool{"sqlite.sql": false, "postgres.sql": true} {
		was, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		is, err := store.Spelled("00001_assets.sql", postgres)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := plain(is), plain(string(was)); got != want {
			t.Errorf("%s was\n%s\nand is\n%s", name, want, got)
		}
		if strings.Contains(is, "{") {
			t.Errorf("%s: a word is not known", name)
		}
	}
}

// A database that the old migrations made opens, and nothing is made again; one that
// the new ones make has the same tables.
func TestADatabaseOfTheOldMigrationsOpens(t *testing.T) {
	old, fresh := filepath.Join(t.TempDir(), "old.db"), filepath.Join(t.TempDir(), "fresh.db")
	b, err := os.ReadFile("testdata/sqlite.sql")
	if err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", old)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	p, err := goose.NewProvider(goose.DialectSQLite3, db, fstest.MapFS{"00001_assets.sql": {Data: b}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Up(t.Context()); err != nil {
		t.Fatal(err)
	}
	s := sqlite(t, old)
	save(t, s, full("a"))
	if _, err := s.Asset(t.Context(), "a"); err != nil {
		t.Error(err)
	}
	sqlite(t, fresh)
	was, is := tables(t, old), tables(t, fresh)
	if !slices.Equal(was, is) || len(was) < 12 {
		t.Errorf("tables were\n%q\nand are\n%q", was, is)
	}
}

// tables is what a file holds, and which migrations made it.
func tables(t *testing.T, path string) (all []string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	rows, err := db.Query(`SELECT sql FROM sqlite_master WHERE sql IS NOT NULL UNION ALL SELECT 'version ' || version_id FROM goose_db_version`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			t.Fatal(err)
		}
		all = append(all, plain(text))
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	slices.Sort(all)
	return all
}
