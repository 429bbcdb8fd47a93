package checker

import (
	"reflect"
	"sort"

	"clade/jepsen/history"
)

// The workloads as the simulated store runs them, each with the bugs that its checker must catch.
var simulated = []struct {
	name  string
	make  func(w *world)
	rates map[string]float64 // by bug: how often it strikes
}{
	{"register", simRegister, map[string]float64{
		"stale-read": 0.1, "lost-write": 0.1, "failed-write-seen": 1, "cas-blind": 0.3}},
	{"append", simAppend, map[string]float64{
		"stale-read": 0.05, "lost-write": 0.03, "failed-write-seen": 1, "lost-update": 0.03, "dirty-read": 0.03,
		"fractured-read": 0.1, "write-skew": 0.1, "twice": 0.03, "intermediate-read": 0.1}},
	{"versions", simVersions, map[string]float64{
		"stale-read": 0.3, "lost-write": 0.03, "failed-write-seen": 1, "counter-in-memory": 0.02, "gap": 0.02}},
	{"creates", simCreates, map[string]float64{
		"stale-read": 0.3, "lost-write": 0.03, "failed-write-seen": 1, "twice": 0.05}},
	{"set", simSet, map[string]float64{
		"stale-read": 0.3, "lost-write": 0.03, "failed-write-seen": 1, "index-lacks": 0.1, "twice": 0.1, "gone": 0.05}},
	{"lineage", simLineage, map[string]float64{
		"stale-read": 0.2, "wrong-revision": 0.2, "lost-write": 0.05, "failed-write-seen": 1,
		"edge-lost": 0.1, "ended-edge": 0.2, "depth": 0.1}},
	{"bank", simBank, map[string]float64{
		"stale-read": 0.1, "fractured-read": 0.1, "lost-write": 0.05, "half": 0.02, "overdrawn": 0.5}},
	{"long-fork", simLongFork, map[string]float64{
		"stale-read": 0.2, "fork": 0.1, "lost-write": 0.05, "failed-write-seen": 1}},
	{"stale", simStale, map[string]float64{
		"stale-read": 0.2, "wrong-revision": 0.2, "below-at-least": 0.5, "too-stale": 0.5, "lost-write": 0.05,
		"failed-write-seen": 1}},
	{"as-of", simAsOf, map[string]float64{
		"changed-answer": 0.05, "lost-write": 0.05, "failed-write-seen": 1}},
	{"sessions", simSessions, map[string]float64{
		"twice": 0.3, "forgotten": 0.3, "expired-early": 0.02, "lost-write": 0.05}},
	{"cursors", simCursors, map[string]float64{
		"unpinned": 0.2, "page-lacks": 0.1, "page-twice": 0.1, "stale-read": 0.2, "lost-write": 0.05}},
}

func simRegister(w *world) {
	n := 0
	read := func(k int64) simOp {
		return simOp{f: "read", value: []any{k, nil}, effect: func(seen int64) history.Op {
			at := w.revision
			if w.hit("stale-read") {
				at = w.old(seen, 10)
			}
			return okOp([]any{k, w.get(key("r", k), at)}, w.revision, nil)
		}}
	}
	write := func(k, v int64) int64 {
		revision := w.commit()
		if !w.hit("lost-write") {
			w.put(key("r", k), v)
		}
		return revision
	}
	w.gen = func(w *world) simOp {
		n++
		k, v := int64(n/200)*4+w.rng.Int63n(4), int64(n%8)
		switch w.rng.Intn(5) {
		case 0:
			return simOp{f: "write", write: true, value: []any{k, v}, effect: func(int64) history.Op {
				return okOp([]any{k, v}, write(k, v), nil)
			}}
		case 1, 2:
			old, _ := w.get(key("r", k), w.revision).(int64)
			value := []any{k, []any{old, v}}
			return simOp{f: "cas", write: true, value: value, effect: func(int64) history.Op {
				if w.get(key("r", k), w.revision) != old && !w.hit("cas-blind") {
					return history.Op{Type: history.Fail, Value: value, Error: "CONFLICT: another value"}
				}
				return okOp(value, write(k, v), nil)
			}}
		}
		return read(k)
	}
	w.final = func(w *world) []simOp { return []simOp{read(0), read(1), read(2)} }
}

