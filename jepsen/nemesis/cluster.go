package nemesis

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"clade/jepsen/cluster"
	"clade/jepsen/wire"
)

// What operators and clients do: members that come and go, leaders that hand over, snapshots, nodes
// that are away for long, a client that floods.

func init() {
	register(
		Kind{Name: "members", What: "members added or removed", make: func() Fault { return &members{} }},
		Kind{Name: "transfer", What: "leaders that handed over", make: func() Fault { return &transfer{} }},
		Kind{Name: "snapshot", What: "snapshots taken", make: func() Fault { return &snapshot{} }},
		Kind{Name: "absence", What: "stores copied", Long: true, make: func() Fault { return &absence{} }},
		Kind{Name: "flood", What: "requests answered or refused", make: func() Fault { return &flood{} }},
	)
}

// members adds a member and removes another one.
type members struct {
	counter
	done chan error
}

func (f *members) Begin(w *World) (string, error) {
	f.done = make(chan error, 1)
	nodes := w.Cluster.Nodes()
	victim := nodes[w.Rand.Int63n(int64(len(nodes)))]
	if leader := w.Cluster.Leader(0); leader != nil && w.Rand.Int63n(3) == 0 {
		victim = leader
	}
	go func() {
		n, err := w.Cluster.Add(3 * time.Minute)
		if err == nil {
			f.hit(1)
			w.Log("node %d votes", n.ID)
			if err = w.Cluster.Remove(victim, 2*time.Minute); err == nil {
				f.hit(1)
			}
		}
		f.done <- err
	}()
	return fmt.Sprintf("one comes, then node %d goes", victim.ID), nil
}

func (f *members) End(*World) error { return nil }

func (f *members) Settle(*World) error { return <-f.done }

// background is a fault that works by itself until it is ended.
type background struct {
	counter
	stop  int32
	group sync.WaitGroup
}

func (b *background) stopping() bool { return atomic.LoadInt32(&b.stop) != 0 }

func (b *background) run(work func()) {
	atomic.StoreInt32(&b.stop, 0)
	b.group.Add(1)
	go func() {
		defer b.group.Done()
		work()
	}()
}

func (b *background) End(*World) error {
	atomic.StoreInt32(&b.stop, 1)
	b.group.Wait()
	return nil
}

// transfer hands leadership from node to node.
type transfer struct{ background }

func (f *transfer) Begin(w *World) (string, error) {
	f.run(func() {
		for !f.stopping() {
			f.once(w)
			time.Sleep(time.Duration(200+w.Rand.Int63n(600)) * time.Millisecond)
		}
	})
	return "again and again", nil
}

func (f *transfer) once(w *World) {
	leader := w.Cluster.Leader(500 * time.Millisecond)
	if leader == nil {
		return
	}
	nodes := w.Cluster.Nodes()
	to := nodes[w.Rand.Int63n(int64(len(nodes)))]
	answer, err := leader.Ask("transfer", wire.Map{"to": to.ID}, 3*time.Second)
	if err != nil {
		return
	}
	data, _ := answer["data"].(wire.Map)
	if data["leader"] != int64(leader.ID) && data["leader"] != nil {
		f.hit(1)
	}
}

// snapshot writes until nodes take snapshots.
type snapshot struct {
	background
	before int64
}

func (f *snapshot) Begin(w *World) (string, error) {
	f.before = snapshots(w)
	f.run(func() {
		for !f.stopping() {
			ballast(w, w.pickRandomly(), 1<<20)
		}
	})
	return "a log that grows", nil
}

func (f *snapshot) End(w *World) error {
	_ = f.background.End(w)
	if n := snapshots(w) - f.before; n > 0 {
		f.hit(n)
	}
	return nil
}

func (w *World) pickRandomly() *cluster.Node {
	nodes := w.Cluster.Nodes()
	return nodes[w.Rand.Int63n(int64(len(nodes)))]
}

// snapshots is how many the nodes took since they started.
func snapshots(w *World) int64 {
	var sum int64
	for _, n := range w.Cluster.Nodes() {
		status, err := n.Status()
		if err != nil {
			continue
		}
		log, _ := status["log"].(wire.Map)
		taken, _ := log["snapshots"].(int64)
		sum += taken
	}
	return sum
}

