package workload

import (
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	"clade/jepsen/history"
	"clade/jepsen/wire"
)

// register reads, writes and compares-and-sets a tag of a thing. The store has no tag in its
// guards, so a compare-and-set reads, and writes on the condition that nothing changed since.
type register struct {
	ops   int64
	value int64
}

const (
	registerKeys   = 4   // at once
	registerKeyOps = 160 // before a key is left for a new one: histories of a key stay short
)

func newRegister() Workload { return &register{} }

func (w *register) Setup(*Client) error  { return nil }
func (w *register) Think() time.Duration { return 12 * time.Millisecond }

func registerRef(k int64) string { return fmt.Sprintf("artifact/r%d", k) }

// writeTag makes the thing when it is not there, and sets its tag v whatever it was.
func writeTag(name string, v int64) []wire.Map {
	return []wire.Map{wire.Create("artifact", name, "if_exists", "return"),
		wire.Update("$0", "tags", wire.Map{"v": strconv.FormatInt(v, 10)})}
}

func tagOf(t Thing) any {
	v, err := strconv.ParseInt(t.Tags["v"], 10, 64)
	if t.Missing || err != nil {
		return nil
	}
	return v
}

func (w *register) Step(t *Thread) {
	n := atomic.AddInt64(&w.ops, 1)
	k := n/(registerKeys*registerKeyOps)*registerKeys + t.Rand.Int63n(registerKeys)
	v := atomic.AddInt64(&w.value, 1) % 8 // few values, so that a compare finds its old one
	choice := t.Rand.Intn(5)
	if t.reads && t.Rand.Intn(20) > 0 {
		choice = 3
	}
	switch choice {
	case 0:
		w.write(t, k, v)
	case 1, 2:
		w.cas(t, k, t.Rand.Int63n(8), v)
	default:
		w.read(t, k)
	}
}

func (w *register) write(t *Thread, k, v int64) {
	value := []any{k, v}
	t.do("write", value, func() history.Op {
		answer, err := t.txn(nil, writeTag(fmt.Sprintf("r%d", k), v)...)
		if err != nil {
			return noWrite(err, value)
		}
		return wrote(answer, value)
	})
}

func (w *register) read(t *Thread, k int64) {
	t.do("read", []any{k, nil}, func() history.Op {
		list, answer, err := t.get(linearizable, registerRef(k))
		if err != nil {
			return noRead(err, []any{k, nil})
		}
		return read(linearizable, answer, []any{k, tagOf(list[0])})
	})
}

func (w *register) cas(t *Thread, k, old, new int64) {
	// Half of the time what is there now, else hardly any would succeed.
	list, _, err := t.get(Level{Name: "local"}, registerRef(k))
	if err == nil && t.Rand.Intn(2) == 0 {
		if v, is := tagOf(list[0]).(int64); is {
			old = v
		}
	}
	value := []any{k, []any{old, new}}
	t.do("cas", value, func() history.Op {
		list, _, err := t.get(linearizable, registerRef(k))
		if err != nil {
			return noRead(err, value)
		}
		if tagOf(list[0]) != old {
			return history.Op{Type: history.Fail, Value: value, Error: "CONFLICT: another value"}
		}
		answer, err := t.txn([]wire.Map{wire.Unchanged(registerRef(k), list[0].Changed)},
			wire.Update(registerRef(k), "tags", wire.Map{"v": strconv.FormatInt(new, 10)}))
		if err != nil {
			return noWrite(err, value)
		}
		return wrote(answer, value)
	})
}

func (w *register) Final(t *Thread) {
	last := atomic.LoadInt64(&w.ops)/(registerKeys*registerKeyOps)*registerKeys + registerKeys
	for k := last - registerKeys; k < last; k++ {
		k := k
		t.do("read", []any{k, nil}, finally(func() history.Op {
			list, answer, err := t.get(linearizable, registerRef(k))
			if err != nil {
				return noRead(err, []any{k, nil})
			}
			return read(linearizable, answer, []any{k, tagOf(list[0])})
		}))
	}
}
