// Package checker judges histories. A checker is a function from a history to a Verdict; workload.go
// lists those that judge each workload. WORKLOADS.md beside this folder gives the values' shapes.
package checker

import (
	"fmt"
	"sort"
	"strings"

	"clade/jepsen/history"
)

// Validity is a checker's answer. Unknown is never good: the run shows nothing.
type Validity string

const (
	True    Validity = "true"
	False   Validity = "false"
	Unknown Validity = "unknown"
)

// Verdict is what one checker says of one run.
type Verdict struct {
	Checker   string // the checker's name
	Valid     Validity
	Sentence  string           // the answer in words
	Counts    map[string]int64 // what was looked at, and each kind of anomaly by its name
	Anomalies []Anomaly        // the smallest of each kind first, at most anomaliesMax of a kind
}

// Anomaly is one thing that must not be.
type Anomaly struct {
	Kind     string          // "lost-update"
	Sentence string          // what happened, naming entries by their indexes
	Ops      history.History // the smallest sub-history found that shows it
}

// Of one kind, so many anomalies are kept; all are counted.
const anomaliesMax = 8

// Worst is False if any verdict is, else Unknown if any is, else True. Of no verdicts it is Unknown.
func Worst(verdicts []Verdict) Validity {
	worst := True
	for _, v := range verdicts {
		if v.Valid == False {
			return False
		}
		if v.Valid == Unknown {
			worst = Unknown
		}
	}
	if len(verdicts) == 0 {
		return Unknown
	}
	return worst
}

// Kinds returns the kinds of a verdict's anomalies, sorted.
func (v *Verdict) Kinds() []string {
	seen := map[string]bool{}
	var kinds []string
	for _, a := range v.Anomalies {
		if !seen[a.Kind] {
			seen[a.Kind] = true
			kinds = append(kinds, a.Kind)
		}
	}
	sort.Strings(kinds)
	return kinds
}

// A judgement collects what one checker finds.
type judgement struct {
	h       history.History
	verdict Verdict
	reason  string // why the verdict is Unknown; the first one counts
}

func judge(name string, h history.History) *judgement {
	return &judgement{h: h, verdict: Verdict{Checker: name, Counts: map[string]int64{}}}
}

func (j *judgement) count(name string, n int) { j.verdict.Counts[name] += int64(n) }

// The history cannot be judged; what was found wrong before stays wrong.
func (j *judgement) unknown(format string, args ...any) {
	if j.reason == "" {
		j.reason = fmt.Sprintf(format, args...)
	}
}

// Reports an anomaly shown by the entries given; nil ones are left out.
func (j *judgement) found(kind string, ops []*history.Op, format string, args ...any) {
	j.verdict.Counts[kind]++
	var indexes []int
	for _, op := range ops {
		if op != nil {
			indexes = append(indexes, op.Index)
		}
	}
	sub := j.h.Sub(indexes...)
	if j.verdict.Counts[kind] > anomaliesMax && !j.replaces(kind, len(sub)) {
		return
	}
	a := Anomaly{Kind: kind, Sentence: fmt.Sprintf(format, args...), Ops: sub}
	j.verdict.Anomalies = append(j.verdict.Anomalies, a)
}

// Drops the largest anomaly of a kind when it is larger than size; false if there is none.
func (j *judgement) replaces(kind string, size int) bool {
	largest := -1
	for i, a := range j.verdict.Anomalies {
		if a.Kind == kind && (largest < 0 || len(a.Ops) > len(j.verdict.Anomalies[largest].Ops)) {
			largest = i
		}
	}
	if largest < 0 || len(j.verdict.Anomalies[largest].Ops) <= size {
		return false
	}
	j.verdict.Anomalies = append(j.verdict.Anomalies[:largest], j.verdict.Anomalies[largest+1:]...)
	return true
}

// Ends the judgement; good is the sentence of a valid history.
func (j *judgement) end(good string, args ...any) Verdict {
	v := &j.verdict
	sort.SliceStable(v.Anomalies, func(a, b int) bool {
		x, y := &v.Anomalies[a], &v.Anomalies[b]
		if x.Kind != y.Kind {
			return x.Kind < y.Kind
		}
		return len(x.Ops) < len(y.Ops)
	})
	switch {
	case len(v.Anomalies) > 0:
		v.Valid = False
		var parts []string
		for _, kind := range v.Kinds() {
			parts = append(parts, fmt.Sprintf("%s (%d)", kind, v.Counts[kind]))
		}
		smallest := v.Anomalies[0]
		for _, a := range v.Anomalies {
			if len(a.Ops) < len(smallest.Ops) {
				smallest = a
			}
		}
		v.Sentence = strings.Join(parts, ", ") + ": " + smallest.Sentence
	case j.reason != "":
		v.Valid = Unknown
		v.Sentence = j.reason
	default:
		v.Valid = True
		v.Sentence = fmt.Sprintf(good, args...)
	}
	return *v
}

// Both entries of each pair.
func entries(pairs ...history.Pair) []*history.Op {
	var ops []*history.Op
	for _, p := range pairs {
		ops = append(ops, p.Begin, p.Done)
	}
	return ops
}
