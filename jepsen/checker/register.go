package checker

import (
	"math"
	"time"

	"github.com/anishathalye/porcupine"

	"clade/jepsen/history"
)

// An operation on one register as Porcupine takes it.
type registerOp struct {
	kind  string // "read", "write" or "cas"
	old   any    // that cas expects
	v     any    // that was read, or is left behind
	maybe bool   // of unknown outcome: if it never happened it is put last, where it may fail
}

var registerModel = porcupine.Model{
	Init: func() any { return nil },
	Step: func(state, input, output any) (bool, any) {
		op := input.(registerOp)
		switch op.kind {
		case "read":
			return state == op.v, state
		case "cas":
			if op.maybe && state != op.old {
				return true, state
			}
			return state == op.old, op.v
		}
		return true, op.v
	},
}

// Register checks that each key is a linearizable register with compare-and-set: every history of
// writes, successful compare-and-sets and linearizable reads has an order that fits their times and
// answers. Reads at other levels are left to other checkers. The budget is for all keys together;
// what is not decided in it is Unknown.
func Register(h history.History, budget time.Duration) Verdict {
	j := judge("linearizable", h)
	byKey := map[any][]registerPair{}
	for _, p := range j.pairs("read", "write", "cas") {
		if op, key, is := j.registerOp(p); is {
			byKey[key] = append(byKey[key], registerPair{p, op})
		}
	}
	deadline := time.Now().Add(budget)
	operations := 0
	for _, key := range sortedAny(byKey) {
		operations += len(byKey[key])
		ops := unobserved(byKey[key])
		switch linearizableWithin(ops, time.Until(deadline)) {
		case porcupine.Illegal:
			small := smallest(ops, deadline)
			j.found("not-linearizable", entries(pairsOf(small)...),
				"the operations on key %s have no order; %d of them already have none", text(key), len(small))
		case porcupine.Unknown:
			j.unknown("key %s was not decided in %s", text(key), budget)
		}
	}
	if operations == 0 {
		j.unknown("there is nothing to judge")
	}
	j.count("keys", len(byKey))
	j.count("operations", operations)
	return j.end("%s on %s are linearizable", plural(operations, "operation"), plural(len(byKey), "key"))
}

type registerPair struct {
	history.Pair
	op registerOp
}

func pairsOf(ops []registerPair) []history.Pair {
	var pairs []history.Pair
	for _, op := range ops {
		pairs = append(pairs, op.Pair)
	}
	return pairs
}

// What an operation did and to which key; false if it did nothing, or is not for this checker.
func (j *judgement) registerOp(p history.Pair) (registerOp, any, bool) {
	kind := p.Begin.F
	read := kind == "read"
	if p.Type() == history.Fail || read && (p.Type() != history.Ok || !linearizable(p)) {
		return registerOp{}, nil, false
	}
	kv := j.tuple(answer{p}.value(), 2, "[key value]")
	if kv == nil {
		return registerOp{}, nil, false
	}
	op := registerOp{kind: kind, v: kv[1], maybe: p.Type() == history.Info}
	if kind == "cas" {
		pair, is := kv[1].([]any)
		if !is || len(pair) != 2 {
			j.unfit(p.Begin, "[key [old new]]")
			return registerOp{}, nil, false
		}
		op.old, op.v = pair[0], pair[1]
	}
	if !scalar(kv[0]) || !scalar(op.v) || !scalar(op.old) {
		j.unfit(p.Begin, "made of numbers and strings")
		return registerOp{}, nil, false
	}
	return op, kv[0], true
}

// Leaves out operations of unknown outcome whose value nobody saw: where an order with one exists,
// the same without it does too.
func unobserved(ops []registerPair) []registerPair {
	for {
		seen := map[any]bool{}
		for _, op := range ops {
			if op.op.kind == "read" {
				seen[op.op.v] = true
			} else if op.op.kind == "cas" {
				seen[op.op.old] = true
			}
		}
		var kept []registerPair
		for _, op := range ops {
			if op.Type() == history.Ok || seen[op.op.v] {
				kept = append(kept, op)
			}
		}
		if len(kept) == len(ops) {
			return ops
		}
		ops = kept
	}
}

func linearizableWithin(ops []registerPair, budget time.Duration) porcupine.CheckResult {
	if budget <= 0 {
		return porcupine.Unknown
	}
	var all []porcupine.Operation
	for _, op := range ops {
		end := int64(math.MaxInt64)
		if op.Type() == history.Ok {
			end = int64(op.Done.Index)
		}
		all = append(all, porcupine.Operation{Input: op.op, Call: int64(op.Begin.Index), Return: end})
	}
	return porcupine.CheckOperationsTimeout(registerModel, all, budget)
}

// A small part of ops that has no order either, found by taking operations away. Reads can be
// taken away freely, and a write or compare-and-set whose value no other one sees: an order of the
// whole, without them, is one of the rest. So what is left shows a fault of the whole.
func smallest(ops []registerPair, deadline time.Time) []registerPair {
	if limit := time.Now().Add(20 * time.Second); deadline.After(limit) {
		deadline = limit
	}
	illegal := func(part []registerPair) bool {
		left := time.Until(deadline)
		if left > time.Second {
			left = time.Second
		}
		return linearizableWithin(part, left) == porcupine.Illegal
	}
	for size := (len(ops) + 1) / 2; size >= 1; {
		shrunk := false
		for at := 0; at < len(ops); {
			if rest := without(ops, at, at+size); len(rest) < len(ops) && illegal(rest) {
				ops, shrunk = rest, true
			} else {
				at += size
			}
		}
		if !shrunk || size > 1 {
			if size == 1 {
				break
			}
			size /= 2
		}
	}
	return ops
}

// The operations but for those of ops[from:to] that can be taken away.
func without(ops []registerPair, from, to int) []registerPair {
	seers := map[any]int{}
	see := func(op registerOp, n int) {
		if op.kind == "read" {
			seers[op.v] += n
		} else if op.kind == "cas" {
			seers[op.old] += n
		}
	}
	for i, op := range ops {
		if i < from || i >= to || op.op.kind != "read" {
			see(op.op, 1)
		}
	}
	var rest []registerPair
	for i, op := range ops {
		if i >= from && i < to {
			if op.op.kind == "read" {
				continue
			}
			see(op.op, -1)
			if seers[op.op.v] == 0 {
				continue
			}
			see(op.op, 1)
		}
		rest = append(rest, op)
	}
	return rest
}
