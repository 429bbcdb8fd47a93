package cluster

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"

	"clade/jepsen/wire"
)

// Options of a cluster.
type Options struct {
	Nodes     int
	Folder    string // where nodes' folders and disks are; must be there
	Claded    string // the program
	Shim      string // the library that is preloaded
	DiskBytes int64
	Port      int // for clients; the next one is for peers
	Settings  map[string]string
	Log       func(format string, args ...any) // what happened to nodes, a line each
}

// Cluster is nodes, some of which come and go.
type Cluster struct {
	Network *Network
	options Options
	powers  Powers
	source  string // address that clients come from
	id      string
	spawns  chan spawn

	mutex      sync.Mutex
	nodes      []*Node // members now, by id
	former     []*Node
	next       int
	violations []string
	closed     bool
}

type spawn struct {
	cmd  *exec.Cmd
	done chan error
}

// New makes a cluster's folders; nothing runs yet.
func New(o Options, p Powers) (*Cluster, error) {
	c := &Cluster{options: o, powers: p, spawns: make(chan spawn), next: o.Nodes + 1}
	if p.Net {
		c.source = "127.0.0.1"
	}
	c.Network = newNetwork(c.host, o.Port+1)
	go c.spawner()
	var members []string
	for id := 1; id <= o.Nodes; id++ {
		members = append(members, "--member", fmt.Sprintf("%d=%s:%d", id, c.host(id), o.Port+1))
	}
	for id := 1; id <= o.Nodes; id++ {
		n, err := c.newNode(id)
		if err != nil {
			return c, err
		}
		c.nodes = append(c.nodes, n)
		out, err := n.Claded(append([]string{"init", "--node", fmt.Sprint(id), "--name",
			"jepsen"}, members...)...)
		if err != nil {
			return c, fmt.Errorf("claded init: %v: %s", err, out)
		}
	}
	return c, nil
}

// Each node has an address of its own, from which it also connects to the others.
func (c *Cluster) host(id int) string { return fmt.Sprintf("127.0.1.%d", id) }

// spawner starts all processes from one thread that lives as long as this process: Pdeathsig goes
// by the thread.
func (c *Cluster) spawner() {
	runtime.LockOSThread()
	for s := range c.spawns {
		s.done <- s.cmd.Start()
	}
}

func (c *Cluster) spawn(cmd *exec.Cmd) error {
	s := spawn{cmd, make(chan error, 1)}
	c.spawns <- s
	return <-s.done
}

// Powers are what the cluster's world allows.
func (c *Cluster) Powers() Powers { return c.powers }

// Source is the address that clients connect from, or "".
func (c *Cluster) Source() string { return c.source }

func (c *Cluster) note(format string, args ...any) {
	if c.options.Log != nil {
		c.options.Log(format, args...)
	}
}

func (c *Cluster) violate(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	c.mutex.Lock()
	c.violations = append(c.violations, text)
	c.mutex.Unlock()
	c.note("VIOLATION: %s", text)
}

// Violations is what the nodes did that they may not.
func (c *Cluster) Violations() []string {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	return append([]string(nil), c.violations...)
}

// Nodes are the members now.
func (c *Cluster) Nodes() []*Node {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	return append([]*Node(nil), c.nodes...)
}

// All are the members now and those of before.
func (c *Cluster) All() []*Node {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	return append(append([]*Node(nil), c.nodes...), c.former...)
}

// Addresses are where clients may go.
func (c *Cluster) Addresses() []string {
	var out []string
	for _, n := range c.Nodes() {
		out = append(out, n.Client)
	}
	return out
}

// Start starts every member that does not run, and waits until each serves.
func (c *Cluster) Start(timeout time.Duration) error {
	for _, n := range c.Nodes() {
		if err := n.Start(); err != nil {
			return err
		}
	}
	return c.WaitServing(timeout)
}

// WaitServing waits until each member that can run answers a linearizable read.
func (c *Cluster) WaitServing(timeout time.Duration) error {
	deadline := time.Now().Add(timeout)
	for _, n := range c.Nodes() {
		for !n.Damaged() && !n.isRemoved() {
			_, err := n.Ask("describe", wire.Map{}, 1500*time.Millisecond)
			if err == nil {
				break
			}
			// One that was told to go wrong may have ended only just now.
			if err := n.Start(); err != nil {
				return err
			}
			if bad := c.Violations(); len(bad) > 0 {
				return errors.New(bad[0])
			}
			if time.Now().After(deadline) {
				return fmt.Errorf("node %d does not serve within %v: %v (its last line: %s)", n.ID,
					timeout, err, n.LastLine())
			}
			time.Sleep(30 * time.Millisecond)
		}
	}
	return nil
}

