package hls

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http/httputil"
	"net/url"
	"os"
	"strconv"
	"sync"
	"time"
)

// line is one HTTP/1.1 connection that is kept, for one request at a time. A crowd that
// shares a machine with the server must not cost more than the server does:
// http.Transport takes three goroutines and some 60 allocations for a request.
type line struct {
	crowd *Crowd
	conn  net.Conn
	in    *bufio.Reader
	out   []byte
}

// Limits of an answer's head: more lines, or a longer one than the reader has room for,
// are no answer.
const (
	maxHead  = 64
	headRoom = 4 << 10
)

var errHead = errors.New("the answer's head is none of HTTP/1.1")

// buffers are where bodies are read into, by whoever reads just now.
var buffers = sync.Pool{New: func() any { return new([256 << 10]byte) }}

// get asks, and returns what came, nil unless it is to be kept, and its size.
func (l *line) get(ctx context.Context, from *url.URL, limit int64, keep bool) (text []byte, size int64, err error) {
	for {
		used := l.conn != nil
		if !used {
			if err := l.dial(ctx, from); err != nil {
				return nil, 0, err
			}
		}
		asked, err := l.ask(from)
		if err != nil && used && !asked && !errors.Is(err, os.ErrDeadlineExceeded) {
			l.close() // the other side has given it up meanwhile
			continue
		}
		if err == nil {
			text, size, err = l.take(limit, keep)
		}
		if err != nil {
			l.close()
		}
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return text, size, err
	}
}

func (l *line) dial(ctx context.Context, to *url.URL) error {
	host := to.Host
	if to.Port() == "" {
		host = net.JoinHostPort(to.Hostname(), to.Scheme)
	}
	dialer := &net.Dialer{Timeout: patience}
	var err error
	if to.Scheme == "https" {
		l.conn, err = (&tls.Dialer{NetDialer: dialer}).DialContext(ctx, "tcp", host)
	} else {
		l.conn, err = dialer.DialContext(ctx, "tcp", host)
	}
	if err != nil {
		l.conn = nil
		return err
	}
	if l.in == nil {
		l.in = bufio.NewReaderSize(l.conn, headRoom)
	} else {
		l.in.Reset(l.conn)
	}
	if !l.crowd.holds(l.conn) {
		l.close()
		return context.Canceled
	}
	return nil
}

func (l *line) close() {
	if l.conn == nil {
		return
	}
	l.crowd.lets(l.conn)
	_ = l.conn.Close() // it is given up
	l.conn = nil
}

// ask sends the request and waits for the first byte. It reports whether there was one.
func (l *line) ask(from *url.URL) (bool, error) {
	if err := l.conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return false, err
	}
	l.out = append(append(append(l.out[:0], "GET "...), from.RequestURI()...), " HTTP/1.1\r\nHost: "...)
	l.out = append(append(l.out, from.Host...), "\r\n"...)
	if token := l.crowd.cfg.Token; token != "" {
		l.out = append(append(append(l.out, "Authorization: Bearer "...), token...), "\r\n"...)
	}
	if _, err := l.conn.Write(append(l.out, "\r\n"...)); err != nil {
		return false, err
	}
	_, err := l.in.Peek(1)
	return err == nil, err
}

// take reads an answer.
func (l *line) take(limit int64, keep bool) (text []byte, size int64, err error) {
	status, length, last, err := readHead(l.in)
	if err != nil {
		return nil, 0, err
	}
	if status != 200 {
		l.close() // its body is not read
		return nil, 0, statusError{status}
	}
	if length > limit {
		return nil, 0, errTooLong
	}
	var body io.Reader = &io.LimitedReader{R: l.in, N: length}
	if length < 0 {
		body = io.LimitReader(httputil.NewChunkedReader(l.in), limit+1)
	}
	if keep {
		var b bytes.Buffer
		b.Grow(int(max(length+bytes.MinRead, headRoom)))
		size, err = b.ReadFrom(body)
		text = b.Bytes()
	} else {
		size, err = drop(body)
	}
	switch {
	case err != nil:
		return nil, 0, err
	case size > limit:
		return nil, 0, errTooLong
	case size < length:
		return nil, 0, io.ErrUnexpectedEOF
	case length < 0:
		if err := l.trailer(); err != nil {
			return nil, 0, err
		}
	}
	if last {
		l.close()
	}
	return text, size, nil
}

// trailer reads what follows the last chunk: an empty line, here.
func (l *line) trailer() error {
	b, err := l.in.ReadSlice('\n')
	if err == nil && len(bytes.TrimSpace(b)) > 0 {
		return errHead
	}
	return err
}

// drop reads to the end.
func drop(from io.Reader) (size int64, err error) {
	b := buffers.Get().(*[256 << 10]byte)
	defer buffers.Put(b)
	for {
		n, err := from.Read(b[:])
		size += int64(n)
		if err == io.EOF {
			return size, nil
		}
		if err != nil {
			return size, err
		}
	}
}

// readHead reads the status line and the header fields: of them the length of the body,
// negative when it comes in chunks, and whether it is the last answer on this connection.
func readHead(in *bufio.Reader) (status int, length int64, last bool, err error) {
	first, err := in.ReadSlice('\n')
	if err != nil {
		return 0, 0, false, err
	}
	if len(first) < len("HTTP/1.1 200") || !bytes.HasPrefix(first, []byte("HTTP/1.1 ")) {
		return 0, 0, false, errHead
	}
	if status, err = strconv.Atoi(string(first[9:12])); err != nil {
		return 0, 0, false, errHead
	}
	sized := false
	for range maxHead {
		field, err := in.ReadSlice('\n')
		if err != nil {
			return 0, 0, false, fmt.Errorf("read the answer's head: %w", err)
		}
		name, value, ok := bytes.Cut(bytes.TrimRight(field, "\r\n"), []byte(":"))
		value = bytes.TrimSpace(value)
		switch {
		case len(name) == 0 && !ok:
			if !sized && status == 200 {
				return 0, 0, false, errHead // a body to the connection's end: no server that is measured does so
			}
			return status, length, last, nil
		case bytes.EqualFold(name, []byte("Content-Length")):
			n, err := strconv.ParseUint(string(value), 10, 62)
			if err != nil {
				return 0, 0, false, errHead
			}
			length, sized = int64(n), true
		case bytes.EqualFold(name, []byte("Transfer-Encoding")):
			length, sized = -1, true
		case bytes.EqualFold(name, []byte("Connection")):
			last = bytes.EqualFold(value, []byte("close"))
		}
	}
	return 0, 0, false, errHead
}
