// Package workload is what clients do: the workloads. The shapes of their histories stand in
// WORKLOADS.md.
package workload

import (
	"errors"
	"math/rand"
	"strings"
	"time"

	"clade/jepsen/history"
	"clade/jepsen/wire"
)

const (
	deadline    = 2500 * time.Millisecond // of one write
	dialTimeout = 700 * time.Millisecond
	patience    = 25 * time.Second // of a write that is repeated under a session
)

// World is where the nodes are.
type World interface {
	Addresses() []string
	Source() string
}

// Client is what one thread has: a connection to some node, another one when that fails, and a
// session where it needs one.
type Client struct {
	world     World
	rand      *rand.Rand
	namespace string
	pinned    string // the only node to go to, or ""
	roams     int    // of a hundred requests so many go to another node than the one before
	conn      *wire.Client

	session int64
	seq     int64
}

func (c *Client) dial() (*wire.Client, error) {
	if c.conn != nil && c.conn.Alive() && c.rand.Intn(100) >= c.roams {
		return c.conn, nil
	}
	c.drop()
	address := c.pinned
	if address == "" {
		addresses := c.world.Addresses()
		address = addresses[c.rand.Intn(len(addresses))]
	}
	conn, err := wire.Dial(address, wire.Options{From: c.world.Source(), Timeout: dialTimeout})
	if err != nil {
		return nil, err
	}
	c.conn = conn
	return conn, nil
}

// drop ends the connection; the next request goes to any node.
func (c *Client) drop() {
	if c.conn != nil {
		c.conn.Close()
		c.conn = nil
	}
}

// call sends one request once. After an error that another node may not have, it goes elsewhere
// mostly: a node that was frozen still has what is sent to it meanwhile when it wakes up.
func (c *Client) call(method string, params wire.Map) (wire.Map, error) {
	conn, err := c.dial()
	if err != nil {
		return nil, err
	}
	within := deadline
	if method != "txn" && c.pinned == "" {
		within = []time.Duration{300, 800, 2000}[c.rand.Intn(3)] * time.Millisecond
	}
	params = wire.With(params, "deadline_ms", within.Milliseconds())
	answer, err := conn.Call(method, params, within+500*time.Millisecond)
	if conn.Alive() && c.rand.Intn(2) == 0 {
		return answer, err
	}
	switch wire.Code(err) {
	case "LOST", "NOT_SENT", "UNAVAILABLE", "UNKNOWN", "RETRY", "CORRUPT", "IO", "INTERNAL", "NO_SPACE":
		c.drop()
	}
	return answer, err
}

// txn sends a transaction once, without a session.
func (c *Client) txn(guards []wire.Map, ops ...wire.Map) (wire.Map, error) {
	return c.call("txn", wire.Map{"command": wire.Command(c.namespace, guards, ops...)})
}

var errGone = errors.New("UNKNOWN: no answer for long")

// repeat sends a transaction under the client's session until it has an answer for certain. The
// error is a refusal, which had no effect, or one of which mayHaveHappened says so.
func (c *Client) repeat(guards []wire.Map, ops ...wire.Map) (wire.Map, error) {
	command := wire.Command(c.namespace, guards, ops...)
	begin := time.Now()
	doubtful := false
	for {
		err := c.openSession()
		var answer wire.Map
		if err == nil {
			answer, err = c.call("txn", wire.Map{"command": command, "session": c.session,
				"seq": c.seq + 1, "answered": c.seq + 1})
		}
		switch code := wire.Code(err); {
		case code == "":
			c.seq++
			return answer, nil
		case code == "SESSION_EXPIRED":
			c.session = 0
			if doubtful {
				return nil, errGone
			}
		case !wire.NothingHappened(err):
			doubtful = true
		case !isPassing(code):
			c.seq++
			return nil, err
		}
		if time.Since(begin) > patience {
			c.session = 0
			if doubtful {
				return nil, errGone
			}
			return nil, err
		}
		time.Sleep(time.Duration(5+c.rand.Intn(40)) * time.Millisecond)
	}
}

// isPassing tells whether the same request may succeed a moment later.
func isPassing(code string) bool {
	switch code {
	case "RETRY", "UNAVAILABLE", "THROTTLED", "NO_SPACE", "NO_MEMORY", "NOT_SENT", "CANCELLED":
		return true
	}
	return false
}

func (c *Client) openSession() error {
	if c.session != 0 {
		return nil
	}
	answer, err := c.call("session_open", wire.Map{"lease_ms": 600000})
	if err != nil {
		if !wire.NothingHappened(err) {
			// A session that nobody uses ends by itself.
			return &wire.Failure{Code: "RETRY", Message: err.Error()}
		}
		return err
	}
	c.session, _ = answer["session"].(int64)
	c.seq = 0
	return nil
}

// --- what is read ---

// Level is how consistent a read must be.
type Level struct {
	Name    string
	AtLeast int64
	StaleMs int64
	AsOf    int64
}

var linearizable = Level{Name: "linearizable"}

// anyLevel picks a level; seen is a revision that this thread was answered before.
func (t *Thread) anyLevel() Level {
	switch t.Rand.Intn(4) {
	case 0:
		return Level{Name: "local"}
	case 1:
		return Level{Name: "stale", StaleMs: int64(20 * (1 + t.Rand.Intn(60)))}
	case 2:
		return Level{Name: "at_least", AtLeast: t.seen}
	}
	return linearizable
}