func simAppend(w *world) {
	next := map[int64]int64{}
	first := int64(0)
	run := func(micros []any, seen int64) history.Op {
		done := make([]any, len(micros))
		base := map[int64]int64{}
		state := map[int64][]any{}
		writes := map[int64]bool{}
		for _, m := range micros {
			micro := m.([]any)
			if micro[0] == history.Keyword("append") {
				writes[micro[1].(int64)] = true
			}
		}
		stale := len(writes) == 0 && w.hit("stale-read")
		fractured := w.hit("fractured-read")
		skew := len(writes) > 0 && w.hit("write-skew")
		lost := len(writes) > 0 && w.hit("lost-update")
		for i, m := range micros {
			k := m.([]any)[1].(int64)
			if _, is := base[k]; is {
				continue
			}
			base[k] = w.revision
			if stale || fractured && i > 0 && !writes[k] || skew && !writes[k] || lost && writes[k] {
				base[k] = w.old(seen, 10)
			}
			state[k], _ = w.get(key("l", k), base[k]).([]any)
		}
		dirty := w.hit("dirty-read")
		intermediate := w.hit("intermediate-read")
		for i, m := range micros {
			micro := m.([]any)
			k := micro[1].(int64)
			if micro[0] == history.Keyword("append") {
				times := 1
				if w.hit("twice") {
					times = 2
				}
				for ; times > 0; times-- {
					state[k] = append(append([]any(nil), state[k]...), micro[2])
				}
				done[i] = micro
				continue
			}
			list := state[k]
			if dirty {
				list = append(append([]any(nil), list...), next[k]+1) // not appended yet, if ever
			}
			if intermediate && len(list) > 1 {
				list = list[:len(list)-1]
			}
			done[i] = []any{history.Keyword("r"), k, list}
			if list == nil {
				done[i] = []any{history.Keyword("r"), k, nil}
			}
		}
		if len(writes) == 0 {
			return okOp(done, w.revision, nil)
		}
		revision := w.commit()
		if !w.hit("lost-write") {
			for k := range writes {
				w.put(key("l", k), state[k])
			}
		}
		return okOp(done, revision, nil)
	}
	txn := func(micros []any, write bool) simOp {
		return simOp{f: "txn", write: write, value: micros, effect: func(seen int64) history.Op { return run(micros, seen) }}
	}
	w.gen = func(w *world) simOp {
		var micros []any
		write := false
		for n := 1 + w.rng.Intn(4); n > 0; n-- {
			k := first + w.rng.Int63n(5)
			if w.rng.Intn(2) == 0 {
				micros = append(micros, []any{history.Keyword("r"), k, nil})
				continue
			}
			if next[k]++; next[k] > 40 {
				first++
			}
			write = true
			micros = append(micros, []any{history.Keyword("append"), k, next[k]})
		}
		return txn(micros, write)
	}
	w.final = func(w *world) []simOp {
		var ops []simOp
		for k := int64(0); k < first+5; k++ {
			ops = append(ops, txn([]any{[]any{history.Keyword("r"), k, nil}}, false))
		}
		return ops
	}
}

// Creates of tokens in lists, and reads of whole lists at any level.
type listWorkload struct {
	w    *world
	list string
}

func (l listWorkload) get(revision int64) []any {
	list, _ := l.w.get(l.list, revision).([]any)
	return list
}

func (l listWorkload) push(value any) {
	l.w.put(l.list, append(append([]any(nil), l.get(l.w.revision)...), value))
}

// A read's answer and the revision that it claims.
func (w *world) readAt(revision, seen int64, extra map[string]any) (at, claims int64) {
	if w.hit("wrong-revision") {
		return w.old(seen, 20), revision
	}
	if extra["level"] == "linearizable" && w.hit("stale-read") {
		old := w.old(seen, 20)
		return old, old
	}
	return revision, revision
}

func simVersions(w *world) {
	tokens, models := int64(0), int64(0)
	counters := map[int64]int64{}
	read := func(model int64, extra map[string]any, at func() int64) simOp {
		return simOp{f: "read", value: []any{model, nil}, effect: func(seen int64) history.Op {
			from, claims := w.readAt(at(), seen, extra)
			rows := listWorkload{w, key("m", model)}.get(from)
			return okOp([]any{model, rows}, claims, extra)
		}}
	}
	w.gen = func(w *world) simOp {
		if w.rng.Intn(10) == 0 {
			extra, at := w.level()
			return read(w.rng.Int63n(models+1), extra, at)
		}
		tokens++
		token := tokens
		models = token / 60
		model := models
		return simOp{f: "create", write: true, value: []any{model, token, nil}, effect: func(int64) history.Op {
			revision := w.commit()
			l := listWorkload{w, key("m", model)}
			number := int64(len(l.get(revision))) + 1
			if w.bug == "counter-in-memory" {
				counters[model]++
				number = counters[model]
				if number > 2 && w.hit("counter-in-memory") {
					counters[model] -= 2
				}
			}
			if w.hit("gap") {
				number++
			}
			if !w.hit("lost-write") {
				l.push([]any{number, token})
			}
			return okOp([]any{model, token, number}, revision, nil)
		}}
	}
	w.final = func(w *world) []simOp {
		var ops []simOp
		for m := int64(0); m <= models; m++ {
			ops = append(ops, read(m, nil, func() int64 { return w.revision }))
		}
		return ops
	}
}

