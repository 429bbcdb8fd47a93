package nemesis

import (
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"clade/jepsen/cluster"
	"clade/jepsen/wire"
)

// What operators do under load: backups, and history that is let go of.

func init() {
	register(
		Kind{Name: "backup", What: "backups taken, each restored and checked whole", make: func() Fault { return &backup{} }},
		Kind{Name: "compact", What: "floors of namespaces moved", Long: true, make: func() Fault { return &compact{} }},
	)
}

// backup takes a backup of all and others of what was written since, from one node after the other,
// and has claded make the data folder of a new cluster from each chain, which checks every row and
// the digests that the node had.
type backup struct {
	background
	wrong atomic.Value
	count int
}

func (f *backup) Begin(w *World) (string, error) {
	folder := filepath.Join(w.Cluster.Folder(), "backups")
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return "", err
	}
	f.run(func() {
		defer os.RemoveAll(folder)
		var chain []string
		for !f.stopping() {
			f.once(w, w.pickRandomly(), folder, &chain)
		}
	})
	return "one after the other", nil
}

// once takes the next one of the chain. Where the cluster or the node is broken it may fail, but
// what it says that it has written must be whole.
func (f *backup) once(w *World, n *cluster.Node, folder string, chain *[]string) {
	f.count++
	file := filepath.Join(folder, fmt.Sprintf("%d.backup", f.count))
	words := []string{"cluster", "backup", file}
	if len(*chain) > 0 {
		words = append(words, "--since", (*chain)[len(*chain)-1])
	}
	if out, err := w.Cluster.Clade(n, 60*time.Second, words...); err != nil {
		w.Log("backup of node %d: %v: %s", n.ID, err, out)
		*chain = nil // as when the archive does not reach back
		time.Sleep(200 * time.Millisecond)
		return
	}
	*chain = append(*chain, file)
	restored := filepath.Join(folder, "restored")
	defer os.RemoveAll(restored)
	words = []string{"restore", "--data", restored, "--node", "1", "--member", "1=127.0.0.1:7500"}
	for _, part := range *chain {
		words = append(words, "--from", part)
	}
	if out, err := w.Cluster.Offline(2*time.Minute, words...); err != nil {
		f.wrong.Store(fmt.Sprintf("a backup of node %d is not whole: %v: %s", n.ID, err, out))
		return
	}
	f.hit(1)
	if len(*chain) == 4 {
		*chain = nil
	}
}

// End fails the run when a backup was not whole.
func (f *backup) End(w *World) error {
	_ = f.background.End(w)
	if wrong := f.wrong.Load(); wrong != nil {
		return fmt.Errorf("%v", wrong)
	}
	return nil
}

// compact lets go of the history of the workloads' namespaces as far as that is allowed: what is
// older than a cursor may be.
type compact struct{ background }

func (f *compact) Begin(w *World) (string, error) {
	f.run(func() {
		for !f.stopping() {
			f.once(w, w.pickRandomly())
			time.Sleep(time.Second)
		}
	})
	return "the history of all namespaces", nil
}

func (f *compact) once(w *World, n *cluster.Node) {
	c, err := wire.Dial(n.Client, wire.Options{From: w.Cluster.Source(), Timeout: time.Second})
	if err != nil {
		return
	}
	defer c.Close()
	answer, err := c.Call("list", wire.Map{"kind": "namespace", "view": "heads"}, 3*time.Second)
	if err != nil {
		return
	}
	before := time.Now().Add(-16 * time.Minute).UTC().Format(time.RFC3339)
	for _, item := range listOf(answer["data"]) {
		ref, _ := item["ref"].(string)
		command := wire.Command("", nil, wire.Map{"op": "compact", "ref": ref, "before": before})
		answer, err := c.Call("txn", wire.Map{"command": command, "deadline_ms": 2000}, 3*time.Second)
		if err != nil {
			continue
		}
		for _, result := range listOf(answer["data"]) {
			if result["status"] == "compacted" {
				f.hit(1)
			}
		}
	}
}

func listOf(value any) []wire.Map {
	list, _ := value.([]any)
	var out []wire.Map
	for _, item := range list {
		if m, is := item.(wire.Map); is {
			out = append(out, m)
		}
	}
	return out
}
