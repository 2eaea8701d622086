//go:build !linux

package view

import (
	"errors"
	"net/netip"
	"time"
)

// poller needs Linux: epoll, recvmmsg and SO_TIMESTAMPNS.
type poller struct{}

func newPoller(bool) (*poller, error) {
	return nil, errors.New("light viewers need Linux; full viewers run everywhere")
}

func (*poller) close()                                      {}
func (*poller) wake()                                       {}
func (*poller) open(netip.AddrPort) (int, error)            { return -1, errors.ErrUnsupported }
func (*poller) add(int) error                               { return errors.ErrUnsupported }
func (*poller) drop(int)                                    {}
func (*poller) ignore(int)                                  {}
func (*poller) wait(time.Duration, bool, func(int)) error   { return errors.ErrUnsupported }
func (*poller) read(int, func(b []byte, at Instant)) uint32 { return 0 }
func (*poller) send(int, []byte) error                      { return errors.ErrUnsupported }