func simCreates(w *world) {
	tokens, ids := int64(0), int64(100)
	l := listWorkload{w, "all"}
	read := func(extra map[string]any, at func() int64) simOp {
		return simOp{f: "read", effect: func(seen int64) history.Op {
			from, claims := w.readAt(at(), seen, extra)
			return okOp(l.get(from), claims, extra)
		}}
	}
	create := func(token int64) int64 {
		ids++
		w.commit()
		if !w.hit("lost-write") {
			l.push([]any{token, ids})
		}
		return ids
	}
	w.gen = func(w *world) simOp {
		if w.rng.Intn(20) == 0 {
			return read(w.level())
		}
		tokens++
		token := tokens
		return simOp{f: "create", write: true, value: []any{token, nil}, effect: func(int64) history.Op {
			id := create(token)
			revision := w.revision
			got := []any{id}
			for w.rng.Intn(2) == 0 {
				if w.hit("twice") {
					id = create(token)
				}
				got = append(got, id)
			}
			return okOp([]any{token, got}, revision, nil)
		}}
	}
	w.final = func(w *world) []simOp { return []simOp{read(nil, func() int64 { return w.revision })} }
}

func simSet(w *world) {
	next := int64(0)
	l := listWorkload{w, "set"}
	read := func(by string, extra map[string]any, at func() int64) simOp {
		all := map[string]any{"by": by}
		for k, v := range extra {
			all[k] = v
		}
		return simOp{f: "read", extra: map[string]any{"by": by}, effect: func(seen int64) history.Op {
			from, claims := w.readAt(at(), seen, extra)
			list := append([]any(nil), l.get(from)...)
			if by == "digest" && len(list) > 1 && w.hit("index-lacks") {
				list = append(list[:len(list)/2], list[len(list)/2+1:]...)
			}
			if len(list) > 1 && w.hit("twice") {
				list = append(list, list[0])
			}
			return okOp(list, claims, all)
		}}
	}
	w.gen = func(w *world) simOp {
		if w.rng.Intn(10) == 0 {
			extra, at := w.level()
			return read([]string{"name", "list", "digest"}[w.rng.Intn(3)], extra, at)
		}
		next++
		e := next
		return simOp{f: "add", write: true, value: e, effect: func(int64) history.Op {
			revision := w.commit()
			list := l.get(revision)
			if len(list) > 3 && w.hit("gone") {
				w.put("set", append(append([]any(nil), list[:1]...), list[2:]...))
			}
			if !w.hit("lost-write") {
				l.push(e)
			}
			return okOp(e, revision, nil)
		}}
	}
	w.final = func(w *world) []simOp {
		now := func() int64 { return w.revision }
		return []simOp{read("name", nil, now), read("list", nil, now), read("digest", nil, now)}
	}
}

