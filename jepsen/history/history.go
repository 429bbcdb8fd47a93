// Package history is what a run leaves behind: every operation that a client or the nemesis began,
// and how it ended. Checkers read it and nothing else; Jepsen's own checkers can read it too (edn.go).
//
// The life of an operation: Invoke is recorded before the first byte is sent, and exactly one
// completion after it by the same process: Ok (it happened, Value is the answer), Fail (it is known
// not to have happened), or Info (it may have happened, at any time from its invocation to the end
// of the run). A process whose operation ended as Info is retired: it never appears again.
package history

import (
	"fmt"
	"sort"
)

// What an operation's entry says about it.
const (
	Invoke = "invoke"
	Ok     = "ok"
	Fail   = "fail"
	Info   = "info"
)

// Nemesis is the process that breaks the world. All its entries are of type Info, also the first of
// a pair, and it is never retired.
const Nemesis = -1

// Op is one entry of a history.
type Op struct {
	Index   int            // dense, from 0, in the order in which entries were recorded
	Type    string         // Invoke, Ok, Fail or Info
	Process int            // the logical process, or Nemesis
	F       string         // what the operation does: "read", "txn", "kill"
	Value   any            // its argument, then its answer; in canonical form (Canonical)
	Time    int64          // nanoseconds since the run's start, on a monotonic clock
	Error   string         // why it failed or is not known; empty otherwise
	Extra   map[string]any // further keys, such as "node" and "revision"; nil when there are none
}

// History is a whole run, by index.
type History []Op

// Pair is an operation: its invocation and its completion. Done is nil where the run ended first,
// which means what Info means.
type Pair struct {
	Begin *Op
	Done  *Op
}

// Type is that of the completion; Info where there is none.
func (p Pair) Type() string {
	if p.Done == nil {
		return Info
	}
	return p.Done.Type
}

// Pairs returns the operations of the clients in the order of their invocations. They point into h.
func (h History) Pairs() []Pair {
	pairs := make([]Pair, 0, len(h)/2)
	open := map[int]int{}
	for i := range h {
		op := &h[i]
		if op.Process == Nemesis {
			continue
		}
		if op.Type == Invoke {
			open[op.Process] = len(pairs)
			pairs = append(pairs, Pair{Begin: op})
		} else if at, is := open[op.Process]; is {
			pairs[at].Done = op
			delete(open, op.Process)
		}
	}
	return pairs
}

// Only returns the pairs whose F is one of fs.
func Only(pairs []Pair, fs ...string) []Pair {
	var kept []Pair
	for _, p := range pairs {
		for _, f := range fs {
			if p.Begin.F == f {
				kept = append(kept, p)
				break
			}
		}
	}
	return kept
}

// NemesisOps returns the nemesis's entries, in order. They point into h.
func (h History) NemesisOps() []*Op {
	var ops []*Op
	for i := range h {
		if h[i].Process == Nemesis {
			ops = append(ops, &h[i])
		}
	}
	return ops
}

// Sub returns the entries with these indexes, sorted, each once: a sub-history. The entries keep
// their indexes.
func (h History) Sub(indexes ...int) History {
	seen := map[int]bool{}
	var sub History
	for _, i := range indexes {
		if i >= 0 && i < len(h) && !seen[i] {
			seen[i] = true
			sub = append(sub, h[i])
		}
	}
	sort.Slice(sub, func(a, b int) bool { return sub[a].Index < sub[b].Index })
	return sub
}

// Validate says what is wrong with a history's shape, first thing first: an index that is not dense,
// time that runs backwards, a completion without an invocation, a process that began twice, came
// back after it was retired, or completed another f than it began.
func (h History) Validate() error {
	open := map[int]*Op{}
	retired := map[int]bool{}
	for i := range h {
		op := &h[i]
		if op.Index != i {
			return fmt.Errorf("entry %d has index %d", i, op.Index)
		}
		if i > 0 && op.Time < h[i-1].Time {
			return fmt.Errorf("entry %d: time %d is before %d", i, op.Time, h[i-1].Time)
		}
		if err := validateProcess(op, open, retired); err != nil {
			return fmt.Errorf("entry %d: %w", i, err)
		}
	}
	return nil
}

func validateProcess(op *Op, open map[int]*Op, retired map[int]bool) error {
	if op.Process == Nemesis {
		if op.Type != Info {
			return fmt.Errorf("the nemesis has type %q", op.Type)
		}
		return nil
	}
	if op.Process < 0 {
		return fmt.Errorf("process %d", op.Process)
	}
	if retired[op.Process] {
		return fmt.Errorf("process %d is retired", op.Process)
	}
	begun := open[op.Process]
	switch op.Type {
	case Invoke:
		if begun != nil {
			return fmt.Errorf("process %d began again before entry %d ended", op.Process, begun.Index)
		}
		open[op.Process] = op
		return nil
	case Ok, Fail, Info:
		if begun == nil {
			return fmt.Errorf("process %d ended what it did not begin", op.Process)
		}
		if begun.F != op.F {
			return fmt.Errorf("process %d began %q and ended %q", op.Process, begun.F, op.F)
		}
		delete(open, op.Process)
		retired[op.Process] = op.Type == Info
		return nil
	}
	return fmt.Errorf("type %q", op.Type)
}

// Int is the further key's value, where it is there and an integer.
func (op *Op) Int(key string) (int64, bool) {
	n, is := op.Extra[key].(int64)
	return n, is
}

// Name is the further key's value, where it is a string or a keyword; else empty.
func (op *Op) Name(key string) string {
	name, _ := asName(op.Extra[key])
	return name
}
