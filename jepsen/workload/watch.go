package workload

import (
	"fmt"
	"sync/atomic"
	"time"

	"clade/jepsen/history"
	"clade/jepsen/wire"
)

// watch writes things and watches them being written, some threads all of them and some those of one
// key. A watcher goes on where it was, on whatever node it comes to.
type watch struct {
	next   int64
	newest int64 // the highest revision that was acknowledged
}

const watchKeys = 4

func newWatch() Workload { return &watch{} }

func (w *watch) Think() time.Duration { return 20 * time.Millisecond }

func (w *watch) Setup(c *Client) error {
	_, err := c.txn(nil, wire.Create("artifact", "hub", "if_exists", "match"))
	return err
}

func (w *watch) Step(t *Thread) {
	if t.reads {
		if t.own == nil {
			only := int64(t.Rand.Intn(watchKeys+1)) - 1
			t.own = &watcher{from: 1, only: only}
		}
		w.follow(t, t.own.(*watcher), time.Duration(50+t.Rand.Intn(400))*time.Millisecond)
		return
	}
	v := atomic.AddInt64(&w.next, 1) - 1
	k := v % watchKeys
	ops := []wire.Map{wire.Create("artifact", fmt.Sprintf("k%d-%d", k, v))}
	if t.Rand.Intn(10) == 0 {
		ops = append(ops, doom)
	}
	op := t.do("write", []any{k, v}, func() history.Op {
		answer, err := t.txn(nil, ops...)
		if err != nil {
			return noWrite(err, []any{k, v})
		}
		return wrote(answer, []any{k, v})
	})
	revision, _ := op.Extra["revision"].(int64)
	for old := atomic.LoadInt64(&w.newest); op.Type == history.Ok && revision > old; old = atomic.LoadInt64(&w.newest) {
		atomic.CompareAndSwapInt64(&w.newest, old, revision)
	}
}

// watcher is one who watches, over connections that come and go.
type watcher struct {
	from  int64 // the first revision that it was not told of
	only  int64 // the key, or -1
	conn  *wire.Client
	notes chan wire.Map
	ended chan error
}

func (o *watcher) drop() {
	if o.conn != nil {
		o.conn.Close()
		o.conn = nil
	}
}

func (o *watcher) dial(t *Thread) error {
	if o.conn != nil && o.conn.Alive() && t.Rand.Intn(100) >= t.roams {
		return nil
	}
	o.drop()
	address := t.pinned
	if address == "" {
		addresses := t.world.Addresses()
		address = addresses[t.Rand.Intn(len(addresses))]
	}
	notes := make(chan wire.Map, 1024)
	conn, err := wire.Dial(address, wire.Options{From: t.world.Source(), Timeout: dialTimeout,
		OnNote: func(method string, params wire.Map) {
			if method == "event" {
				notes <- params
			}
		}})
	if err != nil {
		return err
	}
	prefix := "artifact/k"
	if o.only >= 0 {
		prefix = fmt.Sprintf("artifact/k%d-", o.only)
	}
	to, err := conn.Send("watch", wire.Map{"from": o.from, "credit": 1 << 24, "ns": t.namespace,
		"namespace": t.namespace, "prefix": prefix}, deadline)
	if err != nil {
		conn.Close()
		return err
	}
	ended := make(chan error, 1)
	go func() {
		_, err := conn.Wait(to, time.Hour)
		ended <- err
	}()
	o.conn, o.notes, o.ended = conn, notes, ended
	return nil
}

// told are the events of a message: [revision k v] each.
func told(note wire.Map) []any {
	var events []any
	list, _ := note["events"].([]any)
	for _, value := range list {
		event, _ := value.(wire.Map)
		revision, _ := event["revision"].(int64)
		things, _ := event["things"].([]any)
		for _, thing := range things {
			m, _ := thing.(wire.Map)
			ref, _ := m["ref"].(string)
			var k, v int64
			if n, _ := fmt.Sscanf(ref, "artifact/k%d-%d", &k, &v); n == 2 {
				events = append(events, []any{revision, k, v})
			}
		}
	}
	return events
}

// take takes what comes for so long, or until all that was acknowledged has been looked at.
func (o *watcher) take(t *Thread, within time.Duration, until int64) ([]any, error) {
	events := []any{}
	timer := time.NewTimer(within)
	defer timer.Stop()
	for until == 0 || o.from <= until {
		select {
		case note := <-o.notes:
			events = append(events, told(note)...)
			o.from, _ = note["next"].(int64)
		case err := <-o.ended:
			o.drop()
			return events, err
		case <-timer.C:
			if len(events) == 0 && t.Rand.Intn(3) == 0 {
				o.drop() // its node may be frozen
			}
			return events, nil
		}
	}
	return events, nil
}

func (o *watcher) op(t *Thread, within time.Duration, until int64) history.Op {
	from := o.from
	if err := o.dial(t); err != nil {
		return noRead(err, []any{from, nil})
	}
	node := o.conn.Hello["node"]
	events, err := o.take(t, within, until)
	if len(events) == 0 && err != nil {
		return noRead(err, []any{from, nil})
	}
	return history.Op{Type: history.Ok, Value: []any{from, events}, Extra: map[string]any{
		"node": node, "level": "local", "revision": o.from - 1, "next": o.from, "only": o.only}}
}

func (w *watch) follow(t *Thread, o *watcher, within time.Duration) {
	t.do("watch", []any{o.from, nil}, func() history.Op { return o.op(t, within, 0) })
}

func (w *watch) Final(t *Thread) {
	newest := atomic.LoadInt64(&w.newest)
	t.do("watch", []any{int64(1), nil}, finally(func() history.Op {
		o := &watcher{from: 1, only: -1}
		defer o.drop()
		op := o.op(t, 10*time.Second, newest)
		if op.Type == history.Ok && o.from <= newest {
			return noRead(&wire.Failure{Code: "LATE", Message: "not all was told in time"}, []any{int64(1), nil})
		}
		return op
	}))
}