func simLineage(w *world) {
	const things = 14
	edge := func(from, to int64) string { return key("e", []any{from, to}) }
	there := func(from, to, revision int64) bool { return w.get(edge(from, to), revision) == true }
	closure := func(start int64, down bool, revision int64, skip func(from, to int64) bool) []any {
		depth := map[int64]int64{start: 0}
		var rows []any
		for level, d := []int64{start}, int64(1); len(level) > 0; d++ {
			var next []int64
			for to := int64(0); to < things; to++ {
				for _, from := range level {
					a, b := from, to
					if down {
						a, b = to, from
					}
					if _, is := depth[to]; !is && there(a, b, revision) != skip(a, b) {
						depth[to] = d
						next = append(next, to)
						rows = append(rows, []any{to, d})
						break
					}
				}
			}
			level = next
		}
		return rows
	}
	never := func(int64, int64) bool { return false }
	read := func(extra map[string]any, at func() int64) simOp {
		start, down := w.rng.Int63n(things), w.rng.Intn(2) == 0
		direction := map[bool]string{true: "down", false: "up"}[down]
		return simOp{f: "closure", value: []any{start, direction, nil}, effect: func(seen int64) history.Op {
			from, claims := w.readAt(at(), seen, extra)
			right := closure(start, down, from, never)
			rows := right
			if w.hit("edge-lost") {
				rows = closure(start, down, from, func(a, b int64) bool { return (a+b)%3 == 0 && there(a, b, from) })
			}
			if w.hit("ended-edge") {
				rows = closure(start, down, from, func(a, b int64) bool { return !there(a, b, from) && there(a, b, from-10) })
			}
			if len(rows) > 1 && w.hit("depth") {
				rows = append([]any(nil), rows...)
				last := rows[len(rows)-1].([]any)
				rows[len(rows)-1] = []any{last[0], last[1].(int64) + 1}
			}
			return okOp([]any{start, direction, rows}, claims, extra)
		}}
	}
	w.gen = func(w *world) simOp {
		from, to := w.rng.Int63n(things), w.rng.Int63n(things)
		on := w.rng.Intn(2) == 0
		f, status := "unlink", "deleted"
		switch {
		case w.rng.Intn(3) == 0 || from == to:
			return read(w.level())
		case on:
			f, status = "link", "created"
		}
		return simOp{f: f, write: true, value: []any{from, to, nil}, effect: func(int64) history.Op {
			if there(from, to, w.revision) == on {
				return okOp([]any{from, to, "unchanged"}, w.revision, nil)
			}
			revision := w.commit()
			if !w.hit("lost-write") {
				w.put(edge(from, to), on)
			}
			return okOp([]any{from, to, status}, revision, nil)
		}}
	}
	w.final = func(w *world) []simOp {
		var ops []simOp
		for i := 0; i < 10; i++ {
			ops = append(ops, read(nil, func() int64 { return w.revision }))
		}
		return ops
	}
}

func simBank(w *world) {
	const accounts = 6
	for a := int64(0); a < accounts; a++ {
		w.put(key("b", a), int64(20))
	}
	held := func(a, revision int64) int64 { return w.get(key("b", a), revision).(int64) }
	read := func(extra map[string]any, at func() int64) simOp {
		return simOp{f: "read", effect: func(seen int64) history.Op {
			from, claims := w.readAt(at(), seen, extra)
			all := map[int64]any{}
			fractured := w.hit("fractured-read")
			for a := int64(0); a < accounts; a++ {
				if fractured && a > 2 {
					all[a] = held(a, w.old(from, 8))
				} else {
					all[a] = held(a, from)
				}
			}
			op := okOp(all, claims, extra)
			op.Extra["total"] = accounts * 20
			return op
		}}
	}
	w.gen = func(w *world) simOp {
		if w.rng.Intn(2) == 0 {
			return read(w.level())
		}
		from := w.rng.Int63n(accounts)
		to := (from + 1 + w.rng.Int63n(accounts-1)) % accounts
		amount := 1 + w.rng.Int63n(9)
		value := map[string]any{"from": from, "to": to, "amount": amount}
		return simOp{f: "transfer", write: true, value: value, effect: func(int64) history.Op {
			if held(from, w.revision) < amount && !w.hit("overdrawn") {
				return history.Op{Type: history.Fail, Value: value, Error: "CONFLICT: not enough"}
			}
			revision := w.commit()
			if !w.hit("lost-write") {
				w.put(key("b", from), held(from, revision)-amount)
				if !w.hit("half") {
					w.put(key("b", to), held(to, revision)+amount)
				}
			}
			return okOp(value, revision, nil)
		}}
	}
	w.final = func(w *world) []simOp { return []simOp{read(nil, func() int64 { return w.revision })} }
}

