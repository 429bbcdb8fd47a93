package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"clade/jepsen/checker"
	"clade/jepsen/history"
	"clade/jepsen/report"
)

// Descriptors that a node may have more of in the end than one that serves nobody, and memory.
const (
	descriptorsMax = 200
	anonMaxKiB     = 1 << 20
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
	runs := c.judgeAll()
	c.report(runs)
	c.tellFaults()
	good := len(c.bad) == 0
	verdicts := len(c.runs) + 1
	if !good {
		fmt.Printf("what happened stands in %s; to judge a history again: jepsen/check %s/NAME.edn; to try again:\n"+
			"  %s\n", c.o.out, c.o.out, c.command())
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
		descriptors, anon := n.Use()
		c.say("node %d: %d descriptors, %d MiB", n.ID, descriptors, anon/1024)
		if descriptors > descriptorsMax {
			c.fail("node %d has %d descriptors open", n.ID, descriptors)
		}
		if anon > anonMaxKiB {
			c.fail("node %d takes %d MiB", n.ID, anon/1024)
		}
	}
	said, err := c.cluster.Digests(30 * time.Second)
	if err != nil {
		c.fail("%v", err)
	}
	c.say("digests are equal: %s", said)
	c.cluster.Check()
}

func (c *campaign) judgeAll() []report.Workload {
	var runs []report.Workload
	for _, r := range c.runs {
		begin := time.Now()
		h := r.Recorder.History()
		verdicts := checker.Judge(r.Name, h, checker.Options{Recovery: availableLimit + c.stalls.total()})
		said, good := sentenceOf(verdicts)
		word := "good"
		if !good {
			word = "BAD "
		}
		c.say("%-10s %s %s; %s (%.1f s)", r.Name, word, counts(h), said, time.Since(begin).Seconds())
		if !good {
			c.fail("%s: %s", r.Name, said)
		}
		runs = append(runs, report.Workload{Name: r.Name, History: h, Verdicts: verdicts})
	}
	return runs
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

// report writes what the run showed, as text and as a page.
func (c *campaign) report(runs []report.Workload) {
	r := &report.Run{Title: "clade under faults", Command: c.command(), Workloads: runs,
		Facts: []report.Fact{{Name: "seed", Value: fmt.Sprint(c.o.seed)},
			{Name: "nodes", Value: fmt.Sprint(c.o.nodes)},
			{Name: "minutes", Value: fmt.Sprintf("%.1f", time.Since(c.begin).Minutes())},
			{Name: "episodes", Value: fmt.Sprint(c.episodes)},
			{Name: "leaders killed", Value: fmt.Sprint(c.world.LeadersKilled())},
			{Name: "longest time without an answer after all was healed", Value: c.worst.String()}}}
	own := checker.Verdict{Checker: "cluster", Valid: checker.True,
		Sentence: "the nodes did what they should, and hold the same"}
	if bad := c.bad; len(bad) > 0 {
		own.Valid, own.Sentence = checker.False, bad[0]
		for _, text := range bad {
			own.Anomalies = append(own.Anomalies, checker.Anomaly{Kind: "cluster", Sentence: text})
		}
	}
	r.Verdicts = []checker.Verdict{own}
	if c.plan != nil {
		for _, t := range c.plan.Tallies() {
			r.Faults = append(r.Faults, report.Tally{Name: t.Name, What: t.What, Hits: t.Hits})
		}
	}
	for name, write := range map[string]func(io.Writer) error{"report.txt": r.Text, "report.html": r.HTML} {
		file, err := os.Create(filepath.Join(c.o.out, name))
		if err == nil {
			err = write(file)
			_ = file.Close()
		}
		if err != nil {
			c.fail("%s: %v", name, err)
		}
	}
}

func (c *campaign) command() string {
	return fmt.Sprintf("jepsen/run --minutes %g --workload %s --nemesis %s --nodes %d --threads %d --seed %d --out DIR",
		c.o.minutes, c.o.workloads, c.o.nemeses, c.o.nodes, c.o.threads, c.o.seed)
}

// sentenceOf is what the verdicts on a history say, and whether all is well.
func sentenceOf(verdicts []checker.Verdict) (string, bool) {
	said := verdicts[0].Sentence
	for i := range verdicts {
		if verdicts[i].Valid != checker.True {
			said = verdicts[i].Line()
			break
		}
	}
	return said, checker.Worst(verdicts) == checker.True
}
