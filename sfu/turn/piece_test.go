package turn

import (
	"io"
	"net"
)

// piece is a connection that holds one message.
type piece struct {
	net.Conn
	b []byte
}

func (p *piece) Read(b []byte) (int, error) {
	if len(p.b) == 0 {
		return 0, io.EOF
	}
	n := copy(b, p.b)
	p.b = p.b[n:]
	return n, nil
}
func (p *piece) RemoteAddr() net.Addr { return &net.TCPAddr{} }
