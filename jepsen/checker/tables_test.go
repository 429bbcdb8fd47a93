package checker

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"clade/jepsen/history"
)

// A row is a sentence, a history and what the checker must say of it: nothing, "unknown", or the
// kinds of anomalies by name. A history is lines of
//
//	[@MILLISECONDS] PROCESS MARK F VALUE [:key value ...]
//
// MARK is > for an invocation, + for ok, - for fail, ? for info, and = for an operation begun and
// ended at once, answer and argument alike. Process n is the nemesis. Without a time an entry comes
// a millisecond after the one before.
type row struct {
	why, lines, want string
}

func historyOf(t *testing.T, lines string) history.History {
	t.Helper()
	var h history.History
	now := int64(0)
	for _, line := range strings.Split(strings.TrimSpace(lines), "\n") {
		line = strings.TrimSpace(line)
		now++
		if strings.HasPrefix(line, "@") {
			at, rest, _ := strings.Cut(line[1:], " ")
			now, _ = strconv.ParseInt(at, 10, 64)
			line = rest
		}
		words := strings.SplitN(line, " ", 4)
		types := map[string][]string{">": {"invoke"}, "+": {"ok"}, "-": {"fail"}, "?": {"info"}, "=": {"invoke", "ok"}}
		rest := "nil"
		if len(words) > 3 {
			rest = words[3]
		}
		if words[0] == "n" {
			words[0] = ":nemesis"
		}
		for _, kind := range types[words[1]] {
			text := fmt.Sprintf("{:process %s :type :%s :f :%s :time %d :value %s}", words[0], kind, words[2], now*ms, rest)
			one, err := history.ReadEDN(strings.NewReader(text))
			if err != nil || len(one) != 1 {
				t.Fatalf("%s: %v", text, err)
			}
			one[0].Index = len(h)
			h = append(h, one[0])
		}
	}
	if err := h.Validate(); err != nil {
		t.Fatalf("%v in\n%s", err, lines)
	}
	return h
}

func checkRows(t *testing.T, check func(history.History) Verdict, rows []row) {
	t.Helper()
	for _, r := range rows {
		v := check(historyOf(t, r.lines))
		got := strings.Join(v.Kinds(), " ")
		if v.Valid == Unknown {
			got = "unknown"
		}
		if got != r.want {
			t.Errorf("%s: got %q, want %q: %s", r.why, got, r.want, v.Sentence)
		}
		if (v.Valid == False) != (len(v.Anomalies) > 0) || v.Sentence == "" {
			t.Errorf("%s: the verdict does not fit together: %+v", r.why, v)
		}
	}
}

func TestRegister(t *testing.T) {
	check := func(h history.History) Verdict { return Register(h, 10*time.Second) }
	checkRows(t, check, []row{
		{"a read gives what was written", "0 = write [1 5]\n1 = read [1 5]", ""},
		{"a key that was never written reads nil", "0 = write [1 5]\n1 = read [2 nil]", ""},
		{"while a write is under way both values are right", "0 = write [1 5]\n1 > write [1 6]\n2 = read [1 6]\n1 + write [1 6]", ""},
		{"and both in turn, if the new one comes last", "0 = write [1 5]\n1 > write [1 6]\n2 = read [1 5]\n3 = read [1 6]\n1 + write [1 6]", ""},
		{"but not the old one again", "0 = write [1 5]\n1 > write [1 6]\n2 = read [1 6]\n3 = read [1 5]\n1 + write [1 6]", "not-linearizable"},
		{"a write is not forgotten", "0 = write [1 5]\n0 = write [1 6]\n1 = read [1 5]", "not-linearizable"},
		{"a read at another level may be old", "0 = write [1 5]\n0 = write [1 6]\n1 = read [1 5] :level \"local\"", ""},
		{"a failed write did not happen", "0 = write [1 5]\n0 > write [1 6]\n0 - write [1 6]\n1 = read [1 6]", "not-linearizable"},
		{"one of unknown outcome may happen", "0 = write [1 5]\n0 > write [1 6]\n0 ? write [1 6]\n1 = read [1 6]", ""},
		{"late, too", "0 = write [1 5]\n0 > write [1 6]\n0 ? write [1 6]\n1 = read [1 5]\n1 = read [1 6]", ""},
		{"or never", "0 = write [1 5]\n0 > write [1 6]\n0 ? write [1 6]\n1 = read [1 5]", ""},
		{"but once only", "0 = write [1 5]\n0 > write [1 6]\n0 ? write [1 6]\n1 = read [1 6]\n1 = write [1 7]\n1 = read [1 6]", "not-linearizable"},
		{"an operation that never ended is of unknown outcome", "0 = write [1 5]\n0 > write [1 6]\n1 = read [1 6]", ""},
		{"compare-and-set compares", "0 = write [1 5]\n0 = cas [1 [5 6]]\n1 = read [1 6]", ""},
		{"and does not set blindly", "0 = write [1 5]\n0 = cas [1 [4 6]]", "not-linearizable"},
		{"of two that expect the same one succeeds", "0 = write [1 5]\n1 > cas [1 [5 6]]\n2 > cas [1 [5 7]]\n1 + cas [1 [5 6]]\n2 + cas [1 [5 7]]", "not-linearizable"},
		{"one of unknown outcome may have failed", "0 = write [1 5]\n1 > cas [1 [4 6]]\n1 ? cas [1 [4 6]]\n0 = read [1 5]", ""},
		{"or succeeded", "0 = write [1 5]\n1 > cas [1 [5 6]]\n1 ? cas [1 [5 6]]\n0 = read [1 6]", ""},
		{"a value of the wrong shape is not judged", "0 = write 5", "unknown"},
	})
}

