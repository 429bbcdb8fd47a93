package cluster

import (
	"bytes"
	"io"
	"net"
	"testing"
	"time"
)

func TestTheProxyHoldsBackAndKeepsTheOrder(t *testing.T) {
	p := &slowProxy{conns: map[net.Conn]bool{}}
	p.set(20*time.Millisecond, 40*time.Millisecond)
	here, in := net.Pipe()
	out, there := net.Pipe()
	done := make(chan struct{}, 1)
	go p.carry(in, out, done)
	sent := []byte("abcdefghijklmnopqrstuvwxyz")
	begin := time.Now()
	go func() {
		for _, b := range sent {
			_, _ = here.Write([]byte{b})
		}
		_ = here.Close()
	}()
	got := make([]byte, len(sent))
	if _, err := io.ReadFull(there, got); err != nil || !bytes.Equal(got, sent) {
		t.Fatalf("%q, %v", got, err)
	}
	if took := time.Since(begin); took < 20*time.Millisecond {
		t.Errorf("it took %v", took)
	}
	<-done
	if p.held != int64(len(sent)) {
		t.Errorf("%d pieces held", p.held)
	}
}
