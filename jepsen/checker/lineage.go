package checker

import (
	"sort"

	"clade/jepsen/history"
)

const linkShape = "[from to status]"
const closureShape = "[start direction [[thing depth] ...]]"

// Edges by their ends, each with when it was there.
type lineage struct {
	j     *judgement
	known *acknowledged
	out   map[any]map[any]*presence // from, to
	in    map[any]map[any]*presence // to, from
}

// Lineage checks that every closure is that of the edges as they were at its revision, with the
// least depth of each thing. An edge whose link or unlink has no known outcome may be there or not.
func Lineage(h history.History) Verdict {
	l := &lineage{
		j: judge("lineage", h), known: acknowledgedOf(h),
		out: map[any]map[any]*presence{}, in: map[any]map[any]*presence{},
	}
	edges := 0
	for _, p := range l.j.pairs("link", "unlink") {
		l.change(p)
		edges++
	}
	l.statuses()
	closures, things := 0, 0
	for _, p := range l.j.pairs("closure") {
		if p.Type() == history.Ok {
			closures++
			things += l.closure(p)
		}
	}
	l.j.count("changes of edges", edges)
	l.j.count("closures", closures)
	l.j.count("things in closures", things)
	if closures == 0 {
		l.j.unknown("no closure was answered")
	}
	return l.j.end("%s with %s are those of the edges at their revisions",
		plural(closures, "closure"), plural(things, "thing"))
}

func (l *lineage) edge(from, to any) *presence {
	if l.out[from] == nil {
		l.out[from] = map[any]*presence{}
	}
	if l.in[to] == nil {
		l.in[to] = map[any]*presence{}
	}
	if l.out[from][to] == nil {
		l.out[from][to] = &presence{}
		l.in[to][from] = l.out[from][to]
	}
	return l.out[from][to]
}

func (l *lineage) change(p history.Pair) {
	list := l.j.tuple(answer{p}.value(), 3, linkShape)
	if list == nil || p.Type() == history.Fail {
		return
	}
	if !scalar(list[0]) || !scalar(list[1]) {
		l.j.unfit(p.Begin, linkShape)
		return
	}
	e := l.edge(list[0], list[1])
	on := p.Begin.F == "link"
	if p.Type() == history.Info {
		e.addPossible(l.known.before[p.Begin.Index], on, p.Begin)
	} else if revision, is := revisionOf(p); is {
		e.add(revision, on, nameOf(list[2]) == "unchanged", p.Done)
	} else {
		l.j.unknown("entry %d has no :revision", p.Done.Index)
	}
}

// What a link or unlink says of the edge before it must be so.
func (l *lineage) statuses() {
	for _, from := range sortedAny(l.out) {
		for _, to := range sortedAny(l.out[from]) {
			e := l.out[from][to]
			for i, c := range e.changes() {
				before, by := e.after(i, c.revision)
				was := c.on == c.kept
				if before == uncertain || (before == present) == was {
					continue
				}
				l.j.found("status", []*history.Op{by, c.op}, "%d says %s of the edge from %s to %s at revision %d, which was %s",
					c.op.Index, nameOf(c.op.Value.([]any)[2]), text(from), text(to), c.revision,
					map[bool]string{true: "there", false: "not there"}[!was])
			}
		}
	}
}

// One thing of a closure with its depth; the edges of a closure lead from less to more.
type reached struct {
	thing any
	depth int64
}

// Judges a closure; how many things it has. The edges that surely were there lead nowhere else,
// and each thing is one step from one that has one depth less, along an edge that may have been.
func (l *lineage) closure(p history.Pair) int {
	list := l.j.tuple(p.Done, 3, closureShape)
	revision, is := revisionOf(p)
	if list == nil {
		return 0
	}
	forward, backward := l.out, l.in
	if nameOf(list[1]) == "down" {
		forward, backward = l.in, l.out
	}
	things, fit := reachedOf(list)
	if !fit || !is {
		l.j.unfit(p.Done, closureShape+" with a :revision")
		return 0
	}
	depths := map[any]int64{list[0]: 0}
	last := int64(1)
	for _, t := range things {
		if _, twice := depths[t.thing]; twice {
			l.j.found("twice-in-closure", entries(p), "%d has %s twice, or its own start", p.Done.Index, text(t.thing))
			return len(things)
		}
		if t.depth < last {
			l.j.found("closure-order", entries(p), "%d has %s of depth %d after depth %d",
				p.Done.Index, text(t.thing), t.depth, last)
		}
		depths[t.thing], last = t.depth, t.depth
	}
	for _, t := range things {
		l.reachable(p, t, backward[t.thing], depths, revision)
	}
	for _, t := range append([]reached{{list[0], 0}}, things...) {
		l.complete(p, t, forward[t.thing], depths, revision)
	}
	return len(things)
}

func reachedOf(list []any) ([]reached, bool) {
	rows, is := list[2].([]any)
	if !is && list[2] != nil || !scalar(list[0]) {
		return nil, false
	}
	var things []reached
	for _, row := range rows {
		pair, is := row.([]any)
		if !is || len(pair) != 2 || !scalar(pair[0]) {
			return nil, false
		}
		depth, is := pair[1].(int64)
		if !is || depth < 1 {
			return nil, false
		}
		things = append(things, reached{pair[0], depth})
	}
	return things, true
}

func (l *lineage) reachable(p history.Pair, t reached, from map[any]*presence, depths map[any]int64, revision int64) {
	var ended []*history.Op
	for _, before := range sortedNear(from, depths) {
		if depths[before] != t.depth-1 {
			continue
		}
		was, by := from[before].at(revision)
		if was != absent {
			return
		}
		ended = append(ended, by)
	}
	l.j.found("not-reachable", append(entries(p), ended...),
		"%d has %s at depth %d as of revision %d, and no edge leads there from depth %d",
		p.Done.Index, text(t.thing), t.depth, revision, t.depth-1)
}

func (l *lineage) complete(p history.Pair, t reached, to map[any]*presence, depths map[any]int64, revision int64) {
	for _, next := range sortedAny(to) {
		was, by := to[next].at(revision)
		if was != present {
			continue
		}
		depth, is := depths[next]
		if !is {
			l.j.found("missing", append(entries(p), by), "%d lacks %s as of revision %d, though an edge leads there from %s",
				p.Done.Index, text(next), revision, text(t.thing))
		} else if depth > t.depth+1 {
			l.j.found("not-least-depth", append(entries(p), by), "%d has %s at depth %d, though an edge leads there from %s of depth %d",
				p.Done.Index, text(next), depth, text(t.thing), t.depth)
		}
	}
}

// The neighbours that are in a closure.
func sortedNear(from map[any]*presence, depths map[any]int64) []any {
	var near []any
	for thing := range from {
		if _, is := depths[thing]; is {
			near = append(near, thing)
		}
	}
	sort.Slice(near, func(a, b int) bool { return text(near[a]) < text(near[b]) })
	return near
}