func TestRegisterShowsASmallPartOfAWrongHistory(t *testing.T) {
	h, _ := simulate("register", 11, "", 0, 4, 400)
	end := len(h)
	lines := "0 = write [9999 5]\n0 = write [9999 6]\n1 = read [9999 5]"
	for _, op := range historyOf(t, lines) {
		op.Index, op.Process = len(h), op.Process+1_000_000
		h = append(h, op)
	}
	v := Register(h, 30*time.Second)
	if v.Valid != False || len(v.Anomalies) != 1 {
		t.Fatal(v.Line())
	}
	if ops := v.Anomalies[0].Ops; len(ops) != 6 || ops[0].Index != end {
		t.Fatalf("%d entries are shown", len(ops))
	}
}

func TestRegisterThatIsNotDecidedInTimeIsUnknown(t *testing.T) {
	h, _ := simulate("register", 11, "", 0, 4, 100)
	if v := Register(h, -1); v.Valid != Unknown {
		t.Fatal(v.Line())
	}
}

func TestAppend(t *testing.T) {
	checkRows(t, Append, []row{
		{"reads see appends in their order", "0 = txn [[:append 1 1]]\n0 = txn [[:append 1 2]]\n1 = txn [[:r 1 [1 2]]]", ""},
		{"a transaction reads what it appended", "0 = txn [[:append 1 1] [:r 1 [1]] [:append 1 2] [:r 1 [1 2]]]", ""},
		{"and must", "0 = txn [[:append 1 1] [:r 1 nil]]\n1 = txn [[:r 1 [1]]]", "internal"},
		{"two of its reads agree", "0 = txn [[:append 1 1]]\n1 = txn [[:r 1 [1]] [:r 1 nil]]", "internal"},
		{"an element from nowhere", "0 = txn [[:append 1 1]]\n1 = txn [[:r 1 [1 7]]]", "unexpected-element"},
		{"an element twice", "0 = txn [[:append 1 1]]\n1 = txn [[:r 1 [1 1]]]", "duplicate-element"},
		{"an aborted read", "0 > txn [[:append 1 1]]\n0 - txn [[:append 1 1]]\n1 = txn [[:r 1 [1]]]", "G1a"},
		{"an aborted read that is not of the longest list",
			"0 > txn [[:append 1 1]]\n0 - txn [[:append 1 1]]\n1 = txn [[:r 1 [1]]]\n2 = txn [[:append 1 2]]\n2 = txn [[:r 1 [1 2]]]", "G1a dirty-update"},
		{"of unknown outcome it is none", "0 > txn [[:append 1 1]]\n0 ? txn [[:append 1 1]]\n1 = txn [[:r 1 [1]]]", ""},
		{"it may come late", "0 > txn [[:append 1 1]]\n0 ? txn [[:append 1 1]]\n1 = txn [[:r 1 nil]]\n1 = txn [[:r 1 [1]]]", ""},
		{"an intermediate read", "0 > txn [[:append 1 1] [:append 1 2]]\n1 = txn [[:r 1 [1]]]\n0 + txn [[:append 1 1] [:append 1 2]]\n1 = txn [[:r 1 [1 2]]]",
			"G-single G1b"},
		{"two orders of the same elements", "0 = txn [[:append 1 1]]\n1 > txn [[:append 1 2]]\n2 > txn [[:append 1 3]]\n1 + txn [[:append 1 2]]\n" +
			"2 + txn [[:append 1 3]]\n3 = txn [[:r 1 [1 2 3]]]\n3 = txn [[:r 1 [1 3 2]]]", "incompatible-order"},
		{"write cycle: two lists in opposite orders", "0 > txn [[:append 1 1] [:append 2 1]]\n1 > txn [[:append 1 2] [:append 2 2]]\n" +
			"0 + txn [[:append 1 1] [:append 2 1]]\n1 + txn [[:append 1 2] [:append 2 2]]\n2 = txn [[:r 1 [1 2]] [:r 2 [2 1]]]", "G0"},
		{"each read what the other appended", "0 > txn [[:append 1 1] [:r 2 [1]]]\n1 > txn [[:append 2 1] [:r 1 [1]]]\n" +
			"0 + txn [[:append 1 1] [:r 2 [1]]]\n1 + txn [[:append 2 1] [:r 1 [1]]]", "G1c"},
		{"a fractured read", "0 > txn [[:append 1 1] [:append 2 1]]\n1 = txn [[:r 1 [1]] [:r 2 nil]]\n0 + txn [[:append 1 1] [:append 2 1]]\n2 = txn [[:r 2 [1]]]",
			"G-single"},
		{"write skew", "0 > txn [[:r 1 nil] [:append 2 1]]\n1 > txn [[:r 2 nil] [:append 1 1]]\n0 + txn [[:r 1 nil] [:append 2 1]]\n" +
			"1 + txn [[:r 2 nil] [:append 1 1]]\n2 = txn [[:r 1 [1]] [:r 2 [1]]]", "G2-item"},
		{"long fork", "0 > txn [[:append 1 1]]\n1 > txn [[:append 2 1]]\n2 > txn [[:r 1 [1]] [:r 2 nil]]\n3 > txn [[:r 1 nil] [:r 2 [1]]]\n" +
			"0 + txn [[:append 1 1]]\n1 + txn [[:append 2 1]]\n2 + txn [[:r 1 [1]] [:r 2 nil]]\n3 + txn [[:r 1 nil] [:r 2 [1]]]", "G2-item"},
		{"lost update", "0 = txn [[:append 1 1]]\n1 > txn [[:r 1 [1]] [:append 1 2]]\n2 > txn [[:r 1 [1]] [:append 1 3]]\n" +
			"1 + txn [[:r 1 [1]] [:append 1 2]]\n2 + txn [[:r 1 [1]] [:append 1 3]]\n3 = txn [[:r 1 [1 2 3]]]", "G-single lost-update"},
		{"a stale read, by time", "0 = txn [[:append 1 1]]\n0 = txn [[:append 1 2]]\n1 = txn [[:r 1 [1]]]\n2 = txn [[:r 1 [1 2]]]", "G-single-realtime"},
		{"a stale read, by process", "0 = txn [[:append 1 1]]\n0 = txn [[:r 1 nil]]\n1 = txn [[:r 1 [1]]]", "G-single-process"},
		{"an append that is lost", "0 = txn [[:append 1 1]]\n0 = txn [[:append 1 2]]\n1 = txn [[:r 1 [1]]]", "G-single-realtime"},
		{"a read from the future", "0 = txn [[:r 1 [1]]]\n1 = txn [[:append 1 1]]", "G1c-realtime"},
		{"appends against time", "0 = txn [[:append 1 1]]\n1 = txn [[:append 1 2]]\n2 = txn [[:r 1 [2 1]]]", "G0-realtime"},
		{"an element of an aborted transaction under another one",
			"0 > txn [[:append 1 1]]\n0 - txn [[:append 1 1]]\n1 = txn [[:append 1 2]]\n2 = txn [[:r 1 [1 2]]]", "G1a dirty-update"},
		{"revisions against the order", "0 > txn [[:append 1 1]]\n1 > txn [[:append 1 2]]\n0 + txn [[:append 1 1]] :revision 8\n" +
			"1 + txn [[:append 1 2]] :revision 7\n2 = txn [[:r 1 [1 2]]]", "revision-order"},
		{"an element appended twice cannot be judged", "0 = txn [[:append 1 1]]\n1 = txn [[:append 1 1]]", "unknown"},
		{"a value of the wrong shape is not judged", "0 = txn [[:write 1 1]]", "unknown"},
	})
}

