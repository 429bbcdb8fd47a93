package report

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"clade/jepsen/checker"
	"clade/jepsen/history"
)

const lostUpdate = `{:type :info :process :nemesis :f :start-kill :value nil :time 500000000}
{:type :info :process :nemesis :f :start-kill :value "<n1> & \"n2\"" :time 600000000}
{:type :invoke :process 0 :f :txn :value [[:append 1 1]] :time 1000000000}
{:type :ok :process 0 :f :txn :value [[:append 1 1]] :time 1020000000}
{:type :info :process :nemesis :f :stop-kill :value nil :time 1500000000}
{:type :info :process :nemesis :f :stop-kill :value nil :time 1600000000}
{:type :invoke :process 1 :f :txn :value [[:r 1 nil] [:append 1 2]] :time 2000000000}
{:type :invoke :process 2 :f :txn :value [[:r 1 nil] [:append 1 3]] :time 2000000001}
{:type :ok :process 1 :f :txn :value [[:r 1 [1]] [:append 1 2]] :time 2100000000}
{:type :ok :process 2 :f :txn :value [[:r 1 [1]] [:append 1 3]] :time 2200000000}
{:type :invoke :process 3 :f :txn :value [[:r 1 nil]] :time 2300000000}
{:type :ok :process 3 :f :txn :value [[:r 1 [1 2 3]]] :time 2300100000}
{:type :invoke :process 1 :f :txn :value [[:append 1 4]] :time 2400000000}
`

func runOf(t *testing.T, name, text string) *Run {
	t.Helper()
	h, err := history.ReadEDN(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return &Run{
		Title: "a <run>", Command: "jepsen/run --seed 7", Facts: []Fact{{"seed", "7"}},
		Workloads: []Workload{{name, h, checker.Judge(name, h, checker.Options{})}},
		Faults:    []Tally{{"kill", "nodes killed", 2}},
	}
}

func TestTextTellsVerdictsAndTheEntriesThatShowAnAnomaly(t *testing.T) {
	var b strings.Builder
	run := runOf(t, "append", lostUpdate)
	if err := run.Text(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"seed: 7", "FAIL append: G-single (1), lost-update (1)", "lost-update: 2 transactions read list 1 with 1 element",
		"{:index 6 :type :invoke :process 1", "again: jepsen/run --seed 7", "verdicts: 5 passed, 1 failed\n",
		"txn 4 ok 0 fail 1 unknown", "kill                        2 nodes killed",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("%q is not in\n%s", want, b.String())
		}
	}
	if run.Valid() != checker.False {
		t.Error(run.Valid())
	}
}

func TestAFaultThatNeverHitMakesARunWrong(t *testing.T) {
	good, _, _ := strings.Cut(lostUpdate, `{:type :invoke :process 1`)
	run := runOf(t, "append", good)
	if run.Valid() != checker.True {
		t.Fatal(run.Valid())
	}
	run.Faults = append(run.Faults, Tally{"pause", "nodes paused", 0})
	if run.Valid() != checker.False {
		t.Fatal(run.Valid())
	}
}

// The page is well-formed, carries no reference to anything outside, and what came from histories
// is escaped.
func TestThePageNeedsNothingBesideIt(t *testing.T) {
	run := runOf(t, "append", lostUpdate)
	run.Workloads = append(run.Workloads, runOf(t, "append", lostUpdate).Workloads...)
	run.Workloads[1].Name = "append-2"
	var b bytes.Buffer
	if err := run.HTML(&b); err != nil {
		t.Fatal(err)
	}
	page := b.String()
	if at := regexp.MustCompile(`(?i)(src|href)="[^#]|url\(|@import|<script|<link|https?://`).FindString(page); at != "" {
		t.Errorf("the page refers to %s", at)
	}
	for _, want := range []string{"lost-update", "a &lt;run&gt;", "&lt;n1&gt; &amp;", "class=\"fault\"", "wrong", "T6 &lt; T7", "process 2"} {
		if !strings.Contains(page, want) {
			t.Errorf("%q is not in the page", want)
		}
	}
	for i, svg := range regexp.MustCompile(`(?s)<svg.*?</svg>`).FindAllString(page, -1) {
		decoder := xml.NewDecoder(strings.NewReader(svg))
		for {
			if _, err := decoder.Token(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatalf("chart %d: %v\n%.300s", i, err, svg)
			}
		}
	}
	if n := strings.Count(page, "<svg"); n != 9+4 {
		t.Errorf("%d charts", n)
	}
}

