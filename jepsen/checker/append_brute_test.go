package checker

import (
	"reflect"
	"testing"

	"clade/jepsen/history"
)

// The checker of transactions against the definition itself: a history is strictly serializable if
// some order of its transactions, which keeps to real time, gives every answer. On small histories
// all orders can be tried.

// Whether an order exists. Transactions that failed have no effect; those of unknown outcome may be
// anywhere after their invocation, or nowhere.
func strictlySerializable(h history.History) bool {
	var txns []history.Pair
	for _, p := range h.Pairs() {
		if p.Type() != history.Fail {
			txns = append(txns, p)
		}
	}
	done := make([]bool, len(txns))
	var try func(state map[any][]any) bool
	try = func(state map[any][]any) bool {
		left := false
		for i, p := range txns {
			if done[i] {
				continue
			}
			left = left || p.Type() == history.Ok
			if endedBefore(txns, done, p) {
				continue
			}
			if next, fits := applyTxn(p, state); fits {
				done[i] = true
				if try(next) {
					return true
				}
				done[i] = false
			}
		}
		return !left
	}
	return try(map[any][]any{})
}

// Whether a transaction that is not done yet ended before this one began.
func endedBefore(txns []history.Pair, done []bool, p history.Pair) bool {
	for i, other := range txns {
		if !done[i] && other.Type() == history.Ok && other.Done.Index < p.Begin.Index {
			return true
		}
	}
	return false
}

func applyTxn(p history.Pair, state map[any][]any) (map[any][]any, bool) {
	next := map[any][]any{}
	for k, v := range state {
		next[k] = v
	}
	for _, item := range (answer{p}).value().Value.([]any) {
		m := item.([]any)
		if m[0] == history.Keyword("append") {
			next[m[1]] = append(append([]any(nil), next[m[1]]...), m[2])
			continue
		}
		list, _ := m[2].([]any)
		if p.Type() == history.Ok && len(list)+len(next[m[1]]) > 0 && !reflect.DeepEqual(list, next[m[1]]) {
			return nil, false
		}
	}
	return next, true
}

func TestTheCheckerOfTransactionsAgreesWithTryingAllOrders(t *testing.T) {
	first := firstSeed(t)
	bugs := append([]string{""}, bugsOf(simulated[1].rates)...)
	agreed, valid, unseen := 0, 0, 0
	for i := 0; i < 200**seedsFlag; i++ {
		bug := bugs[i%len(bugs)]
		w := newWorld(first+int64(i), bug, 0.4)
		simAppend(w)
		if i/len(bugs)%2 == 0 {
			w.final = nil // nobody sees the last elements
		}
		h := w.run(2+i%3, 5+i%9)
		for k := range h {
			delete(h[k].Extra, "revision") // what the answers show must do
		}
		is, says := strictlySerializable(h), Append(h)
		switch {
		case is == (says.Valid == True):
			agreed++
			if is {
				valid++
			}
		case is:
			show(t, h, []Verdict{says})
			t.Fatalf("a false alarm, bug %q, seed %d", bug, first+int64(i))
		default:
			if unseen++; unseen <= 3 {
				t.Logf("not seen, bug %q, seed %d", bug, first+int64(i))
			}
		}
	}
	t.Logf("%d histories judged alike, %d of them valid; %d have no order and nothing shows it", agreed, valid, unseen)
	if unseen*50 > agreed {
		t.Errorf("%d anomalies were not seen", unseen)
	}
}
