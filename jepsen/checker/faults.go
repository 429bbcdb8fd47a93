package checker

import (
	"sort"
	"strings"
	"time"

	"clade/jepsen/history"
)

// Fault is one stretch of time in which the nemesis broke something. Times are nanoseconds since
// the run's start.
type Fault struct {
	Name  string
	What  string // what was done, in words; empty where the history does not say
	Begin int64
	End   int64       // when it was whole again; that of the history's end if it never was
	Start *history.Op // the entry at Begin
	Stop  *history.Op // the entry at End, nil if there is none
}

// Faults returns what the nemesis did, by Begin. It says start-NAME and stop-NAME twice each: when
// it begins to do so, and when it is done. A fault lasts from the first start to the second stop.
func Faults(h history.History) []Fault {
	var faults []Fault
	open := map[string]int{}
	stops := map[string]int{}
	for _, op := range h.NemesisOps() {
		if name := strings.TrimPrefix(op.F, "start-"); name != op.F {
			at, is := open[name]
			if !is {
				at = len(faults)
				open[name] = at
				faults = append(faults, Fault{Name: name, Begin: op.Time, Start: op})
			}
			if op.Value != nil {
				faults[at].What = words(op.Value)
			}
		} else if name := strings.TrimPrefix(op.F, "stop-"); name != op.F {
			at, is := open[name]
			if !is {
				continue
			}
			faults[at].End, faults[at].Stop = op.Time, op
			if stops[name]++; stops[name] == 2 {
				delete(open, name)
				delete(stops, name)
			}
		}
	}
	for _, at := range open {
		if faults[at].Stop == nil && len(h) > 0 {
			faults[at].End = h[len(h)-1].Time
		}
	}
	return faults
}

func words(value any) string {
	if s, is := value.(string); is {
		return s
	}
	return text(value)
}

// Availability checks that the cluster serves again soon after it was healed: after each moment at
// which the last fault ended, a write or a linearizable read succeeds within the time given. Where
// the next fault, or the end of the run, comes before that, nothing is said.
func Availability(h history.History, within time.Duration) Verdict {
	j := judge("availability", h)
	served := successes(h)
	var longest int64
	at, measured := 0, 0
	for _, w := range wholes(h) {
		for at < len(served) && served[at].Time < w.begin.Time {
			at++
		}
		if at < len(served) && served[at].Time <= w.end {
			measured++
			if took := served[at].Time - w.begin.Time; took > longest {
				longest = took
			}
			if took := time.Duration(served[at].Time - w.begin.Time); took > within {
				j.found("slow-recovery", []*history.Op{w.begin, served[at]},
					"the first success after the end of %s came after %s", w.begin.F, took.Round(time.Millisecond))
			}
		} else if idle := time.Duration(w.end - w.begin.Time); idle > within && w.asked {
			j.found("no-recovery", []*history.Op{w.begin}, "nothing succeeded in the %s after the end of %s",
				idle.Round(time.Millisecond), w.begin.F)
		} else {
			j.count("heals without time to tell", 1)
		}
	}
	j.count("heals", measured)
	j.count("longest ms", int(longest/1e6))
	return j.end("the first success came at most %s after %s",
		time.Duration(longest).Round(time.Millisecond), plural(measured, "heal"))
}

// Completions that show that a majority serves, in order.
func successes(h history.History) []*history.Op {
	var served []*history.Op
	for i := range h {
		op := &h[i]
		if op.Process != history.Nemesis && op.Type == history.Ok {
			if level := op.Name("level"); level == "" || level == "linearizable" {
				served = append(served, op)
			}
		}
	}
	return served
}

// A stretch of time without a fault, after one.
type whole struct {
	begin *history.Op // the entry that ended the last fault
	end   int64
	asked bool // some operation began in it
}

func wholes(h history.History) []whole {
	var turns []*history.Op
	for _, f := range Faults(h) {
		turns = append(turns, f.Start)
		if f.Stop != nil {
			turns = append(turns, f.Stop)
		}
	}
	sort.Slice(turns, func(a, b int) bool { return turns[a].Index < turns[b].Index })
	var list []whole
	active := 0
	for i, op := range turns {
		if strings.HasPrefix(op.F, "start-") {
			active++
			continue
		}
		if active--; active > 0 {
			continue
		}
		w := whole{begin: op, end: h[len(h)-1].Time}
		if i+1 < len(turns) {
			w.end = turns[i+1].Time
		}
		for at := op.Index; at < len(h) && h[at].Time <= w.end && !w.asked; at++ {
			w.asked = h[at].Type == history.Invoke
		}
		list = append(list, w)
	}
	return list
}
