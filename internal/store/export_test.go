package store

import (
	"context"
	"database/sql"

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
