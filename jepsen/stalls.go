package main

import (
	"sync"
	"time"
)

// stalls knows how long this machine had no time for us: limits on what a cluster takes hold for a
// machine that runs it. A sleep that took too long shows it.
type stalls struct {
	mutex sync.Mutex
	sum   time.Duration
	marks []stallMark
}

type stallMark struct {
	at  time.Time
	sum time.Duration
}

// What waits this often for its turn of a core has to wait for many turns until it is done.
const stallFactor = 20

func (s *stalls) watch() {
	const nap = 10 * time.Millisecond
	for {
		begin := time.Now()
		time.Sleep(nap)
		over := time.Since(begin) - nap - 3*time.Millisecond
		if over > 0 {
			s.mutex.Lock()
			s.sum += over
			s.marks = append(s.marks, stallMark{time.Now(), s.sum})
			s.mutex.Unlock()
		}
	}
}

// since is what limits are longer by, of something that began at an instant.
func (s *stalls) since(begin time.Time) time.Duration {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	var before time.Duration
	for i := len(s.marks) - 1; i >= 0; i-- {
		if s.marks[i].at.Before(begin) {
			before = s.marks[i].sum
			break
		}
	}
	return (s.sum - before) * stallFactor
}

// total is that of the whole run.
func (s *stalls) total() time.Duration { return s.since(time.Time{}) }
