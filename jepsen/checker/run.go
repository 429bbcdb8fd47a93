package checker

import (
	"fmt"
	"regexp"
	"sort"
	"strings"

	"clade/jepsen/history"
)

// Shape checks that the history is one: see History.Validate.
func Shape(h history.History) Verdict {
	j := judge("shape", h)
	if err := h.Validate(); err != nil {
		j.found("no-history", nil, "%v", err)
	}
	j.count("entries", len(h))
	return j.end("%s, as they should be", plural(len(h), "entry"))
}

// A kind of operation that was tried so often must have succeeded once.
const triesMin = 10

// Progress checks that of each kind of operation that was tried a few times one succeeded: a run in
// which nothing was done shows nothing.
func Progress(h history.History) Verdict {
	j := judge("progress", h)
	ok, tries := map[string]int{}, map[string]int{}
	all := 0
	for _, p := range h.Pairs() {
		j.count(p.Begin.F+" "+p.Type(), 1)
		tries[p.Begin.F]++
		if p.Type() == history.Ok {
			ok[p.Begin.F]++
			all++
		}
	}
	for _, f := range sortedNames(tries) {
		if ok[f] == 0 && tries[f] >= triesMin {
			j.unknown("of %d times no %s succeeded", tries[f], f)
		}
	}
	if all == 0 {
		j.unknown("no operation succeeded")
	}
	return j.end("%s succeeded, some of each kind", plural(all, "operation"))
}

func sortedNames(m map[string]int) []string {
	var names []string
	for name := range m {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}

// Digest is a node's sum over its store as of a log index.
type Digest struct {
	Node  int
	Index int64
	Data  string
	State string
}

// Digests checks that nodes have equal digests at equal log indexes, and that at least `nodes` of
// them were asked at one and the same index.
func Digests(digests []Digest, nodes int) Verdict {
	j := judge("digests", nil)
	byIndex := map[int64][]Digest{}
	for _, d := range digests {
		byIndex[d.Index] = append(byIndex[d.Index], d)
	}
	most := 0
	for _, index := range sortedAny(anyKeys(byIndex)) {
		there := byIndex[index.(int64)]
		different := map[int]bool{}
		for _, d := range there {
			different[d.Node] = true
			if d.Data != there[0].Data || d.State != there[0].State {
				j.found("digests-differ", nil, "at index %d node %d has %s %s and node %d has %s %s", index,
					there[0].Node, there[0].Data, there[0].State, d.Node, d.Data, d.State)
			}
		}
		if len(different) > most {
			most = len(different)
		}
	}
	if most < nodes {
		j.unknown("the digests of %d nodes were to be compared, and at no index there were more than %d", nodes, most)
	}
	j.count("digests", len(digests))
	j.count("nodes", most)
	return j.end("%s have equal digests", plural(most, "node"))
}

func anyKeys(m map[int64][]Digest) map[any]bool {
	keys := map[any]bool{}
	for k := range m {
		keys[k] = true
	}
	return keys
}

// Node is what became of one node's process, once for each of its starts.
type Node struct {
	Name     string
	Log      string // what it printed
	ExitCode int
	Signal   int    // that ended it, 0 if none did
	Killed   bool   // the harness ended it with that signal
	MayEnd   string // why it may end by itself with an error; empty if it may not
	// Open descriptors at rest, after it began to serve and at the end; 0 where nobody looked.
	DescriptorsBefore int
	DescriptorsAfter  int
}

// A node at rest may have this many descriptors more than when it began: peers come and go.
const descriptorsMax = 32

var reports = regexp.MustCompile(`ERROR: \w+Sanitizer.*|WARNING: \w+Sanitizer.*|SUMMARY: \w+Sanitizer.*` +
	`|.*runtime error: .*|.*CHECK failed.*|.*Assertion .* failed.*|.*MDB_PANIC.*`)

// Crashes checks that no node crashed: no signal but the harness's, no exit code but 0 unless it
// was to be, no report of a sanitizer or failed check in any log, no descriptors leaked.
func Crashes(nodes []Node) Verdict {
	j := judge("crashes", nil)
	for _, n := range nodes {
		if n.Signal != 0 && !n.Killed {
			j.found("signal", nil, "%s was ended by signal %d: %s", n.Name, n.Signal, lastLine(n.Log))
		}
		if n.Signal == 0 && n.ExitCode != 0 && n.MayEnd == "" {
			j.found("exit", nil, "%s ended with exit code %d: %s", n.Name, n.ExitCode, lastLine(n.Log))
		}
		if report := reports.FindString(n.Log); report != "" {
			j.found("report", nil, "%s printed: %s", n.Name, report)
		}
		if n.DescriptorsBefore > 0 && n.DescriptorsAfter > n.DescriptorsBefore+descriptorsMax {
			j.found("descriptors", nil, "%s had %d descriptors and has %d", n.Name, n.DescriptorsBefore, n.DescriptorsAfter)
		}
	}
	j.count("processes", len(nodes))
	if len(nodes) == 0 {
		j.unknown("no node was looked at")
	}
	return j.end("%s ended as they should, and reported nothing", plural(len(nodes), "process"))
}

func lastLine(log string) string {
	lines := strings.Split(strings.TrimSpace(log), "\n")
	return lines[len(lines)-1]
}

// Hits checks that every fault that was to be hit the cluster at least once, going by counters that
// prove it: connections cut, errors returned, bytes flipped and later read.
func Hits(counters map[string]int64) Verdict {
	j := judge("faults", nil)
	var missed []string
	for name, n := range counters {
		j.count(name, int(n))
		if n == 0 {
			missed = append(missed, name)
		}
	}
	sort.Strings(missed)
	for _, name := range missed {
		j.found("fault-never-hit", nil, "%s never hit, so the run says nothing of it", name)
	}
	return j.end("%s of fault hit", plural(len(counters), "kind"))
}

// Line is a verdict on one line, for logs.
func (v *Verdict) Line() string {
	mark := map[Validity]string{True: "OK  ", False: "FAIL", Unknown: "????"}[v.Valid]
	return fmt.Sprintf("%s %s: %s", mark, v.Checker, v.Sentence)
}
