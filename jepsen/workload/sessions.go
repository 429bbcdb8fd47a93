package workload

import (
	"strings"
	"sync/atomic"
	"time"

	"clade/jepsen/history"
	"clade/jepsen/wire"
)

// sessions opens, uses, repeats under, closes and abandons sessions of short leases.
type sessions struct{ tokens int64 }

func newSessions() Workload { return &sessions{} }

func (w *sessions) Setup(*Client) error  { return nil }
func (w *sessions) Think() time.Duration { return 30 * time.Millisecond }

// lease is what a thread keeps of its session.
type lease struct {
	id    int64
	ms    int64
	seq   int64
	last  int64 // the token of the last seq
	first bool  // the last seq was not sent yet
}

func (w *sessions) Step(t *Thread) {
	l, is := t.own.(*lease)
	if !is {
		t.own = w.open(t)
		return
	}
	switch t.Rand.Intn(40) {
	case 0:
		w.close(t, l)
		w.create(t, l, true) // under a session that ended
		t.own = nil
	case 1: // long enough for it to end, most times
		time.Sleep(time.Duration(l.ms) * time.Millisecond * time.Duration(8+t.Rand.Intn(10)) / 10)
		w.create(t, l, t.Rand.Intn(2) == 0)
	case 2, 3, 4, 5, 6, 7, 8, 9, 10:
		w.create(t, l, l.seq > 0)
	default:
		w.create(t, l, false)
	}
}

func (w *sessions) open(t *Thread) any {
	ms := int64(1000 + 500*t.Rand.Intn(5))
	op := t.do("open", []any{nil, ms}, func() history.Op {
		answer, err := t.call("session_open", wire.Map{"lease_ms": ms})
		if err != nil {
			return noWrite(err, []any{nil, ms})
		}
		return wrote(answer, []any{answer["session"], answer["lease_ms"]})
	})
	if op.Type != history.Ok {
		return nil
	}
	value := op.Value.([]any)
	id, _ := value[0].(int64)
	given, _ := value[1].(int64)
	return &lease{id: id, ms: given}
}

// create creates under the session: something new, or what the last one created once more.
func (w *sessions) create(t *Thread, l *lease, repeat bool) {
	if !repeat || l.seq == 0 {
		l.seq++
		l.last = atomic.AddInt64(&w.tokens, 1) - 1
		l.first = true
	}
	first := l.first
	value := []any{l.id, l.seq, l.last, nil}
	op := t.do("create", value, func() history.Op {
		answer, err := t.call("txn", wire.Map{"command": wire.Command(t.namespace, nil, unnamed(l.last)),
			"session": l.id, "seq": l.seq, "answered": l.seq})
		if err == nil {
			return wrote(answer, []any{l.id, l.seq, l.last, idOf(answer)})
		}
		op := noWrite(err, value)
		if !first {
			op.Type = history.Info
		}
		return op
	})
	l.first = false
	if strings.HasPrefix(op.Error, "SESSION_EXPIRED") {
		t.own = nil
	}
}

func (w *sessions) close(t *Thread, l *lease) {
	t.do("close", l.id, func() history.Op {
		answer, err := t.call("session_close", wire.Map{"session": l.id})
		if err != nil {
			return noWrite(err, l.id)
		}
		return wrote(answer, l.id)
	})
}

func (w *sessions) Final(t *Thread) { readTokens(t, linearizable, finally) }
