package checker

// Transactions over lists, after Kingsbury and Alvaro, "Elle: Inferring Isolation Anomalies from
// Experimental Observations" (VLDB 2020). A transaction appends unique elements to lists and reads
// whole lists, so a read tells the order in which all that it saw was written. From these version
// orders follow Adya's dependencies, between transactions that surely happened:
//
//	ww  b appended the element that comes next after one of a's
//	wr  b read a list whose last element is a's
//	rw  a read a list that lacks the element that comes next, which is b's
//	process   b is the next transaction of a's process
//	realtime  b began after a ended
//
// An acknowledged append that no read has seen comes after everything that was seen; so who read
// the longest list has an rw to it, which is how a lost append shows. A cycle is an anomaly
// (cycles.go). What a read shows alone (aborted, intermediate, doubled elements, lists that do not
// fit together) is looked for first.

import (
	"clade/jepsen/history"
)

// A transaction, by its number in the order of invocations.
type txn struct {
	history.Pair
	ops  []microOp
	node bool // it surely happened: acknowledged, or an append of it was seen
}

type microOp struct {
	append bool
	key    int
	value  any   // the element that is appended
	list   []any // the list that was read
}

// A list that transactions append to. Its version n is the list after n elements.
type listKey struct {
	name    any
	longest []any           // what was appended, as the longest read saw it
	reader  int             // who read it
	writers []int           // by place in longest: who appended the element, or none
	next    []int           // by place, and one more: the place of the next element whose appender is a node
	unseen  []int           // nodes that appended an element that nobody saw
	unfit   map[string]bool // lists that were read and are no beginning of the longest
}

const none = -1

type element struct {
	key   int
	value any
}

// The analysis of one history.
type elle struct {
	j        *judgement
	txns     []txn
	keys     []listKey
	keyIndex map[any]int
	writer   map[element]int
	seen     map[element]bool
	last     map[element]bool // the element is the last that its transaction appended to its list
	graph    *graph
}

// Append checks that transactions of list appends and reads are strictly serializable.
func Append(h history.History) Verdict {
	e := &elle{
		j: judge("append", h), keyIndex: map[any]int{}, writer: map[element]int{},
		seen: map[element]bool{}, last: map[element]bool{},
	}
	for _, p := range e.j.pairs("txn") {
		e.addTxn(p)
	}
	e.indexWriters()
	e.findOrders()
	for t := range e.txns {
		if e.txns[t].Type() == history.Ok {
			e.checkReads(t)
		}
	}
	e.checkOrders()
	e.findNodes()
	e.lostUpdates()
	e.graph = newGraph(len(e.txns))
	e.dependencies()
	e.orderInTime()
	e.graph.build()
	e.cycles()
	if len(e.txns) == 0 {
		e.j.unknown("there is nothing to judge")
	}
	e.j.count("transactions", len(e.txns))
	e.j.count("lists", len(e.keys))
	return e.j.end("%s on %s are strictly serializable",
		plural(len(e.txns), "transaction"), plural(len(e.keys), "list"))
}

// --- reading ----------------------------------------------------------------------------------

const txnShape = "[[:append k v] [:r k [v ...]] ...]"

func (e *elle) addTxn(p history.Pair) {
	op := answer{p}.value()
	list, is := op.Value.([]any)
	if !is {
		e.j.unfit(op, txnShape)
		return
	}
	t := txn{Pair: p, ops: make([]microOp, 0, len(list))}
	for _, item := range list {
		m, fit := e.microOp(item)
		if !fit {
			e.j.unfit(op, txnShape)
			return
		}
		t.ops = append(t.ops, m)
	}
	e.txns = append(e.txns, t)
}

func (e *elle) microOp(item any) (microOp, bool) {
	parts, is := item.([]any)
	if !is || len(parts) != 3 || !scalar(parts[1]) {
		return microOp{}, false
	}
	key, known := e.keyIndex[parts[1]]
	if !known {
		key = len(e.keys)
		e.keyIndex[parts[1]] = key
		e.keys = append(e.keys, listKey{name: parts[1], reader: none})
	}
	switch nameOf(parts[0]) {
	case "append":
		return microOp{append: true, key: key, value: parts[2]}, parts[2] != nil && scalar(parts[2])
	case "r":
		if parts[2] == nil {
			return microOp{key: key}, true
		}
		list, is := parts[2].([]any)
		for _, v := range list {
			is = is && scalar(v)
		}
		return microOp{key: key, list: list}, is
	}
	return microOp{}, false
}

func (e *elle) indexWriters() {
	for t := range e.txns {
		lasts := map[int]element{}
		for _, m := range e.txns[t].ops {
			if !m.append {
				continue
			}
			el := element{m.key, m.value}
			if other, is := e.writer[el]; is {
				e.j.unknown("%d and %d both append %s to %s, and an element must be appended once",
					e.txns[other].Begin.Index, e.txns[t].Begin.Index, text(m.value), text(e.keys[m.key].name))
			}
			e.writer[el] = t
			lasts[m.key] = el
		}
		for _, el := range lasts {
			e.last[el] = true
		}
	}
}

// --- version orders ---------------------------------------------------------------------------

func (e *elle) findOrders() {
	for t := range e.txns {
		if e.txns[t].Type() != history.Ok {
			continue
		}
		for _, m := range e.txns[t].ops {
			k := &e.keys[m.key]
			if !m.append && (k.reader == none || len(m.list) > len(k.longest)) {
				k.longest, k.reader = m.list, t
			}
		}
	}
	for i := range e.keys {
		k := &e.keys[i]
		k.writers = make([]int, len(k.longest))
		for at, v := range k.longest {
			k.writers[at] = e.writerOf(i, v)
			e.seen[element{i, v}] = true
		}
	}
}

