package checker

import (
	"sort"

	"clade/jepsen/history"
)

const transferShape = "{:from a :to b :amount n}"

// A move of an amount between two accounts.
type transfer struct {
	history.Pair
	from, to any
	amount   int64
	revision int64
}

// What every account held at a revision.
type balances struct {
	history.Pair
	held     map[any]int64
	revision int64
	known    bool
}

// Bank checks that every read, at whatever level and revision, has the same total and no account
// below zero, and that between two reads nothing moved but what transfers moved.
func Bank(h history.History) Verdict {
	j := judge("bank", h)
	var reads []balances
	for _, p := range j.pairs("read") {
		if b, is := j.balances(p); is {
			reads = append(reads, b)
		}
	}
	for _, b := range reads {
		j.total(b, reads[0])
		if len(b.held) != len(reads[0].held) {
			j.found("accounts", entries(reads[0].Pair, b.Pair), "%d has %s and %d has %s", reads[0].Done.Index,
				plural(len(reads[0].held), "account"), b.Done.Index, plural(len(b.held), "account"))
		}
	}
	transfers := j.pairs("transfer")
	j.moves(reads, transfers)
	j.count("reads", len(reads))
	j.count("transfers", len(transfers))
	if len(reads) == 0 {
		j.unknown("no read was answered")
	}
	return j.end("the total is the same in %s between %s", plural(len(reads), "read"), plural(len(transfers), "transfer"))
}

func (j *judgement) balances(p history.Pair) (balances, bool) {
	if p.Type() != history.Ok {
		return balances{}, false
	}
	b := balances{Pair: p, held: map[any]int64{}}
	b.revision, b.known = p.Done.Int("revision")
	if asked, is := p.Done.Int("as_of"); is {
		b.revision, b.known = asked, true
	}
	add := func(account, value any) bool {
		held, is := value.(int64)
		b.held[account] = held
		return is
	}
	fit := true
	switch m := p.Done.Value.(type) {
	case map[string]any:
		for account, value := range m {
			fit = add(account, value) && fit
		}
	case map[any]any:
		for account, value := range m {
			fit = add(account, value) && fit
		}
	default:
		fit = false
	}
	if !fit {
		j.unfit(p.Done, "{account balance ...}")
	}
	return b, fit
}

func (b *balances) total() int64 {
	sum := int64(0)
	for _, held := range b.held {
		sum += held
	}
	return sum
}

func (j *judgement) total(b, first balances) {
	want, is := b.Done.Int("total")
	if !is {
		want = first.total()
	}
	if sum := b.total(); sum != want {
		j.found("wrong-total", entries(b.Pair), "%d reads a total of %d instead of %d", b.Done.Index, sum, want)
	}
	for _, account := range sortedAny(b.held) {
		if b.held[account] < 0 {
			j.found("below-zero", entries(b.Pair), "%d reads %d in account %s", b.Done.Index, b.held[account], text(account))
		}
	}
}

// Between two reads' revisions the accounts change by the transfers acknowledged in between, and by
// some of those of unknown outcome.
func (j *judgement) moves(reads []balances, pairs []history.Pair) {
	var known []balances
	for _, b := range reads {
		if b.known {
			known = append(known, b)
		}
	}
	if len(known) == 0 {
		return
	}
	sort.SliceStable(known, func(a, b int) bool { return known[a].revision < known[b].revision })
	sure, maybe := j.transfers(pairs, known[0].revision)
	acknowledged := acknowledgedOf(j.h)
	base := known[0]
	rest := map[any]int64{} // what the acknowledged transfers leave in each account
	for account, held := range base.held {
		rest[account] = held
	}
	at := 0
	for _, b := range known[1:] {
		for at < len(sure) && sure[at].revision <= b.revision {
			rest[sure[at].from] -= sure[at].amount
			rest[sure[at].to] += sure[at].amount
			at++
		}
		var possible []transfer
		for _, t := range maybe {
			if acknowledged.before[t.Begin.Index] < b.revision {
				possible = append(possible, t)
			}
		}
		if explained, decided := explains(rest, b.held, possible); !decided {
			j.count("reads not compared, too many transfers of unknown outcome", 1)
		} else if !explained {
			j.found("wrong-balance", entries(base.Pair, b.Pair),
				"from revision %d (read by %d) to %d (read by %d) the accounts changed by more than the transfers",
				base.revision, base.Done.Index, b.revision, b.Done.Index)
			return
		}
	}
}

// The acknowledged transfers above a revision, by revision, and those of unknown outcome.
func (j *judgement) transfers(pairs []history.Pair, above int64) (sure, maybe []transfer) {
	for _, p := range pairs {
		m, is := answer{p}.value().Value.(map[string]any)
		amount, isAmount := m["amount"].(int64)
		if !is || !isAmount || !scalar(m["from"]) || !scalar(m["to"]) {
			j.unfit(p.Begin, transferShape)
			continue
		}
		t := transfer{Pair: p, from: m["from"], to: m["to"], amount: amount}
		if p.Type() == history.Info {
			maybe = append(maybe, t)
		} else if revision, is := revisionOf(p); is && revision > above {
			t.revision = revision
			sure = append(sure, t)
		}
	}
	sort.SliceStable(sure, func(a, b int) bool { return sure[a].revision < sure[b].revision })
	return sure, maybe
}

// Whether some of the transfers lead from one state of the accounts to another; undecided after
// many steps of searching.
func explains(from, to map[any]int64, maybe []transfer) (explained, decided bool) {
	gap := map[any]int64{}
	open := 0
	for account, held := range to {
		if gap[account] = held - from[account]; gap[account] != 0 {
			open++
		}
	}
	steps := 200_000
	var search func(at int) bool
	search = func(at int) bool {
		if open == 0 {
			return true
		}
		if steps--; at == len(maybe) || steps < 0 {
			return false
		}
		change := func(account any, amount int64) {
			was := gap[account] != 0
			gap[account] += amount
			if is := gap[account] != 0; is && !was {
				open++
			} else if was && !is {
				open--
			}
		}
		t := maybe[at]
		change(t.from, t.amount)
		change(t.to, -t.amount)
		if search(at + 1) {
			return true
		}
		change(t.from, -t.amount)
		change(t.to, t.amount)
		return search(at + 1)
	}
	explained = search(0)
	return explained, explained || steps >= 0
}