func TestVersions(t *testing.T) {
	checkRows(t, Versions, []row{
		{"numbers without a gap", "0 = create [0 7 1] :revision 1\n0 = create [0 8 2] :revision 2\n1 = read [0 [[1 7] [2 8]]] :revision 2", ""},
		{"one of unknown outcome may have taken one", "0 > create [0 7 nil]\n0 ? create [0 7 nil]\n1 = create [0 8 2]\n1 = read [0 [[1 7] [2 8]]]", ""},
		{"a gap", "0 = create [0 7 1]\n0 = create [0 8 3]\n1 = read [0 [[1 7] [3 8]]]", "gap lost"},
		{"a number twice", "0 > create [0 7 nil]\n1 > create [0 8 nil]\n0 + create [0 7 1]\n1 + create [0 8 1]", "number-twice"},
		{"a number that means something else later", "0 = create [0 7 1]\n1 > create [0 8 nil]\n1 ? create [0 8 nil]\n2 = read [0 [[1 8]]]", "number-twice"},
		{"a token twice", "0 = create [0 7 1]\n1 = read [0 [[1 7] [2 7]]]", "token-twice"},
		{"models count for themselves", "0 = create [0 7 1]\n0 = create [1 8 1]", ""},
		{"an acknowledged one is missing", "0 = create [0 7 1]\n0 = create [0 8 2]\n1 = read [0 [[1 7]]]", "lost"},
		{"a read at another level may lack it", "0 = create [0 7 1] :revision 1\n0 = create [0 8 2] :revision 2\n1 = read [0 [[1 7]]] :level \"local\" :revision 1", ""},
		{"but not when its revision has it", "0 = create [0 7 1] :revision 1\n0 = create [0 8 2] :revision 2\n1 = read [0 [[1 7]]] :level \"local\" :revision 2", "lost"},
		{"nor may it have what comes later", "0 = create [0 7 1] :revision 1\n0 = create [0 8 2] :revision 2\n1 = read [0 [[1 7] [2 8]]] :level \"local\" :revision 1", "from-the-future"},
		{"numbers against time", "0 > create [0 7 nil]\n0 ? create [0 7 nil]\n1 = create [0 8 2]\n1 = create [0 9 1]", "number-goes-back"},
		{"a refused one is there", "0 > create [0 7 nil]\n0 - create [0 7 nil]\n1 = read [0 [[1 7]]]", "failed-write-seen"},
		{"one that nobody made", "0 = read [0 [[1 7]]]", "unexpected"},
		{"a value of the wrong shape is not judged", "0 = create [0 7 \"x\"]", "unknown"},
	})
}

func TestCreates(t *testing.T) {
	checkRows(t, Creates, []row{
		{"one id for all repeats", "0 = create [7 [100 100 100]] :revision 3\n1 = read [[7 100]] :revision 3", ""},
		{"a repeat made another", "0 = create [7 [100 101]]", "created-twice"},
		{"it is there twice", "0 = create [7 [100]]\n1 = read [[7 100] [7 101]]", "created-twice"},
		{"it is there under another id", "0 = create [7 [100]]\n1 = read [[7 101]]", "created-twice"},
		{"two have one id", "0 = create [7 [100]]\n1 = create [8 [100]]", "id-twice"},
		{"it is missing", "0 = create [7 [100]]\n1 = read []", "lost"},
		{"a read that began before may lack it", "1 > read\n0 = create [7 [100]]\n1 + read []", ""},
		{"one of unknown outcome is there, then under another id", "0 > create [7 nil]\n0 ? create [7 nil]\n1 = read [[7 100]]\n1 = read [[7 101]]", "created-twice"},
		{"one that failed is there", "0 > create [7 nil]\n0 - create [7 nil]\n1 = read [[7 100]]", "failed-write-seen"},
		{"one that nobody made", "0 = read [[7 100]]", "unexpected"},
		{"a value of the wrong shape is not judged", "0 = create [7 []]", "unknown"},
	})
}

