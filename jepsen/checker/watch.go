package checker

import (
	"sort"

	"clade/jepsen/history"
)

const watchShape = "[from [[revision k v] ...]]"

// An event as a watcher was told it, or as a write was acknowledged.
type watchEvent struct {
	revision, k, v int64
	by             *history.Op
}

// A stretch that a watcher looked at: what it was told of the revisions from from on, below next.
type watchStretch struct {
	done       *history.Op
	from, next int64
	only       int64 // the key, or -1
	events     []watchEvent
}

// Watch checks that each stretch of each watcher has every transaction in it that is known, from an
// acknowledgement or from any other watcher, once and in order, and nothing that was refused.
func Watch(h history.History) Verdict {
	j := judge("watch", h)
	known := map[int64]watchEvent{}    // by revision
	at := map[int64]watchEvent{}       // by v
	tried := map[int64]*history.Pair{} // by v
	writes := j.pairs("write")
	for i := range writes {
		p := writes[i]
		list, is := (answer{p}).value().Value.([]any)
		k, v, fits := twoOf(list, is)
		if !fits {
			j.unfit(p.Begin, "[k v]")
			continue
		}
		tried[v] = &writes[i]
		if revision, is := revisionOf(p); is && p.Type() == history.Ok {
			e := watchEvent{revision, k, v, p.Done}
			known[revision], at[v] = e, e
		}
	}
	var stretches []watchStretch
	events := 0
	for _, p := range j.pairs("watch") {
		if p.Type() != history.Ok {
			continue
		}
		s, fits := stretchOf(p)
		if !fits {
			j.unfit(p.Done, watchShape)
			continue
		}
		events += len(s.events)
		stretches = append(stretches, s)
		for _, e := range s.events {
			j.told(s, e, known, at, tried)
		}
	}
	revisions := sortedRevisions(known)
	for _, s := range stretches {
		j.whole(s, known, revisions)
	}
	j.count("writes", len(writes))
	j.count("stretches", len(stretches))
	j.count("events", events)
	if len(stretches) == 0 {
		j.unknown("no watcher was told anything")
	}
	return j.end("%s of %s have what is known, once and in order", plural(len(stretches), "span"), plural(events, "event"))
}

func twoOf(list []any, is bool) (int64, int64, bool) {
	if !is || len(list) != 2 {
		return 0, 0, false
	}
	k, first := list[0].(int64)
	v, second := list[1].(int64)
	return k, v, first && second
}

func stretchOf(p history.Pair) (watchStretch, bool) {
	list, is := p.Done.Value.([]any)
	if !is || len(list) != 2 {
		return watchStretch{}, false
	}
	s := watchStretch{done: p.Done, only: -1}
	var fits, hasNext bool
	s.from, fits = list[0].(int64)
	s.next, hasNext = p.Done.Extra["next"].(int64)
	if only, is := p.Done.Extra["only"].(int64); is {
		s.only = only
	}
	told, is := list[1].([]any)
	if !fits || !hasNext || (!is && list[1] != nil) {
		return s, false
	}
	for _, value := range told {
		three, is := value.([]any)
		if !is || len(three) != 3 {
			return s, false
		}
		revision, is := three[0].(int64)
		k, v, fits := twoOf(three[1:], is)
		if !fits {
			return s, false
		}
		s.events = append(s.events, watchEvent{revision, k, v, p.Done})
	}
	return s, true
}

// Judges one event against what is known, and takes it up.
func (j *judgement) told(s watchStretch, e watchEvent, known, at map[int64]watchEvent, tried map[int64]*history.Pair) {
	p := tried[e.v]
	if p == nil {
		j.found("unexpected", []*history.Op{s.done}, "%d tells of %d, which nobody wrote", s.done.Index, e.v)
		return
	}
	if p.Type() == history.Fail {
		j.found("refused-told", append(entries(*p), s.done), "%d tells of %d at revision %d, which was refused", s.done.Index, e.v, e.revision)
	}
	if other, is := known[e.revision]; is && (other.k != e.k || other.v != e.v) {
		j.found("two-truths", []*history.Op{other.by, s.done}, "%d tells of %d at revision %d, which is that of %d", s.done.Index, e.v, e.revision, other.v)
		return
	}
	if other, is := at[e.v]; is && other.revision != e.revision {
		j.found("two-revisions", []*history.Op{other.by, s.done}, "%d tells of %d at revision %d, %d has it at %d", s.done.Index, e.v, e.revision, other.by.Index, other.revision)
		return
	}
	if s.only >= 0 && e.k != s.only {
		j.found("not-asked-for", []*history.Op{s.done}, "%d tells of key %d, asked for %d", s.done.Index, e.k, s.only)
	}
	if _, is := known[e.revision]; !is {
		known[e.revision], at[e.v] = e, e
	}
}

func sortedRevisions(known map[int64]watchEvent) []int64 {
	revisions := make([]int64, 0, len(known))
	for revision := range known {
		revisions = append(revisions, revision)
	}
	sort.Slice(revisions, func(a, b int) bool { return revisions[a] < revisions[b] })
	return revisions
}

// Judges whether a stretch has all that is known in it, once and in order.
func (j *judgement) whole(s watchStretch, known map[int64]watchEvent, revisions []int64) {
	there := map[int64]bool{}
	last := int64(0)
	for _, e := range s.events {
		switch {
		case there[e.revision]:
			j.found("told-twice", []*history.Op{s.done}, "%d tells of revision %d twice", s.done.Index, e.revision)
		case e.revision < last:
			j.found("out-of-order", []*history.Op{s.done}, "%d tells of revision %d after %d", s.done.Index, e.revision, last)
		case e.revision < s.from || e.revision >= s.next:
			j.found("outside", []*history.Op{s.done}, "%d tells of revision %d, and is from %d to below %d", s.done.Index, e.revision, s.from, s.next)
		}
		there[e.revision] = true
		if e.revision > last {
			last = e.revision
		}
	}
	for _, revision := range revisions {
		e := known[revision]
		if revision >= s.from && revision < s.next && !there[revision] && (s.only < 0 || e.k == s.only) {
			j.found("missing", []*history.Op{e.by, s.done}, "%d lacks %d of revision %d, and is from %d to below %d", s.done.Index, e.v, revision, s.from, s.next)
		}
	}
}
