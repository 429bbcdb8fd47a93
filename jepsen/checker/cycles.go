package checker

import (
	"fmt"
	"sort"
	"strings"

	"clade/jepsen/history"
)

// A kind of cycle: one with at least one edge of kind `with`, the others of kinds `path`.
type cycleKind struct {
	name string
	with edgeKind
	path edgeKind
}

// From the worst on. A cycle with two rw or more for which no path without rw exists is G2.
var cycleKinds = []cycleKind{
	{"G0", ww, ww},
	{"G1c", wr, ww | wr},
	{"G-single", rw, ww | wr},
	{"G2-item", rw, ww | wr | rw},
}

// What may stand in a cycle beside dependencies, and what is then added to its name.
var cycleOrders = []struct {
	suffix string
	kinds  edgeKind
}{
	{"", 0},
	{"-process", process},
	{"-realtime", process | realtime},
}

// Reports for each component and kind its smallest cycle, unless a cycle that is worse, or needs
// less of the order in time, is known among the same transactions.
func (e *elle) cycles() {
	reported := make([]bool, len(e.txns))
	for _, order := range cycleOrders {
		for _, kind := range cycleKinds {
			found, of := e.graph.components(kind.path | kind.with | order.kinds)
			for _, c := range found {
				if anyOf(reported, c.nodes) {
					continue
				}
				cycle := e.graph.smallestCycle(c, of, kind.with, kind.path|order.kinds)
				if cycle == nil {
					continue
				}
				e.reportCycle(kind.name+order.suffix, cycle)
				for _, edge := range cycle {
					reported[edge.from] = true
				}
			}
		}
	}
	if e.graph.limited {
		e.j.count("cycles-not-searched-to-the-end", 1)
	}
}

func anyOf(set []bool, nodes []int32) bool {
	for _, n := range nodes {
		if set[n] {
			return true
		}
	}
	return false
}

// The smallest cycle in a component that begins with an edge of kind with and goes on along mask.
func (g *graph) smallestCycle(c component, of []int32, with, mask edgeKind) []edge {
	var best []edge
	longest := len(c.nodes)
	nodes := append([]int32(nil), c.nodes...)
	sort.Slice(nodes, func(a, b int) bool { return nodes[a] < nodes[b] })
	for _, v := range nodes {
		for _, e := range g.of(v) {
			if e.kind != with || of[e.to] != of[v] {
				continue
			}
			if path := g.path(e.to, v, mask, of, longest-1); path != nil {
				best = append([]edge{e}, path...)
				longest = len(best) - 1
			}
			if longest < 2 {
				return best
			}
		}
	}
	return best
}

func (e *elle) reportCycle(name string, cycle []edge) {
	var pairs []history.Pair
	var why []string
	for _, edge := range cycle {
		pairs = append(pairs, e.txns[edge.from].Pair)
		why = append(why, e.explain(edge))
	}
	e.j.found(name, entries(pairs...), "%s; a cycle", strings.Join(why, "; "))
}

// A sentence about an edge. Transactions are called by the index of their invocation.
func (e *elle) explain(edge edge) string {
	a, b := e.txns[edge.from].Begin.Index, e.txns[edge.to].Begin.Index
	k := &e.keys[edge.key]
	name, what := text(k.name), "something that nobody saw"
	if edge.at != none && int(edge.at) < len(k.longest) {
		what = text(k.longest[edge.at])
	}
	switch edge.kind {
	case ww:
		return fmt.Sprintf("T%d < T%d (ww: the latter appended %s to list %s after an element of the former)", a, b, what, name)
	case wr:
		return fmt.Sprintf("T%d < T%d (wr: the latter read %s in list %s, which the former appended)", a, b, what, name)
	case rw:
		return fmt.Sprintf("T%d < T%d (rw: the former read list %s without %s, which the latter appended)", a, b, name, what)
	case process:
		return fmt.Sprintf("T%d < T%d (process %d did one after the other)", a, b, e.txns[edge.from].Begin.Process)
	}
	return fmt.Sprintf("T%d < T%d (the former ended before the latter began)", a, b)
}

// Reports transactions that read the same version of a list and all appended to it: all but one
// did so without having seen the others.
func (e *elle) lostUpdates() {
	type version struct{ key, at int }
	byVersion := map[version][]int{}
	for t := range e.txns {
		if e.txns[t].Type() != history.Ok {
			continue
		}
		read := map[int]int{}
		for _, m := range e.txns[t].ops {
			at, is := read[m.key]
			if !m.append && !is && e.keys[m.key].fits(m.list) {
				read[m.key] = len(m.list)
			} else if m.append && !is {
				read[m.key] = none
			} else if m.append && at != none {
				byVersion[version{m.key, at}] = append(byVersion[version{m.key, at}], t)
				read[m.key] = none
			}
		}
	}
	var lost []version
	for v, txns := range byVersion {
		if len(txns) > 1 {
			lost = append(lost, v)
		}
	}
	sort.Slice(lost, func(a, b int) bool {
		return lost[a].key < lost[b].key || lost[a].key == lost[b].key && lost[a].at < lost[b].at
	})
	for _, v := range lost {
		var pairs []history.Pair
		for _, t := range byVersion[v] {
			pairs = append(pairs, e.txns[t].Pair)
		}
		e.j.found("lost-update", entries(pairs...), "%s read list %s with %s and appended to it",
			plural(len(pairs), "transaction"), text(e.keys[v.key].name), plural(v.at, "element"))
	}
}
