package workload

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"clade/jepsen/history"
	"clade/jepsen/wire"
)

// What reads of each level may miss: long fork, stale reads, answers as of a revision.

func plainly(run func() history.Op) func() history.Op { return run }

// longFork writes each key once and reads groups of keys.
type longFork struct{ next int64 }

const forkGroup = 3

func newLongFork() Workload { return &longFork{} }

func (w *longFork) Setup(*Client) error  { return nil }
func (w *longFork) Think() time.Duration { return 10 * time.Millisecond }

func (w *longFork) Step(t *Thread) {
	if !t.reads && t.Rand.Intn(2) == 0 {
		k := atomic.AddInt64(&w.next, 1) - 1
		value := []any{[]any{history.Keyword("w"), k, int64(1)}}
		t.do("write", value, func() history.Op {
			answer, err := t.txn(nil, wire.Create("artifact", fmt.Sprintf("f%d", k)))
			if err != nil {
				return noWrite(err, value)
			}
			return wrote(answer, value)
		})
		return
	}
	w.read(t, atomic.LoadInt64(&w.next)/forkGroup-t.Rand.Int63n(2), t.anyLevel(), plainly)
}

func (w *longFork) read(t *Thread, group int64, l Level, how func(func() history.Op) func() history.Op) {
	if group < 0 {
		return
	}
	var refs []string
	var asked []any
	for i := int64(0); i < forkGroup; i++ {
		refs = append(refs, fmt.Sprintf("artifact/f%d", group*forkGroup+i))
		asked = append(asked, []any{microRead, group*forkGroup + i, nil})
	}
	t.do("read", asked, how(func() history.Op {
		list, answer, err := t.get(l, refs...)
		if err != nil {
			return noRead(err, asked)
		}
		var got []any
		for i, thing := range list {
			var v any
			if !thing.Missing {
				v = int64(1)
			}
			got = append(got, []any{microRead, group*forkGroup + int64(i), v})
		}
		return read(l, answer, got)
	}))
}

func (w *longFork) Final(t *Thread) {
	last := atomic.LoadInt64(&w.next) / forkGroup
	for group := last - 3; group <= last; group++ {
		w.read(t, group, linearizable, finally)
	}
}

// stale writes rising values and reads them at every level.
type stale struct {
	value int64
	slots [4]struct {
		mutex sync.Mutex
		key   int64
	}
	keys int64
}

func newStale() Workload {
	w := &stale{}
	for i := range w.slots {
		w.slots[i].key = int64(i)
	}
	w.keys = int64(len(w.slots))
	return w
}

func (w *stale) Setup(*Client) error  { return nil }
func (w *stale) Think() time.Duration { return 10 * time.Millisecond }

func (w *stale) Step(t *Thread) {
	slot := &w.slots[t.Rand.Intn(len(w.slots))]
	if !t.reads && t.Rand.Intn(2) == 0 && slot.mutex.TryLock() {
		k, v := atomic.LoadInt64(&slot.key), atomic.AddInt64(&w.value, 1)
		done := t.do("write", []any{k, v}, func() history.Op {
			answer, err := t.txn(nil, writeTag(fmt.Sprintf("s%d", k), v)...)
			if err != nil {
				return noWrite(err, []any{k, v})
			}
			return wrote(answer, []any{k, v})
		})
		if done.Type == history.Info { // it may come later, so the key is left
			atomic.StoreInt64(&slot.key, atomic.AddInt64(&w.keys, 1)-1)
		}
		slot.mutex.Unlock()
		return
	}
	w.read(t, atomic.LoadInt64(&slot.key), t.anyLevel(), plainly)
}

func (w *stale) read(t *Thread, k int64, l Level, how func(func() history.Op) func() history.Op) {
	t.do("read", []any{k, nil}, how(func() history.Op {
		list, answer, err := t.get(l, fmt.Sprintf("artifact/s%d", k))
		if err != nil {
			return noRead(err, []any{k, nil})
		}
		return read(l, answer, []any{k, tagOf(list[0])})
	}))
}

func (w *stale) Final(t *Thread) {
	for i := range w.slots {
		w.read(t, w.slots[i].key, linearizable, finally)
	}
}

// asOf writes, and asks for what was at revisions that were answered before.
type asOf struct {
	value int64
	mutex sync.Mutex
	seen  []int64
}

const asOfKeys = 4

func newAsOf() Workload { return &asOf{} }

func (w *asOf) Setup(*Client) error  { return nil }
func (w *asOf) Think() time.Duration { return 12 * time.Millisecond }

func (w *asOf) remember(op history.Op) {
	r, is := op.Extra["revision"].(int64)
	if op.Type != history.Ok || !is {
		return
	}
	w.mutex.Lock()
	defer w.mutex.Unlock()
	w.seen = append(w.seen, r)
}

// revision is one that was answered: half of the time one of the last, so that each is asked often.
func (w *asOf) revision(t *Thread) int64 {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	n := len(w.seen)
	if n == 0 {
		return 0
	}
	if t.Rand.Intn(2) == 0 && n > 10 {
		return w.seen[n-1-t.Rand.Intn(10)]
	}
	return w.seen[t.Rand.Intn(n)]
}

func (w *asOf) Step(t *Thread) {
	if t.Rand.Intn(3) == 0 {
		k, v := t.Rand.Int63n(asOfKeys), atomic.AddInt64(&w.value, 1)
		w.remember(t.do("write", []any{k, v}, func() history.Op {
			answer, err := t.txn(nil, writeTag(fmt.Sprintf("a%d", k), v)...)
			if err != nil {
				return noWrite(err, []any{k, v})
			}
			return wrote(answer, []any{k, v})
		}))
		return
	}
	if r := w.revision(t); r > 0 {
		w.read(t, r, plainly)
	}
}

func (w *asOf) read(t *Thread, revision int64, how func(func() history.Op) func() history.Op) {
	l := Level{Name: "at_least", AtLeast: revision, AsOf: revision}
	if t.Rand.Intn(2) == 0 {
		l = Level{Name: "linearizable", AsOf: revision}
	}
	t.do("read", []any{revision, nil}, how(func() history.Op {
		var refs []string
		for k := 0; k < asOfKeys; k++ {
			refs = append(refs, fmt.Sprintf("artifact/a%d", k))
		}
		list, answer, err := t.get(l, refs...)
		if err != nil {
			return noRead(err, []any{revision, nil})
		}
		values := []any{}
		for _, thing := range list {
			values = append(values, tagOf(thing))
		}
		return read(l, answer, []any{revision, values})
	}))
}

func (w *asOf) Final(t *Thread) {
	w.mutex.Lock()
	seen := append([]int64(nil), w.seen...)
	w.mutex.Unlock()
	step := len(seen)/200 + 1
	for i := 0; i < len(seen); i += step {
		w.read(t, seen[i], finallyOr("COMPACTED"))
	}
}
