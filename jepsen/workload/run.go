package workload

import (
	"fmt"
	"math/rand"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"clade/jepsen/history"
	"clade/jepsen/wire"
)

// Workload is one kind of work. Steps run in several threads at once.
type Workload interface {
	// Setup makes what must be there; it may be called again after an error.
	Setup(c *Client) error
	// Step does one operation, or a few that belong together.
	Step(t *Thread)
	// Final reads everything of one node, once all is healed.
	Final(t *Thread)
	// Think is the mean pause between a thread's steps.
	Think() time.Duration
}

// Thread is one client's line of operations.
type Thread struct {
	*history.Thread
	*Client
	Rand *rand.Rand
	seen int64 // the highest revision that it was answered
	own  any   // what the workload keeps for the thread
	// One that mostly reads, and roams: whoever writes waits for a leader where there is none, and
	// sees nothing of what a node tells its readers meanwhile.
	reads bool
	run   *Run
}

// do records an operation, and remembers the revision of its answer.
func (t *Thread) do(f string, value any, run func() history.Op) history.Op {
	begin := time.Now().UnixNano()
	op := t.Do(f, value, run)
	if op.Type == history.Ok {
		t.run.noteGood(begin)
	} else if strings.HasPrefix(op.Error, "NOT_SENT") {
		time.Sleep(30 * time.Millisecond) // a node that is down refuses thousands a second
	}
	if r, is := op.Extra["revision"].(int64); is && op.Type == history.Ok && r > t.seen {
		t.seen = r
	}
	return op
}

// makers of all workloads, in the order in which they are told of.
var makers = []struct {
	name string
	make func() Workload
}{
	{"register", newRegister},
	{"append", newAppend},
	{"versions", newVersions},
	{"creates", newCreates},
	{"set", newSet},
	{"lineage", newLineage},
	{"bank", newBank},
	{"long-fork", newLongFork},
	{"stale", newStale},
	{"as-of", newAsOf},
	{"sessions", newSessions},
	{"cursors", newCursors},
	{"watch", newWatch},
}

// Names are those of all workloads.
func Names() []string {
	var names []string
	for _, m := range makers {
		names = append(names, m.name)
	}
	return names
}

// Run is one workload under way.
type Run struct {
	Name     string
	Recorder *history.Recorder
	world    World
	workload Workload
	seed     int64
	threads  int
	stop     int32
	group    sync.WaitGroup
	good     int64 // when the newest operation that succeeded began, in ns since 1970
}

// New prepares a workload; it gets its seed from the run's and its name.
func New(name string, world World, recorder *history.Recorder, seed int64, threads int) (*Run, error) {
	for i, m := range makers {
		if m.name == name {
			return &Run{Name: name, Recorder: recorder, world: world, workload: m.make(),
				seed: seed*1000 + int64(i), threads: threads}, nil
		}
	}
	return nil, fmt.Errorf("no workload '%s'; there are %v", name, Names())
}

func (r *Run) namespace() string { return "w-" + r.Name }

func (r *Run) client(seed int64) *Client {
	return &Client{world: r.world, rand: rand.New(rand.NewSource(seed)), namespace: r.namespace()}
}

// Setup makes the workload's namespace and what it needs.
func (r *Run) Setup() error {
	c := r.client(r.seed)
	defer c.drop()
	deadline := time.Now().Add(30 * time.Second)
	for {
		_, err := c.call("txn", wire.Map{"command": wire.Command("", nil,
			wire.Create("namespace", r.namespace(), "if_exists", "match"))})
		if err == nil {
			err = r.workload.Setup(c)
		}
		if err == nil {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%s: setup: %w", r.Name, err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// Start starts its threads.
func (r *Run) Start() {
	for i := 0; i < r.threads; i++ {
		// One more, for the final reads.
		t := &Thread{Thread: r.Recorder.NewThread(i, r.threads+1), Client: r.client(r.seed + int64(i)*7919), run: r}
		t.Rand = t.Client.rand
		t.roams = 1
		if t.reads = i%2 == 0 && r.threads > 1; t.reads {
			t.roams = 10
		}
		r.group.Add(1)
		go r.loop(t)
	}
}

func (r *Run) loop(t *Thread) {
	defer r.group.Done()
	defer t.drop()
	for atomic.LoadInt32(&r.stop) == 0 {
		r.workload.Step(t)
		pause := time.Duration(t.Rand.ExpFloat64() * float64(r.workload.Think()))
		if most := 5 * r.workload.Think(); pause > most {
			pause = most
		}
		time.Sleep(pause)
	}
}

func (r *Run) noteGood(begin int64) {
	for {
		old := atomic.LoadInt64(&r.good)
		if begin <= old || atomic.CompareAndSwapInt64(&r.good, old, begin) {
			return
		}
	}
}

// LastGood is when the newest operation that succeeded began.
func (r *Run) LastGood() time.Time { return time.Unix(0, atomic.LoadInt64(&r.good)) }

// Stop ends its threads, when their operations have ended.
func (r *Run) Stop() {
	atomic.StoreInt32(&r.stop, 1)
	r.group.Wait()
}

// Final reads everything of each node.
func (r *Run) Final() {
	thread := r.Recorder.NewThread(r.threads, r.threads+1)
	for _, address := range r.world.Addresses() {
		t := &Thread{Thread: thread, Client: r.client(r.seed - 1), run: r}
		t.Rand = t.Client.rand
		t.Client.pinned = address
		r.workload.Final(t)
		t.drop()
	}
}

// finally repeats a read until it is answered: after everything is healed it must be.
func finally(run func() history.Op) func() history.Op { return finallyOr("")(run) }

// finallyOr is finally, but takes a failure of that class for an answer.
func finallyOr(class string) func(func() history.Op) func() history.Op {
	return func(run func() history.Op) func() history.Op {
		return func() history.Op {
			deadline := time.Now().Add(20 * time.Second)
			for {
				op := run()
				fails := op.Type == history.Fail && strings.HasPrefix(op.Error, class+":")
				if op.Type == history.Ok || (class != "" && fails) || time.Now().After(deadline) {
					return op
				}
				time.Sleep(50 * time.Millisecond)
			}
		}
	}
}
