// Package testnet is bad networks for tests: the profiles, links and relays of
// loadtest/impair under one name, Pion on a virtual network in virtual time,
// and Eventually for what happens in processes.
//
// It promises the same profile everywhere: virtual time, loopback and the loss
// matrix share one kernel. Only tests import it.
package testnet