func TestSet(t *testing.T) {
	checkRows(t, Set, []row{
		{"all are found", "0 = add 1 :revision 1\n0 = add 2 :revision 2\n1 = read [2 1] :by \"name\" :revision 2\n1 = read [1 2] :by \"digest\" :revision 2", ""},
		{"one index lacks one", "0 = add 1\n0 = add 2\n1 = read [1 2] :by \"name\"\n1 = read [1] :by \"digest\"", "lost"},
		{"one that was found is gone", "0 > add 1\n0 ? add 1\n1 = read [1] :by \"name\"\n1 = read [] :by \"name\"", "gone"},
		{"one of unknown outcome may come later", "0 > add 1\n0 ? add 1\n1 = read [] :by \"name\"\n1 = read [1] :by \"name\"", ""},
		{"one twice", "0 = add 1\n1 = read [1 1]", "duplicate"},
		{"one that failed", "0 > add 1\n0 - add 1\n1 = read [1]", "failed-write-seen"},
		{"one that nobody added", "0 = add 1\n1 = read [1 9]", "unexpected"},
		{"an old read may lack the newest", "0 = add 1 :revision 1\n0 = add 2 :revision 2\n1 = read [1] :revision 1 :level \"local\"", ""},
		{"but not what its revision has", "0 = add 1 :revision 1\n0 = add 2 :revision 2\n1 = read [2] :revision 2 :level \"local\"", "lost"},
		{"what was added while it read it may not have asked for", "1 > read\n0 = add 1 :revision 1\n1 + read [] :revision 1", ""},
		{"nor have what comes later", "0 = add 1 :revision 1\n0 = add 2 :revision 2\n1 = read [1 2] :revision 1 :level \"local\"", "from-the-future"},
		{"without a read nothing is known", "0 = add 1", "unknown"},
		{"an element added twice cannot be judged", "0 = add 1\n0 = add 1\n1 = read [1]", "unknown"},
	})
}

func TestLineage(t *testing.T) {
	edges := "0 = link [1 2 \"created\"] :revision 1\n0 = link [2 3 \"created\"] :revision 2\n"
	checkRows(t, Lineage, []row{
		{"up along the edges", edges + "1 = closure [1 :up [[2 1] [3 2]]] :revision 2", ""},
		{"down against them", edges + "1 = closure [3 :down [[2 1] [1 2]]] :revision 2", ""},
		{"as of an earlier revision", edges + "1 = closure [1 :up [[2 1]]] :revision 1", ""},
		{"nothing from the end", edges + "1 = closure [3 :up []] :revision 2", ""},
		{"a cycle does not give the start", edges + "0 = link [3 1 \"created\"] :revision 3\n1 = closure [1 :up [[2 1] [3 2]]] :revision 3", ""},
		{"and must not", edges + "0 = link [3 1 \"created\"] :revision 3\n1 = closure [1 :up [[2 1] [3 2] [1 3]]] :revision 3", "twice-in-closure"},
		{"a thing is missing", edges + "1 = closure [1 :up [[2 1]]] :revision 2", "missing"},
		{"a thing too many", edges + "1 = closure [1 :up [[2 1] [3 2]]] :revision 1", "not-reachable"},
		{"the wrong direction", edges + "1 = closure [1 :up []] :revision 2\n1 = closure [2 :down [[3 1]]] :revision 2", "missing not-reachable"},
		{"an edge that was ended", edges + "0 = unlink [2 3 \"deleted\"] :revision 3\n1 = closure [1 :up [[2 1] [3 2]]] :revision 3", "not-reachable"},
		{"not the least depth", edges + "0 = link [1 3 \"created\"] :revision 3\n1 = closure [1 :up [[2 1] [3 2]]] :revision 3", "not-least-depth"},
		{"not in the order of depth", edges + "1 = closure [1 :up [[3 2] [2 1]]] :revision 2", "closure-order"},
		{"a thing twice", edges + "1 = closure [1 :up [[2 1] [2 1] [3 2]]] :revision 2", "twice-in-closure"},
		{"an edge of unknown outcome may be there", edges + "5 > link [3 4 nil]\n5 ? link [3 4 nil]\n1 = closure [1 :up [[2 1] [3 2] [4 3]]] :revision 9", ""},
		{"or not", edges + "5 > link [3 4 nil]\n5 ? link [3 4 nil]\n1 = closure [1 :up [[2 1] [3 2]]] :revision 9", ""},
		{"but not before it was asked for", edges + "5 > link [3 4 nil]\n5 ? link [3 4 nil]\n1 = closure [1 :up [[2 1] [3 2] [4 3]]] :revision 2", "not-reachable"},
		{"nor may what follows from it be missing", edges + "0 = link [4 5 \"created\"] :revision 3\n5 > link [3 4 nil]\n5 ? link [3 4 nil]\n" +
			"1 = closure [1 :up [[2 1] [3 2] [4 3]]] :revision 9", "missing"},
		{"one that failed is not there", edges + "0 > link [3 4 nil]\n0 - link [3 4 nil]\n1 = closure [1 :up [[2 1] [3 2] [4 3]]] :revision 9", "not-reachable"},
		{"created is said once", edges + "0 = link [1 2 \"created\"] :revision 3\n1 = closure [3 :up []] :revision 3", "status"},
		{"unchanged when it is there", edges + "0 = link [1 2 \"unchanged\"] :revision 2\n1 = closure [3 :up []] :revision 2", ""},
		{"and at the revision that made it", "0 = link [1 2 \"created\"] :revision 1\n1 = link [1 2 \"unchanged\"] :revision 1\n1 = closure [3 :up []] :revision 1", ""},
		{"not when it is not", edges + "0 = link [1 9 \"unchanged\"] :revision 2\n1 = closure [3 :up []] :revision 2", "status"},
		{"deleted when it was there", edges + "0 = unlink [1 9 \"deleted\"] :revision 3\n1 = closure [3 :up []] :revision 3", "status"},
		{"a closure without a revision is not judged", edges + "1 = closure [1 :up []]", "unknown"},
		{"nor is a history without closures", edges, "unknown"},
	})
}

