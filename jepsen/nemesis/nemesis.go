// Package nemesis breaks the world of a cluster, and counts what it broke.
package nemesis

import (
	"fmt"
	"math/rand"
	"strings"
	"sync"
	"time"

	"clade/jepsen/cluster"
	"clade/jepsen/wire"
)

// World is what faults work on.
type World struct {
	Cluster *cluster.Cluster
	Rand    *rand.Rand // may be used by any goroutine
	Log     func(format string, args ...any)

	mutex   sync.Mutex
	leaders int64
}

// NewWorld is a cluster to be broken by a seed.
func NewWorld(c *cluster.Cluster, seed int64, log func(format string, args ...any)) *World {
	return &World{Cluster: c, Rand: rand.New(&lockedSource{source: rand.NewSource(seed).(rand.Source64)}), Log: log}
}

type lockedSource struct {
	mutex  sync.Mutex
	source rand.Source64
}

func (s *lockedSource) Int63() int64 {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return s.source.Int63()
}

func (s *lockedSource) Uint64() uint64 {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return s.source.Uint64()
}

func (s *lockedSource) Seed(seed int64) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.source.Seed(seed)
}

// LeadersKilled is how many of the nodes that were killed, or lost their power, led.
func (w *World) LeadersKilled() int64 {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	return w.leaders
}

func (w *World) killedLeader() {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	w.leaders++
}

// Fault is one way to break it. Its methods are called one after the other: Begin, End, Settle.
type Fault interface {
	// Begin breaks something; what, in words.
	Begin(w *World) (string, error)
	// End stops breaking. Nodes that ended are started by the caller, all others healed.
	End(w *World) error
	// Hits counts what really happened, over all of its times: 0 means that it never hit.
	Hits() int64
}

// settler is a fault with something under way that ends only when all faults have ended.
type settler interface{ Settle(w *World) error }

// Kind is a fault by its name.
type Kind struct {
	Name string
	What string // what its counter counts
	Net  bool   // needs nftables
	Disk bool   // needs loop-mounted disks
	Long bool   // takes too long for a short run
	make func() Fault
}

// Kinds are all of them, in the order in which they are told of.
func Kinds() []Kind {
	return append([]Kind(nil), kinds...)
}

var kinds []Kind

func register(k ...Kind) { kinds = append(kinds, k...) }

// Choose returns the kinds that a list of names, split at commas, asks for: "all", a name, or the
// beginning of names ("kill"). What this world does not allow is left out, and returned by name.
func Choose(list string, p cluster.Powers, short bool) (chosen []Kind, left []string, err error) {
	taken := map[string]bool{}
	for _, word := range strings.Split(list, ",") {
		found := false
		for _, k := range kinds {
			if word != "all" && k.Name != word && !strings.HasPrefix(k.Name, word+"-") {
				continue
			}
			found = true
			if k.Net && !p.Net || k.Disk && !p.Disk {
				left = append(left, k.Name)
				continue
			}
			if word == "all" && short && k.Long || taken[k.Name] {
				continue
			}
			taken[k.Name] = true
			chosen = append(chosen, k)
		}
		if !found {
			return nil, nil, fmt.Errorf("no fault '%s'; there are %s", word, strings.Join(names(), ", "))
		}
	}
	if len(chosen) == 0 {
		return nil, left, fmt.Errorf("none of these faults is possible here: %s", p.Why)
	}
	return chosen, left, nil
}

func names() []string {
	var out []string
	for _, k := range kinds {
		out = append(out, k.Name)
	}
	return out
}

// Schedule gives the faults of one episode after the other: first each kind alone, in an order by
// the seed, then pairs, each kind as often as any other.
type Schedule struct {
	kinds  []Kind
	faults map[string]Fault
	rand   *rand.Rand
	deck   [][]int
	rounds int
}

// NewSchedule begins a schedule.
func NewSchedule(kinds []Kind, random *rand.Rand) *Schedule {
	s := &Schedule{kinds: kinds, faults: map[string]Fault{}, rand: random}
	for _, k := range kinds {
		s.faults[k.Name] = k.make()
	}
	return s
}

// Next is what comes next, by number of the kinds.
func (s *Schedule) Next() []int {
	if len(s.deck) == 0 {
		order := s.rand.Perm(len(s.kinds))
		for i, a := range order {
			// Alone in every third round, and in the first.
			if s.rounds%3 == 0 || len(order) < 2 {
				s.deck = append(s.deck, []int{a})
			} else {
				s.deck = append(s.deck, []int{a, order[(i+1+s.rounds)%len(order)]})
			}
		}
		s.rounds++
	}
	next := s.deck[0]
	s.deck = s.deck[1:]
	if len(next) == 2 && next[0] == next[1] {
		next = next[:1]
	}
	return next
}

// Kinds is how many kinds there are.
func (s *Schedule) Kinds() int { return len(s.kinds) }

// Kind and Fault are those of a number.
func (s *Schedule) Kind(i int) Kind   { return s.kinds[i] }
func (s *Schedule) Fault(i int) Fault { return s.faults[s.kinds[i].Name] }

// Settle waits for what a fault still has under way.
func Settle(f Fault, w *World) error {
	if s, is := f.(settler); is {
		return s.Settle(w)
	}
	return nil
}

// Tally is the counter of each kind.
type Tally struct {
	Name string
	What string
	Hits int64
}

// Tallies are the counters, by name.
func (s *Schedule) Tallies() []Tally {
	var out []Tally
	for _, k := range s.kinds {
		out = append(out, Tally{k.Name, k.What, s.faults[k.Name].Hits()})
	}
	return out
}

// counter counts hits.
type counter struct {
	mutex sync.Mutex
	n     int64
}

func (c *counter) hit(n int64) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.n += n
}

func (c *counter) Hits() int64 {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	return c.n
}

// pick chooses nodes that run: "one", "leader", "minority", "majority", "all".
func (w *World) pick(which string) []*cluster.Node {
	var running []*cluster.Node
	for _, n := range w.Cluster.Nodes() {
		if n.Running() && !n.Damaged() {
			running = append(running, n)
		}
	}
	w.Rand.Shuffle(len(running), func(a, b int) { running[a], running[b] = running[b], running[a] })
	all := len(w.Cluster.Nodes())
	switch which {
	case "leader":
		if leader := w.anyLeader(); leader != nil {
			return []*cluster.Node{leader}
		}
		return first(running, 1)
	case "minority":
		return first(running, (all-1)/2)
	case "majority":
		return first(running, all/2+1)
	case "all":
		return running
	}
	return first(running, 1)
}

// anyLeader is who leads; half of the time that was handed to a random node first, since those of
// the shortest election timeout would else lead always. nil when nobody leads.
func (w *World) anyLeader() *cluster.Node {
	leader := w.Cluster.Leader(3 * time.Second)
	if leader == nil || w.Rand.Intn(2) == 0 {
		return leader
	}
	nodes := w.Cluster.Nodes()
	_, _ = leader.Ask("transfer", wire.Map{"to": nodes[w.Rand.Intn(len(nodes))].ID}, 2*time.Second)
	return w.Cluster.Leader(3 * time.Second)
}

func first(nodes []*cluster.Node, n int) []*cluster.Node {
	if n > len(nodes) {
		n = len(nodes)
	}
	return nodes[:n]
}

func ids(nodes []*cluster.Node) string {
	words := make([]string, len(nodes))
	for i, n := range nodes {
		words[i] = fmt.Sprint(n.ID)
	}
	return strings.Join(words, ",")
}
