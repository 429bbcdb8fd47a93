package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"clade/jepsen/checker"
	"clade/jepsen/history"
)

// Descriptors that a node may have more of in the end than one that serves nobody, and memory.
const (
	descriptorsMax = 200
	rssMaxKiB      = 1 << 20
)

// conclude ends the load, looks at what is left, judges the histories and says all of it. Whether
// every verdict is good and every fault hit.
func (c *campaign) conclude() bool {
	for _, r := range c.runs {
		r.Stop()
	}
	if len(c.bad) == 0 {
		c.finalReads()
	}
	for _, text := range c.cluster.Violations() {
		c.fail("%s", text)
	}
	for i, r := range c.runs {
		if err := r.Recorder.Flush(); err != nil {
			c.fail("%s: %v", r.Name, err)
		}
		_ = c.sinks[i].Close()
	}
	c.judgeAll()
	c.tellFaults()
	good := len(c.bad) == 0
	verdicts := len(c.runs) + 1
	if !good {
		fmt.Printf("what happened stands in %s; to judge a history again: jepsen/check %s/NAME.edn; to try again:\n"+
			"  jepsen/run --minutes %g --workload %s --nemesis %s --nodes %d --threads %d --seed %d --out DIR\n",
			c.o.out, c.o.out, c.o.minutes, c.o.workloads, c.o.nemeses, c.o.nodes, c.o.threads, c.o.seed)
	}
	if len(c.bad) > verdicts {
		verdicts = len(c.bad)
	}
	fmt.Printf("jepsen: %d passed, %d failed\n", verdicts-len(c.bad), len(c.bad))
	return good
}

// finalReads has every workload read everything of every node, and looks at the nodes.
func (c *campaign) finalReads() {
	c.mark("heal", nil)
	c.say("all is whole; the final reads")
	if err := c.cluster.Repair(repairLimit); err != nil {
		c.fail("the cluster does not come back: %v", err)
		return
	}
	var group sync.WaitGroup
	for _, r := range c.runs {
		r := r
		group.Add(1)
		go func() {
			defer group.Done()
			r.Final()
		}()
	}
	group.Wait()
	for _, n := range c.cluster.Nodes() {
		descriptors, rss := n.Use()
		c.say("node %d: %d descriptors, %d MiB", n.ID, descriptors, rss/1024)
		if descriptors > descriptorsMax {
			c.fail("node %d has %d descriptors open", n.ID, descriptors)
		}
		if rss > rssMaxKiB {
			c.fail("node %d takes %d MiB", n.ID, rss/1024)
		}
	}
	said, err := c.cluster.Digests(30 * time.Second)
	if err != nil {
		c.fail("%v", err)
	}
	c.say("digests are equal: %s", said)
	c.cluster.Check()
}

func (c *campaign) judgeAll() {
	verdicts := make([]string, len(c.runs))
	anomalies := make([]bool, len(c.runs))
	for i, r := range c.runs {
		begin := time.Now()
		verdict, good := judgeHistory(r.Name, r.Recorder.History())
		verdicts[i], anomalies[i] = fmt.Sprintf("%s (%.1f s)", verdict, time.Since(begin).Seconds()), !good
	}
	for i, r := range c.runs {
		word := "good"
		if anomalies[i] {
			word = "BAD "
			c.fail("%s: %s", r.Name, verdicts[i])
		}
		c.say("%-10s %s %s; %s", r.Name, word, counts(r.Recorder.History()), verdicts[i])
	}
}

// counts is how many operations of a history ended how.
func counts(h history.History) string {
	n := map[string]int{}
	for _, op := range h {
		if op.Process != history.Nemesis {
			n[op.Type]++
		}
	}
	return fmt.Sprintf("%6d ok %5d refused %4d unknown", n[history.Ok], n[history.Fail], n[history.Info])
}

func (c *campaign) tellFaults() {
	c.say("%d episodes; the longest time without an answer after all was healed: %.2f s", c.episodes,
		c.worst.Seconds())
	if c.plan == nil {
		return
	}
	c.say("leaders killed: %d", c.world.LeadersKilled())
	for _, t := range c.plan.Tallies() {
		c.say("%-18s %8d %s", t.Name, t.Hits, t.What)
		if t.Hits == 0 {
			c.fail("%s never hit", t.Name)
		}
	}
	if len(c.left) > 0 {
		c.say("not possible here: %s", strings.Join(c.left, " "))
	}
}

// judge judges histories in files; a file's name begins with its workload's.
func judge(paths []string) int {
	if len(paths) == 0 {
		fmt.Fprintln(os.Stderr, "usage: jepsen/check FILE.edn...")
		return 2
	}
	bad := 0
	for _, path := range paths {
		h, err := readHistory(path)
		if err != nil {
			fmt.Fprintf(os.Stderr, "jepsen: %s: %v\n", path, err)
			return 2
		}
		name := strings.TrimSuffix(filepath.Base(path), ".edn")
		verdict, good := judgeHistory(name, h)
		if !good {
			bad++
		}
		fmt.Printf("%s: %s\n", path, verdict)
	}
	fmt.Printf("check: %d passed, %d failed\n", len(paths)-bad, bad)
	if bad > 0 {
		return 1
	}
	return 0
}

func readHistory(path string) (history.History, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return history.ReadEDN(file)
}

// judgeHistory judges one history; says what it found, and whether all is well.
func judgeHistory(name string, h history.History) (string, bool) {
	verdicts := checker.Judge(name, h, checker.Options{})
	said := verdicts[0].Sentence
	for i := range verdicts {
		if verdicts[i].Valid != checker.True {
			said = verdicts[i].Line()
			break
		}
	}
	return said, checker.Worst(verdicts) == checker.True
}
