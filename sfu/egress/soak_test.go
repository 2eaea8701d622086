//go:build soak

package egress

import "testing"

// 24 million packets, each held against what was sent: none corrupt, none to the
// wrong viewer, no number sealed twice. Under the race detector it takes some ten
// minutes: go test -race -tags soak -timeout 0 -run 24Million ./sfu/egress
func TestTrafficArrivesWhole24Million(t *testing.T) {
	push(t, func(packets int) bool { return packets >= 12_000_000 })
}
