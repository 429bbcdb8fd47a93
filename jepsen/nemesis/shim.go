package nemesis

import (
	"fmt"
	"sync"
	"syscall"
	"time"

	"clade/jepsen/cluster"
)

// What the preloaded library does to single nodes: errors of the disk, a slow disk, a wrong clock.

func init() {
	register(
		Kind{Name: "clock-jump", What: "times asked while wrong", make: func() Fault {
			return &shimmed{which: "some", counts: []int{cluster.ClockAsked}, set: jump, again: jump}
		}},
		Kind{Name: "clock-drift", What: "times asked while wrong", make: func() Fault {
			return &shimmed{which: "some", counts: []int{cluster.ClockAsked}, set: drift}
		}},
		Kind{Name: "sync-error", What: "syncs failed", make: func() Fault {
			return &shimmed{which: "minority", mayEnd: "its disk fails", counts: []int{cluster.SyncsFailed},
				set: func(w *World, s *cluster.Shim) string {
					s.Set(cluster.PerMille, int64(100+w.Rand.Intn(900)))
					s.Set(cluster.SyncErrno, int64(syscall.EIO))
					return "EIO"
				}}
		}},
		Kind{Name: "write-error", What: "writes failed", make: func() Fault {
			return &shimmed{which: "minority", mayEnd: "its disk fails", counts: []int{cluster.WritesFailed},
				set: func(w *World, s *cluster.Shim) string {
					s.Set(cluster.PerMille, int64(100+w.Rand.Intn(900)))
					s.Set(cluster.WriteErrno, int64(syscall.EIO))
					return "EIO"
				}}
		}},
		Kind{Name: "slow-disk", What: "calls delayed", make: func() Fault {
			return &shimmed{which: "some", counts: []int{cluster.Delayed},
				set: func(w *World, s *cluster.Shim) string {
					ms := int64(10 + w.Rand.Intn(190))
					s.Set(cluster.SyncDelayUs, ms*1000)
					s.Set(cluster.WriteDelayUs, ms*100)
					return fmt.Sprintf("%d ms a sync", ms)
				}}
		}},
	)
}

// shimmed tells the shims of some nodes something for a while.
type shimmed struct {
	which  string
	mayEnd string
	counts []int
	set    func(w *World, s *cluster.Shim) string
	again  func(w *World, s *cluster.Shim) string // now and then while it lasts

	nodes  []*cluster.Node
	before []int64
	hits   int64
	stop   chan struct{}
	group  sync.WaitGroup
}

func (f *shimmed) Begin(w *World) (string, error) {
	which := f.which
	if which == "some" {
		which = []string{"one", "leader", "minority", "majority", "all"}[w.Rand.Intn(5)]
	} else if w.Rand.Intn(2) == 0 {
		which = "leader"
	}
	f.nodes = w.pick(which)
	f.before = nil
	what := ""
	for _, n := range f.nodes {
		f.before = append(f.before, f.sum(n))
		if f.mayEnd != "" {
			n.MayEnd(f.mayEnd)
		}
		what = f.set(w, n.Shim)
	}
	f.stop = make(chan struct{})
	if f.again != nil {
		f.group.Add(1)
		go f.repeat(w)
	}
	return fmt.Sprintf("nodes %s: %s", ids(f.nodes), what), nil
}

func (f *shimmed) repeat(w *World) {
	defer f.group.Done()
	for {
		select {
		case <-f.stop:
			return
		case <-time.After(300 * time.Millisecond):
		}
		for _, n := range f.nodes {
			f.again(w, n.Shim)
		}
	}
}

func (f *shimmed) sum(n *cluster.Node) int64 {
	var sum int64
	for _, slot := range f.counts {
		sum += n.Shim.Get(slot)
	}
	return sum
}

func (f *shimmed) End(*World) error {
	close(f.stop)
	f.group.Wait()
	for i, n := range f.nodes {
		f.hits += f.sum(n) - f.before[i]
		n.Shim.Calm()
	}
	return nil
}

func (f *shimmed) Hits() int64 { return f.hits }

// jump moves a clock by milliseconds to days, to either side.
func jump(w *World, s *cluster.Shim) string {
	spans := []time.Duration{50 * time.Millisecond, 2 * time.Second, 8 * time.Second, time.Hour, 48 * time.Hour}
	by := time.Duration(w.Rand.Int63n(int64(spans[w.Rand.Int63n(int64(len(spans)))])))
	if w.Rand.Int63n(2) == 0 {
		by = -by
	}
	s.Set(cluster.ClockOffsetNs, int64(by))
	return by.String()
}

func drift(w *World, s *cluster.Shim) string {
	ppm := w.Rand.Int63n(400000) - 200000
	s.DriftFromNow(ppm)
	return fmt.Sprintf("%d ppm", ppm)
}
