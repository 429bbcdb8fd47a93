package checker

import (
	"fmt"
	"sort"

	"clade/jepsen/history"
)

// An element that was added, or tried to be.
type added struct {
	history.Pair
	value    any
	revision int64
	known    bool
	seen     *history.Op // the linearizable read that ended first of those that saw it
}

// The elements of a history, by their place in the order of invocations.
type setHistory struct {
	j       *judgement
	adds    []added
	byValue map[any]int
	stamp   []int // by element: the read that saw it last, from 1
	reads   int
}

// Set checks that whatever index is asked, on whatever node, every acknowledged element is found,
// one that was found stays, and none is found that nobody added.
func Set(h history.History) Verdict {
	s := &setHistory{j: judge("set", h), byValue: map[any]int{}}
	adds, reads := s.j.pairs("add"), s.j.pairs("read")
	for _, p := range adds {
		s.add(p)
	}
	s.stamp = make([]int, len(s.adds))
	sort.SliceStable(reads, func(a, b int) bool { return endOf(reads[a]) < endOf(reads[b]) })
	last := map[string]int{}
	for _, p := range reads {
		if p.Type() == history.Ok {
			s.read(p)
			s.j.count("reads by "+by(p), 1)
			last[by(p)]++
		}
	}
	if len(last) == 0 {
		s.j.unknown("no read was answered")
	}
	s.j.count("adds", len(adds))
	return s.j.end("%s are found where they were acknowledged, by %s, in %s",
		plural(len(adds), "add"), plural(len(last), "index"), plural(s.reads, "read"))
}

func endOf(p history.Pair) int {
	if p.Done == nil {
		return int(^uint(0) >> 1)
	}
	return p.Done.Index
}

// The index that a read used.
func by(p history.Pair) string {
	if name := p.Done.Name("by"); name != "" {
		return name
	}
	if name := p.Begin.Name("by"); name != "" {
		return name
	}
	return "any"
}

func (s *setHistory) add(p history.Pair) {
	value := answer{p}.value().Value
	if !scalar(value) {
		s.j.unfit(p.Begin, "an element")
		return
	}
	if other, is := s.byValue[value]; is {
		s.j.unknown("%d and %d both add %s, and an element must be added once",
			s.adds[other].Begin.Index, p.Begin.Index, text(value))
		return
	}
	s.byValue[value] = len(s.adds)
	revision, known := revisionOf(p)
	s.adds = append(s.adds, added{Pair: p, value: value, revision: revision, known: known})
}

func (s *setHistory) read(p history.Pair) {
	list, is := p.Done.Value.([]any)
	if !is && p.Done.Value != nil {
		s.j.unfit(p.Done, "[e ...]")
		return
	}
	s.reads++
	revision, known := revisionOf(p)
	what := fmt.Sprintf("%d (by %s)", p.Done.Index, by(p))
	for _, value := range list {
		if !scalar(value) {
			s.j.unfit(p.Done, "[e ...]")
			return
		}
		at, is := s.byValue[value]
		if !is {
			s.j.found("unexpected", entries(p), "%s finds %s, which nobody added", what, text(value))
			continue
		}
		a := &s.adds[at]
		switch {
		case s.stamp[at] == s.reads:
			s.j.found("duplicate", entries(a.Pair, p), "%s finds %s twice", what, text(value))
		case a.Type() == history.Fail:
			s.j.found("failed-write-seen", entries(a.Pair, p), "%s finds %s, whose add %d failed",
				what, text(value), a.Done.Index)
		case known && a.known && a.revision > revision:
			s.j.found("from-the-future", entries(a.Pair, p), "%s finds %s at revision %d, though it was added at %d",
				what, text(value), revision, a.revision)
		}
		s.stamp[at] = s.reads
		if a.seen == nil && linearizable(p) {
			a.seen = p.Done
		}
	}
	s.missing(p, what, revision, known)
}

func (s *setHistory) missing(p history.Pair, what string, revision int64, known bool) {
	current := linearizable(p)
	for at := range s.adds {
		a := &s.adds[at]
		if s.stamp[at] == s.reads {
			continue
		}
		// A read that asks for each element by its name does not ask for those that come later.
		asked := a.Begin.Index < p.Begin.Index
		if a.Type() == history.Ok && (current && a.Done.Index < p.Begin.Index ||
			asked && known && a.known && a.revision <= revision) {
			s.j.found("lost", entries(a.Pair, p), "%s lacks %s, which %d had acknowledged", what, text(a.value), a.Done.Index)
		} else if current && a.seen != nil && a.seen.Index < p.Begin.Index {
			s.j.found("gone", append(entries(a.Pair, p), a.seen), "%s lacks %s, which %d had found",
				what, text(a.value), a.seen.Index)
		}
	}
}
