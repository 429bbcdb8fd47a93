package checker

import (
	"sort"

	"clade/jepsen/history"
)

// What was acknowledged when: the highest revision that any answer had shown before an entry.
type acknowledged struct {
	before []int64       // by entry: the highest revision of a completion before it
	by     []*history.Op // by entry: that completion, nil if there was none
	times  []int64       // of completions with a revision, ascending
	upTo   []int         // of those: the entry after it
}

func acknowledgedOf(h history.History) *acknowledged {
	n := len(h) + 1
	a := &acknowledged{before: make([]int64, n), by: make([]*history.Op, n)}
	for i := range h {
		a.before[i+1], a.by[i+1] = a.before[i], a.by[i]
		op := &h[i]
		revision, is := op.Int("revision")
		if op.Type != history.Ok || !is {
			continue
		}
		if a.by[i] == nil || revision > a.before[i] {
			a.before[i+1], a.by[i+1] = revision, op
		}
		a.times = append(a.times, op.Time)
		a.upTo = append(a.upTo, i+1)
	}
	return a
}

// The highest revision that was shown earlier than a time, and by what.
func (a *acknowledged) earlierThan(time int64) (int64, *history.Op) {
	at := sort.Search(len(a.times), func(i int) bool { return a.times[i] >= time })
	if at == 0 {
		return 0, nil
	}
	return a.before[a.upTo[at-1]], a.by[a.upTo[at-1]]
}

// Revisions checks what every workload promises of the revisions of its answers: a linearizable
// operation answers with at least the highest revision that any answer had shown before it began;
// at_least R with at least R; stale MS with at least what had been shown MS before it began.
// Answers as of an earlier revision, and repeats (which give the first answer again), are left out.
// Staleness goes by monotonic clocks, so a nemesis that moves the time of day excuses nothing.
func Revisions(h history.History) Verdict {
	j := judge("revisions", h)
	known := acknowledgedOf(h)
	checked := 0
	repeated := repeats(h)
	for _, p := range h.Pairs() {
		revision, is := revisionOf(p)
		if !is || isAsOf(p) || repeated[p.Begin.Index] {
			continue
		}
		checked++
		switch levelOf(p) {
		case "linearizable":
			if low := known.before[p.Begin.Index]; revision < low {
				by := known.by[p.Begin.Index]
				j.found("stale-revision", append(entries(p), by),
					"%d answers with revision %d, though %d had shown %d before it began",
					p.Done.Index, revision, by.Index, low)
			}
		case "at_least":
			if low, asked := p.Done.Int("at_least"); asked && revision < low {
				j.found("below-at-least", entries(p),
					"%d answers with revision %d, though at least %d was asked for", p.Done.Index, revision, low)
			}
		case "stale":
			ms, asked := p.Done.Int("stale_ms")
			low, by := known.earlierThan(p.Begin.Time - ms*1e6)
			if asked && revision < low {
				j.found("too-stale", append(entries(p), by),
					"%d answers with revision %d, though %d had shown %d more than %d ms before it began",
					p.Done.Index, revision, by.Index, low, ms)
			}
		}
	}
	j.count("answers", checked)
	return j.end("%s have revisions that fit their levels", plural(checked, "answer"))
}

// Entries that began a repeat of an earlier write of the sessions workload, and reads as of a
// revision that they ask for.
func repeats(h history.History) map[int]bool {
	found := map[int]bool{}
	seen := map[string]bool{}
	for i := range h {
		op := &h[i]
		if op.Type != history.Invoke {
			continue
		}
		if list, is := op.Value.([]any); is && op.F == "create" && len(list) == 4 {
			id := text(list[:2])
			found[i] = seen[id]
			seen[id] = true
		}
	}
	return found
}
