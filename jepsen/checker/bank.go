package checker

import (
	"fmt"
	"sort"
	"strings"

	"clade/jepsen/history"
)

const transferShape = "{:from a :to b :amount n}"

// A move of an amount between two accounts.
type transfer struct {
	history.Pair
	from, to any
	amount   int64
	revision int64 // of one of unknown outcome: above which it may have happened
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
	at := 0
	for i := 1; i < len(known); i++ {
		a, b := &known[i-1], &known[i]
		gap := map[any]int64{} // what the acknowledged transfers leave to be explained
		for account, held := range b.held {
			gap[account] = held - a.held[account]
		}
		for ; at < len(sure) && sure[at].revision <= b.revision; at++ {
			sure[at].move(gap, -1)
		}
		var possible []transfer
		for _, t := range maybe {
			if t.revision < b.revision && a.revision < b.revision {
				possible = append(possible, t)
			}
		}
		if explained, all := explains(gap, possible); explained {
			continue
		} else if !all {
			j.unknown("from %d to %d the accounts changed by more than the transfers and a few of unknown outcome",
				a.Done.Index, b.Done.Index)
			continue
		}
		j.found("wrong-balance", entries(a.Pair, b.Pair),
			"from revision %d (read by %d) to %d (read by %d) the accounts changed by more than the transfers",
			a.revision, a.Done.Index, b.revision, b.Done.Index)
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
	known := acknowledgedOf(j.h)
	for i := range maybe {
		maybe[i].revision = known.before[maybe[i].Begin.Index]
	}
	sort.SliceStable(sure, func(a, b int) bool { return sure[a].revision < sure[b].revision })
	return sure, maybe
}

// Of the transfers of unknown outcome, any of so many that began last are tried together, and with
// up to two earlier ones.
const recentMax = 12

// Whether some of the transfers add up to a change of the accounts, and whether all ways were tried.
func explains(change map[any]int64, maybe []transfer) (explained, all bool) {
	if sumName(change) == "" {
		return true, true
	}
	earlier := len(maybe) - recentMax
	if earlier < 0 {
		earlier = 0
	}
	sums := map[string]bool{}
	addSums(sums, map[any]int64{}, maybe[earlier:])
	if sums[sumName(change)] {
		return true, true
	}
	for a := 0; a < earlier; a++ {
		maybe[a].move(change, -1)
		if sums[sumName(change)] {
			return true, true
		}
		for b := a + 1; b < earlier; b++ {
			maybe[b].move(change, -1)
			if sums[sumName(change)] {
				return true, true
			}
			maybe[b].move(change, 1)
		}
		maybe[a].move(change, 1)
	}
	return false, earlier <= 2
}

// Moves a multiple of the amount.
func (t *transfer) move(accounts map[any]int64, times int64) {
	accounts[t.from] -= times * t.amount
	accounts[t.to] += times * t.amount
}

// Adds the names of what any of the transfers make of the accounts.
func addSums(sums map[string]bool, accounts map[any]int64, maybe []transfer) {
	if len(maybe) == 0 {
		sums[sumName(accounts)] = true
		return
	}
	addSums(sums, accounts, maybe[1:])
	maybe[0].move(accounts, 1)
	addSums(sums, accounts, maybe[1:])
	maybe[0].move(accounts, -1)
}

// A change of accounts in words, equal for equal ones; empty if nothing changes.
func sumName(accounts map[any]int64) string {
	var parts []string
	for account, n := range accounts {
		if n != 0 {
			parts = append(parts, fmt.Sprint(account, "=", n))
		}
	}
	sort.Strings(parts)
	return strings.Join(parts, " ")
}
