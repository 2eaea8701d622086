package upload

import "os"

// Slow has a store wait for a disk of the test's.
func Slow(s *Store, sync func(*os.File) error) { s.sync = sync }