func TestBank(t *testing.T) {
	start := "0 = read {0 10 1 20} :revision 1 :total 30\n"
	checkRows(t, Bank, []row{
		{"a transfer moves", start + "0 = transfer {:from 0 :to 1 :amount 4} :revision 2\n1 = read {0 6 1 24} :revision 2 :total 30", ""},
		{"a snapshot of before does not have it", start + "0 = transfer {:from 0 :to 1 :amount 4} :revision 2\n1 = read {0 10 1 20} :revision 5 :as_of 1 :total 30", ""},
		{"another total", start + "0 = transfer {:from 0 :to 1 :amount 4} :revision 2\n1 = read {0 6 1 20} :revision 2 :total 30", "wrong-balance wrong-total"},
		{"below zero", start + "0 = transfer {:from 0 :to 1 :amount 12} :revision 2\n1 = read {0 -2 1 32} :revision 2", "below-zero"},
		{"a transfer that was not done", start + "0 = transfer {:from 0 :to 1 :amount 4} :revision 2\n1 = read {0 10 1 20} :revision 2", "wrong-balance"},
		{"a failed one that was", start + "0 > transfer {:from 0 :to 1 :amount 4}\n0 - transfer {:from 0 :to 1 :amount 4}\n1 = read {0 6 1 24} :revision 2", "wrong-balance"},
		{"one of unknown outcome may be", start + "2 > transfer {:from 0 :to 1 :amount 4}\n2 ? transfer {:from 0 :to 1 :amount 4}\n1 = read {0 6 1 24} :revision 2", ""},
		{"or not", start + "2 > transfer {:from 0 :to 1 :amount 4}\n2 ? transfer {:from 0 :to 1 :amount 4}\n1 = read {0 10 1 20} :revision 2", ""},
		{"but not half", start + "2 > transfer {:from 0 :to 1 :amount 4}\n2 ? transfer {:from 0 :to 1 :amount 4}\n1 = read {0 8 1 22} :revision 2", "wrong-balance"},
		{"an account is missing", start + "1 = read {0 30} :revision 1", "accounts wrong-balance"},
		{"a value of the wrong shape is not judged", start + "1 = read [1 2]", "unknown"},
		{"without a read nothing is known", "0 = transfer {:from 0 :to 1 :amount 4}", "unknown"},
	})
}

func TestLongFork(t *testing.T) {
	writes := "0 > write [[:w 0 1]]\n1 > write [[:w 1 1]]\n"
	done := "0 + write [[:w 0 1]] :revision 1\n1 + write [[:w 1 1]] :revision 2\n"
	checkRows(t, LongFork, []row{
		{"reads that grow", writes + "2 = read [[:r 0 1] [:r 1 nil]]\n" + done + "2 = read [[:r 0 1] [:r 1 1]]", ""},
		{"two that saw the writes in opposite orders", writes + "2 = read [[:r 0 1] [:r 1 nil]]\n3 = read [[:r 0 nil] [:r 1 1]]\n" + done, "long-fork"},
		{"groups are told apart", writes + "2 = read [[:r 0 1] [:r 5 nil]]\n3 = read [[:r 0 nil] [:r 1 1]]\n" + done, ""},
		{"an acknowledged one is missing", writes + done + "2 = read [[:r 0 nil] [:r 1 1]]", "lost"},
		{"a read at another level may be old", writes + done + "2 = read [[:r 0 1] [:r 1 nil]] :level \"local\" :revision 1", ""},
		{"but not have a later one alone", writes + done + "2 = read [[:r 0 nil] [:r 1 1]] :level \"local\" :revision 2", "lost"},
		{"nor one from the future", writes + done + "2 = read [[:r 0 1] [:r 1 1]] :level \"local\" :revision 1", "from-the-future"},
		{"one that failed", "0 > write [[:w 0 1]]\n0 - write [[:w 0 1]]\n1 = read [[:r 0 1]]", "failed-write-seen"},
		{"one of unknown outcome may be there", "0 > write [[:w 0 1]]\n0 ? write [[:w 0 1]]\n1 = read [[:r 0 1]]", ""},
		{"one that nobody wrote", "1 = read [[:r 0 1]]", "unexpected"},
		{"a key written twice cannot be judged", "0 = write [[:w 0 1]]\n0 = write [[:w 0 1]]\n1 = read [[:r 0 1]]", "unknown"},
	})
}

