package workload

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"clade/jepsen/history"
	"clade/jepsen/wire"
)

// cursors adds and removes things and reads them page by page, each page from some other node.
type cursors struct {
	mutex sync.Mutex
	next  int64
	there []int64
}

const cursorThings = 60

func newCursors() Workload { return &cursors{} }

func (w *cursors) Setup(*Client) error  { return nil }
func (w *cursors) Think() time.Duration { return 25 * time.Millisecond }

func (w *cursors) Step(t *Thread) {
	if t.Rand.Intn(4) == 0 {
		w.scan(t, plainly)
		return
	}
	w.mutex.Lock()
	e, remove := w.next, len(w.there) > 0 && t.Rand.Intn(cursorThings) < len(w.there)
	if remove {
		at := t.Rand.Intn(len(w.there))
		e = w.there[at]
		w.there = append(w.there[:at:at], w.there[at+1:]...)
	} else {
		w.next++
	}
	w.mutex.Unlock()
	if remove {
		w.write(t, "remove", e, wire.Delete(fmt.Sprintf("artifact/c%d", e)))
		return
	}
	if w.write(t, "add", e, wire.Create("artifact", fmt.Sprintf("c%d", e))) {
		w.mutex.Lock()
		w.there = append(w.there, e)
		w.mutex.Unlock()
	}
}

func (w *cursors) write(t *Thread, f string, e int64, op wire.Map) bool {
	done := t.do(f, e, func() history.Op {
		answer, err := t.repeat(nil, op)
		if err != nil {
			return noWrite(err, e)
		}
		return wrote(answer, e)
	})
	return done.Type == history.Ok
}

func (w *cursors) scan(t *Thread, how func(func() history.Op) func() history.Op) {
	t.do("scan", nil, how(func() history.Op {
		pages, nodes, revisions := []any{}, []any{}, []any{}
		l := t.anyLevel()
		params := wire.With(l.params(t.namespace), "kind", "artifact", "limit", 5+t.Rand.Intn(10), "view", "heads")
		deadline := time.Now().Add(patience)
		for {
			answer, err := t.call("list", params)
			if err != nil && len(pages) > 0 && isPassing(readCode(err)) && time.Now().Before(deadline) {
				time.Sleep(time.Duration(t.Rand.Intn(60)) * time.Millisecond)
				continue
			}
			if err != nil {
				return noRead(err, nil)
			}
			list, err := things(answer)
			if err != nil {
				return noRead(err, nil)
			}
			page := []any{}
			for _, thing := range list {
				e, _ := strconv.ParseInt(strings.TrimPrefix(thing.Name, "c"), 10, 64)
				page = append(page, e)
			}
			pages = append(pages, page)
			nodes = append(nodes, answer["node"])
			revisions = append(revisions, answer["revision"])
			if answer["cursor"] == nil {
				op := read(l, answer, pages)
				op.Extra["nodes"], op.Extra["revisions"] = nodes, revisions
				return op
			}
			params["cursor"] = answer["cursor"]
			if t.pinned == "" {
				t.drop()
				time.Sleep(time.Duration(t.Rand.Intn(80)) * time.Millisecond)
			}
		}
	}))
}

// readCode is the class of an error of a read, of which a lost connection is a passing one.
func readCode(err error) string {
	if code := wire.Code(err); code != "LOST" {
		return code
	}
	return "NOT_SENT"
}

func (w *cursors) Final(t *Thread) { w.scan(t, finally) }
