package history

import (
	"bytes"
	"errors"
	"math"
	"reflect"
	"strings"
	"sync"
	"testing"
)

func TestRecorderGivesDenseIndexesAndTimesThatNeverRunBackwards(t *testing.T) {
	var file bytes.Buffer
	r := NewRecorder(&file)
	const threads, ops = 8, 200
	var wait sync.WaitGroup
	for i := 0; i < threads; i++ {
		wait.Add(1)
		go func(thread *Thread) {
			defer wait.Done()
			for n := 0; n < ops; n++ {
				thread.Do("write", n, func() Op { return Op{Type: []string{Ok, Fail, Info}[n%3], Value: n} })
			}
		}(r.NewThread(i, threads))
	}
	r.Nemesis("kill", []string{"n1"})
	wait.Wait()
	if err := r.Flush(); err != nil {
		t.Fatal(err)
	}
	h := r.History()
	if len(h) != 2*threads*ops+1 {
		t.Fatalf("%d entries", len(h))
	}
	if err := h.Validate(); err != nil {
		t.Fatal(err)
	}
	read, err := ReadEDN(&file)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(read, h) {
		t.Fatal("what was written while recording is not what was recorded")
	}
}

// A sink that checks that it is given whole lines.
type lineSink struct {
	t      *testing.T
	writes int
}

func (s *lineSink) Write(b []byte) (int, error) {
	if s.writes++; len(b) == 0 || b[len(b)-1] != '\n' {
		s.t.Errorf("a write of %d bytes does not end a line", len(b))
	}
	return len(b), nil
}

func TestARunThatDiesLeavesWholeLines(t *testing.T) {
	sink := &lineSink{t: t}
	r := NewRecorder(sink)
	for i := 0; i < 10_000; i++ {
		r.Nemesis("kill", i)
	}
	if sink.writes < 5 || sink.writes > 100 {
		t.Errorf("%d writes", sink.writes)
	}
}

func TestAnErrorOfTheSinkIsKept(t *testing.T) {
	r := NewRecorder(fullSink{})
	r.Nemesis("kill", nil)
	if err := r.Flush(); err == nil {
		t.Error("no error")
	}
	r.Nemesis("kill", nil)
	if err := r.Flush(); err == nil || len(r.History()) != 2 {
		t.Error("no error the second time")
	}
}

type fullSink struct{}

func (fullSink) Write([]byte) (int, error) { return 0, errors.New("no space") }

func TestThreadRetiresAProcessOfUnknownOutcome(t *testing.T) {
	r := NewRecorder(nil)
	thread := r.NewThread(2, 5)
	for _, end := range []string{Ok, Info, Fail, Info, Ok} {
		thread.Do("read", nil, func() Op { return Op{Type: end} })
	}
	var processes []int
	for _, p := range r.History().Pairs() {
		processes = append(processes, p.Begin.Process)
	}
	if want := []int{2, 2, 7, 7, 12}; !reflect.DeepEqual(processes, want) {
		t.Fatalf("%v, want %v", processes, want)
	}
}

func TestAValueIsCopiedWhenItIsRecorded(t *testing.T) {
	r := NewRecorder(nil)
	list := []int{1}
	r.Record(Op{Type: Invoke, F: "w", Value: list})
	list[0] = 2
	if got := r.History()[0].Value; !reflect.DeepEqual(got, []any{int64(1)}) {
		t.Fatalf("%v", got)
	}
}

func TestEntriesAreWrittenInTheShapeThatJepsenReads(t *testing.T) {
	h := History{
		{Type: Invoke, F: "txn", Value: []any{[]any{Keyword("append"), 1, 2}, []any{Keyword("r"), 1, nil}}, Time: 5},
		{Index: 1, Type: Info, Process: Nemesis, F: "kill", Value: map[string]any{"nodes": []string{"n1"}}, Time: 6},
		{Index: 2, Type: Fail, F: "txn", Value: 1.0, Time: 7, Error: "a \"b\"\n", Extra: map[string]any{"node": 3}},
	}
	want := `{:index 0 :type :invoke :process 0 :f :txn :value [[:append 1 2] [:r 1 nil]] :time 5}
{:index 1 :type :info :process :nemesis :f :kill :value {:nodes ["n1"]} :time 6}
{:index 2 :type :fail :process 0 :f :txn :value 1.0 :time 7 :error "a \"b\"\n" :node 3}
`
	var b strings.Builder
	if err := WriteEDN(&b, h); err != nil {
		t.Fatal(err)
	}
	if b.String() != want {
		t.Fatalf("got\n%swant\n%s", b.String(), want)
	}
}

func TestValuesComeBackAsTheyWereWritten(t *testing.T) {
	for _, value := range []any{
		nil, true, false, int64(math.MinInt64), int64(math.MaxInt64), 1.5, 1e300, -0.25, math.Inf(1), math.Inf(-1),
		"", "é \u0001 \x7f \\ \" \t\r\n", Keyword("read"), Keyword("a/b-c?"), []any{}, []any{nil, []any{int64(1)}},
		map[string]any{}, map[string]any{"a": int64(1), "with space": "x", "": nil},
		map[any]any{int64(10): "a", int64(9): []any{}}, map[any]any{int64(1): nil, "x": true},
	} {
		got, err := ReadValue(EDN(value))
		if err != nil || !reflect.DeepEqual(got, value) {
			t.Errorf("%s: got %#v, %v", EDN(value), got, err)
		}
	}
	if nan, err := ReadValue(EDN(math.NaN())); err != nil || !math.IsNaN(nan.(float64)) {
		t.Errorf("NaN: %v, %v", nan, err)
	}
}

