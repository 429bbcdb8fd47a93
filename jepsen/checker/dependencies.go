package checker

import (
	"sort"

	"clade/jepsen/history"
)

// Finds which transactions surely happened, and what they did that nobody saw.
func (e *elle) findNodes() {
	for t := range e.txns {
		e.txns[t].node = e.txns[t].Type() == history.Ok
	}
	for i := range e.keys {
		for _, w := range e.keys[i].writers {
			if w != none && e.txns[w].Type() == history.Info {
				e.txns[w].node = true
			}
		}
	}
	for i := range e.keys {
		k := &e.keys[i]
		k.next = make([]int, len(k.writers)+1)
		k.next[len(k.writers)] = none
		for at := len(k.writers) - 1; at >= 0; at-- {
			k.next[at] = k.next[at+1]
			if w := k.writers[at]; w != none && e.txns[w].node {
				k.next[at] = at
			}
		}
	}
	e.findUnseen()
}

// Of the appenders that nobody saw, so many are kept for each list, those that ended first.
const unseenMax = 16

func (e *elle) findUnseen() {
	for t := range e.txns {
		if !e.txns[t].node {
			continue
		}
		for _, m := range e.txns[t].ops {
			k := &e.keys[m.key]
			twice := len(k.unseen) > 0 && k.unseen[len(k.unseen)-1] == t
			if m.append && !twice && !e.seen[element{m.key, m.value}] {
				k.unseen = append(k.unseen, t)
			}
		}
	}
	for i := range e.keys {
		k := &e.keys[i]
		sort.SliceStable(k.unseen, func(a, b int) bool { return e.ended(k.unseen[a]) < e.ended(k.unseen[b]) })
		if len(k.unseen) > unseenMax {
			k.unseen = k.unseen[:unseenMax]
		}
	}
}

// The index of the entry that ended a transaction; past all entries if none did.
func (e *elle) ended(t int) int {
	if e.txns[t].Type() == history.Ok {
		return e.txns[t].Done.Index
	}
	return len(e.j.h)
}

// Adds the edges ww, wr and rw.
func (e *elle) dependencies() {
	for i := range e.keys {
		k := &e.keys[i]
		for at := k.next[0]; at != none; at = k.next[at+1] {
			to := k.next[at+1]
			if to != none {
				e.graph.add(k.writers[at], k.writers[to], ww, i, to)
				continue
			}
			for _, u := range k.unseen {
				e.graph.add(k.writers[at], u, ww, i, none)
			}
		}
	}
	for t := range e.txns {
		if e.txns[t].Type() == history.Ok {
			e.readEdges(t)
		}
	}
}

// The edges of a transaction's first read of each list that it has not appended to before.
func (e *elle) readEdges(t int) {
	touched := map[int]bool{}
	for _, m := range e.txns[t].ops {
		if touched[m.key] {
			continue
		}
		touched[m.key] = true
		if m.append {
			continue
		}
		k := &e.keys[m.key]
		if n := len(m.list); n > 0 {
			if w := e.writerOf(m.key, m.list[n-1]); w != none && e.txns[w].node {
				e.graph.add(w, t, wr, m.key, n-1)
			}
		}
		if !k.fits(m.list) {
			continue
		}
		if next := k.next[len(m.list)]; next != none {
			e.graph.add(t, k.writers[next], rw, m.key, next)
			continue
		}
		for _, u := range k.unseen {
			e.graph.add(t, u, rw, m.key, none)
		}
	}
}

// Adds the edges process and realtime. Of the latter only those are needed that do not follow from
// others: from each transaction that had ended, unless one that began after its end had ended too.
func (e *elle) orderInTime() {
	type event struct {
		index, txn int
		end        bool
	}
	var events []event
	for t := range e.txns {
		if !e.txns[t].node {
			continue
		}
		events = append(events, event{e.txns[t].Begin.Index, t, false})
		if e.txns[t].Type() == history.Ok {
			events = append(events, event{e.txns[t].Done.Index, t, true})
		}
	}
	sort.Slice(events, func(a, b int) bool { return events[a].index < events[b].index })
	before := map[int]int{}
	var front []int
	for _, ev := range events {
		tx := &e.txns[ev.txn]
		if !ev.end {
			if last, is := before[tx.Begin.Process]; is {
				e.graph.add(last, ev.txn, process, 0, 0)
			}
			before[tx.Begin.Process] = ev.txn
			for _, t := range front {
				e.graph.add(t, ev.txn, realtime, 0, 0)
			}
			continue
		}
		kept := front[:0]
		for _, t := range front {
			if e.txns[t].Done.Index > tx.Begin.Index {
				kept = append(kept, t)
			}
		}
		front = append(kept, ev.txn)
	}
}
