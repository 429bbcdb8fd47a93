// Package report tells what a run showed: as plain text for continuous integration, and as one HTML
// page that needs nothing beside it.
package report

import (
	"fmt"
	"io"
	"sort"
	"strings"
	"time"

	"clade/jepsen/checker"
	"clade/jepsen/history"
)

// Run is one run: some workloads at once, on one cluster, under one sequence of faults.
type Run struct {
	Title     string
	Command   string // that runs it again; empty if there is none
	Facts     []Fact // seed, nodes, duration, versions: in the order in which they are shown
	Workloads []Workload
	Verdicts  []checker.Verdict // on the cluster itself: crashes, digests
	Faults    []Tally           // nil where no nemesis was at work
}

// Fact is a name and what there is to say of it.
type Fact struct{ Name, Value string }

// Tally is the counter that proves that a fault hit.
type Tally struct {
	Name string
	What string // what is counted
	Hits int64
}

// Workload is the history of one workload and what the checkers say of it.
type Workload struct {
	Name     string
	History  history.History
	Verdicts []checker.Verdict
}

// All are the verdicts on a run: of the workloads, of the cluster, and one on the faults, if there
// were any: each must have hit.
func (r *Run) All() []checker.Verdict {
	var all []checker.Verdict
	for _, w := range r.Workloads {
		all = append(all, w.Verdicts...)
	}
	return append(all, r.own()...)
}

// The verdicts that are not on a workload.
func (r *Run) own() []checker.Verdict {
	own := append([]checker.Verdict(nil), r.Verdicts...)
	if r.Faults != nil {
		hits := map[string]int64{}
		for _, f := range r.Faults {
			hits[f.Name] += f.Hits
		}
		own = append(own, checker.Hits(hits))
	}
	return own
}

// Valid is the worst of all verdicts.
func (r *Run) Valid() checker.Validity { return checker.Worst(r.All()) }

// The entries of anomalies are shown to this length in text; files and pages have them whole.
const lineMax = 400

// Text writes the report as plain text. Its last line says how many verdicts are good.
func (r *Run) Text(w io.Writer) error {
	out := &printer{w: w}
	out.line("%s", r.Title)
	for _, f := range r.Facts {
		out.line("  %s: %s", f.Name, f.Value)
	}
	for _, f := range r.Faults {
		out.line("  %-20s %8d %s", f.Name, f.Hits, f.What)
	}
	for i := range r.Workloads {
		wl := &r.Workloads[i]
		out.line("%s: %s", wl.Name, tally(wl.History))
		out.verdicts(wl.Verdicts)
	}
	if own := r.own(); len(own) > 0 {
		out.line("cluster:")
		out.verdicts(own)
	}
	good, all := 0, r.All()
	for _, v := range all {
		if v.Valid == checker.True {
			good++
		}
	}
	if good < len(all) && r.Command != "" {
		out.line("again: %s", r.Command)
	}
	out.line("verdicts: %d passed, %d failed", good, len(all)-good)
	return out.err
}

type printer struct {
	w   io.Writer
	err error
}

func (p *printer) line(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.w, strings.TrimRight(fmt.Sprintf(format, args...), " ")+"\n")
	}
}

func (p *printer) verdicts(verdicts []checker.Verdict) {
	for i := range verdicts {
		v := &verdicts[i]
		p.line("  %s", v.Line())
		kind, kept := "", int64(0)
		for _, a := range v.Anomalies {
			if a.Kind != kind {
				p.more(v, kind, kept)
				kind, kept = a.Kind, 0
			}
			if kept++; kept > 2 {
				continue
			}
			p.line("       %s: %s", a.Kind, a.Sentence)
			for _, op := range a.Ops {
				p.line("         %s", shorten(op.String(), lineMax))
			}
		}
		p.more(v, kind, kept)
	}
}

// Says how many anomalies of a kind are not shown; of each kind two are.
func (p *printer) more(v *checker.Verdict, kind string, kept int64) {
	if rest := v.Counts[kind] - 2; kind != "" && kept > 0 && rest > 0 {
		p.line("       %s: and %d more", kind, rest)
	}
}

func shorten(s string, most int) string {
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "..."
}

// How many operations of each kind ended how.
func tally(h history.History) string {
	counts := map[string]map[string]int{}
	for _, p := range h.Pairs() {
		if counts[p.Begin.F] == nil {
			counts[p.Begin.F] = map[string]int{}
		}
		counts[p.Begin.F][p.Type()]++
	}
	var parts []string
	for f, n := range counts {
		parts = append(parts, fmt.Sprintf("%s %d ok %d fail %d unknown", f, n[history.Ok], n[history.Fail], n[history.Info]))
	}
	sort.Strings(parts)
	return strings.Join(parts, ", ")
}

func seconds(ns int64) string {
	return time.Duration(ns).Round(time.Millisecond).String()
}
