package checker

import "clade/jepsen/history"

const tokenShape = "[token [id ...]]"
const tokensShape = "[[token id] ...]"

// The one thing that each token stands for, as far as anything showed it.
type tokens struct {
	j     *judgement
	begun map[any]history.Pair // by token: who asked for it first
	ids   map[any]shown        // by token
	byID  map[any]shown        // by id
}

type shown struct {
	token, id any
	op        *history.Op
}

func (j *judgement) tokens() *tokens {
	return &tokens{j: j, begun: map[any]history.Pair{}, ids: map[any]shown{}, byID: map[any]shown{}}
}

// Takes what an entry shows: this token has this id.
func (t *tokens) show(token, id any, op *history.Op) {
	if other, is := t.ids[token]; is && other.id != id {
		t.j.found("created-twice", []*history.Op{other.op, op}, "token %s has id %s in %d and %s in %d",
			text(token), text(other.id), other.op.Index, text(id), op.Index)
	}
	if other, is := t.byID[id]; is && other.token != token {
		t.j.found("id-twice", []*history.Op{other.op, op}, "id %s is token %s in %d and %s in %d",
			text(id), text(other.token), other.op.Index, text(token), op.Index)
	}
	if _, is := t.ids[token]; !is {
		t.ids[token] = shown{token, id, op}
	}
	if _, is := t.byID[id]; !is {
		t.byID[id] = shown{token, id, op}
	}
}

// Takes a read of everything, and compares it with what was acknowledged: a list of creates by
// token, each of which changed something at the revision of its first answer.
func (t *tokens) read(p history.Pair, acknowledged []acknowledgedToken, refused map[any]history.Pair) {
	rows, is := p.Done.Value.([]any)
	if !is && p.Done.Value != nil {
		t.j.unfit(p.Done, tokensShape)
		return
	}
	there := make(map[any]bool, len(rows))
	for _, row := range rows {
		pair, is := row.([]any)
		if !is || len(pair) != 2 || !scalar(pair[0]) || !scalar(pair[1]) {
			t.j.unfit(p.Done, tokensShape)
			return
		}
		token := pair[0]
		if there[token] {
			t.j.found("created-twice", entries(p), "%d reads token %s twice", p.Done.Index, text(token))
		}
		there[token] = true
		if _, is := t.begun[token]; !is {
			t.j.found("unexpected", entries(p), "%d reads token %s, which nobody created", p.Done.Index, text(token))
			continue
		}
		if by, is := refused[token]; is {
			t.j.found("failed-write-seen", entries(by, p), "%d reads token %s, whose create %d was refused",
				p.Done.Index, text(token), by.Done.Index)
		}
		t.show(token, pair[1], p.Done)
	}
	revision, known := revisionOf(p)
	for _, a := range acknowledged {
		before := a.Done.Index < p.Begin.Index && linearizable(p) || known && a.known && a.revision <= revision
		if before && !there[a.token] {
			t.j.found("lost", entries(a.Pair, p), "%d lacks token %s, which %d had acknowledged",
				p.Done.Index, text(a.token), a.Done.Index)
		}
	}
}

type acknowledgedToken struct {
	history.Pair
	token    any
	revision int64
	known    bool
}

// Creates checks that a create that is repeated happens once: a token has one id wherever it is
// shown, is there once, and is there if it was acknowledged and not if it was refused.
func Creates(h history.History) Verdict {
	j := judge("creates", h)
	t := j.tokens()
	var acknowledged []acknowledgedToken
	refused := map[any]history.Pair{}
	answers := 0
	creates, reads := j.pairs("create"), j.pairs("read")
	for _, p := range creates {
		list := j.tuple(answer{p}.value(), 2, tokenShape)
		if list == nil {
			continue
		}
		if !scalar(list[0]) {
			j.unfit(p.Begin, tokenShape)
			continue
		}
		t.begun[list[0]] = p
		switch p.Type() {
		case history.Fail:
			refused[list[0]] = p
		case history.Ok:
			revision, known := p.Done.Int("revision")
			acknowledged = append(acknowledged, acknowledgedToken{p, list[0], revision, known})
		}
		answers += j.ids(t, p)
	}
	for _, p := range reads {
		if p.Type() == history.Ok {
			t.read(p, acknowledged, refused)
		}
	}
	if len(creates) == 0 {
		j.unknown("there is nothing to judge")
	}
	j.count("creates", len(creates))
	j.count("repeats", answers-len(acknowledged))
	j.count("reads", len(reads))
	return j.end("%s happened once each, however often they were repeated", plural(len(creates), "create"))
}

// Takes the ids that a create was answered with; their number.
func (j *judgement) ids(t *tokens, p history.Pair) int {
	if p.Done == nil {
		return 0
	}
	list, is := p.Done.Value.([]any)
	if !is || len(list) != 2 {
		return 0
	}
	ids, is := list[1].([]any)
	if p.Type() == history.Ok && (!is || len(ids) == 0) {
		j.unfit(p.Done, tokenShape)
	}
	for _, id := range ids {
		if !scalar(id) {
			j.unfit(p.Done, tokenShape)
			return 0
		}
		t.show(list[0], id, p.Done)
	}
	return len(ids)
}