func simLongFork(w *world) {
	next := int64(0)
	w.gen = func(w *world) simOp {
		if w.rng.Intn(3) == 0 && next > 0 {
			group := w.rng.Int63n((next+2)/3) * 3
			if w.rng.Intn(2) == 0 {
				group = (next - 1) / 3 * 3
			}
			extra, at := w.level()
			var asked []any
			for k := group; k < group+3; k++ {
				asked = append(asked, []any{history.Keyword("r"), k, nil})
			}
			return simOp{f: "read", value: asked, effect: func(seen int64) history.Op {
				from, claims := w.readAt(at(), seen, extra)
				skip := int64(-1)
				if w.hit("fork") {
					skip = group + w.rng.Int63n(3)
				}
				var got []any
				for k := group; k < group+3; k++ {
					v := w.get(key("f", k), from)
					if k == skip {
						v = nil
					}
					got = append(got, []any{history.Keyword("r"), k, v})
				}
				return okOp(got, claims, extra)
			}}
		}
		k := next
		next++
		value := []any{[]any{history.Keyword("w"), k, 1}}
		return simOp{f: "write", write: true, value: value, effect: func(int64) history.Op {
			revision := w.commit()
			if !w.hit("lost-write") {
				w.put(key("f", k), 1)
			}
			return okOp(value, revision, nil)
		}}
	}
}

// A write of a unique value; false while another one of that key is under way.
func (w *world) uniqueWrite(busy map[int64]bool, value *int64, keys int64) (simOp, bool) {
	k := w.rng.Int63n(keys)
	if busy[k] {
		return simOp{}, false
	}
	busy[k] = true
	*value++
	v := *value
	return simOp{f: "write", write: true, value: []any{k, v}, ended: func(history.Op) { busy[k] = false },
		effect: func(int64) history.Op {
			revision := w.commit()
			if !w.hit("lost-write") {
				w.put(key("v", k), v)
			}
			return okOp([]any{k, v}, revision, nil)
		}}, true
}

func simStale(w *world) {
	const keys = 4
	busy, value := map[int64]bool{}, int64(0)
	read := func(k int64, extra map[string]any, at func() int64) simOp {
		return simOp{f: "read", value: []any{k, nil}, effect: func(seen int64) history.Op {
			from, claims := w.readAt(at(), seen, extra)
			return okOp([]any{k, w.get(key("v", k), from)}, claims, extra)
		}}
	}
	w.gen = func(w *world) simOp {
		if w.rng.Intn(3) == 0 {
			if op, is := w.uniqueWrite(busy, &value, keys); is {
				return op
			}
		}
		extra, at := w.level()
		return read(w.rng.Int63n(keys), extra, at)
	}
	w.final = func(w *world) []simOp {
		var ops []simOp
		for k := int64(0); k < keys; k++ {
			ops = append(ops, read(k, nil, func() int64 { return w.revision }))
		}
		return ops
	}
}

func simAsOf(w *world) {
	const keys = 4
	busy, value := map[int64]bool{}, int64(0)
	asked := []int64{}
	w.gen = func(w *world) simOp {
		if w.rng.Intn(2) == 0 || w.acked == 0 {
			if op, is := w.uniqueWrite(busy, &value, keys); is {
				return op
			}
		}
		revision := w.rng.Int63n(w.acked + 1)
		if len(asked) > 0 && w.rng.Intn(2) == 0 {
			revision = asked[w.rng.Intn(len(asked))]
		}
		asked = append(asked, revision)
		return simOp{f: "read", value: []any{revision, nil}, effect: func(int64) history.Op {
			at := revision
			if w.hit("changed-answer") {
				at = w.old(revision, 10)
			}
			var values []any
			for k := int64(0); k < keys; k++ {
				values = append(values, w.get(key("v", k), at))
			}
			return okOp([]any{revision, values}, revision, map[string]any{"as_of": revision})
		}}
	}
}

