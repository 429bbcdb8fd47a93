package workload

import (
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	"clade/jepsen/history"
	"clade/jepsen/wire"
)

// Versions without gaps, and creates that are repeated blindly: what the store gives out once.

// versions creates versions of models; each carries a token in a tag.
type versions struct{ tokens int64 }

const versionsPerModel = 400

func newVersions() Workload { return &versions{} }

func (w *versions) Setup(*Client) error  { return nil }
func (w *versions) Think() time.Duration { return 25 * time.Millisecond }

func (w *versions) model(token int64) int64 { return token / versionsPerModel }

func (w *versions) Step(t *Thread) {
	if t.Rand.Intn(20) == 0 {
		w.read(t, w.model(atomic.LoadInt64(&w.tokens)), t.anyLevel(), plainly)
		return
	}
	token := atomic.AddInt64(&w.tokens, 1) - 1
	model := w.model(token)
	t.do("create", []any{model, token, nil}, func() history.Op {
		answer, err := t.txn(nil,
			wire.Create("model", fmt.Sprintf("m%d", model), "if_exists", "return"),
			wire.Create("version", "", "model", "$0", "tags", wire.Map{"t": strconv.FormatInt(token, 10)}))
		if err != nil {
			return noWrite(err, []any{model, token, nil})
		}
		return wrote(answer, []any{model, token, numberOf(answer, 1)})
	})
}

// numberOf is the number in the reference that operation i answers: version/NAME/N.
func numberOf(answer wire.Map, i int) int64 {
	list, _ := answer["data"].([]any)
	m, _ := list[i].(wire.Map)
	ref, _ := m["ref"].(string)
	for at := len(ref) - 1; at >= 0; at-- {
		if ref[at] == '/' {
			n, _ := strconv.ParseInt(ref[at+1:], 10, 64)
			return n
		}
	}
	return 0
}

func (w *versions) read(t *Thread, model int64, l Level, how func(func() history.Op) func() history.Op) {
	t.do("read", []any{model, nil}, how(func() history.Op {
		list, answer, err := t.whole("list", l, wire.Map{"kind": "version",
			"under": fmt.Sprintf("model/m%d", model), "view": "full"})
		if wire.Code(err) == "NOT_FOUND" {
			err = nil // the model is not there yet; without an answer there is no revision to tell
			return history.Op{Type: history.Fail, Value: []any{model, nil}, Error: "NOT_FOUND: no model"}
		}
		if err != nil {
			return noRead(err, []any{model, nil})
		}
		pairs := []any{}
		for _, thing := range list {
			token, _ := strconv.ParseInt(thing.Tags["t"], 10, 64)
			pairs = append(pairs, []any{thing.Number, token})
		}
		return read(l, answer, []any{model, pairs})
	}))
}

func (w *versions) Final(t *Thread) {
	for model := int64(0); model <= w.model(atomic.LoadInt64(&w.tokens)); model++ {
		w.read(t, model, linearizable, finallyOr("NOT_FOUND"))
	}
}

// creates makes things without a name, whose repetition would make another one, and repeats each
// blindly under its session, to several nodes.
type creates struct{ tokens int64 }

func newCreates() Workload { return &creates{} }

func (w *creates) Setup(*Client) error  { return nil }
func (w *creates) Think() time.Duration { return 25 * time.Millisecond }

func unnamed(token int64) wire.Map {
	return wire.Create("artifact", "", "tags", wire.Map{"t": strconv.FormatInt(token, 10)})
}

func (w *creates) Step(t *Thread) {
	if t.Rand.Intn(150) == 0 {
		readTokens(t, t.anyLevel(), plainly)
		return
	}
	token := atomic.AddInt64(&w.tokens, 1) - 1
	if t.Rand.Intn(10) == 0 {
		t.do("create", []any{token, nil}, func() history.Op {
			_, err := t.repeat(nil, unnamed(token), doom)
			if err == nil {
				err = errGone // what cannot be refused may have happened
			}
			return noWrite(err, []any{token, nil})
		})
		return
	}
	t.do("create", []any{token, nil}, func() history.Op {
		answer, err := t.repeat(nil, unnamed(token))
		if err != nil {
			return noWrite(err, []any{token, nil})
		}
		ids := []any{idOf(answer)}
		for t.Rand.Intn(2) == 0 && len(ids) < 4 {
			t.drop() // to some other node
			again, err := t.call("txn", wire.Map{"command": wire.Command(t.namespace, nil, unnamed(token)),
				"session": t.session, "seq": t.seq, "answered": t.seq})
			if err != nil {
				break
			}
			ids = append(ids, idOf(again))
		}
		return wrote(answer, []any{token, ids})
	})
}

func idOf(answer wire.Map) int64 {
	_, id := statusOf(answer, 0)
	return id
}

// readTokens reads all things of the namespace: their tokens and ids.
func readTokens(t *Thread, l Level, how func(func() history.Op) func() history.Op) {
	t.do("read", nil, how(func() history.Op {
		list, answer, err := t.whole("list", l, wire.Map{"kind": "artifact", "view": "full"})
		if err != nil {
			return noRead(err, nil)
		}
		pairs := []any{}
		for _, thing := range list {
			token, _ := strconv.ParseInt(thing.Tags["t"], 10, 64)
			pairs = append(pairs, []any{token, thing.ID})
		}
		return read(l, answer, pairs)
	}))
}

func (w *creates) Final(t *Thread) { readTokens(t, linearizable, finally) }