func TestThePageOfAnEmptyRunIsAPage(t *testing.T) {
	var b bytes.Buffer
	run := &Run{Title: "nothing", Workloads: []Workload{{Name: "set"}}}
	if err := run.HTML(&b); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(b.String(), "unknown") || run.Valid() != checker.Unknown {
		t.Errorf("a run without verdicts is %s", run.Valid())
	}
}

func TestQuantilesAreValuesThatWereSeen(t *testing.T) {
	for _, row := range []struct {
		values []float64
		share  float64
		want   float64
	}{
		{nil, 0.5, -1}, {[]float64{7}, 0.5, 7}, {[]float64{3, 1, 2}, 0.5, 2}, {[]float64{4, 3, 2, 1}, 0.5, 2},
		{[]float64{4, 3, 2, 1}, 0.95, 4}, {[]float64{1, 2, 3}, 1, 3}, {[]float64{1, 2}, 0, 1},
	} {
		if got := quantile(row.values, row.share); got != row.want {
			t.Errorf("quantile %g of %v is %g, want %g", row.share, row.values, got, row.want)
		}
	}
}

func TestFaultsAtOnceHaveLanesOfTheirOwn(t *testing.T) {
	got := lanesOf([]checker.Fault{{Begin: 0, End: 10}, {Begin: 5, End: 20}, {Begin: 10, End: 12}, {Begin: 11, End: 30}})
	for i, want := range []int{0, 1, 0, 2} {
		if got[i] != want {
			t.Fatalf("%v", got)
		}
	}
}

func TestStepsOfAnAxisAreRound(t *testing.T) {
	for _, row := range [][3]float64{{100, 10, 10}, {120, 12, 10}, {130, 12, 20}, {1, 4, 0.5}, {0, 4, 1}, {7, 2, 5}} {
		if got := niceStep(row[0], row[1]); got != row[2] {
			t.Errorf("%g in %g steps: %g", row[0], row[1], got)
		}
	}
}

func TestCheckJudgesFilesAndExitsAccordingly(t *testing.T) {
	folder := t.TempDir()
	good, _, _ := strings.Cut(lostUpdate, `{:type :invoke :process 1`)
	for name, text := range map[string]string{"append-good.edn": good, "append-bad.edn": lostUpdate, "guess.edn": lostUpdate, "none.edn": "5"} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	page := filepath.Join(folder, "page.html")
	for _, row := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"append-good.edn"}, 0, "OK   append"},
		{[]string{"append-bad.edn"}, 1, "FAIL append"},
		{[]string{"append-good.edn", "append-bad.edn"}, 1, "FAIL append"},
		{[]string{"guess.edn"}, 1, "FAIL append"},
		{[]string{"--workload", "register", "append-good.edn"}, 1, "????"},
		{[]string{"--html", page, "append-good.edn"}, 0, "OK   append"},
		{[]string{"none.edn"}, 2, "is not an entry"},
		{[]string{"missing.edn"}, 2, "missing.edn"},
		{[]string{}, 2, "usage"},
		{[]string{"--nonsense"}, 2, "usage"},
		{[]string{"--help"}, 0, "workloads: append as-of bank"},
	} {
		args := append([]string(nil), row.args...)
		for i, arg := range args {
			if strings.HasSuffix(arg, ".edn") {
				args[i] = filepath.Join(folder, arg)
			}
		}
		var out bytes.Buffer
		if code := Check(args, &out, &out); code != row.code || !strings.Contains(out.String(), row.says) {
			t.Errorf("%v: exit code %d\n%s", row.args, code, out.String())
		}
	}
	if text, err := os.ReadFile(page); err != nil || !strings.Contains(string(text), "<svg") {
		t.Errorf("the page: %v", err)
	}
}
