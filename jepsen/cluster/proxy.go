package cluster

import (
	"fmt"
	"math/rand"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// slowProxy carries connections between nodes that nftables redirects to it, and holds back what
// they say, each piece for a random time.
type slowProxy struct {
	listener net.Listener
	port     int
	minNs    int64
	spanNs   int64
	held     int64 // pieces so far

	mutex sync.Mutex
	conns map[net.Conn]bool
}

func newSlowProxy() (*slowProxy, error) {
	listener, err := net.Listen("tcp4", "0.0.0.0:0")
	if err != nil {
		return nil, err
	}
	p := &slowProxy{listener: listener, port: listener.Addr().(*net.TCPAddr).Port, conns: map[net.Conn]bool{}}
	go p.accept()
	return p, nil
}

// set says how long pieces are held from now on.
func (p *slowProxy) set(min, max time.Duration) {
	atomic.StoreInt64(&p.minNs, int64(min))
	atomic.StoreInt64(&p.spanNs, int64(max-min)+1)
}

// endAll ends every connection, so that nodes connect anew, past the proxy or through it.
func (p *slowProxy) endAll() {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	for c := range p.conns {
		_ = c.Close()
	}
	p.conns = map[net.Conn]bool{}
}

func (p *slowProxy) keep(c net.Conn) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.conns[c] = true
}

func (p *slowProxy) accept() {
	for {
		in, err := p.listener.Accept()
		if err != nil {
			return
		}
		go p.serve(in.(*net.TCPConn))
	}
}

func (p *slowProxy) serve(in *net.TCPConn) {
	defer in.Close()
	to, err := originalDestination(in)
	if err != nil {
		return
	}
	out, err := net.DialTimeout("tcp4", to, time.Second)
	if err != nil {
		return
	}
	defer out.Close()
	p.keep(in)
	p.keep(out)
	done := make(chan struct{}, 2)
	go p.carry(in, out, done)
	go p.carry(out, in, done)
	<-done
}

type piece struct {
	bytes []byte
	due   time.Time
}

// carry carries one direction, in order.
func (p *slowProxy) carry(from, to net.Conn, done chan<- struct{}) {
	defer func() { done <- struct{}{} }()
	pieces := make(chan piece, 4096)
	go func() {
		defer close(pieces)
		for {
			b := make([]byte, 64<<10)
			n, err := from.Read(b)
			if err != nil {
				return
			}
			wait := atomic.LoadInt64(&p.minNs) + rand.Int63n(atomic.LoadInt64(&p.spanNs)+1)
			pieces <- piece{b[:n], time.Now().Add(time.Duration(wait))}
			atomic.AddInt64(&p.held, 1)
		}
	}()
	for one := range pieces {
		time.Sleep(time.Until(one.due))
		if _, err := to.Write(one.bytes); err != nil {
			_ = from.Close()
			for range pieces { // until the reader has noticed
			}
			return
		}
	}
}

// originalDestination is where a redirected connection was going: SO_ORIGINAL_DST, a sockaddr_in.
func originalDestination(c *net.TCPConn) (string, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return "", err
	}
	const soOriginalDst = 80
	var to string
	var failed error
	err = raw.Control(func(fd uintptr) {
		// A structure of 20 bytes, of which the kernel fills 16.
		a, err := syscall.GetsockoptIPv6Mreq(int(fd), syscall.IPPROTO_IP, soOriginalDst)
		if err != nil {
			failed = err
			return
		}
		b := a.Multiaddr
		to = fmt.Sprintf("%d.%d.%d.%d:%d", b[4], b[5], b[6], b[7], int(b[2])<<8|int(b[3]))
	})
	if err == nil {
		err = failed
	}
	return to, err
}
