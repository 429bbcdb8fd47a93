package checker

import (
	"container/heap"
	"fmt"
	"math/rand"
	"sort"

	"clade/jepsen/history"
)

// A simulated store, strictly serializable by construction: each operation has its effect at one
// moment between its invocation and its completion, or, of unknown outcome, later or never. A bug
// of a given name can be put into it; hits counts how often it struck.
type world struct {
	rng      *rand.Rand
	now      int64
	h        history.History
	events   eventHeap
	sequence int
	threads  int
	left     int // operations to begin

	revision int64
	commits  []commit // when each revision was made
	acked    int64    // the highest revision of an answer
	kv       map[string][]stored

	bug  string
	rate float64
	hits int

	gen   func(w *world) simOp
	final func(w *world) []simOp
}

type commit struct{ time, revision int64 }

type stored struct {
	revision int64
	value    any
}

type event struct {
	time int64
	seq  int
	run  func()
}

type eventHeap []event

func (e eventHeap) Len() int { return len(e) }
func (e eventHeap) Less(a, b int) bool {
	return e[a].time < e[b].time || e[a].time == e[b].time && e[a].seq < e[b].seq
}
func (e eventHeap) Swap(a, b int) { e[a], e[b] = e[b], e[a] }
func (e *eventHeap) Push(x any)   { *e = append(*e, x.(event)) }
func (e *eventHeap) Pop() any {
	old := *e
	last := old[len(old)-1]
	*e = old[:len(old)-1]
	return last
}

// An operation to be. Its effect returns the completion; seen is what was acknowledged when it began.
type simOp struct {
	f      string
	value  any
	extra  map[string]any
	write  bool
	ended  func(done history.Op) // told when the operation has ended
	effect func(seen int64) history.Op
}

func newWorld(seed int64, bug string, rate float64) *world {
	return &world{rng: rand.New(rand.NewSource(seed)), kv: map[string][]stored{}, bug: bug, rate: rate}
}

func (w *world) at(time int64, run func()) {
	w.sequence++
	heap.Push(&w.events, event{time, w.sequence, run})
}

const ms = int64(1e6)

func (w *world) delay(mean int64) int64 { return int64(w.rng.ExpFloat64()*float64(mean)) + 1 }

func (w *world) record(op history.Op) {
	op.Index, op.Time = len(w.h), w.now
	op.Value = history.Canonical(op.Value)
	if op.Extra != nil {
		op.Extra = history.Canonical(op.Extra).(map[string]any)
	}
	w.h = append(w.h, op)
	if revision, is := op.Int("revision"); is && op.Type == history.Ok && revision > w.acked {
		w.acked = revision
	}
}

// Runs operations of the workload in threads, then its final reads one after the other.
func (w *world) run(threads, operations int) history.History {
	w.threads, w.left = threads, operations
	for t := 0; t < threads; t++ {
		w.step(t)
	}
	for n := 0; n < 4; n++ {
		w.fault(int64(n+1)*int64(operations)*ms/8, int64(operations)*ms/32)
	}
	w.drain()
	if w.final != nil {
		w.record(history.Op{Type: history.Info, Process: history.Nemesis, F: "heal"})
		bug := w.bug
		for _, op := range w.final(w) {
			w.bug = ""
			if w.rng.Intn(3) > 0 {
				w.bug = bug
			}
			w.begin(threads, op, true)
			w.drain()
		}
	}
	return w.h
}

func (w *world) drain() {
	for len(w.events) > 0 {
		e := heap.Pop(&w.events).(event)
		w.now = e.time
		e.run()
	}
}

func (w *world) fault(begin, length int64) {
	for i, f := range []string{"start-kill", "start-kill", "stop-kill", "stop-kill"} {
		op := history.Op{Type: history.Info, Process: history.Nemesis, F: f}
		if i%2 == 1 {
			op.Value = "node 1"
		}
		w.at(begin+int64(i/2)*length+int64(i)*ms, func() { w.record(op) })
	}
}

func (w *world) step(process int) {
	if w.left == 0 {
		return
	}
	w.left--
	w.at(w.now+w.delay(3*ms), func() { w.begin(process, w.gen(w), false) })
}

