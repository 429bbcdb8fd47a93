package workload

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"clade/jepsen/history"
	"clade/jepsen/wire"
)

// appends runs transactions over lists, each a tag of a thing. A transaction reads its keys at one
// revision and writes on the condition that none of them changed since.
type appends struct {
	mutex sync.Mutex
	first int64           // the active keys are first, first+1, ...
	next  map[int64]int64 // the next element of a key
}

const (
	appendKeys     = 5
	appendElements = 48
)

func newAppend() Workload { return &appends{next: map[int64]int64{}} }

func (w *appends) Setup(*Client) error  { return nil }
func (w *appends) Think() time.Duration { return 12 * time.Millisecond }

// element gives a key's next element, or an active key's where that one is full.
func (w *appends) element(k int64) (int64, int64) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	if w.next[k] >= appendElements {
		if k == w.first {
			w.first++
		}
		k = w.first + appendKeys - 1
	}
	w.next[k]++
	return k, w.next[k]
}

func (w *appends) active() int64 {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	for w.next[w.first] >= appendElements {
		w.first++
	}
	return w.first
}

const (
	microAppend = history.Keyword("append")
	microRead   = history.Keyword("r")
)

func (w *appends) Step(t *Thread) {
	first := w.active()
	var micros []any
	for n := 1 + t.Rand.Intn(4); n > 0; n-- {
		k := first + t.Rand.Int63n(appendKeys)
		if t.Rand.Intn(2) == 0 {
			key, v := w.element(k)
			micros = append(micros, []any{microAppend, key, v})
		} else {
			micros = append(micros, []any{microRead, k, nil})
		}
	}
	t.do("txn", micros, func() history.Op { return appendTxn(t, micros) })
}

func appendRef(k int64) string { return fmt.Sprintf("artifact/l%d", k) }

// touched are the keys of a transaction, each once, and those that it appends to.
func touched(micros []any) (keys []int64, writes map[int64]bool) {
	writes = map[int64]bool{}
	seen := map[int64]bool{}
	for _, m := range micros {
		micro := m.([]any)
		k := micro[1].(int64)
		if !seen[k] {
			seen[k] = true
			keys = append(keys, k)
		}
		if micro[0] == microAppend {
			writes[k] = true
		}
	}
	return keys, writes
}

func appendTxn(t *Thread, micros []any) history.Op {
	keys, writes := touched(micros)
	refs := make([]string, len(keys))
	for i, k := range keys {
		refs[i] = appendRef(k)
	}
	list, answer, err := t.get(linearizable, refs...)
	if err != nil {
		return noRead(err, micros)
	}
	state := map[int64][]any{}
	for i, k := range keys {
		state[k] = elements(list[i].Tags["l"])
	}
	done := runMicros(micros, state)
	if len(writes) == 0 {
		return read(linearizable, answer, done)
	}
	var guards, ops []wire.Map
	for i, k := range keys {
		tags := wire.Map{"l": elementsText(state[k])}
		switch {
		case list[i].Missing:
			guards = append(guards, wire.Map{"guard": "absent", "ref": refs[i]})
			if writes[k] {
				ops = append(ops, wire.Create("artifact", fmt.Sprintf("l%d", k), "tags", tags))
			}
		default:
			guards = append(guards, wire.Unchanged(refs[i], list[i].Changed))
			if writes[k] {
				ops = append(ops, wire.Update(refs[i], "tags", tags))
			}
		}
	}
	answer, err = t.txn(guards, ops...)
	if err != nil {
		return noWrite(err, micros)
	}
	return wrote(answer, done)
}

// runMicros runs a transaction on what was read; returns it with its reads filled in.
func runMicros(micros []any, state map[int64][]any) []any {
	done := make([]any, len(micros))
	for i, m := range micros {
		micro := m.([]any)
		k := micro[1].(int64)
		if micro[0] == microAppend {
			state[k] = append(append([]any(nil), state[k]...), micro[2])
			done[i] = micro
		} else if state[k] == nil {
			done[i] = []any{microRead, k, nil}
		} else {
			done[i] = []any{microRead, k, state[k]}
		}
	}
	return done
}

func elements(text string) []any {
	var list []any
	for _, word := range strings.Fields(text) {
		v, _ := strconv.ParseInt(word, 10, 64)
		list = append(list, v)
	}
	return list
}

func elementsText(list []any) string {
	words := make([]string, len(list))
	for i, v := range list {
		words[i] = strconv.FormatInt(v.(int64), 10)
	}
	return strings.Join(words, " ")
}

func (w *appends) Final(t *Thread) {
	w.mutex.Lock()
	var last int64
	for k := range w.next {
		if k > last {
			last = k
		}
	}
	w.mutex.Unlock()
	for k := int64(0); k <= last; k += 8 {
		var micros []any
		for i := k; i <= last && i < k+8; i++ {
			micros = append(micros, []any{microRead, i, nil})
		}
		t.do("txn", micros, finally(func() history.Op { return appendTxn(t, micros) }))
	}
}
