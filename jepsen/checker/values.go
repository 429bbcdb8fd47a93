package checker

import (
	"fmt"
	"strings"

	"clade/jepsen/history"
)

// The pairs of these operations. An unfit value makes the whole judgement Unknown: the checker
// would be judging something else than what was run.
func (j *judgement) pairs(fs ...string) []history.Pair {
	return history.Only(j.h.Pairs(), fs...)
}

func (j *judgement) unfit(op *history.Op, shape string) {
	j.unknown("entry %d: %s is not %s", op.Index, short(history.EDN(op.Value)), shape)
}

// A list of n items; nil, and the judgement Unknown, if it is none.
func (j *judgement) tuple(op *history.Op, n int, shape string) []any {
	list, is := op.Value.([]any)
	if !is || len(list) != n {
		j.unfit(op, shape)
		return nil
	}
	return list
}

// What was answered if anything was, else what was asked.
func (p answer) value() *history.Op {
	if p.Done != nil && p.Done.Type == history.Ok {
		return p.Done
	}
	return p.Begin
}

type answer struct{ history.Pair }

// A key, an element, a token: anything that can be compared.
func scalar(value any) bool {
	switch value.(type) {
	case nil, bool, int64, float64, string, history.Keyword:
		return true
	}
	return false
}

func text(value any) string { return history.EDN(value) }

func short(s string) string {
	const most = 120
	if len(s) <= most {
		return s
	}
	return s[:most] + "..."
}

func nameOf(value any) string {
	switch v := value.(type) {
	case string:
		return v
	case history.Keyword:
		return string(v)
	}
	return ""
}

// The class of a completion's error: "CONFLICT" of "CONFLICT: the guard ...".
func errorClass(op *history.Op) string {
	class, _, _ := strings.Cut(op.Error, ":")
	return class
}

// The level that a read asked for.
func levelOf(p history.Pair) string {
	for _, op := range []*history.Op{p.Done, p.Begin} {
		if op != nil {
			if level := op.Name("level"); level != "" {
				return level
			}
		}
	}
	return "linearizable"
}

func linearizable(p history.Pair) bool { return levelOf(p) == "linearizable" && !isAsOf(p) }

// An answer for an earlier revision on purpose.
func isAsOf(p history.Pair) bool {
	for _, op := range []*history.Op{p.Done, p.Begin} {
		if op != nil && op.Extra["as_of"] != nil {
			return true
		}
	}
	return false
}

// The revision of an answer; false where there is none.
func revisionOf(p history.Pair) (int64, bool) {
	if p.Type() != history.Ok {
		return 0, false
	}
	return p.Done.Int("revision")
}

func plural(n int, one string) string {
	switch {
	case n == 1:
		return "1 " + one
	case strings.HasSuffix(one, "y") && !strings.HasSuffix(one, "ey"):
		one = strings.TrimSuffix(one, "y") + "ies"
	case strings.HasSuffix(one, "s") || strings.HasSuffix(one, "x"):
		one += "es"
	default:
		one += "s"
	}
	return fmt.Sprintf("%d %s", n, one)
}
