package checker

import (
	"sort"

	"clade/jepsen/history"
)

// Stale checks reads of keys whose values are written once each, at every consistency level: the
// value is the last one written at or below the answer's revision (and that revision is what the
// level promises: see Revisions). A linearizable read is also judged by time alone, whatever
// revision it claims: it does not give a value that was replaced before it began.
func Stale(h history.History) Verdict {
	j := judge("stale", h)
	writes := j.pairs("write")
	lines := j.timelines(writes)
	order := overwrites(writes)
	reads := 0
	for _, p := range j.pairs("read") {
		if p.Type() != history.Ok {
			continue
		}
		kv := j.tuple(p.Done, 2, "[k v]")
		if kv == nil {
			continue
		}
		if !scalar(kv[0]) || !scalar(kv[1]) {
			j.unfit(p.Done, "[k v]")
			continue
		}
		reads++
		j.count("reads "+levelOf(p), 1)
		if revision, is := revisionOf(p); is {
			lines.read(kv[0], kv[1], revision, p.Done)
		} else {
			j.unknown("entry %d has no :revision", p.Done.Index)
		}
		if by := order.replaced(kv[0], kv[1], p.Begin.Index); by != nil && linearizable(p) {
			j.found("stale-read", append(entries(p), entries(by.Pair)...),
				"%d reads %s of key %s, though %d had acknowledged %s before it began",
				p.Done.Index, text(kv[1]), text(kv[0]), by.Done.Index, text(by.value))
		}
	}
	lines.check()
	j.count("writes", len(writes))
	if reads == 0 {
		j.unknown("no read was answered")
	}
	return j.end("%s give the last value at their revisions", plural(reads, "read"))
}

// The acknowledged writes of each key, by their invocations.
type overwritten struct {
	byKey map[any][]overwrite
	ended map[any]int // by value: the index of its write's completion
}

type overwrite struct {
	history.Pair
	value any
}

func overwrites(writes []history.Pair) overwritten {
	o := overwritten{byKey: map[any][]overwrite{}, ended: map[any]int{}}
	for _, p := range writes {
		kv, is := (answer{p}).value().Value.([]any)
		if is && len(kv) == 2 && scalar(kv[0]) && scalar(kv[1]) && p.Type() == history.Ok {
			o.byKey[kv[0]] = append(o.byKey[kv[0]], overwrite{p, kv[1]})
			o.ended[kv[1]] = p.Done.Index
		}
	}
	return o
}

// A write that was acknowledged before an entry and began after the write of value had ended; of
// several the one that began last. Nil if there is none, or the outcome of value's write is not
// known: it may have come late.
func (o overwritten) replaced(key, value any, index int) *overwrite {
	ended, is := o.ended[value]
	if !is && value != nil {
		return nil
	}
	writes := o.byKey[key]
	at := sort.Search(len(writes), func(i int) bool { return writes[i].Begin.Index > index })
	for at--; at >= 0 && (value == nil || writes[at].Begin.Index > ended); at-- {
		if writes[at].Done.Index < index {
			return &writes[at]
		}
	}
	return nil
}

// AsOf checks reads of all keys as of a revision: the answer for a revision is the same whenever
// and wherever it is asked for, and each value in it is the last one written at or below it.
func AsOf(h history.History) Verdict {
	j := judge("as-of", h)
	writes := j.pairs("write")
	lines := j.timelines(writes)
	answers := map[int64]history.Pair{}
	reads, again := 0, 0
	for _, p := range j.pairs("read") {
		if p.Type() != history.Ok {
			continue
		}
		list := j.tuple(p.Done, 2, "[revision [v ...]]")
		if list == nil {
			continue
		}
		revision, is := list[0].(int64)
		values, isList := list[1].([]any)
		if !is || !isList {
			j.unfit(p.Done, "[revision [v ...]]")
			continue
		}
		reads++
		if first, is := answers[revision]; !is {
			answers[revision] = p
		} else if again++; text(first.Done.Value) != text(p.Done.Value) {
			j.found("changed-answer", entries(first, p), "%d and %d answer differently as of revision %d",
				first.Done.Index, p.Done.Index, revision)
		}
		for key, value := range values {
			if !scalar(value) {
				j.unfit(p.Done, "[revision [v ...]]")
				break
			}
			lines.read(int64(key), value, revision, p.Done)
		}
	}
	lines.check()
	j.count("writes", len(writes))
	j.count("reads", reads)
	j.count("revisions", len(answers))
	j.count("repeated", again)
	if reads == 0 {
		j.unknown("no read was answered")
	}
	return j.end("%s of %s, %d of them repeated, give what was written",
		plural(reads, "read"), plural(len(answers), "revision"), again)
}
