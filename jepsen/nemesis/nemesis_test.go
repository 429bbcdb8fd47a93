package nemesis

import (
	"encoding/binary"
	"math/rand"
	"os"
	"path/filepath"
	"testing"

	"clade/jepsen/cluster"
)

func reach(set map[cluster.Link]bool, node int, nodes []int) int {
	n := 0
	for _, other := range nodes {
		if !set[cluster.Link{From: node, To: other}] && !set[cluster.Link{From: other, To: node}] {
			n++
		}
	}
	return n
}

func TestARingLeavesEachNodeAMajorityAndNoTwoTheSame(t *testing.T) {
	nodes := []int{3, 1, 5, 2, 4}
	set, _ := ring(nil, nodes)
	seen := map[int]bool{}
	for _, x := range nodes {
		if n := reach(set, x, nodes); n != 3 {
			t.Errorf("node %d reaches %d", x, n)
		}
		group := 0
		for _, y := range nodes {
			if !set[cluster.Link{From: x, To: y}] {
				group |= 1 << y
			}
		}
		if seen[group] {
			t.Errorf("node %d sees the same majority as another one", x)
		}
		seen[group] = true
	}
}

func TestABridgeIsOneNodeThatSeesAll(t *testing.T) {
	nodes := []int{3, 1, 5, 2, 4}
	set, _ := bridge(nil, nodes)
	for i, want := range []int{5, 3, 3, 3, 3} {
		if n := reach(set, nodes[i], nodes); n != want {
			t.Errorf("node %d reaches %d instead of %d", nodes[i], n, want)
		}
	}
}

func TestEachFaultHasItsTurnAloneBeforePairsCome(t *testing.T) {
	s := NewSchedule(Kinds(), rand.New(rand.NewSource(4)))
	seen := map[int]int{}
	for i := 0; i < s.Kinds(); i++ {
		next := s.Next()
		if len(next) != 1 {
			t.Fatalf("episode %d has %d faults", i, len(next))
		}
		seen[next[0]]++
	}
	if len(seen) != s.Kinds() {
		t.Errorf("%d of %d kinds had their turn", len(seen), s.Kinds())
	}
	if next := s.Next(); len(next) != 2 || next[0] == next[1] {
		t.Errorf("then comes %v", next)
	}
}

func TestNamesChooseFaultsByTheirBeginnings(t *testing.T) {
	chosen, left, err := Choose("kill,torn,power", cluster.Powers{}, false)
	if err != nil || len(chosen) != 5 || len(left) != 3 {
		t.Errorf("%d chosen, %v left, %v", len(chosen), left, err)
	}
	if _, _, err := Choose("earthquake", cluster.Powers{}, false); err == nil {
		t.Error("a fault that there is not was chosen")
	}
}

func TestATornWriteStandsBehindTheLastBatchAndLacksASector(t *testing.T) {
	text := make([]byte, 1<<20)
	binary.LittleEndian.PutUint64(text, 1)
	batch := tornBatch()
	at := segmentHead + copy(text[segmentHead:], batch)
	folder := t.TempDir()
	path := filepath.Join(folder, "open-12")
	if err := os.WriteFile(path, text, 0o644); err != nil {
		t.Fatal(err)
	}
	if got, err := tear(folder); err != nil || got != path {
		t.Fatalf("%q, %v", got, err)
	}
	torn, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if batchesEnd(text) != at || batchesEnd(torn) != at+len(batch) {
		t.Errorf("batches end at %d, and torn at %d", batchesEnd(text), batchesEnd(torn))
	}
	data := torn[at+32 : at+len(batch)]
	if crc(data) == binary.LittleEndian.Uint32(torn[at+4:]) {
		t.Error("it is whole")
	}
	if crc(torn[at+8:at+32]) != binary.LittleEndian.Uint32(torn[at:]) {
		t.Error("its header is not whole")
	}
}
