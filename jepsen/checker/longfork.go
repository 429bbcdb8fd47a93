package checker

import (
	"sort"

	"clade/jepsen/history"
)

const forkShape = "[[:r k v] ...]"

// A read of a group of keys, each written once.
type forkRead struct {
	history.Pair
	there map[any]bool
	count int
}

// LongFork checks that reads of the same keys never disagree about which of two writes came first,
// that a linearizable one has what was acknowledged before it began, and that one of known revision
// has exactly the writes at or below it.
func LongFork(h history.History) Verdict {
	j := judge("long-fork", h)
	writes := map[any]history.Pair{}
	for _, p := range j.pairs("write") {
		if op := j.forkOps(p.Begin, "w"); op != nil {
			for key := range op {
				if other, is := writes[key]; is {
					j.unknown("%d and %d both write key %s, and a key must be written once",
						other.Begin.Index, p.Begin.Index, text(key))
				}
				writes[key] = p
			}
		}
	}
	groups := map[string][]forkRead{}
	reads := 0
	for _, p := range j.pairs("read") {
		if p.Type() != history.Ok {
			continue
		}
		if there := j.forkOps(p.Done, "r"); there != nil {
			reads++
			r := forkRead{Pair: p, there: there}
			j.forkRead(&r, writes)
			name := text(sortedAny(there))
			groups[name] = append(groups[name], r)
		}
	}
	names := make([]string, 0, len(groups))
	for name := range groups {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		j.comparable(groups[name])
	}
	j.count("writes", len(writes))
	j.count("reads", reads)
	j.count("groups", len(groups))
	if reads == 0 {
		j.unknown("no read was answered")
	}
	return j.end("%s of %s agree on the order of the writes", plural(reads, "read"), plural(len(groups), "group"))
}

// The keys of a list of micro-operations with whether each has a value; nil if it is none.
func (j *judgement) forkOps(op *history.Op, name string) map[any]bool {
	list, is := op.Value.([]any)
	there := map[any]bool{}
	for _, item := range list {
		parts, isList := item.([]any)
		if !isList || len(parts) != 3 || nameOf(parts[0]) != name || !scalar(parts[1]) {
			is = false
			break
		}
		there[parts[1]] = parts[2] != nil
	}
	if !is || len(there) == 0 {
		j.unfit(op, forkShape)
		return nil
	}
	return there
}

func (j *judgement) forkRead(r *forkRead, writes map[any]history.Pair) {
	revision, known := revisionOf(r.Pair)
	for _, key := range sortedAny(r.there) {
		w, is := writes[key]
		written, isWritten := int64(0), false
		if is {
			written, isWritten = revisionOf(w)
		}
		if r.there[key] {
			r.count++
			switch {
			case !is:
				j.found("unexpected", entries(r.Pair), "%d reads key %s, which nobody wrote", r.Done.Index, text(key))
			case w.Type() == history.Fail:
				j.found("failed-write-seen", entries(w, r.Pair), "%d reads key %s, whose write %d failed",
					r.Done.Index, text(key), w.Done.Index)
			case w.Begin.Index > r.Done.Index || known && isWritten && written > revision:
				j.found("from-the-future", entries(w, r.Pair), "%d reads key %s, which %d wrote later",
					r.Done.Index, text(key), w.Begin.Index)
			}
			continue
		}
		if !is || w.Type() != history.Ok {
			continue
		}
		if w.Done.Index < r.Begin.Index && linearizable(r.Pair) || known && isWritten && written <= revision {
			j.found("lost", entries(w, r.Pair), "%d lacks key %s, which %d had acknowledged",
				r.Done.Index, text(key), w.Done.Index)
		}
	}
}

// Of two reads one has all that the other has. Sorted by how much they have, each must have all
// that the one before it has.
func (j *judgement) comparable(reads []forkRead) {
	sort.SliceStable(reads, func(a, b int) bool { return reads[a].count < reads[b].count })
	for i := 1; i < len(reads); i++ {
		a, b := reads[i-1], reads[i]
		for _, key := range sortedAny(a.there) {
			if !a.there[key] || b.there[key] {
				continue
			}
			j.found("long-fork", entries(a.Pair, b.Pair), "%d has key %s and lacks another that %d has, which lacks it",
				a.Done.Index, text(key), b.Done.Index)
			break
		}
	}
}