func TestReaderTakesWhatJepsenWrites(t *testing.T) {
	for _, row := range []struct{ why, text string }{
		{"a line each", "{:type :ok, :f :read, :value 1, :process 0, :time 3, :index 0}\n{:type :info, :f :kill, :value nil, :process :nemesis, :time 3, :index 1}"},
		{"tagged records", "#jepsen.history.Op{:index 0, :time 3, :type :ok, :process 0, :f :read, :value 1}\n#jepsen.history.Op{:index 1, :time 3, :type :info, :process :nemesis, :f :kill, :value nil}"},
		{"one vector, comments, discards", "; x\n[#_ 5 {:type :ok :f :read :value 1 :process 0 :time 3} #_{:a 1} {:type :info :f :kill :value nil :process :nemesis :time 3}]"},
	} {
		h, err := ReadEDN(strings.NewReader(row.text))
		want := History{{Type: Ok, F: "read", Value: int64(1), Time: 3}, {Index: 1, Type: Info, Process: Nemesis, F: "kill", Time: 3}}
		if err != nil || !reflect.DeepEqual(h, want) {
			t.Errorf("%s: %v, %v", row.why, h, err)
		}
	}
}

func TestReaderTakesOtherForms(t *testing.T) {
	for text, want := range map[string]any{
		"#{1 2}": []any{int64(1), int64(2)}, "(1 2N 3.5M)": []any{int64(1), int64(2), 3.5}, `\a`: "a", "sym": "sym",
		`"\u00e9"`: "é", "-": "-", "-5": int64(-5), "+5": int64(5), "#inst \"x\"": "x",
		"{[1 2] 3}": map[any]any{"[1 2]": int64(3)}, "123456789012345678901234567890": 123456789012345678901234567890.0,
	} {
		if got, err := ReadValue(text); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %#v, %v", text, got, err)
		}
	}
}

func TestReaderRefusesWhatIsNoHistory(t *testing.T) {
	for _, text := range []string{
		"5", "{:type :ok", "{:type :maybe}", "{:type}", "{:type :ok :process x}", `{:type :ok :value "a`, "]",
		`{:type :ok :value "\q"}`, "{:type :ok :index :a}", strings.Repeat("[", 5000), "#", "##Nan", ":", `"\u12`,
		strings.Repeat("#a ", 5000),
	} {
		if h, err := ReadEDN(strings.NewReader(text)); err == nil {
			t.Errorf("%.40q was read as %v", text, h)
		}
	}
}

func TestValidateFindsWhatIsWrong(t *testing.T) {
	for want, text := range map[string]string{
		"":                               "{:type :invoke :process 0 :f :a :time 1} {:type :info :process 0 :f :a :time 1} {:type :info :process :nemesis :f :k :time 2} {:type :invoke :process 1 :f :a :time 2}",
		"entry 0 has index 1":            "{:type :invoke :process 0 :f :a :index 1}",
		"entry 1: time 1 is before 2":    "{:type :invoke :process 0 :f :a :time 2} {:type :ok :process 0 :f :a :time 1}",
		"entry 1: process 0 began again": "{:type :invoke :process 0 :f :a} {:type :invoke :process 0 :f :a}",
		"entry 2: process 0 is retired":  "{:type :invoke :process 0 :f :a} {:type :info :process 0 :f :a} {:type :invoke :process 0 :f :a}",
		"ended what it did not begin":    "{:type :ok :process 0 :f :a}",
		`began "a" and ended "b"`:        "{:type :invoke :process 0 :f :a} {:type :ok :process 0 :f :b}",
		`the nemesis has type "ok"`:      "{:type :ok :process :nemesis :f :a}",
	} {
		h, err := ReadEDN(strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		err = h.Validate()
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

func TestPairsJoinInvocationsWithTheirCompletions(t *testing.T) {
	h, err := ReadEDN(strings.NewReader(`{:type :invoke :process 0 :f :a} {:type :invoke :process 1 :f :b}
		{:type :info :process :nemesis :f :kill} {:type :fail :process 1 :f :b} {:type :invoke :process 1 :f :a} {:type :ok :process 0 :f :a}`))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, p := range h.Pairs() {
		got = append(got, p.Begin.F+" "+p.Type())
	}
	if want := []string{"a ok", "b fail", "a info"}; !reflect.DeepEqual(got, want) {
		t.Fatalf("%v", got)
	}
	if n := len(Only(h.Pairs(), "a")); n != 2 {
		t.Fatalf("%d", n)
	}
	if n := len(h.NemesisOps()); n != 1 {
		t.Fatalf("%d", n)
	}
	if sub := h.Sub(3, 1, 3, 99); len(sub) != 2 || sub[0].Index != 1 {
		t.Fatalf("%v", sub)
	}
}

func FuzzReader(f *testing.F) {
	f.Add([]byte("{:type :ok :value [1 \"a\" #{:b} ##Inf 1.5 nil]}"))
	f.Fuzz(func(t *testing.T, text []byte) {
		h, err := ReadEDN(bytes.NewReader(text))
		if err != nil {
			return
		}
		var b bytes.Buffer
		if err := WriteEDN(&b, h); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadEDN(&b); err != nil {
			t.Fatalf("what was written is not read: %v", err)
		}
	})
}
