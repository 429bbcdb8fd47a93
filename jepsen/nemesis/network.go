package nemesis

import (
	"fmt"
	"time"

	"clade/jepsen/cluster"
)

// Links that are cut, lossy or slow.

func init() {
	for _, one := range []struct {
		name  string
		shape func(w *World, nodes []int) (map[cluster.Link]bool, string)
	}{{"halves", halves}, {"ring", ring}, {"bridge", bridge}, {"oneway", oneway}, {"single", single},
		{"leader", leaderAlone}} {
		shape := one.shape
		register(Kind{Name: "partition-" + one.name, What: "packets dropped", Net: true,
			make: func() Fault { return &links{shape: shape, counts: "cut"} }})
	}
	register(Kind{Name: "lossy", What: "packets lost", Net: true,
		make: func() Fault { return &links{shape: everyLink, counts: "lost"} }})
	register(Kind{Name: "slow", What: "pieces held back", Net: true,
		make: func() Fault { return &links{shape: everyLink, counts: "slow"} }})
}

// links disturbs some of the links between nodes.
type links struct {
	shape  func(w *World, nodes []int) (map[cluster.Link]bool, string)
	counts string
	links  []cluster.Link
	before int64
	hits   int64
}

func (f *links) Begin(w *World) (string, error) {
	var nodes []int
	for _, n := range w.Cluster.Nodes() {
		nodes = append(nodes, n.ID)
	}
	w.Rand.Shuffle(len(nodes), func(a, b int) { nodes[a], nodes[b] = nodes[b], nodes[a] })
	set, what := f.shape(w, nodes)
	f.links = w.Cluster.Links(func(from, to int) bool { return set[cluster.Link{From: from, To: to}] })
	f.before = w.Cluster.Network.Counters()[f.counts]
	switch f.counts {
	case "lost":
		perMille := 50 + w.Rand.Intn(350)
		return fmt.Sprintf("%d of 1000 packets", perMille), w.Cluster.Network.Lose(f.links, perMille)
	case "slow":
		max := time.Duration(20+w.Rand.Intn(180)) * time.Millisecond
		return fmt.Sprintf("up to %v", max), w.Cluster.Network.Slow(f.links, max/20, max)
	}
	return what, w.Cluster.Network.Cut(f.links)
}

func (f *links) End(w *World) error {
	f.hits += w.Cluster.Network.Counters()[f.counts] - f.before
	return w.Cluster.Network.Heal(f.links)
}

func (f *links) Hits() int64 { return f.hits }

// between marks the links between two groups, both ways.
func between(set map[cluster.Link]bool, a, b []int) {
	for _, x := range a {
		for _, y := range b {
			set[cluster.Link{From: x, To: y}] = true
			set[cluster.Link{From: y, To: x}] = true
		}
	}
}

func halves(_ *World, nodes []int) (map[cluster.Link]bool, string) {
	set := map[cluster.Link]bool{}
	half := len(nodes) / 2
	between(set, nodes[:half], nodes[half:])
	return set, fmt.Sprintf("%v from %v", nodes[:half], nodes[half:])
}

// ring leaves each node a majority, no two the same.
func ring(_ *World, nodes []int) (map[cluster.Link]bool, string) {
	set := map[cluster.Link]bool{}
	n := len(nodes)
	reach := (n/2 + 1) / 2 // on either side
	for i, x := range nodes {
		for j, y := range nodes {
			distance := (j - i + n) % n
			if distance > n/2 {
				distance = n - distance
			}
			if distance > reach {
				between(set, []int{x}, []int{y})
			}
		}
	}
	if n <= 3 { // too few for that: one link less
		between(set, nodes[:1], nodes[1:2])
	}
	return set, fmt.Sprintf("a ring of %v", nodes)
}

// bridge leaves one node between two halves that do not see each other.
func bridge(_ *World, nodes []int) (map[cluster.Link]bool, string) {
	set := map[cluster.Link]bool{}
	half := (len(nodes) - 1) / 2
	between(set, nodes[1:1+half], nodes[1+half:])
	return set, fmt.Sprintf("%v from %v, %d between them", nodes[1:1+half], nodes[1+half:], nodes[0])
}

func oneway(w *World, nodes []int) (map[cluster.Link]bool, string) {
	set := map[cluster.Link]bool{}
	victim := nodes[0]
	if leader := w.leaderID(); leader != 0 && w.Rand.Intn(2) == 0 {
		victim = leader
	}
	hears := w.Rand.Intn(2) == 0
	for _, other := range nodes {
		if hears {
			set[cluster.Link{From: victim, To: other}] = true
		} else {
			set[cluster.Link{From: other, To: victim}] = true
		}
	}
	if hears {
		return set, fmt.Sprintf("nobody hears %d", victim)
	}
	return set, fmt.Sprintf("%d hears nobody", victim)
}

func single(_ *World, nodes []int) (map[cluster.Link]bool, string) {
	set := map[cluster.Link]bool{}
	between(set, nodes[:1], nodes[1:])
	return set, fmt.Sprintf("%d alone", nodes[0])
}

func leaderAlone(w *World, nodes []int) (map[cluster.Link]bool, string) {
	set := map[cluster.Link]bool{}
	leader := w.anyLeader()
	if leader == nil {
		return single(w, nodes)
	}
	var others []int
	for _, id := range nodes {
		if id != leader.ID {
			others = append(others, id)
		}
	}
	between(set, []int{leader.ID}, others)
	return set, fmt.Sprintf("%d alone, which leads", leader.ID)
}

func everyLink(_ *World, nodes []int) (map[cluster.Link]bool, string) {
	set := map[cluster.Link]bool{}
	for i := range nodes {
		between(set, nodes[i:i+1], nodes[i+1:])
	}
	return set, ""
}
