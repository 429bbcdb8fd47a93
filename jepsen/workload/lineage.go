package workload

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"clade/jepsen/history"
	"clade/jepsen/wire"
)

// lineage links and unlinks things at random and asks for closures. The label is one of the user's
// own, which may form cycles.
type lineage struct{}

const (
	lineageThings = 20
	lineageLabel  = "leads_to"
)

func newLineage() Workload { return &lineage{} }

func (w *lineage) Think() time.Duration { return 15 * time.Millisecond }

func (w *lineage) Setup(c *Client) error {
	var ops []wire.Map
	for i := 0; i < lineageThings; i++ {
		ops = append(ops, wire.Create("artifact", fmt.Sprintf("t%d", i), "if_exists", "match"))
	}
	_, err := c.txn(nil, ops...)
	return err
}

func lineageRef(i int64) string { return fmt.Sprintf("artifact/t%d", i) }

func (w *lineage) Step(t *Thread) {
	// Ends are close to each other mostly, so that closures are deep and differ.
	from := t.Rand.Int63n(lineageThings)
	to := (from + 1 + t.Rand.Int63n(4)) % lineageThings
	switch t.Rand.Intn(5) {
	case 0, 1:
		w.edge(t, "link", from, to)
	case 2:
		w.edge(t, "unlink", from, to)
	default:
		l := t.anyLevel()
		if t.Rand.Intn(4) == 0 && t.seen > 20 {
			l = Level{Name: "at_least", AtLeast: t.seen, AsOf: t.seen - t.Rand.Int63n(20)}
		}
		w.closure(t, from, l, plainly)
	}
}

func (w *lineage) edge(t *Thread, op string, from, to int64) {
	t.do(op, []any{from, to, nil}, func() history.Op {
		answer, err := t.repeat(nil, wire.Edge(op, lineageRef(from), lineageLabel, lineageRef(to)))
		if err != nil {
			return noWrite(err, []any{from, to, nil})
		}
		status, _ := statusOf(answer, 0)
		return wrote(answer, []any{from, to, history.Keyword(status)})
	})
}

func (w *lineage) closure(t *Thread, start int64, l Level, how func(func() history.Op) func() history.Op) {
	direction := "up"
	if t.Rand.Intn(2) == 0 {
		direction = "down"
	}
	value := []any{start, history.Keyword(direction), nil}
	t.do("closure", value, how(func() history.Op {
		list, answer, err := t.whole("lineage", l, wire.Map{"ref": lineageRef(start),
			"direction": direction, "labels": []string{lineageLabel}, "view": "heads"})
		if err != nil {
			return noRead(err, value)
		}
		found := []any{}
		for _, thing := range list {
			i, _ := strconv.ParseInt(strings.TrimPrefix(thing.Name, "t"), 10, 64)
			found = append(found, []any{i, thing.Depth})
		}
		return read(l, answer, []any{start, history.Keyword(direction), found})
	}))
}

func (w *lineage) Final(t *Thread) {
	for i := int64(0); i < lineageThings; i++ {
		w.closure(t, i, linearizable, finally)
	}
}