// ballast sends bytes in transactions that are logged and whose guard fails: they fill the log and
// leave nothing in the store.
func ballast(w *World, n *cluster.Node, bytes int) int {
	c, err := wire.Dial(n.Client, wire.Options{From: w.Cluster.Source(), Timeout: time.Second})
	if err != nil {
		time.Sleep(50 * time.Millisecond)
		return 0
	}
	defer c.Close()
	const part = 60000
	command := wire.Command("", []wire.Map{{"guard": "exists", "ref": "artifact/there-is-none"}},
		wire.Create("artifact", "ballast", "description", strings.Repeat("x", part)))
	sent := 0
	for sent < bytes {
		_, err := c.Call("txn", wire.Map{"command": command, "deadline_ms": 2000}, 3*time.Second)
		if code := wire.Code(err); code != "NOT_FOUND" && code != "CONFLICT" {
			time.Sleep(20 * time.Millisecond)
			break
		}
		sent += part
	}
	return sent
}

// absence keeps a node down until what it lacks is in no log and no archive any more.
type absence struct {
	background
	node *cluster.Node
}

func (f *absence) Begin(w *World) (string, error) {
	f.node = w.pick("one")[0]
	f.node.Kill()
	f.run(func() {
		sent := 0
		for deadline := time.Now().Add(60 * time.Second); sent < 80<<20 && time.Now().Before(deadline); {
			if n := w.pickRandomly(); n != f.node {
				sent += ballast(w, n, 4<<20)
			}
		}
	})
	return fmt.Sprintf("node %d", f.node.ID), nil
}

// End waits for the bytes, however long the caller wanted to wait.
func (f *absence) End(*World) error {
	f.group.Wait()
	return nil
}

// Settle counts the copies that the node took, before anything restarts it.
func (f *absence) Settle(*World) error {
	deadline := time.Now().Add(45 * time.Second)
	for time.Now().Before(deadline) {
		if strings.Contains(f.node.LogText(), "the store was swapped for the copy") {
			f.hit(1)
			return nil
		}
		time.Sleep(100 * time.Millisecond)
	}
	return nil
}

// flood asks more than anybody may, over many connections, and sends bytes that are no frames.
type flood struct{ background }

const (
	floodClients = 16
	floodFlight  = 300
)

func (f *flood) Begin(w *World) (string, error) {
	atomic.StoreInt32(&f.stop, 0)
	for i := 0; i < floodClients; i++ {
		i := i
		f.run(func() {
			for !f.stopping() {
				f.client(w, i)
			}
		})
	}
	return fmt.Sprintf("%d clients, %d requests in flight each", floodClients, floodFlight), nil
}

func (f *flood) client(w *World, number int) {
	c, err := wire.Dial(w.pickRandomly().Client, wire.Options{From: w.Cluster.Source(), Timeout: time.Second})
	if err != nil {
		time.Sleep(20 * time.Millisecond)
		return
	}
	defer c.Close()
	big := wire.Command("", []wire.Map{{"guard": "exists", "ref": "artifact/there-is-none"}},
		wire.Create("artifact", "flood", "description", strings.Repeat("f", 2000)))
	var group sync.WaitGroup
	for i := 0; i < floodFlight && !f.stopping(); i++ {
		method, params := "list", wire.Map{"kind": "artifact", "limit": 200, "view": "full",
			"consistency": "local", "deadline_ms": 1000, "ns": "w-set"}
		if (i+number)%3 == 0 {
			method, params = "txn", wire.Map{"command": big, "deadline_ms": 1000}
		}
		to, err := c.Send(method, params, time.Second)
		if err != nil {
			break
		}
		group.Add(1)
		go func() {
			defer group.Done()
			_, err := c.Wait(to, 3*time.Second)
			if code := wire.Code(err); code != "LOST" && code != "NOT_SENT" {
				f.hit(1)
			}
		}()
	}
	group.Wait()
	if number == 0 {
		c.Garbage()
		f.hit(1)
	}
}
