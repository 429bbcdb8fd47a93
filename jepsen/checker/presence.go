package checker

import (
	"sort"

	"clade/jepsen/history"
)

// Presence answers whether something (an element, an edge) was there at a revision, from
// acknowledged changes, whose revisions are known, and from changes of unknown outcome, which may
// have happened at any revision above what was acknowledged when they began, or never.
type presence struct {
	sure   []change // by revision, once sorted
	maybe  []change
	sorted bool
}

type change struct {
	revision int64 // at which it happened; of a possible one: above which it may have
	on       bool
	kept     bool // it was so before, too
	op       *history.Op
}

type state int

const (
	absent state = iota
	present
	uncertain
)

func (p *presence) add(revision int64, on, kept bool, op *history.Op) {
	p.sure = append(p.sure, change{revision, on, kept, op})
	p.sorted = false
}

func (p *presence) addPossible(above int64, on bool, op *history.Op) {
	p.maybe = append(p.maybe, change{revision: above, on: on, op: op})
}

// The state at a revision, and the acknowledged change that made it so; nil if none did.
func (p *presence) at(revision int64) (state, *history.Op) {
	p.sort()
	return p.after(sort.Search(len(p.sure), func(i int) bool { return p.sure[i].revision > revision }), revision)
}

// The acknowledged changes by revision; at one revision those that kept it as it was come last.
func (p *presence) changes() []change {
	p.sort()
	return p.sure
}

func (p *presence) sort() {
	if p.sorted {
		return
	}
	sort.SliceStable(p.sure, func(a, b int) bool {
		x, y := &p.sure[a], &p.sure[b]
		return x.revision < y.revision || x.revision == y.revision && !x.kept && y.kept
	})
	p.sorted = true
}

// The state at a revision, after the first n acknowledged changes and before the next.
func (p *presence) after(n int, revision int64) (state, *history.Op) {
	base := change{revision: -1}
	if n > 0 {
		base = p.sure[n-1]
	}
	if base.revision < revision {
		for _, m := range p.maybe {
			if m.on != base.on && m.revision < revision {
				return uncertain, base.op
			}
		}
	}
	if base.on {
		return present, base.op
	}
	return absent, base.op
}
