package nemesis

import (
	"clade/jepsen/cluster"
)

// Processes that are killed and paused.

func init() {
	for _, which := range []string{"one", "leader", "majority", "all"} {
		which := which
		register(Kind{Name: "kill-" + which, What: "processes killed",
			make: func() Fault { return &kill{which: which} }})
	}
	for _, which := range []string{"one", "leader", "majority"} {
		which := which
		register(Kind{Name: "pause-" + which, What: "processes frozen",
			make: func() Fault { return &pause{which: which} }})
	}
}

type kill struct {
	counter
	which string
}

func (f *kill) Begin(w *World) (string, error) {
	nodes := w.pick(f.which)
	leader := w.leaderID()
	for _, n := range nodes {
		if n.Kill() {
			f.hit(1)
			if n.ID == leader {
				w.killedLeader()
			}
		}
	}
	return "nodes " + ids(nodes), nil
}

func (f *kill) End(*World) error { return nil }

// leaderID is who leads now, or 0.
func (w *World) leaderID() int {
	if leader := w.Cluster.Leader(0); leader != nil {
		return leader.ID
	}
	return 0
}

type pause struct {
	counter
	which string
	nodes []*cluster.Node
}

func (f *pause) Begin(w *World) (string, error) {
	f.nodes = w.pick(f.which)
	for _, n := range f.nodes {
		if n.Pause() {
			f.hit(1)
		}
	}
	return "nodes " + ids(f.nodes), nil
}

func (f *pause) End(*World) error {
	for _, n := range f.nodes {
		n.Resume()
	}
	return nil
}