func TestStale(t *testing.T) {
	writes := "0 = write [0 1] :revision 1\n0 = write [0 2] :revision 5\n"
	checkRows(t, Stale, []row{
		{"the last value", writes + "1 = read [0 2] :revision 5", ""},
		{"the last at an older revision", writes + "1 = read [0 1] :revision 4 :level \"local\"", ""},
		{"nothing before the first", writes + "1 = read [0 nil] :revision 0 :level \"local\"", ""},
		{"not the last at its revision", writes + "1 = read [0 1] :revision 5 :level \"local\"", "value-not-the-last"},
		{"from the future", writes + "1 = read [0 2] :revision 4 :level \"local\"", "value-before-its-write"},
		{"from the far future", writes + "1 = read [0 2] :revision 0 :level \"local\"", "value-before-its-write"},
		{"nothing where there is something", writes + "1 = read [0 nil] :revision 3 :level \"local\"", "value-not-the-last"},
		{"a linearizable read that is old, by its revision and by time", writes + "1 = read [0 1] :revision 4", "stale-read"},
		{"a value that failed", "0 > write [0 1]\n0 - write [0 1]\n1 = read [0 1] :revision 3", "failed-write-seen"},
		{"of another key", writes + "1 = read [7 2] :revision 5", "unexpected-value"},
		{"a value of unknown outcome may come late", "0 > write [0 9]\n0 ? write [0 9]\n" + strings.ReplaceAll(writes, "0 =", "1 =") + "2 = read [0 9] :revision 8", ""},
		{"but not twice", "0 > write [0 9]\n0 ? write [0 9]\n" + strings.ReplaceAll(writes, "0 =", "1 =") +
			"2 = read [0 9] :revision 3 :level \"local\"\n2 = read [0 9] :revision 8", "value-not-the-last"},
		{"a value written twice cannot be judged", "0 = write [0 1] :revision 1\n0 = write [1 1] :revision 2\n1 = read [0 1] :revision 2", "unknown"},
		{"a read without a revision neither", writes + "1 = read [0 2]", "unknown"},
	})
}

func TestAsOf(t *testing.T) {
	writes := "0 = write [0 1] :revision 1\n0 = write [1 2] :revision 2\n0 = write [0 3] :revision 3\n"
	checkRows(t, AsOf, []row{
		{"each revision as it was", writes + "1 = read [1 [1 nil]]\n1 = read [2 [1 2]]\n1 = read [3 [3 2]]\n1 = read [1 [1 nil]]", ""},
		{"another answer later", writes + "1 = read [1 [1 nil]]\n1 = read [1 [nil nil]]", "changed-answer value-not-the-last"},
		{"a value from before", writes + "1 = read [3 [1 2]]", "value-not-the-last"},
		{"a value from after", writes + "1 = read [2 [3 2]]", "value-before-its-write"},
		{"one of unknown outcome may show itself", writes + "9 > write [1 8]\n9 ? write [1 8]\n1 = read [5 [3 8]]\n1 = read [4 [3 2]]", ""},
		{"but stays where it was", writes + "9 > write [1 8]\n9 ? write [1 8]\n1 = read [4 [3 8]]\n1 = read [5 [3 2]]", "value-not-the-last"},
		{"one that failed", "0 > write [0 1]\n0 - write [0 1]\n1 = read [1 [1 nil]]", "failed-write-seen"},
		{"without a read nothing is known", writes, "unknown"},
	})
}

func TestSessions(t *testing.T) {
	open := "@1000 0 = open [1 500]\n"
	checkRows(t, Sessions, []row{
		{"a repeat gives the same", open + "0 = create [1 1 7 100]\n0 = create [1 1 7 100]\n1 = read [[7 100]]", ""},
		{"a repeat made another", open + "0 = create [1 1 7 100]\n0 = create [1 1 7 101]\n1 = read [[7 100]]", "created-twice"},
		{"it is there twice", open + "0 = create [1 1 7 100]\n1 = read [[7 100] [7 101]]", "created-twice"},
		{"it is missing", open + "0 = create [1 1 7 100]\n1 = read []", "lost"},
		{"refused once the lease is over", open + "@1600 0 > create [1 1 7 nil]\n0 - create [1 1 7 nil] :error \"SESSION_EXPIRED: x\"\n1 = read []", ""},
		{"refused too early", open + "@1300 0 > create [1 1 7 nil]\n0 - create [1 1 7 nil] :error \"SESSION_EXPIRED: x\"\n1 = read []", "expired-early"},
		{"a use makes it last", open + "@1400 0 = create [1 1 7 100]\n@1600 0 > create [1 2 8 nil]\n0 - create [1 2 8 nil] :error \"SESSION_EXPIRED: x\"\n1 = read [[7 100]]", "expired-early"},
		{"the time of day does not excuse it", "n ? start-clock-jump nil\n" + open + "@1300 0 > create [1 1 7 nil]\n0 - create [1 1 7 nil] :error \"SESSION_EXPIRED: x\"\n1 = read []", "expired-early"},
		{"refused once it is closed", open + "0 = close 1\n0 > create [1 1 7 nil]\n0 - create [1 1 7 nil] :error \"SESSION_EXPIRED: x\"\n1 = read []", ""},
		{"not taken once it is closed", open + "0 = close 1\n0 = create [1 1 7 100]\n1 = read [[7 100]]", "used-after-its-end"},
		{"not taken once it was refused", open + "@1600 0 > create [1 1 7 nil]\n0 - create [1 1 7 nil] :error \"SESSION_EXPIRED: x\"\n0 = create [1 2 8 100]\n1 = read [[8 100]]", "used-after-its-end"},
		{"a refused one is there", open + "@1600 0 > create [1 1 7 nil]\n0 - create [1 1 7 nil] :error \"SESSION_EXPIRED: x\"\n1 = read [[7 100]]", "failed-write-seen"},
		{"refused when repeated, it may be there", open + "0 > create [1 1 7 nil]\n0 ? create [1 1 7 nil] :error \"LOST: x\"\n" +
			"@1700 1 > create [1 1 7 nil]\n1 ? create [1 1 7 nil] :error \"SESSION_EXPIRED: x\"\n2 = read [[7 100]]", ""},
		{"refused for another reason, then repeated", open + "0 > create [1 1 7 nil]\n0 - create [1 1 7 nil] :error \"RETRY: x\"\n0 = create [1 1 7 100]\n2 = read [[7 100]]", ""},
		{"two tokens under one number cannot be judged", open + "0 = create [1 1 7 100]\n0 = create [1 1 8 100]\n1 = read [[7 100]]", "unknown"},
		{"without a read nothing is known", open + "0 = create [1 1 7 100]", "unknown"},
	})
}