func simSessions(w *world) {
	const lease = 60
	type simSession struct {
		id, used, seq int64
		closed, known bool
		tokens        map[int64]int64
		answers       map[int64]history.Op
	}
	sessions := []*simSession{}
	ids, tokens := int64(0), int64(0)
	l := listWorkload{w, "all"}
	expired := func(s *simSession) bool {
		early := !s.closed && w.now-s.used < lease*ms/2 && w.hit("expired-early")
		over := s.closed || w.now-s.used > lease*ms
		if s.closed && w.hit("forgotten") {
			return false
		}
		s.closed = s.closed || over || early
		return over || early
	}
	open := func() simOp {
		return simOp{f: "open", write: true, value: []any{nil, lease}, effect: func(int64) history.Op {
			ids++
			s := &simSession{id: ids, used: w.now, tokens: map[int64]int64{}, answers: map[int64]history.Op{}}
			sessions = append(sessions, s)
			return okOp([]any{s.id, lease}, w.revision, nil)
		}}
	}
	create := func(s *simSession, seq int64) simOp {
		repeat := seq <= s.seq
		if !repeat {
			s.seq = seq
			tokens++
			s.tokens[seq] = tokens
		}
		value := []any{s.id, seq, s.tokens[seq], nil}
		return simOp{f: "create", write: true, value: value, effect: func(int64) history.Op {
			if expired(s) {
				kind := history.Fail
				if repeat {
					kind = history.Info
				}
				return history.Op{Type: kind, Value: value, Error: "SESSION_EXPIRED: it is over"}
			}
			s.used = w.now
			if done, is := s.answers[seq]; is && !w.hit("twice") {
				return done
			}
			ids++
			revision := w.commit()
			if !w.hit("lost-write") {
				l.push([]any{s.tokens[seq], ids})
			}
			s.answers[seq] = okOp([]any{s.id, seq, s.tokens[seq], ids}, revision, nil)
			return s.answers[seq]
		}}
	}
	read := simOp{f: "read", effect: func(int64) history.Op { return okOp(l.get(w.revision), w.revision, nil) }}
	w.gen = func(w *world) simOp {
		if w.rng.Intn(40) == 0 {
			return read
		}
		if len(sessions) == 0 || w.rng.Intn(15) == 0 {
			return open()
		}
		s := sessions[w.rng.Intn(len(sessions))]
		if len(sessions) > 4 && w.rng.Intn(2) == 0 {
			s = sessions[len(sessions)-1-w.rng.Intn(3)]
		}
		switch {
		case w.rng.Intn(20) == 0:
			return simOp{f: "close", write: true, value: s.id, effect: func(int64) history.Op {
				if expired(s) {
					return history.Op{Type: history.Fail, Value: s.id, Error: "SESSION_EXPIRED: it is over"}
				}
				s.closed = true
				return okOp(s.id, w.revision, nil)
			}}
		case s.seq > 0 && w.rng.Intn(3) == 0:
			return create(s, 1+w.rng.Int63n(s.seq))
		}
		return create(s, s.seq+1)
	}
	w.final = func(w *world) []simOp { return []simOp{read} }
}

func simCursors(w *world) {
	const elements = 60
	there := func(revision int64) []int64 {
		var list []int64
		for e := int64(0); e < elements; e++ {
			if w.get(key("c", e), revision) == true {
				list = append(list, e)
			}
		}
		return list
	}
	scan := func() simOp {
		return simOp{f: "scan", effect: func(seen int64) history.Op {
			from, claims := w.readAt(w.revision, seen, map[string]any{"level": "linearizable"})
			unpinned := w.hit("unpinned")
			var pages, revisions []any
			last := int64(-1)
			for {
				at := from
				if unpinned && len(pages) > 0 {
					at = w.old(from, 30)
				}
				page := []any{}
				for _, e := range there(at) {
					if e > last && len(page) < 7 {
						page = append(page, e)
					}
				}
				if len(page) == 0 {
					break
				}
				last = page[len(page)-1].(int64)
				if w.hit("page-lacks") {
					page = page[:len(page)-1]
				}
				if w.hit("page-twice") {
					last--
				}
				pages = append(pages, page)
				revisions = append(revisions, claims)
			}
			return okOp(pages, claims, map[string]any{"revisions": revisions})
		}}
	}
	w.gen = func(w *world) simOp {
		if w.rng.Intn(6) == 0 {
			return scan()
		}
		e := w.rng.Int63n(elements)
		on := w.rng.Intn(5) < 3
		f := map[bool]string{true: "add", false: "remove"}[on]
		return simOp{f: f, write: true, value: e, effect: func(int64) history.Op {
			if (w.get(key("c", e), w.revision) == true) == on {
				return history.Op{Type: history.Fail, Value: e, Error: "CONFLICT: so it is already"}
			}
			revision := w.commit()
			if !w.hit("lost-write") {
				w.put(key("c", e), on)
			}
			return okOp(e, revision, nil)
		}}
	}
	w.final = func(w *world) []simOp { return []simOp{scan(), scan()} }
}

func simulate(name string, seed int64, bug string, rate float64, threads, operations int) (history.History, *world) {
	for _, s := range simulated {
		if s.name == name {
			w := newWorld(seed, bug, rate)
			s.make(w)
			return w.run(threads, operations), w
		}
	}
	panic("no workload " + name)
}

func bugsOf(rates map[string]float64) []string {
	var names []string
	for bug := range rates {
		names = append(names, bug)
	}
	sort.Strings(names)
	return names
}

func sameHistory(a, b history.History) bool { return reflect.DeepEqual(a, b) }
