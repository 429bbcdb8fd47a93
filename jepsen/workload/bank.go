package workload

import (
	"fmt"
	"strconv"
	"time"

	"clade/jepsen/history"
	"clade/jepsen/wire"
)

// bank moves counters between things: whatever the snapshot, the total is the same. Transfers are
// repeated under a session until their outcome is known: of each that is not, a checker would have to
// try both.
type bank struct{}

const (
	bankAccounts = 8
	bankTotal    = 100 * bankAccounts
)

func newBank() Workload { return &bank{} }

func (w *bank) Think() time.Duration { return 12 * time.Millisecond }

func bankRef(i int64) string { return fmt.Sprintf("artifact/b%d", i) }

func (w *bank) Setup(c *Client) error {
	var ops []wire.Map
	for i := 0; i < bankAccounts; i++ {
		ops = append(ops, wire.Create("artifact", fmt.Sprintf("b%d", i),
			"tags", wire.Map{"v": strconv.Itoa(bankTotal / bankAccounts)}))
	}
	_, err := c.txn(nil, ops...)
	if wire.Code(err) == "CONFLICT" {
		return nil // they are there
	}
	return err
}

func (w *bank) Step(t *Thread) {
	if t.Rand.Intn(2) == 0 {
		l := t.anyLevel()
		if t.Rand.Intn(3) == 0 && t.seen > 100 {
			l = Level{Name: "at_least", AtLeast: t.seen, AsOf: t.seen - t.Rand.Int63n(50)}
		}
		w.read(t, l, plainly)
		return
	}
	from := t.Rand.Int63n(bankAccounts)
	to := (from + 1 + t.Rand.Int63n(bankAccounts-1)) % bankAccounts
	w.transfer(t, from, to, 1+t.Rand.Int63n(20))
}

func (w *bank) transfer(t *Thread, from, to, amount int64) {
	value := map[string]any{"from": from, "to": to, "amount": amount}
	t.do("transfer", value, func() history.Op {
		list, _, err := t.get(Level{Name: "local"}, bankRef(from), bankRef(to))
		if err != nil {
			return noRead(err, value)
		}
		a, isA := tagOf(list[0]).(int64)
		b, isB := tagOf(list[1]).(int64)
		if !isA || !isB || a < amount {
			return history.Op{Type: history.Fail, Value: value, Error: "CONFLICT: not enough"}
		}
		answer, err := t.repeat([]wire.Map{wire.Unchanged(bankRef(from), list[0].Changed),
			wire.Unchanged(bankRef(to), list[1].Changed)},
			wire.Update(bankRef(from), "tags", wire.Map{"v": strconv.FormatInt(a-amount, 10)}),
			wire.Update(bankRef(to), "tags", wire.Map{"v": strconv.FormatInt(b+amount, 10)}))
		if err != nil {
			return noWrite(err, value)
		}
		return wrote(answer, value)
	})
}

func (w *bank) read(t *Thread, l Level, how func(func() history.Op) func() history.Op) {
	t.do("read", nil, how(func() history.Op {
		var refs []string
		for i := int64(0); i < bankAccounts; i++ {
			refs = append(refs, bankRef(i))
		}
		list, answer, err := t.get(l, refs...)
		if err != nil {
			return noRead(err, nil)
		}
		balances := map[int64]any{}
		for i, thing := range list {
			balances[int64(i)] = tagOf(thing)
			if thing.Missing && l.Name != "linearizable" {
				return noRead(&wire.Failure{Code: "NOT_FOUND", Message: "before the accounts were made"}, nil)
			}
		}
		op := read(l, answer, balances)
		op.Extra["total"] = int64(bankTotal)
		return op
	}))
}

func (w *bank) Final(t *Thread) { w.read(t, linearizable, finally) }
