package checker

import (
	"flag"
	"testing"
	"time"

	"clade/jepsen/history"
)

var (
	seedFlag  = flag.Int64("seed", 0, "the first seed of simulated histories; by default of the clock")
	seedsFlag = flag.Int("seeds", 5, "how many simulated histories of each kind")
)

func firstSeed(t *testing.T) int64 {
	seed := *seedFlag
	if seed == 0 {
		seed = time.Now().UnixNano() % 1_000_000_000
	}
	t.Logf("seeds from %d", seed)
	return seed
}

func show(t *testing.T, h history.History, verdicts []Verdict) {
	t.Helper()
	for _, v := range verdicts {
		t.Log(v.Line())
		for _, a := range v.Anomalies {
			t.Logf("  %s: %s", a.Kind, a.Sentence)
			for _, op := range a.Ops {
				t.Logf("    %s", short(op.String()))
			}
		}
	}
}

// No false alarm: what a strictly serializable store did is never called wrong.
func TestHistoriesOfACorrectStoreAreValid(t *testing.T) {
	first := firstSeed(t)
	for _, s := range simulated {
		s := s
		t.Run(s.name, func(t *testing.T) {
			for i := 0; i < *seedsFlag; i++ {
				h, _ := simulate(s.name, first+int64(i), "", 0, 3+i%8, 600)
				if verdicts := Judge(s.name, h, Options{}); Worst(verdicts) != True {
					show(t, h, verdicts)
					t.Fatalf("a false alarm, seed %d", first+int64(i))
				}
				if guess := Guess(h); guess != s.name {
					t.Fatalf("guessed %q, seed %d", guess, first+int64(i))
				}
			}
		})
	}
}

// A bug that struck so often shows; one that struck less may have been overwritten before it was seen.
const enough = 6

// Teeth: with a bug in the store, the workload's history is called wrong.
func TestHistoriesOfAStoreWithABugAreInvalid(t *testing.T) {
	first := firstSeed(t)
	for _, s := range simulated {
		for _, bug := range bugsOf(s.rates) {
			s, bug := s, bug
			t.Run(s.name+"/"+bug, func(t *testing.T) {
				struck, caught, hits, kinds := 0, 0, 0, map[string]int{}
				for i := 0; i < *seedsFlag; i++ {
					h, w := simulate(s.name, first+int64(i), bug, s.rates[bug], 3+i%8, 600)
					if w.hits == 0 {
						continue
					}
					struck++
					hits += w.hits
					verdicts := Judge(s.name, h, Options{})
					if Worst(verdicts) == False {
						caught++
					} else if w.hits >= enough {
						show(t, h, verdicts)
						t.Errorf("not caught though it struck %d times, seed %d", w.hits, first+int64(i))
					}
					for _, v := range verdicts {
						for _, kind := range v.Kinds() {
							kinds[kind]++
						}
					}
				}
				if struck < *seedsFlag/2 {
					t.Errorf("the bug struck in %d histories alone", struck)
				}
				t.Logf("%d of %d histories caught, the bug struck %d times, shown as %v", caught, struck, hits, kinds)
			})
		}
	}
}

func TestASeedGivesTheSameHistoryAgain(t *testing.T) {
	for _, s := range simulated {
		a, _ := simulate(s.name, 5, "", 0, 5, 200)
		b, _ := simulate(s.name, 5, "", 0, 5, 200)
		if !sameHistory(a, b) {
			t.Errorf("%s: two histories of one seed", s.name)
		}
	}
}
