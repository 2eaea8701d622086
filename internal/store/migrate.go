package store

import (
	"bytes"
	"context"
	"embed"
	"io/fs"
	"strings"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

//go:embed migrations
var migrations embed.FS

// What the databases spell differently in migrations. Text that is compared is compared
// byte by byte in both: cursors and prefixes rely on it.
var (
	sqliteWords = strings.NewReplacer("{{key}}", "TEXT", "{{int}}", "INTEGER", "{{bit}}", "INTEGER",
		"{{serial}}", "INTEGER PRIMARY KEY AUTOINCREMENT", "{{keyed}}", "WITHOUT ROWID")
	postgresWords = strings.NewReplacer("{{key}}", `TEXT COLLATE "C"`, "{{int}}", "BIGINT", "{{bit}}", "SMALLINT",
		"{{serial}}", "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY", "{{keyed}}", "")
)

// migrate brings the tables up to date.
func (s *Store) migrate(ctx context.Context) error {
	dialect, words := goose.DialectSQLite3, sqliteWords
	var options []goose.ProviderOption
	if s.postgres {
		dialect, words = goose.DialectPostgres, postgresWords
		// Nodes that start at the same time wait for each other.
		locker, err := lock.NewPostgresSessionLocker()
		if err != nil {
			return err
		}
		options = append(options, goose.WithSessionLocker(locker))
	}
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	p, err := goose.NewProvider(dialect, s.write, spelled{files, words}, options...)
	if err != nil {
		return err
	}
	_, err = p.Up(ctx)
	return err
}

// spelled are files in the words of one database.
type spelled struct {
	files fs.FS
	words *strings.Replacer
}

// Open opens a file with its words replaced; folders as they are.
func (s spelled) Open(name string) (fs.File, error) {
	f, err := s.files.Open(name)
	if err != nil {
		return nil, err
	}
	if info, err := f.Stat(); err != nil || info.IsDir() {
		return f, err
	}
	b, err := fs.ReadFile(s.files, name)
	if err != nil {
		_ = f.Close() // embedded
		return nil, err
	}
	return &spelledFile{f, bytes.NewReader([]byte(s.words.Replace(string(b))))}, nil
}

// spelledFile is such a file. Its Stat tells the size before.
type spelledFile struct {
	fs.File
	text *bytes.Reader
}

// Read reads the replaced text.
func (f *spelledFile) Read(b []byte) (int, error) { return f.text.Read(b) }