func (l Level) params(namespace string) wire.Map {
	m := wire.Map{"ns": namespace}
	switch l.Name {
	case "at_least":
		m["consistency"], m["at_least"] = l.Name, l.AtLeast
	case "stale":
		m["consistency"], m["stale_ms"] = l.Name, l.StaleMs
	case "local":
		m["consistency"] = l.Name
	}
	if l.AsOf != 0 {
		m["as_of"] = l.AsOf
	}
	return m
}

func (l Level) extra(answer wire.Map) map[string]any {
	extra := extraOf(answer)
	extra["level"] = l.Name
	switch l.Name {
	case "at_least":
		extra["at_least"] = l.AtLeast
	case "stale":
		extra["stale_ms"] = l.StaleMs
	}
	if l.AsOf != 0 {
		extra["as_of"] = l.AsOf
	}
	return extra
}

func extraOf(answer wire.Map) map[string]any {
	extra := map[string]any{}
	for _, key := range []string{"node", "revision"} {
		if v, is := answer[key]; is {
			extra[key] = v
		}
	}
	return extra
}

// Thing is one of the things of an answer.
type Thing struct {
	Missing bool
	Error   string // the class, when it is another one than NOT_FOUND
	ID      int64
	Ref     string
	Name    string
	Number  int64
	Depth   int64
	Created int64
	Changed int64
	Tags    map[string]string
}

func thingOf(value any) Thing {
	m, _ := value.(wire.Map)
	if failure, is := m["error"].(wire.Map); is {
		code, _ := failure["code"].(string)
		if code == "NOT_FOUND" {
			return Thing{Missing: true}
		}
		return Thing{Missing: true, Error: code}
	}
	t := Thing{Tags: map[string]string{}}
	t.ID, _ = m["id"].(int64)
	t.Ref, _ = m["ref"].(string)
	t.Name, _ = m["name"].(string)
	t.Number, _ = m["number"].(int64)
	t.Depth, _ = m["depth"].(int64)
	created, _ := m["created"].(wire.Map)
	t.Created, _ = created["revision"].(int64)
	changed, _ := m["changed"].(wire.Map)
	t.Changed, _ = changed["revision"].(int64)
	tags, _ := m["tags"].(wire.Map)
	for k, v := range tags {
		t.Tags[k], _ = v.(string)
	}
	if t.Name == "" {
		t.Name = t.Ref[strings.LastIndexByte(t.Ref, '/')+1:]
	}
	return t
}

func things(answer wire.Map) ([]Thing, error) {
	data := answer["data"]
	if found, is := data.(wire.Map); is { // of a search
		data = found["items"]
	}
	list, is := data.([]any)
	if !is {
		return nil, &wire.Failure{Code: "MALFORMED", Message: "no list of things"}
	}
	out := make([]Thing, len(list))
	for i, v := range list {
		out[i] = thingOf(v)
		if out[i].Error != "" {
			return nil, &wire.Failure{Code: out[i].Error, Message: "of a thing in the answer"}
		}
	}
	return out, nil
}

// get reads things by their references, all at one revision.
func (c *Client) get(l Level, refs ...string) ([]Thing, wire.Map, error) {
	params := wire.With(l.params(c.namespace), "refs", refs, "view", "full")
	answer, err := c.call("get", params)
	if err != nil {
		return nil, nil, err
	}
	list, err := things(answer)
	if err == nil && len(list) != len(refs) {
		err = &wire.Failure{Code: "MALFORMED", Message: "another number of things than references"}
	}
	return list, answer, err
}

// whole reads a list, a lineage or a search to its end, page by page, with more params.
func (c *Client) whole(method string, l Level, more wire.Map) ([]Thing, wire.Map, error) {
	var all []Thing
	params := wire.With(l.params(c.namespace), "limit", 10000)
	for k, v := range more {
		params[k] = v
	}
	for {
		answer, err := c.call(method, params)
		if err != nil {
			return nil, nil, err
		}
		list, err := things(answer)
		if err != nil {
			return nil, nil, err
		}
		all = append(all, list...)
		if answer["cursor"] == nil {
			if answer["complete"] != true {
				return nil, nil, &wire.Failure{Code: "INCOMPLETE", Message: "an answer was cut off"}
			}
			return all, answer, nil
		}
		params["cursor"] = answer["cursor"]
	}
}

// --- how operations end ---

func read(l Level, answer wire.Map, value any) history.Op {
	return history.Op{Type: history.Ok, Value: value, Extra: l.extra(answer)}
}

func wrote(answer wire.Map, value any) history.Op {
	return history.Op{Type: history.Ok, Value: value, Extra: extraOf(answer)}
}

// noRead is a read without an answer.
func noRead(err error, value any) history.Op {
	return history.Op{Type: history.Fail, Value: value, Error: err.Error()}
}

// noWrite is a write without a good answer.
func noWrite(err error, value any) history.Op {
	op := history.Op{Type: history.Info, Value: value, Error: err.Error()}
	if !errors.Is(err, errGone) && wire.NothingHappened(err) {
		op.Type = history.Fail
	}
	return op
}

// statusOf is the status of the operation number i of a transaction's answer, and the id in it.
func statusOf(answer wire.Map, i int) (string, int64) {
	list, _ := answer["data"].([]any)
	if i >= len(list) {
		return "", 0
	}
	m, _ := list[i].(wire.Map)
	status, _ := m["status"].(string)
	id, _ := m["id"].(int64)
	return status, id
}
