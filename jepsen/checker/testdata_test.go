package checker

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"clade/jepsen/history"
)

// The histories in testdata are WORKLOAD.edn, of a real cluster whose leader was killed, and
// WORKLOAD-BUG.edn, of the simulated store with a bug in it. What the checkers say of each stands
// beside it in FILE.verdict; -update writes these, and the histories with bugs.
var update = flag.Bool("update", false, "write testdata anew")

const testdata = "../testdata"

// The bugs of which testdata has a history.
var kept = []struct{ workload, bug string }{
	{"register", "stale-read"}, {"register", "cas-blind"},
	{"append", "lost-update"}, {"append", "stale-read"}, {"append", "dirty-read"}, {"append", "fractured-read"},
	{"versions", "counter-in-memory"}, {"versions", "lost-write"},
	{"creates", "twice"},
	{"set", "index-lacks"}, {"set", "lost-write"},
	{"lineage", "edge-lost"}, {"lineage", "wrong-revision"},
	{"bank", "fractured-read"}, {"bank", "half"},
	{"long-fork", "fork"},
	{"stale", "wrong-revision"}, {"stale", "below-at-least"}, {"stale", "too-stale"},
	{"as-of", "changed-answer"},
	{"sessions", "twice"}, {"sessions", "expired-early"},
	{"cursors", "unpinned"}, {"cursors", "page-lacks"},
}

func verdictText(verdicts []Verdict) string {
	var b strings.Builder
	for _, v := range verdicts {
		fmt.Fprintln(&b, v.Line())
		for _, a := range v.Anomalies {
			var indexes []int
			for _, op := range a.Ops {
				indexes = append(indexes, op.Index)
			}
			fmt.Fprintf(&b, "     %s: %s %v\n", a.Kind, a.Sentence, indexes)
		}
	}
	return b.String()
}

// A small history that shows a bug, the first of its seeds in which it struck once or twice.
func smallHistory(workload, bug string) history.History {
	for seed := int64(1); seed < 100_000; seed++ {
		h, w := simulate(workload, seed, bug, 0.1, 3, 50)
		if w.hits >= 1 && w.hits <= 2 && Worst(Judge(workload, h, Options{})) == False {
			return h
		}
	}
	panic("no small history of " + workload + " with " + bug)
}

func TestCheckersSayOfEachHistoryInTestdataWhatStandsBesideIt(t *testing.T) {
	if *update {
		for _, k := range kept {
			var b bytes.Buffer
			if err := history.WriteEDN(&b, smallHistory(k.workload, k.bug)); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(testdata, k.workload+"-"+k.bug+".edn"), b.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	paths, _ := filepath.Glob(filepath.Join(testdata, "*.edn"))
	if want := len(kept) + len(Workloads()); len(paths) != want {
		t.Errorf("%d histories, want %d", len(paths), want)
	}
	for _, path := range paths {
		replay(t, path)
	}
}

func replay(t *testing.T, path string) {
	name := strings.TrimSuffix(filepath.Base(path), ".edn")
	workload, want := name, True
	for _, k := range kept {
		if name == k.workload+"-"+k.bug {
			workload, want = k.workload, False
		}
	}
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	h, err := history.ReadEDN(file)
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	verdicts := Judge(workload, h, Options{})
	if got := Worst(verdicts); got != want {
		t.Errorf("%s: %s, want %s", name, got, want)
	}
	got, beside := verdictText(verdicts), strings.TrimSuffix(path, ".edn")+".verdict"
	if *update {
		if err := os.WriteFile(beside, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	said, err := os.ReadFile(beside)
	if err != nil || string(said) != got {
		t.Errorf("%s: %v; the checkers say\n%sand not\n%s", name, err, got, said)
	}
}
