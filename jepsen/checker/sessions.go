package checker

import (
	"sort"

	"clade/jepsen/history"
)

const openShape = "[session lease_ms]"
const sessionShape = "[session seq token id]"

// What is known of a session.
type session struct {
	lease  int64        // milliseconds; 0 while it is not known
	use    history.Pair // the acknowledged use that began last, of those that have ended
	closes *history.Op  // the first invocation of a close
	over   *history.Op  // the completion that first showed it closed or expired
	writes map[int64]*sessionWrite
}

// A write of a session, with all its repeats.
type sessionWrite struct {
	token        any
	first        history.Pair
	sent         int  // how often
	failed       int  // how many of those had no effect
	overlaps     bool // sent again before the first had ended
	acknowledged bool
}

type sessions struct {
	j            *judgement
	byID         map[any]*session
	tokens       *tokens
	acknowledged []acknowledgedToken
	refused      map[any]history.Pair
	expired      int
}

// Sessions checks that a write happens once under its session and number, or is refused because the
// session is over and then never happens; that a session that was over does not come back; and that
// none is over before its lease is, whatever the time of day is said to be.
func Sessions(h history.History) Verdict {
	j := judge("sessions", h)
	s := &sessions{
		j: j, byID: map[any]*session{}, tokens: j.tokens(), refused: map[any]history.Pair{},
	}
	pairs, reads := j.pairs("open", "create", "close"), j.pairs("read")
	creates, repeats := 0, 0
	for _, p := range pairs {
		switch p.Begin.F {
		case "create":
			creates++
			repeats += s.begun(p)
		case "close":
			if known := s.of(p.Begin.Value, p); known != nil && known.closes == nil {
				known.closes = p.Begin
			}
		}
	}
	sort.SliceStable(pairs, func(a, b int) bool { return endOf(pairs[a]) < endOf(pairs[b]) })
	for _, p := range pairs {
		s.ended(p)
	}
	for _, p := range reads {
		if p.Type() == history.Ok {
			s.tokens.read(p, s.acknowledged, s.refused)
			j.count("reads", 1)
		}
	}
	j.count("sessions", len(s.byID))
	j.count("creates", creates)
	j.count("repeats", repeats)
	j.count("refused", s.expired)
	if j.verdict.Counts["reads"] == 0 {
		j.unknown("no read was answered")
	}
	return j.end("%s in %s happened once each, or were refused (%d)",
		plural(creates, "create"), plural(len(s.byID), "session"), s.expired)
}

func (s *sessions) of(id any, p history.Pair) *session {
	if !scalar(id) || id == nil {
		s.j.unfit(p.Begin, "of a session")
		return nil
	}
	known := s.byID[id]
	if known == nil {
		known = &session{writes: map[int64]*sessionWrite{}}
		s.byID[id] = known
	}
	return known
}

// The write that a create is, and its session; nil if its value is none.
func (s *sessions) write(p history.Pair) (*session, *sessionWrite) {
	list := s.j.tuple(p.Begin, 4, sessionShape)
	if list == nil {
		return nil, nil
	}
	number, is := list[1].(int64)
	known := s.of(list[0], p)
	if !is || known == nil || !scalar(list[2]) {
		s.j.unfit(p.Begin, sessionShape)
		return nil, nil
	}
	w := known.writes[number]
	if w == nil {
		w = &sessionWrite{token: list[2], first: p}
		known.writes[number] = w
	}
	if w.token != list[2] {
		s.j.unknown("%d and %d have one session and number, and different tokens", w.first.Begin.Index, p.Begin.Index)
	}
	return known, w
}

// Takes the invocation of a create; 1 if it is a repeat.
func (s *sessions) begun(p history.Pair) int {
	_, w := s.write(p)
	if w == nil {
		return 0
	}
	s.tokens.begun[w.token] = w.first
	w.sent++
	if w.first.Begin == p.Begin {
		return 0
	}
	w.overlaps = w.overlaps || endOf(w.first) > p.Begin.Index
	return 1
}

// Takes a completion; they come in order.
func (s *sessions) ended(p history.Pair) {
	if p.Done == nil {
		return
	}
	var known *session
	var w *sessionWrite
	switch p.Begin.F {
	case "open":
		if p.Type() != history.Ok {
			return
		}
		list := s.j.tuple(p.Done, 2, openShape)
		if list == nil {
			return
		}
		if known = s.of(list[0], p); known != nil {
			known.lease, _ = list[1].(int64)
		}
	case "create":
		known, w = s.write(p)
	case "close":
		known = s.of(p.Begin.Value, p)
	}
	if known == nil {
		return
	}
	switch {
	case p.Type() == history.Ok:
		s.answered(p, known, w)
	case errorClass(p.Done) == "SESSION_EXPIRED":
		s.refusedAsOver(p, known)
	}
	if w == nil || p.Type() != history.Fail {
		return
	}
	// Refused for good: the session was over at its first sending, or no sending had an effect.
	w.failed++
	over := errorClass(p.Done) == "SESSION_EXPIRED" && w.first.Begin == p.Begin && !w.overlaps
	if over || w.failed == w.sent {
		s.refused[w.token] = p
	}
}

func (s *sessions) answered(p history.Pair, known *session, w *sessionWrite) {
	if over := known.over; over != nil && over.Index < p.Begin.Index && p.Begin.F == "create" {
		s.j.found("used-after-its-end", append(entries(p), over),
			"%d is acknowledged under a session that %d had shown to be over", p.Done.Index, over.Index)
	}
	if p.Begin.F == "close" {
		if known.over == nil {
			known.over = p.Done
		}
		return
	}
	if known.use.Begin == nil || known.use.Begin.Index < p.Begin.Index {
		known.use = p
	}
	if w == nil {
		return
	}
	list := s.j.tuple(p.Done, 4, sessionShape)
	if list == nil {
		return
	}
	if !scalar(list[3]) || list[3] == nil {
		s.j.unfit(p.Done, sessionShape)
		return
	}
	s.tokens.show(w.token, list[3], p.Done)
	if !w.acknowledged {
		w.acknowledged = true
		revision, is := p.Done.Int("revision")
		s.acknowledged = append(s.acknowledged, acknowledgedToken{p, w.token, revision, is})
	}
}

// A session that ended though nobody closed it has outlived its lease since its last use.
func (s *sessions) refusedAsOver(p history.Pair, known *session) {
	s.expired++
	if known.over != nil {
		return
	}
	known.over = p.Done
	use := known.use
	if known.lease == 0 || use.Begin == nil || use.Done.Index > p.Begin.Index {
		return
	}
	if known.closes != nil && known.closes.Index < p.Done.Index {
		return
	}
	if passed := p.Done.Time - use.Begin.Time; passed < known.lease*1e6 {
		s.j.found("expired-early", entries(use, p), "%d is refused %d ms after the use %d began, under a lease of %d ms",
			p.Done.Index, passed/1e6, use.Begin.Index, known.lease)
	}
}
