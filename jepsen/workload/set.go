package workload

import (
	"fmt"
	"sort"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"clade/jepsen/history"
	"clade/jepsen/wire"
)

// set adds things that every index must find.
type set struct{ next int64 }

func newSet() Workload { return &set{} }

func (w *set) Think() time.Duration { return 250 * time.Millisecond }

func (w *set) Setup(c *Client) error {
	_, err := c.txn(nil, wire.Create("artifact", "hub", "if_exists", "match"))
	return err
}

// doom is refused, and with it all that stands before it in its transaction.
var doom = wire.Edge("link", "artifact/hub", "derived_from", "artifact/there-is-none")

// setIndexes are the ways to what was added.
var setIndexes = []string{"name", "list", "external", "digest", "uri", "downstream", "tag", "number", "depends"}

func (w *set) Step(t *Thread) {
	if t.Rand.Intn(12) == 0 {
		w.read(t, setIndexes[t.Rand.Intn(len(setIndexes))], t.anyLevel(),
			plainly)
		return
	}
	e := atomic.AddInt64(&w.next, 1) - 1
	ops := []wire.Map{wire.Create("artifact", fmt.Sprintf("e%d", e),
		"external_ids", []string{fmt.Sprintf("jepsen:%d", e)}, "digests", []string{fmt.Sprintf("note:%08d", e)},
		"uris", []string{fmt.Sprintf("s3://jepsen/%d", e)},
		"tags", wire.Map{"of": "set", "number": strconv.FormatInt(e, 10)}),
		wire.Edge("link", "$0", "derived_from", "artifact/hub")}
	if t.Rand.Intn(10) == 0 {
		ops = append(ops, doom)
	}
	t.do("add", e, func() history.Op {
		answer, err := t.txn(nil, ops...)
		if err != nil {
			return noWrite(err, e)
		}
		return wrote(answer, e)
	})
}

var setQueries = map[string]string{"tag": "tags.of = 'set'", "number": "tags.number >= 0",
	"depends": "depends_on('artifact/hub')"}

func (w *set) read(t *Thread, by string, l Level, how func(func() history.Op) func() history.Op) {
	t.do("read", nil, how(func() history.Op {
		list, answer, err := w.find(t, by, l)
		if err != nil {
			op := noRead(err, nil)
			op.Extra = map[string]any{"by": by}
			return op
		}
		found := []int64{}
		for _, thing := range list {
			if e, err := strconv.ParseInt(strings.TrimPrefix(thing.Name, "e"), 10, 64); err == nil && !thing.Missing {
				found = append(found, e)
			}
		}
		sort.Slice(found, func(a, b int) bool { return found[a] < found[b] })
		op := read(l, answer, found)
		op.Extra["by"] = by
		return op
	}))
}

func (w *set) find(t *Thread, by string, l Level) ([]Thing, wire.Map, error) {
	forms := map[string]string{"name": "artifact/e%d", "external": "artifact/ext:jepsen:%d",
		"digest": "digest:note:%08d", "uri": "uri:s3://jepsen/%d"}
	switch by {
	case "list":
		return t.whole("list", l, wire.Map{"kind": "artifact", "view": "heads"})
	case "downstream":
		return t.whole("lineage", l, wire.Map{"ref": "artifact/hub", "direction": "down", "view": "heads"})
	}
	if query := setQueries[by]; query != "" {
		return t.whole("search", l, wire.Map{"kind": "artifact", "query": query, "view": "heads"})
	}
	var refs []string
	// Also what is added while this read is on its way: its answer's revision may be later.
	for e := int64(0); e < atomic.LoadInt64(&w.next)+1000; e++ {
		refs = append(refs, fmt.Sprintf(forms[by], e))
	}
	const most = 5000
	var all []Thing
	var answer wire.Map
	for begin := 0; begin < len(refs); begin += most {
		end := begin + most
		if end > len(refs) {
			end = len(refs)
		}
		if answer != nil { // all parts at the revision of the first
			l.AsOf, _ = answer["revision"].(int64)
		}
		list, got, err := t.get(l, refs[begin:end]...)
		if err != nil {
			return nil, nil, err
		}
		if answer == nil {
			answer = got
		}
		all = append(all, list...)
	}
	return all, answer, nil
}

func (w *set) Final(t *Thread) {
	for _, by := range setIndexes {
		w.read(t, by, linearizable, finally)
	}
}
