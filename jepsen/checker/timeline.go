package checker

import (
	"sort"

	"clade/jepsen/history"
)

// A timeline is what is known of one key whose values are written once each: evidence that a value
// was the current one at a revision. A value is current for one stretch of revisions, so the
// stretches that the evidence spans must not overlap. This judges answers of every level.
type timeline struct {
	spans map[any]*span
}

type span struct {
	value       any
	first, last int64       // revisions
	from, to    *history.Op // what shows them; nil for the beginning
}

func newTimeline() *timeline {
	t := &timeline{spans: map[any]*span{}}
	t.add(nil, 0, nil)
	return t
}

func (t *timeline) add(value any, revision int64, op *history.Op) {
	s := t.spans[value]
	if s == nil {
		t.spans[value] = &span{value: value, first: revision, last: revision, from: op, to: op}
		return
	}
	if revision < s.first {
		s.first, s.from = revision, op
	}
	if revision > s.last {
		s.last, s.to = revision, op
	}
}

// Calls conflict for each two neighbouring values that were both current at once.
func (t *timeline) check(conflict func(a, b *span)) {
	all := make([]*span, 0, len(t.spans))
	for _, s := range t.spans {
		all = append(all, s)
	}
	sort.Slice(all, func(x, y int) bool {
		a, b := all[x], all[y]
		if a.first != b.first {
			return a.first < b.first
		}
		if a.last != b.last {
			return a.last < b.last
		}
		return text(a.value) < text(b.value)
	})
	for i := 1; i < len(all); i++ {
		a, b := all[i-1], all[i]
		if b.first <= a.last {
			conflict(a, b)
			if a.last > b.last {
				all[i] = a // go on comparing with the one that reaches further
			}
		}
	}
}

// timelines judges the keys of a history. Writes are [k v], every v once.
type timelines struct {
	j      *judgement
	byKey  map[any]*timeline
	writes map[any]written // by value
}

type written struct {
	history.Pair
	key any
}

func (j *judgement) timelines(writes []history.Pair) *timelines {
	t := &timelines{j: j, byKey: map[any]*timeline{}, writes: map[any]written{}}
	for _, p := range writes {
		kv := j.tuple(answer{p}.value(), 2, "[k v]")
		if kv == nil {
			continue
		}
		if !scalar(kv[0]) || !scalar(kv[1]) || kv[1] == nil {
			j.unfit(p.Begin, "[k v]")
			continue
		}
		if other, is := t.writes[kv[1]]; is {
			j.unknown("%d and %d both write %s, and a value must be written once",
				other.Begin.Index, p.Begin.Index, text(kv[1]))
			continue
		}
		t.writes[kv[1]] = written{p, kv[0]}
		if revision, is := revisionOf(p); is {
			t.of(kv[0]).add(kv[1], revision, p.Done)
		}
	}
	return t
}

func (t *timelines) of(key any) *timeline {
	line := t.byKey[key]
	if line == nil {
		line = newTimeline()
		t.byKey[key] = line
	}
	return line
}

// Takes a read of a key at a revision; a value that nobody wrote to it is an anomaly.
func (t *timelines) read(key, value any, revision int64, op *history.Op) {
	if value != nil {
		p, is := t.writes[value]
		if !is || p.key != key {
			t.j.found("unexpected-value", []*history.Op{op},
				"%d reads %s of key %s, which nobody wrote there", op.Index, text(value), text(key))
			return
		}
		if p.Type() == history.Fail {
			t.j.found("failed-write-seen", append(entries(p.Pair), op),
				"%d reads %s of key %s, whose write %d failed", op.Index, text(value), text(key), p.Done.Index)
			return
		}
	}
	if p, is := t.writes[value]; is {
		if began, known := revisionOf(p.Pair); known && revision < began {
			t.j.found("value-before-its-write", append(entries(p.Pair), op),
				"%d reads %s of key %s at revision %d, though it was written at %d",
				op.Index, text(value), text(key), revision, began)
			return
		}
	}
	t.of(key).add(value, revision, op)
}

// Reports every two values of a key that were current at once.
func (t *timelines) check() {
	for _, key := range sortedAny(t.byKey) {
		t.byKey[key].check(func(a, b *span) {
			ops := []*history.Op{a.from, a.to, b.from}
			for _, s := range []*span{a, b} {
				if p, is := t.writes[s.value]; is {
					ops = append(ops, entries(p.Pair)...)
				}
			}
			t.j.found("value-not-the-last", ops,
				"key %s has %s from revision %d to %d, and %s at %d",
				text(key), text(a.value), a.first, a.last, text(b.value), b.first)
		})
	}
}

// The keys of a map in the order of their texts, integers by value.
func sortedAny[V any](m map[any]V) []any {
	keys := make([]any, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Slice(keys, func(x, y int) bool {
		a, isA := keys[x].(int64)
		b, isB := keys[y].(int64)
		if isA && isB {
			return a < b
		}
		return text(keys[x]) < text(keys[y])
	})
	return keys
}
