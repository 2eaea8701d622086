package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"
	_ "modernc.org/sqlite"             // the driver "sqlite"
)

// Store is an open database with its tables up to date.
type Store struct {
	// write is the one connection that SQLite may write by; with PostgreSQL both are
	// the same pool.
	write, read *sql.DB
	postgres    bool
}

// SQLite's readers do not wait for its writer (WAL); more of them than this only
// share the same processors.
const sqliteReaders = 8

// A PostgreSQL of default size takes 100 connections, from all nodes together.
const postgresConnections = 16

// Open opens "postgres://…", or a file of SQLite: "sqlite:///path", "file:/path" or a plain
// path. It makes the file and brings the tables up to date.
func Open(ctx context.Context, at string) (*Store, error) {
	s, err := connect(at)
	if err != nil {
		return nil, fmt.Errorf("open the database: %w", err)
	}
	if err := s.migrate(ctx); err != nil {
		_ = s.Close() // the error that matters is the other
		return nil, fmt.Errorf("bring the database's tables up to date: %w", hide(err, at))
	}
	return s, nil
}

func connect(at string) (*Store, error) {
	if strings.HasPrefix(at, "postgres://") || strings.HasPrefix(at, "postgresql://") {
		db, err := sql.Open("pgx", at)
		if err != nil {
			return nil, hide(err, at)
		}
		db.SetMaxOpenConns(postgresConnections)
		db.SetMaxIdleConns(postgresConnections / 2)
		db.SetConnMaxIdleTime(5 * time.Minute)
		return &Store{write: db, read: db, postgres: true}, nil
	}
	path, err := filePath(at)
	if err != nil {
		return nil, err
	}
	return connectSQLite(path)
}

// filePath takes the forms in which a file may be named.
func filePath(at string) (string, error) {
	for _, scheme := range []string{"sqlite://", "sqlite:", "file://", "file:"} {
		if path, ok := strings.CutPrefix(at, scheme); ok {
			at = path
			break
		}
	}
	if scheme, _, ok := strings.Cut(at, "://"); ok {
		return "", fmt.Errorf("%q is no database that is known here: use postgres:// or the path of a file", scheme)
	}
	if at == "" {
		return "", errors.New("the path of a file is needed, or postgres://")
	}
	return at, nil
}

// connectSQLite opens one writer and some readers. FULL makes each commit reach
// the disk before it is acknowledged (sqlite.org/pragma.html#pragma_synchronous).
func connectSQLite(path string) (*Store, error) {
	dsn := func(more ...string) string {
		q := url.Values{"_pragma": append(more, "busy_timeout(10000)", "journal_mode(WAL)", "synchronous(FULL)", "cache_size(-16000)")}
		q.Set("_txlock", "immediate")
		return (&url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath(), RawQuery: q.Encode()}).String()
	}
	write, err := sql.Open("sqlite", dsn())
	if err != nil {
		return nil, err
	}
	write.SetMaxOpenConns(1)
	read, err := sql.Open("sqlite", dsn("query_only(1)"))
	if err != nil {
		_ = write.Close() // the error that matters is the other
		return nil, err
	}
	read.SetMaxOpenConns(sqliteReaders)
	read.SetMaxIdleConns(sqliteReaders)
	return &Store{write: write, read: read}, nil
}

// hide keeps the password of a URL out of errors.
func hide(err error, at string) error {
	u, perr := url.Parse(at)
	if perr != nil || u.User == nil {
		return err
	}
	secret, ok := u.User.Password()
	if !ok || secret == "" || !strings.Contains(err.Error(), secret) {
		return err
	}
	return errors.New(strings.ReplaceAll(err.Error(), secret, "…"))
}

// Close closes the database.
func (s *Store) Close() error {
	err := s.write.Close()
	if s.read != s.write {
		err = errors.Join(err, s.read.Close())
	}
	return err
}

// bind turns the question marks of a statement into what the database reads.
func (s *Store) bind(query string) string {
	if !s.postgres {
		return query
	}
	var b strings.Builder
	n := 0
	for i := range len(query) {
		if query[i] != '?' {
			b.WriteByte(query[i])
			continue
		}
		n++
		b.WriteByte('$')
		b.WriteString(strconv.Itoa(n))
	}
	return b.String()
}

// transact runs fn in one transaction.
func (s *Store) transact(ctx context.Context, fn func(tx *sql.Tx) error) error {
	tx, err := s.write.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if err := fn(tx); err != nil {
		_ = tx.Rollback() // the error that matters is fn's
		return err
	}
	return tx.Commit()
}

func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

func fromMicros(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.UnixMicro(n).UTC()
}
