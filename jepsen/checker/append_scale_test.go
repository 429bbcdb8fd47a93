package checker

import (
	"bytes"
	"testing"
	"time"

	"clade/jepsen/history"
)

// The time limit is generous, because the machine may be busy; on an idle one it is a second or two.
func TestAHundredThousandTransactionsAreJudgedInSeconds(t *testing.T) {
	if testing.Short() {
		t.Skip("long")
	}
	for _, row := range []struct {
		bug          string
		rate         float64
		transactions int
		valid        Validity
	}{
		{"", 0, 100_000, True},
		{"fractured-read", 0.002, 20_000, False}, // one small cycle here and there
		{"write-skew", 0.3, 40_000, False},       // cycles everywhere: one component of nearly all
	} {
		h, w := simulate("append", 7, row.bug, row.rate, 30, row.transactions)
		begin := time.Now()
		v := Append(h)
		took := time.Since(begin)
		t.Logf("bug %q (%d times): %d transactions, %v in %s: %v", row.bug, w.hits, v.Counts["transactions"],
			v.Valid, took.Round(time.Millisecond), v.Kinds())
		if v.Valid != row.valid {
			t.Errorf("bug %q: %s", row.bug, v.Line())
		}
		if took > 30*time.Second {
			t.Errorf("bug %q: %s", row.bug, took)
		}
		for _, a := range v.Anomalies {
			if len(a.Ops) > 12 {
				t.Errorf("bug %q: %s is shown by %d entries", row.bug, a.Kind, len(a.Ops))
			}
		}
	}
}

func BenchmarkReadEDN(b *testing.B) {
	h, _ := simulate("append", 7, "", 0, 30, 20_000)
	var file bytes.Buffer
	if err := history.WriteEDN(&file, h); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(file.Len()))
	for i := 0; i < b.N; i++ {
		if _, err := history.ReadEDN(bytes.NewReader(file.Bytes())); err != nil {
			b.Fatal(err)
		}
	}
}
