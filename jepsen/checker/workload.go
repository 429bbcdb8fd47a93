package checker

import (
	"sort"
	"strings"
	"time"

	"clade/jepsen/history"
)

// Options of a judgement. The zero value means the defaults.
type Options struct {
	Budget   time.Duration // for Porcupine, for one history; 60 s by default
	Recovery time.Duration // how soon after a heal something must succeed; 20 s by default
}

func (o Options) withDefaults() Options {
	if o.Budget == 0 {
		o.Budget = 60 * time.Second
	}
	if o.Recovery == 0 {
		o.Recovery = 20 * time.Second
	}
	return o
}

// The checker of each workload, beside those that judge every history.
var byWorkload = map[string]func(history.History, Options) Verdict{
	"register":  func(h history.History, o Options) Verdict { return Register(h, o.Budget) },
	"append":    plain(Append),
	"versions":  plain(Versions),
	"creates":   plain(Creates),
	"set":       plain(Set),
	"lineage":   plain(Lineage),
	"bank":      plain(Bank),
	"long-fork": plain(LongFork),
	"stale":     plain(Stale),
	"as-of":     plain(AsOf),
	"sessions":  plain(Sessions),
	"cursors":   plain(Cursors),
}

func plain(check func(history.History) Verdict) func(history.History, Options) Verdict {
	return func(h history.History, _ Options) Verdict { return check(h) }
}

// Workloads are the names of those that can be judged, sorted.
func Workloads() []string {
	var names []string
	for name := range byWorkload {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}

// Judge returns the verdicts of all checkers on a history of a workload: the workload's own first,
// then those for every history. A history of the wrong shape, or of a workload that is not known,
// gets one verdict that says so.
func Judge(workload string, h history.History, o Options) []Verdict {
	o = o.withDefaults()
	shape := Shape(h)
	if shape.Valid != True {
		return []Verdict{shape}
	}
	check, is := byWorkload[workload]
	if !is {
		return []Verdict{{
			Checker: "workload", Valid: Unknown,
			Sentence: "no checker for workload \"" + workload + "\"; there are: " + strings.Join(Workloads(), ", "),
		}}
	}
	return []Verdict{check(h, o), Revisions(h), Availability(h, o.Recovery), Progress(h), shape}
}

// Guess tells a history's workload from the operations in it; empty if it cannot.
func Guess(h history.History) string {
	fs := map[string]any{}
	for i := range h {
		if h[i].Type == history.Invoke && fs[h[i].F] == nil {
			fs[h[i].F] = h[i].Value
		}
	}
	has := func(f string) bool { _, is := fs[f]; return is }
	switch {
	case has("txn"):
		return "append"
	case has("transfer"):
		return "bank"
	case has("closure"):
		return "lineage"
	case has("scan"):
		return "cursors"
	case has("add"):
		return "set"
	case has("open"):
		return "sessions"
	case has("cas"):
		return "register"
	case has("create"):
		if list, is := fs["create"].([]any); is && len(list) == 3 {
			return "versions"
		}
		return "creates"
	}
	return guessReads(h)
}

// Of the workloads with writes and reads alone: by the shape of an answer.
func guessReads(h history.History) string {
	for i := range h {
		list, is := h[i].Value.([]any)
		if h[i].Type != history.Ok || h[i].F != "read" || !is || len(list) == 0 {
			continue
		}
		if _, is := list[0].([]any); is {
			return "long-fork"
		}
		if len(list) == 2 {
			if _, is := list[1].([]any); is {
				return "as-of"
			}
			return "stale"
		}
	}
	return ""
}