func (e *elle) writerOf(key int, value any) int {
	if t, is := e.writer[element{key, value}]; is {
		return t
	}
	return none
}

// Whether a list is a beginning of the longest one of its key.
func (k *listKey) fits(list []any) bool {
	if len(list) > len(k.longest) {
		return false
	}
	for i, v := range list {
		if v != k.longest[i] {
			return false
		}
	}
	return true
}

// What a transaction's own reads show.
func (e *elle) checkReads(t int) {
	tx := &e.txns[t]
	type mine struct {
		list []any // the list as this transaction last read it, with what it appended since
		read bool
	}
	own := map[int]*mine{}
	for _, m := range tx.ops {
		o := own[m.key]
		if o == nil {
			o = &mine{}
			own[m.key] = o
		}
		if m.append {
			o.list = append(o.list[:len(o.list):len(o.list)], m.value)
			continue
		}
		k := &e.keys[m.key]
		if !endsWith(m.list, o.list) || o.read && len(m.list) != len(o.list) {
			e.j.found("internal", entries(tx.Pair), "%d reads %s of list %s, which does not fit what it read and appended before",
				tx.Done.Index, short(text(m.list)), text(k.name))
		}
		if !k.fits(m.list) {
			e.incompatible(t, m)
			e.checkElements(t, m)
		} else if k.reader == t {
			e.checkElements(t, m)
		}
		if !o.read && len(o.list) == 0 {
			e.checkLast(t, m)
		}
		o.list, o.read = m.list, true
	}
}

func endsWith(list, end []any) bool {
	if len(end) > len(list) {
		return false
	}
	for i, v := range end {
		if v != list[len(list)-len(end)+i] {
			return false
		}
	}
	return true
}

// Each list that does not fit is reported once, however often it was read.
func (e *elle) incompatible(t int, m microOp) {
	k := &e.keys[m.key]
	if name := text(m.list); k.unfit[name] {
		return
	} else if k.unfit == nil {
		k.unfit = map[string]bool{name: true}
	} else {
		k.unfit[name] = true
	}
	e.j.found("incompatible-order", entries(e.txns[t].Pair, e.txns[k.reader].Pair),
		"%d reads %s of list %s, and %d reads %s: neither is the beginning of the other", e.txns[t].Done.Index,
		short(text(m.list)), text(k.name), e.txns[k.reader].Done.Index, short(text(k.longest)))
}

// Elements twice in a list, from nowhere, or from a transaction that failed.
func (e *elle) checkElements(t int, m microOp) {
	tx, k := &e.txns[t], &e.keys[m.key]
	seen := make(map[any]bool, len(m.list))
	for _, v := range m.list {
		w := e.writerOf(m.key, v)
		switch {
		case w == none:
			e.j.found("unexpected-element", entries(tx.Pair), "%d reads %s in list %s, which nobody appended",
				tx.Done.Index, text(v), text(k.name))
		case seen[v]:
			e.j.found("duplicate-element", entries(e.txns[w].Pair, tx.Pair), "%d reads %s twice in list %s",
				tx.Done.Index, text(v), text(k.name))
		case e.txns[w].Type() == history.Fail:
			e.j.found("G1a", entries(e.txns[w].Pair, tx.Pair), "%d reads %s in list %s, whose append %d failed",
				tx.Done.Index, text(v), text(k.name), e.txns[w].Done.Index)
		}
		seen[v] = true
	}
}

// A read that stops in the middle of another transaction's appends.
func (e *elle) checkLast(t int, m microOp) {
	if len(m.list) == 0 {
		return
	}
	tx := &e.txns[t]
	v := m.list[len(m.list)-1]
	w := e.writerOf(m.key, v)
	if w == none || w == t {
		return
	}
	if e.txns[w].Type() == history.Fail && e.keys[m.key].fits(m.list) && e.keys[m.key].reader != t {
		e.j.found("G1a", entries(e.txns[w].Pair, tx.Pair), "%d reads %s in list %s, whose append %d failed",
			tx.Done.Index, text(v), text(e.keys[m.key].name), e.txns[w].Done.Index)
	}
	if !e.last[element{m.key, v}] {
		e.j.found("G1b", entries(e.txns[w].Pair, tx.Pair),
			"%d reads list %s as far as %s, which is not the last that %d appended to it",
			tx.Done.Index, text(e.keys[m.key].name), text(v), e.txns[w].Begin.Index)
	}
}

// What the version orders show: an element of a transaction that failed under one that did not
// (dirty update), other writers between two appends of one transaction, and revisions that run
// against the order.
func (e *elle) checkOrders() {
	for i := range e.keys {
		k := &e.keys[i]
		for at := 1; at < len(k.writers); at++ {
			a, b := k.writers[at-1], k.writers[at]
			if a == none || b == none || a == b {
				continue
			}
			ta, tb := &e.txns[a], &e.txns[b]
			if ta.Type() == history.Fail && tb.Type() != history.Fail {
				e.j.found("dirty-update", entries(ta.Pair, tb.Pair, e.txns[k.reader].Pair),
					"in list %s, %s of %d, which failed, stands before %s of %d", text(k.name),
					text(k.longest[at-1]), ta.Begin.Index, text(k.longest[at]), tb.Begin.Index)
			}
			ra, isA := revisionOf(ta.Pair)
			rb, isB := revisionOf(tb.Pair)
			if isA && isB && ra >= rb {
				e.j.found("revision-order", entries(ta.Pair, tb.Pair, e.txns[k.reader].Pair),
					"in list %s, %s of revision %d stands before %s of revision %d", text(k.name),
					text(k.longest[at-1]), ra, text(k.longest[at]), rb)
			}
		}
	}
}