func (w *world) begin(process int, op simOp, sure bool) {
	w.record(history.Op{Type: history.Invoke, Process: process, F: op.f, Value: op.value, Extra: op.extra})
	seen := w.acked
	var done history.Op
	end := func() {
		done.Process, done.F = process, op.f
		w.record(done)
		if op.ended != nil {
			op.ended(done)
		}
		if done.Type == history.Info {
			process += w.threads + 1
		}
		if !sure {
			w.step(process)
		}
	}
	effect := w.now + w.delay(2*ms)
	back := effect + w.delay(2*ms)
	chance := w.rng.Float64()
	failing := 0.06
	if w.bug == "failed-write-seen" {
		failing = 0.2
	}
	switch {
	case sure || chance >= failing:
		w.at(effect, func() { done = op.effect(seen) })
	case !op.write || chance >= 0.03:
		done = history.Op{Type: history.Fail, Value: op.value, Error: "RETRY: no leader"}
		if w.hit("failed-write-seen") && op.write {
			w.at(effect, func() { op.effect(seen) })
		}
	default:
		done = history.Op{Type: history.Info, Value: op.value, Error: "LOST: the connection broke"}
		if late := w.rng.Intn(3); late < 2 {
			w.at(effect+int64(late)*w.delay(100*ms), func() { op.effect(seen) })
		}
	}
	w.at(back, end)
}

// Whether the bug is this one and strikes now.
func (w *world) hit(bug string) bool {
	if w.bug != bug || w.rng.Float64() >= w.rate {
		return false
	}
	w.hits++
	return true
}

// --- the store ---

func (w *world) get(key string, revision int64) any {
	list := w.kv[key]
	at := sort.Search(len(list), func(i int) bool { return list[i].revision > revision })
	if at == 0 {
		return nil
	}
	return list[at-1].value
}

func (w *world) commit() int64 {
	w.revision++
	w.commits = append(w.commits, commit{w.now, w.revision})
	return w.revision
}

// Sets a key as part of the current revision.
func (w *world) put(key string, value any) {
	w.kv[key] = append(w.kv[key], stored{w.revision, value})
}

// The revision that was current at a time.
func (w *world) revisionAt(time int64) int64 {
	at := sort.Search(len(w.commits), func(i int) bool { return w.commits[i].time > time })
	if at == 0 {
		return 0
	}
	return w.commits[at-1].revision
}

// A level for a read, and the revision at which it is answered: the current one where the level is
// linearizable, else a random one that the level allows.
func (w *world) level() (map[string]any, func() int64) {
	between := func(low int64) int64 {
		if low < 0 {
			low = 0
		}
		if low >= w.revision {
			return w.revision
		}
		return low + w.rng.Int63n(w.revision-low+1)
	}
	switch w.rng.Intn(4) {
	case 0:
		return map[string]any{"level": "local"}, func() int64 { return between(w.revision - 20) }
	case 1:
		bound := 20 * (1 + w.rng.Int63n(5))
		return map[string]any{"level": "stale", "stale_ms": bound}, func() int64 {
			low := w.revisionAt(w.now - bound*ms)
			if w.hit("too-stale") {
				low = w.revisionAt(w.now - 4*bound*ms)
				return low
			}
			return between(low)
		}
	case 2:
		low := w.acked
		return map[string]any{"level": "at_least", "at_least": low}, func() int64 {
			if w.hit("below-at-least") {
				return between(low - 10)
			}
			return between(low)
		}
	}
	return map[string]any{"level": "linearizable"}, func() int64 { return w.revision }
}

func okOp(value any, revision int64, extra map[string]any) history.Op {
	all := map[string]any{"revision": revision, "node": 1}
	for k, v := range extra {
		all[k] = v
	}
	return history.Op{Type: history.Ok, Value: value, Extra: all}
}

// A revision some way below what was acknowledged when the operation began.
func (w *world) old(seen int64, most int64) int64 {
	old := seen - 1 - w.rng.Int63n(most)
	if old < 0 {
		return 0
	}
	return old
}

func key(name string, k any) string { return fmt.Sprint(name, k) }