// Leader is the member that leads, by the word of those that answer: the one of the highest term.
func (c *Cluster) Leader(timeout time.Duration) *Node {
	deadline := time.Now().Add(timeout)
	for {
		var best *Node
		var bestTerm int64
		for _, n := range c.Nodes() {
			if !n.Running() || n.isPaused() {
				continue
			}
			status, err := n.Status()
			if err != nil || status["leader"] != int64(n.ID) {
				continue
			}
			if term, _ := status["term"].(int64); term > bestTerm {
				best, bestTerm = n, term
			}
		}
		if best != nil || time.Now().After(deadline) {
			return best
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func (n *Node) isRemoved() bool {
	n.mutex.Lock()
	defer n.mutex.Unlock()
	return n.removed
}

func (n *Node) isPaused() bool {
	n.mutex.Lock()
	defer n.mutex.Unlock()
	return n.paused
}

// Links are all links between members for which wanted says yes.
func (c *Cluster) Links(wanted func(from, to int) bool) []Link {
	var links []Link
	nodes := c.Nodes()
	for _, a := range nodes {
		for _, b := range nodes {
			if a != b && wanted(a.ID, b.ID) {
				links = append(links, Link{a.ID, b.ID})
			}
		}
	}
	return links
}

// Repair brings the cluster back to order once faults are over: every member runs, those that are
// damaged are replaced by new ones, all serve.
func (c *Cluster) Repair(timeout time.Duration) error {
	deadline := time.Now().Add(timeout)
	for _, n := range c.Nodes() {
		n.Shim.Calm()
		n.Disk.Empty()
		n.Resume()
		if n.Damaged() {
			n.Kill()
			continue
		}
		if err := n.Start(); err != nil {
			return err
		}
	}
	if err := c.WaitServing(time.Until(deadline)); err != nil {
		return err
	}
	for _, n := range c.Nodes() {
		if !n.Damaged() {
			n.MayEnd("")
			continue
		}
		if err := c.Replace(n, time.Until(deadline)); err != nil {
			return err
		}
	}
	return nil
}

// Replace removes a member for ever, as the runbook has it, and adds a new one in its place.
func (c *Cluster) Replace(old *Node, timeout time.Duration) error {
	deadline := time.Now().Add(timeout)
	if err := c.Remove(old, time.Until(deadline)); err != nil {
		return err
	}
	_, err := c.Add(time.Until(deadline))
	return err
}

// member asks the leader for a change until it is taken.
func (c *Cluster) member(params wire.Map, timeout time.Duration) error {
	deadline := time.Now().Add(timeout)
	var err error
	for {
		leader := c.Leader(2 * time.Second)
		if leader != nil {
			_, err = leader.Ask("member", params, 3*time.Second)
			if err == nil || wire.Code(err) == "NOT_FOUND" && params["action"] == "remove" {
				return nil
			}
		} else {
			err = errors.New("no leader")
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("member %v: %w", params, err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// Remove takes a member out for ever.
func (c *Cluster) Remove(n *Node, timeout time.Duration) error {
	deadline := time.Now().Add(timeout)
	n.leave()
	if err := c.member(wire.Map{"action": "remove", "node": n.ID}, timeout); err != nil {
		return err
	}
	for {
		if role := c.role(n.ID); role == "gone" {
			break
		} else if time.Now().After(deadline) {
			return fmt.Errorf("node %d is still %s %v after its removal", n.ID, role, timeout)
		}
		time.Sleep(50 * time.Millisecond)
	}
	c.mutex.Lock()
	var kept []*Node
	for _, m := range c.nodes {
		if m != n {
			kept = append(kept, m)
		}
	}
	c.nodes = kept
	c.former = append(c.former, n)
	c.mutex.Unlock()
	n.mutex.Lock()
	n.removed = true
	n.mutex.Unlock()
	if !n.WaitEnd(10 * time.Second) {
		n.Kill()
	}
	return n.Disk.Unmount()
}

// role is what the leader says of a node: "voter", "standby", "spare", "none"; "gone" when the
// leader does not know it; "" when there is no leader.
func (c *Cluster) role(id int) string {
	leader := c.Leader(2 * time.Second)
	if leader == nil {
		return ""
	}
	status, err := leader.Status()
	if err != nil {
		return ""
	}
	members, _ := status["members"].([]any)
	for _, m := range members {
		if one, is := m.(wire.Map); is && one["id"] == int64(id) {
			role, _ := one["role"].(string)
			return role
		}
	}
	return "gone"
}

// Add adds a new member and waits until it votes.
func (c *Cluster) Add(timeout time.Duration) (*Node, error) {
	deadline := time.Now().Add(timeout)
	c.mutex.Lock()
	id := c.next
	c.next++
	c.mutex.Unlock()
	n, err := c.newNode(id)
	if err != nil {
		return nil, err
	}
	if err := c.member(wire.Map{"action": "add", "node": id, "address": n.Peer}, timeout); err != nil {
		return nil, err
	}
	words := []string{"init", "--node", fmt.Sprint(id), "--join", "--cluster", c.clusterID()}
	for _, m := range append(c.Nodes(), n) {
		words = append(words, "--member", fmt.Sprintf("%d=%s", m.ID, m.Peer))
	}
	if out, err := n.Claded(words...); err != nil {
		return nil, fmt.Errorf("claded init --join: %v: %s", err, out)
	}
	c.mutex.Lock()
	c.nodes = append(c.nodes, n)
	c.mutex.Unlock()
	if err := n.Start(); err != nil {
		return nil, err
	}
	for c.role(id) != "voter" {
		if time.Now().After(deadline) {
			return nil, fmt.Errorf("node %d does not vote %v after it was added: %s", id, timeout, n.LastLine())
		}
		time.Sleep(50 * time.Millisecond)
	}
	return n, c.WaitServing(time.Until(deadline))
}

func (c *Cluster) clusterID() string {
	for c.id == "" {
		for _, n := range c.Nodes() {
			if hello, err := n.Ask("hello", nil, time.Second); err == nil {
				c.id, _ = hello["cluster"].(string)
				break
			}
		}
	}
	return c.id
}

// Digests waits until all members have applied the same index, and says whether they hold the same.
func (c *Cluster) Digests(timeout time.Duration) (string, error) {
	deadline := time.Now().Add(timeout)
	for {
		var said []string
		indexes := map[any]bool{}
		for _, n := range c.Nodes() {
			status, err := n.Status()
			if err != nil {
				said = nil
				break
			}
			digest, _ := status["digest"].(wire.Map)
			indexes[digest["index"]] = true
			said = append(said, fmt.Sprintf("index %v data %v state %v", digest["index"],
				digest["data"], digest["state"]))
		}
		if len(said) > 0 && len(indexes) == 1 {
			for i, one := range said {
				if one != said[0] {
					return "", fmt.Errorf("the nodes differ: %s and %s (member %d)", said[0], one, i)
				}
			}
			return said[0], nil
		}
		if time.Now().After(deadline) {
			return "", fmt.Errorf("the nodes do not come to one index within %v: %v", timeout, said)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// Check stops every member and has its folder checked for damage.
func (c *Cluster) Check() {
	var group sync.WaitGroup
	for _, n := range c.Nodes() {
		group.Add(1)
		go func(n *Node) {
			defer group.Done()
			if code := n.Terminate(20 * time.Second); code != 0 {
				c.violate("node %d: exit code %d after SIGTERM: %s", n.ID, code, n.LastLine())
			}
		}(n)
	}
	group.Wait()
	for _, n := range c.Nodes() {
		if out, err := n.Claded("check"); err != nil {
			c.violate("node %d: claded check: %v: %s", n.ID, err, strings.TrimSpace(out))
		}
	}
	for _, n := range c.All() {
		if line := n.SanitizerReport(); line != "" {
			c.violate("node %d: %s", n.ID, line)
		}
		cores, _ := filepath.Glob(filepath.Join(n.Folder, "core*"))
		if len(cores) > 0 {
			c.violate("node %d left a core", n.ID)
		}
	}
}

func (c *Cluster) isClosed() bool {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	return c.closed
}

// Close ends every process and unmounts every disk; nothing is started any more. The folders stay.
func (c *Cluster) Close() {
	c.mutex.Lock()
	c.closed = true
	c.mutex.Unlock()
	for _, n := range c.All() {
		n.Kill()
		if err := n.Disk.Unmount(); err != nil {
			fmt.Fprintln(os.Stderr, "jepsen:", err)
		}
	}
}
