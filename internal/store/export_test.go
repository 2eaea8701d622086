package store

import (
	"context"
	"database/sql"
	"io/fs"

	"github.com/sluice-live/sluice/media"
)

// SaveAll writes new rows in one transaction: each alone would wait for the disk.
func (s *Store) SaveAll(ctx context.Context, all []media.Asset) error {
	return s.transact(ctx, func(tx *sql.Tx) error {
		for _, a := range all {
			row, err := values(a)
			if err != nil {
				return err
			}
			if err := s.put(ctx, tx, row, 0); err != nil {
				return err
			}
			if err := s.putTerms(ctx, tx, a); err != nil {
				return err
			}
		}
		return nil
	})
}

// Spelled is a migration as a database reads it.
func Spelled(name string, postgres bool) (string, error) {
	words := sqliteWords
	if postgres {
		words = postgresWords
	}
	b, err := fs.ReadFile(spelled{migrations, words}, "migrations/"+name)
	return string(b), err
}
