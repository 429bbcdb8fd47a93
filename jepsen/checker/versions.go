package checker

import (
	"sort"

	"clade/jepsen/history"
)

const createdShape = "[model token number]"
const versionsShape = "[model [[number token] ...]]"

// One version as something showed it.
type version struct {
	token  any
	number int64
	op     *history.Op
}

type modelVersions struct {
	creates  []history.Pair // acknowledged, with their numbers
	numbers  []int64
	reads    []versionsRead
	byNumber map[int64]version
	byToken  map[any]version
}

type versionsRead struct {
	history.Pair
	tokens map[int64]any
	last   int64
}

// Versions checks that each model's versions are numbered from 1 without a gap, that a number
// stands for one token and a token for one number, that numbers are given in the order of time, and
// that no acknowledged version is missing.
func Versions(h history.History) Verdict {
	j := judge("versions", h)
	models := map[any]*modelVersions{}
	of := func(model any) *modelVersions {
		m := models[model]
		if m == nil {
			m = &modelVersions{byNumber: map[int64]version{}, byToken: map[any]version{}}
			models[model] = m
		}
		return m
	}
	begun := map[any]history.Pair{}
	creates, reads := j.pairs("create"), j.pairs("read")
	for _, p := range creates {
		j.createdVersion(p, begun, of)
	}
	for _, p := range reads {
		if p.Type() == history.Ok {
			j.readVersions(p, begun, of)
		}
	}
	for _, name := range sortedAny(models) {
		j.numbersInOrder(name, models[name])
		j.missingVersions(name, models[name])
	}
	if len(creates) == 0 {
		j.unknown("there is nothing to judge")
	}
	j.count("models", len(models))
	j.count("creates", len(creates))
	j.count("reads", len(reads))
	return j.end("%s of %s are numbered without gaps", plural(len(creates), "create"), plural(len(models), "model"))
}

func (j *judgement) createdVersion(p history.Pair, begun map[any]history.Pair, of func(any) *modelVersions) {
	list := j.tuple(answer{p}.value(), 3, createdShape)
	if list == nil {
		return
	}
	if !scalar(list[0]) || !scalar(list[1]) {
		j.unfit(p.Begin, createdShape)
		return
	}
	begun[list[1]] = p
	if p.Type() != history.Ok {
		return
	}
	number, is := list[2].(int64)
	if !is {
		j.unfit(p.Done, createdShape)
		return
	}
	m := of(list[0])
	m.creates = append(m.creates, p)
	m.numbers = append(m.numbers, number)
	j.oneToOne(list[0], m, version{list[1], number, p.Done})
}

// A number has one token and a token one number, whatever shows them.
func (j *judgement) oneToOne(model any, m *modelVersions, v version) {
	if other, is := m.byNumber[v.number]; is && other.token != v.token {
		j.found("number-twice", []*history.Op{other.op, v.op}, "number %d of model %s is %s in %d and %s in %d",
			v.number, text(model), text(other.token), other.op.Index, text(v.token), v.op.Index)
	} else if other, is := m.byToken[v.token]; is && other.number != v.number {
		j.found("token-twice", []*history.Op{other.op, v.op}, "token %s of model %s has number %d in %d and %d in %d",
			text(v.token), text(model), other.number, other.op.Index, v.number, v.op.Index)
	}
	if _, is := m.byNumber[v.number]; !is {
		m.byNumber[v.number] = v
	}
	if _, is := m.byToken[v.token]; !is {
		m.byToken[v.token] = v
	}
}

func (j *judgement) readVersions(p history.Pair, begun map[any]history.Pair, of func(any) *modelVersions) {
	list := j.tuple(p.Done, 2, versionsShape)
	if list == nil {
		return
	}
	rows, is := list[1].([]any)
	if !is && list[1] != nil || !scalar(list[0]) {
		j.unfit(p.Done, versionsShape)
		return
	}
	r := versionsRead{Pair: p, tokens: map[int64]any{}}
	m := of(list[0])
	for at, row := range rows {
		pair, is := row.([]any)
		if !is || len(pair) != 2 || !scalar(pair[1]) {
			j.unfit(p.Done, versionsShape)
			return
		}
		number, is := pair[0].(int64)
		if !is {
			j.unfit(p.Done, versionsShape)
			return
		}
		if number != int64(at)+1 {
			j.found("gap", entries(p), "%d reads number %d of model %s where %d belongs",
				p.Done.Index, number, text(list[0]), at+1)
			break
		}
		j.knownToken(p, begun, pair[1])
		j.oneToOne(list[0], m, version{pair[1], number, p.Done})
		r.tokens[number], r.last = pair[1], number
	}
	m.reads = append(m.reads, r)
}

// A token that is read was asked for, and not refused.
func (j *judgement) knownToken(p history.Pair, begun map[any]history.Pair, token any) {
	begin, is := begun[token]
	if !is {
		j.found("unexpected", entries(p), "%d reads token %s, which nobody created", p.Done.Index, text(token))
	} else if begin.Type() == history.Fail {
		j.found("failed-write-seen", entries(begin, p), "%d reads token %s, whose create %d failed",
			p.Done.Index, text(token), begin.Done.Index)
	}
}

// A number is higher than all that were acknowledged before it was asked for.
func (j *judgement) numbersInOrder(name any, m *modelVersions) {
	ended := make([]int, len(m.creates))
	for i := range ended {
		ended[i] = i
	}
	sort.Slice(ended, func(a, b int) bool {
		return m.creates[ended[a]].Done.Index < m.creates[ended[b]].Done.Index
	})
	highest, at := none, 0
	for i, p := range m.creates { // by invocation
		for at < len(ended) && m.creates[ended[at]].Done.Index < p.Begin.Index {
			if highest == none || m.numbers[ended[at]] > m.numbers[highest] {
				highest = ended[at]
			}
			at++
		}
		if highest != none && m.numbers[i] <= m.numbers[highest] {
			j.found("number-goes-back", entries(m.creates[highest], p),
				"%d has number %d of model %s, though %d had ended with %d before it began",
				p.Done.Index, m.numbers[i], text(name), m.creates[highest].Done.Index, m.numbers[highest])
		}
	}
}

// A linearizable read has what was acknowledged before it began; one of known revision, at any
// level, has what was acknowledged at or below it, and nothing above.
func (j *judgement) missingVersions(name any, m *modelVersions) {
	for _, r := range m.reads {
		revision, known := revisionOf(r.Pair)
		for i, p := range m.creates {
			number := m.numbers[i]
			_, there := r.tokens[number]
			created, isCreated := revisionOf(p)
			before := p.Done.Index < r.Begin.Index && linearizable(r.Pair) ||
				known && isCreated && created <= revision
			if before && !there {
				j.found("lost", entries(p, r.Pair), "%d lacks number %d of model %s, which %d had acknowledged",
					r.Done.Index, number, text(name), p.Done.Index)
				break
			}
			if there && known && isCreated && created > revision {
				j.found("from-the-future", entries(p, r.Pair),
					"%d has number %d of model %s at revision %d, though it was created at %d",
					r.Done.Index, number, text(name), revision, created)
			}
		}
	}
}