func TestCursors(t *testing.T) {
	adds := "0 = add 1 :revision 1\n0 = add 2 :revision 2\n0 = add 3 :revision 3\n"
	checkRows(t, Cursors, []row{
		{"pages fit together", adds + "1 = scan [[1 2] [3]] :revision 3 :revisions [3 3]", ""},
		{"as of their revision", adds + "1 = scan [[1 2]] :revision 2", ""},
		{"a removed one is not there", adds + "0 = remove 2 :revision 4\n1 = scan [[1] [3]] :revision 4\n1 = scan [[1] [2] [3]] :revision 3", ""},
		{"one twice", adds + "1 = scan [[1 2] [2 3]] :revision 3", "element-twice"},
		{"one is missing", adds + "1 = scan [[1] [3]] :revision 3", "element-missing"},
		{"one too many", adds + "1 = scan [[1] [2 3]] :revision 2", "element-too-many"},
		{"a removed one is there", adds + "0 = remove 2 :revision 4\n1 = scan [[1 2 3]] :revision 4", "element-too-many"},
		{"pages of two revisions", adds + "1 = scan [[1 2] [3]] :revision 3 :revisions [3 4]", "pages-of-two-revisions"},
		{"one of unknown outcome may be there or not", adds + "5 > add 9\n5 ? add 9\n1 = scan [[1 2 3 9]] :revision 8\n1 = scan [[1 2 3]] :revision 8", ""},
		{"but not before it was asked for", adds + "5 > add 9\n5 ? add 9\n1 = scan [[1 2 3 9]] :revision 3", "element-too-many"},
		{"one that failed", adds + "0 > add 9\n0 - add 9\n1 = scan [[1 2 3 9]] :revision 5", "element-too-many"},
		{"one that nobody added", adds + "1 = scan [[1 2 3 7]] :revision 5", "unexpected"},
		{"a scan without a revision is not judged", adds + "1 = scan [[1 2 3]]", "unknown"},
	})
}

func TestRevisions(t *testing.T) {
	checkRows(t, Revisions, []row{
		{"answers go up", "0 = write [0 1] :revision 4\n1 = read [0 1] :revision 4", ""},
		{"a linearizable read goes back", "0 = write [0 1] :revision 4\n1 = read [0 1] :revision 3", "stale-revision"},
		{"also behind what another read showed", "0 = read [0 1] :revision 4 :level \"local\"\n1 = read [0 1] :revision 3", "stale-revision"},
		{"a write goes back", "0 = write [0 1] :revision 4\n1 = write [0 1] :revision 3", "stale-revision"},
		{"one that began before may", "1 > read\n0 = write [0 1] :revision 4\n1 + read [0 1] :revision 3", ""},
		{"a local read may", "0 = write [0 1] :revision 4\n1 = read [0 1] :revision 3 :level \"local\"", ""},
		{"and one as of an earlier revision", "0 = write [0 1] :revision 4\n1 = read [0 1] :revision 3 :as_of 3", ""},
		{"at_least holds", "0 = read nil :revision 3 :level \"at_least\" :at_least 3", ""},
		{"at_least does not hold", "0 = read nil :revision 2 :level \"at_least\" :at_least 3", "below-at-least"},
		{"stale within its bound", "@10 0 = write [0 1] :revision 4\n@100 1 = read nil :revision 3 :level \"stale\" :stale_ms 95", ""},
		{"stale beyond its bound", "@10 0 = write [0 1] :revision 4\n@100 1 = read nil :revision 3 :level \"stale\" :stale_ms 80", "too-stale"},
		{"the time of day does not excuse it", "n ? start-clock-drift nil\n@10 0 = write [0 1] :revision 4\n@100 1 = read nil :revision 3 :level \"stale\" :stale_ms 80", "too-stale"},
		{"a repeat gives its first revision", "0 = create [1 1 7 100] :revision 4\n0 = create [1 2 8 101] :revision 5\n0 = create [1 1 7 100] :revision 4", ""},
	})
}

func TestAvailability(t *testing.T) {
	check := func(h history.History) Verdict { return Availability(h, time.Second) }
	fault := "@1000 n ? start-kill nil\n@1001 n ? start-kill \"n1\"\n@3000 n ? stop-kill nil\n@3100 n ? stop-kill nil\n"
	other := "@2000 n ? start-pause nil\n@2001 n ? start-pause nil\n"
	checkRows(t, check, []row{
		{"soon after the heal", fault + "@3300 0 = write 1", ""},
		{"what began during the fault counts", "@2000 1 > write 1\n@2500 n ? start-kill nil\n@2501 n ? start-kill nil\n" +
			"@3000 n ? stop-kill nil\n@3100 n ? stop-kill nil\n@3300 1 + write 1", ""},
		{"late", fault + "@4200 0 = write 1", "slow-recovery"},
		{"never", fault + "@3200 0 > write 1\n@9000 0 - write 1", "no-recovery"},
		{"local reads do not count", fault + "@3300 0 = read 1 :level \"local\"\n@9000 1 = read 1", "slow-recovery"},
		{"the next fault comes first", fault + "@3200 0 > write 1\n@3300 n ? start-kill nil\n@9000 0 - write 1", ""},
		{"the run ends first", fault + "@3200 0 > write 1\n@3300 0 - write 1", ""},
		{"nobody asked", fault + "@9000 n ? heal nil", ""},
		{"a fault that goes on", "@1000 n ? start-kill nil\n@1001 n ? start-kill nil\n" + other +
			"@3000 n ? stop-kill nil\n@3001 n ? stop-kill nil\n@3002 0 > write 1\n@9000 0 - write 1", ""},
	})
}

