package cluster

import (
	"os"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"
)

// What a node's shim is told and what it counts; the same table stands in shim/shim.c.
const (
	SyncErrno = iota
	WriteErrno
	PerMille
	SyncDelayUs
	WriteDelayUs
	ClockOffsetNs
	ClockDriftPpm
	ClockDriftFromNs
	SyncsFailed = iota + 8
	WritesFailed
	Delayed
	ClockAsked
	Syncs
	Writes
	shimSlots = 32
)

// Shim is the page that this process shares with one node's shim. It outlives the node's process.
type Shim struct {
	slots *[shimSlots]int64
}

func newShim(path string) (*Shim, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	if err := file.Truncate(8 * shimSlots); err != nil {
		return nil, err
	}
	b, err := syscall.Mmap(int(file.Fd()), 0, 8*shimSlots, syscall.PROT_READ|syscall.PROT_WRITE,
		syscall.MAP_SHARED)
	if err != nil {
		return nil, err
	}
	return &Shim{(*[shimSlots]int64)(unsafe.Pointer(&b[0]))}, nil
}

// Set tells the shim something.
func (s *Shim) Set(slot int, value int64) { atomic.StoreInt64(&s.slots[slot], value) }

// Get reads a slot.
func (s *Shim) Get(slot int) int64 { return atomic.LoadInt64(&s.slots[slot]) }

// DriftFromNow lets the node's clock gain so many millionths from now on.
func (s *Shim) DriftFromNow(ppm int64) {
	s.Set(ClockDriftFromNs, time.Now().UnixNano())
	s.Set(ClockDriftPpm, ppm)
}

// Calm takes back all that the shim was told; its counts stay.
func (s *Shim) Calm() {
	for i := 0; i < SyncsFailed; i++ {
		s.Set(i, 0)
	}
}
