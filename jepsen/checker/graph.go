package checker

// Why one transaction must come before another.
type edgeKind uint8

const (
	ww edgeKind = 1 << iota
	wr
	rw
	process
	realtime
)

var edgeNames = map[edgeKind]string{ww: "ww", wr: "wr", rw: "rw", process: "process", realtime: "realtime"}

type edge struct {
	from, to int32
	key, at  int32 // of ww, wr, rw: the list, and the place of the later element (none: nobody saw it)
	kind     edgeKind
}

// A graph of n nodes: edges are added, then build is called, then it is asked.
type graph struct {
	n     int
	edges []edge  // after build by their first node
	begin []int32 // by node, and one more: its first edge

	visits  int     // edges looked at by path
	stamp   []int32 // by node: the search that saw it last
	parent  []int32 // by node: the edge that the search came by
	search  int32
	queue   []int32
	budget  int // of visits
	limited bool
}

// So many edges are looked at for the smallest cycles; beyond it those found so far are shown.
const visitsMax = 100_000_000

func newGraph(n int) *graph {
	return &graph{n: n, stamp: make([]int32, n), parent: make([]int32, n), budget: visitsMax}
}

// Adds an edge; one from a node to itself is left out.
func (g *graph) add(from, to int, kind edgeKind, key, at int) {
	if from != to {
		g.edges = append(g.edges, edge{int32(from), int32(to), int32(key), int32(at), kind})
	}
}

func (g *graph) build() {
	g.begin = make([]int32, g.n+1)
	for _, e := range g.edges {
		g.begin[e.from+1]++
	}
	for i := 0; i < g.n; i++ {
		g.begin[i+1] += g.begin[i]
	}
	sorted := make([]edge, len(g.edges))
	at := append([]int32(nil), g.begin...)
	for _, e := range g.edges {
		sorted[at[e.from]] = e
		at[e.from]++
	}
	g.edges = sorted
}

func (g *graph) of(node int32) []edge { return g.edges[g.begin[node]:g.begin[node+1]] }

// A set of nodes each of which reaches each other.
type component struct {
	nodes []int32
}

// The components of more than one node along edges of the kinds in mask (Tarjan, without
// recursion), and for each node its place among them or none.
func (g *graph) components(mask edgeKind) ([]component, []int32) {
	s := &tarjan{g: g, mask: mask, index: make([]int32, g.n), low: make([]int32, g.n), of: make([]int32, g.n)}
	for i := range s.of {
		s.of[i] = none
	}
	for v := int32(0); v < int32(g.n); v++ {
		if s.index[v] == 0 {
			s.visit(v)
		}
	}
	return s.found, s.of
}

type tarjan struct {
	g          *graph
	mask       edgeKind
	index, low []int32 // index 0: not seen; low -1: assigned
	of         []int32
	stack      []int32
	calls      []frame
	next       int32
	found      []component
}

type frame struct {
	node, edge int32
}

func (s *tarjan) enter(v int32) {
	s.next++
	s.index[v], s.low[v] = s.next, s.next
	s.stack = append(s.stack, v)
	s.calls = append(s.calls, frame{v, s.g.begin[v]})
}

func (s *tarjan) visit(root int32) {
	s.enter(root)
	for len(s.calls) > 0 {
		f := &s.calls[len(s.calls)-1]
		v := f.node
		if f.edge < s.g.begin[v+1] {
			e := s.g.edges[f.edge]
			f.edge++
			if e.kind&s.mask == 0 {
				continue
			}
			if s.index[e.to] == 0 {
				s.enter(e.to)
			} else if s.low[e.to] >= 0 && s.index[e.to] < s.low[v] {
				s.low[v] = s.index[e.to]
			}
			continue
		}
		s.calls = s.calls[:len(s.calls)-1]
		low := s.low[v]
		if low == s.index[v] {
			s.pop(v)
		}
		if len(s.calls) > 0 {
			if up := s.calls[len(s.calls)-1].node; low < s.low[up] {
				s.low[up] = low
			}
		}
	}
}

func (s *tarjan) pop(v int32) {
	at := len(s.stack) - 1
	for s.stack[at] != v {
		at--
	}
	nodes := append([]int32(nil), s.stack[at:]...)
	s.stack = s.stack[:at]
	for _, n := range nodes {
		s.low[n] = -1
		if len(nodes) > 1 {
			s.of[n] = int32(len(s.found))
		}
	}
	if len(nodes) > 1 {
		s.found = append(s.found, component{nodes})
	}
}

// The shortest path along edges of the kinds in mask between nodes of one component, of at most
// longest edges; nil if there is none, or the budget is spent.
func (g *graph) path(from, to int32, mask edgeKind, of []int32, longest int) []edge {
	if g.visits >= g.budget {
		g.limited = true
		return nil
	}
	g.search++
	g.stamp[from] = g.search
	g.queue = append(g.queue[:0], from)
	levelEnd, depth := 1, 0
	for at := 0; at < len(g.queue); at++ {
		if at == levelEnd {
			depth++
			levelEnd = len(g.queue)
		}
		if depth >= longest {
			return nil
		}
		v := g.queue[at]
		for i := g.begin[v]; i < g.begin[v+1]; i++ {
			e := &g.edges[i]
			g.visits++
			if e.kind&mask == 0 || of[e.to] != of[from] || g.stamp[e.to] == g.search {
				continue
			}
			g.stamp[e.to], g.parent[e.to] = g.search, i
			if e.to == to {
				return g.trace(from, to)
			}
			g.queue = append(g.queue, e.to)
		}
	}
	return nil
}

func (g *graph) trace(from, to int32) []edge {
	var path []edge
	for v := to; v != from; {
		e := g.edges[g.parent[v]]
		path = append(path, e)
		v = e.from
	}
	for a, b := 0, len(path)-1; a < b; a, b = a+1, b-1 {
		path[a], path[b] = path[b], path[a]
	}
	return path
}