func TestProgress(t *testing.T) {
	checkRows(t, Progress, []row{
		{"some of each kind", "0 = read 1\n0 = write 1\n0 > write 2\n0 - write 2", ""},
		{"none of one kind", "0 = read 1\n" + strings.Repeat("0 > write 1\n0 - write 1\n", triesMin), "unknown"},
		{"none of one kind that was hardly tried", "0 = read 1\n0 > write 1\n0 - write 1", ""},
		{"none of any kind", "0 > write 1\n0 - write 1", "unknown"},
		{"none at all", "n ? start-kill nil", "unknown"},
	})
}

func TestFaultsAreStretchesOfTime(t *testing.T) {
	h := historyOf(t, "@10 n ? start-kill nil\n@11 n ? start-kill \"n1\"\n@15 n ? start-pause nil\n@16 n ? start-pause \"n2\"\n"+
		"@20 n ? stop-kill nil\n@21 n ? stop-kill nil\n@30 n ? start-kill nil\n@31 n ? start-kill \"n3\"\n@32 n ? heal nil\n@40 0 = read 1")
	var got []string
	for _, f := range Faults(h) {
		got = append(got, fmt.Sprintf("%s %s %d-%d", f.Name, f.What, f.Begin/ms, f.End/ms))
	}
	want := "kill n1 10-21, pause n2 15-40, kill n3 30-40"
	if strings.Join(got, ", ") != want {
		t.Fatalf("got %v, want %s", got, want)
	}
}

func TestDigests(t *testing.T) {
	same := []Digest{{1, 1024, "a", "s"}, {2, 1024, "a", "s"}, {3, 1024, "a", "s"}, {3, 2048, "b", "t"}}
	for _, row := range []struct {
		why     string
		digests []Digest
		want    Validity
	}{
		{"equal", same, True},
		{"one node differs in its data", append(append([]Digest(nil), same...), Digest{2, 1024, "x", "s"}), False},
		{"one node differs in its state", append(append([]Digest(nil), same...), Digest{2, 1024, "a", "x"}), False},
		{"only two nodes at one index", same[1:], Unknown},
		{"none", nil, Unknown},
	} {
		if v := Digests(row.digests, 3); v.Valid != row.want {
			t.Errorf("%s: %s", row.why, v.Line())
		}
	}
}

func TestCrashes(t *testing.T) {
	for _, row := range []struct {
		why  string
		node Node
		want string
	}{
		{"a clean end", Node{Log: "serving\nstopped"}, ""},
		{"killed by the harness", Node{Signal: 9, Killed: true}, ""},
		{"killed by itself", Node{Signal: 11}, "signal"},
		{"an exit code", Node{ExitCode: 1, Log: "x\nfsync: I/O error"}, "exit"},
		{"an exit code that is to be", Node{ExitCode: 1, MayEnd: "its disk is full"}, ""},
		{"a report although the exit code is to be", Node{ExitCode: 1, MayEnd: "x", Log: "==3==ERROR: AddressSanitizer: heap-use-after-free"}, "report"},
		{"undefined behaviour", Node{Log: "a.c:3:4: runtime error: shift exponent 64"}, "report"},
		{"a race", Node{Log: "WARNING: ThreadSanitizer: data race (pid=1)"}, "report"},
		{"leaked memory", Node{Log: "==3==ERROR: LeakSanitizer: detected memory leaks"}, "report"},
		{"leaked descriptors", Node{DescriptorsBefore: 40, DescriptorsAfter: 400}, "descriptors"},
		{"a few more descriptors", Node{DescriptorsBefore: 40, DescriptorsAfter: 50}, ""},
	} {
		v := Crashes([]Node{row.node})
		if got := strings.Join(v.Kinds(), " "); got != row.want || (row.want == "") != (v.Valid == True) {
			t.Errorf("%s: %s", row.why, v.Line())
		}
	}
	if v := Crashes(nil); v.Valid != Unknown {
		t.Error(v.Line())
	}
}

func TestHits(t *testing.T) {
	if v := Hits(map[string]int64{"kill": 3, "pause": 1}); v.Valid != True {
		t.Error(v.Line())
	}
	if v := Hits(map[string]int64{"kill": 3, "pause": 0}); v.Valid != False {
		t.Error(v.Line())
	}
}

func TestJudgeRefusesWhatIsNoHistory(t *testing.T) {
	h := historyOf(t, "0 = write [0 1]\n0 = write [0 2]")
	if v := Judge("register", h[1:], Options{}); Worst(v) != False || v[0].Checker != "shape" {
		t.Errorf("%+v", v)
	}
	if v := Judge("nonsense", h, Options{}); Worst(v) != Unknown {
		t.Errorf("%+v", v)
	}
	if Worst(nil) != Unknown {
		t.Error("no verdict is not a good one")
	}
}

func TestAHistoryOfSomethingElseIsNotJudged(t *testing.T) {
	h := historyOf(t, "0 = nothing 1")
	for _, name := range Workloads() {
		if v := Judge(name, h, Options{}); v[0].Valid != Unknown {
			t.Errorf("%s: %s", name, v[0].Line())
		}
	}
}

func TestOfManyAnomaliesTheSmallestAreKept(t *testing.T) {
	h := make(history.History, 100)
	for i := range h {
		h[i].Index = i
	}
	j := judge("x", h)
	for size := 40; size > 0; size-- {
		var ops []*history.Op
		for i := 0; i < size; i++ {
			ops = append(ops, &h[i])
		}
		j.found("k", ops, "size %d", size)
	}
	v := j.end("")
	if len(v.Anomalies) != anomaliesMax || v.Counts["k"] != 40 || len(v.Anomalies[0].Ops) != 1 || len(v.Anomalies[7].Ops) != 8 {
		t.Fatalf("%d kept of %d", len(v.Anomalies), v.Counts["k"])
	}
}
