package testnet

import (
	"testing"
	"time"
)

// patience is how long Eventually waits: processes on a busy machine are slow,
// and a test that will fail may take its time.
const patience = time.Minute

// Eventually polls until ok, and fails the test when that takes too long.
func Eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	Within(t, patience, what, ok)
}

// Within is Eventually with another patience. In a synctest bubble it waits in
// virtual time.
func Within(t testing.TB, patience time.Duration, what string, ok func() bool) {
	t.Helper()
	end := time.Now().Add(patience)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		if !time.Now().Before(end) {
			t.Fatalf("in %v not: %s", patience, what)
		}
		<-tick.C
	}
}
