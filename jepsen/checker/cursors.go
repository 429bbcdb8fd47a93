package checker

import "clade/jepsen/history"

const scanShape = "[[e ...] [e ...] ...]"

// Cursors checks that the pages of a scan, each from another node, fit together: one revision, each
// element once, and all that were there at that revision and no others.
func Cursors(h history.History) Verdict {
	j := judge("cursors", h)
	known := acknowledgedOf(h)
	elements := map[any]*presence{}
	tried := map[any]history.Pair{} // adds, by element; one that did not fail if there is one
	changes := j.pairs("add", "remove")
	for _, p := range changes {
		e := (answer{p}).value().Value
		if !scalar(e) {
			j.unfit(p.Begin, "an element")
			continue
		}
		if elements[e] == nil {
			elements[e] = &presence{}
		}
		if other, is := tried[e]; p.Begin.F == "add" && (!is || other.Type() == history.Fail) {
			tried[e] = p
		}
		revision, is := revisionOf(p)
		switch {
		case p.Type() == history.Info:
			elements[e].addPossible(known.before[p.Begin.Index], p.Begin.F == "add", p.Begin)
		case is:
			elements[e].add(revision, p.Begin.F == "add", false, p.Done)
		}
	}
	order := sortedAny(elements)
	scans, pages := 0, 0
	for _, p := range j.pairs("scan") {
		if p.Type() == history.Ok {
			scans++
			pages += j.scan(p, order, elements, tried)
		}
	}
	j.count("changes", len(changes))
	j.count("scans", scans)
	j.count("pages", pages)
	if scans == 0 {
		j.unknown("no scan was answered")
	}
	return j.end("%s of %s fit together", plural(scans, "scan"), plural(pages, "page"))
}

// Judges a scan; its number of pages.
func (j *judgement) scan(p history.Pair, order []any, elements map[any]*presence, tried map[any]history.Pair) int {
	pages, is := p.Done.Value.([]any)
	if !is {
		j.unfit(p.Done, scanShape)
		return 0
	}
	revision, known := revisionOf(p)
	if revisions, is := p.Done.Extra["revisions"].([]any); is {
		for _, r := range revisions {
			if known && r != revision {
				j.found("pages-of-two-revisions", entries(p), "%d is of revision %d, and one of its pages of %s",
					p.Done.Index, revision, text(r))
				break
			}
		}
	}
	there := map[any]bool{}
	for _, page := range pages {
		list, is := page.([]any)
		if !is && page != nil {
			j.unfit(p.Done, scanShape)
			return 0
		}
		for _, e := range list {
			if !scalar(e) {
				j.unfit(p.Done, scanShape)
				return 0
			}
			if there[e] {
				j.found("element-twice", entries(p), "%d has %s twice", p.Done.Index, text(e))
			}
			there[e] = true
			if _, is := tried[e]; !is {
				j.found("unexpected", entries(p), "%d has %s, which nobody added", p.Done.Index, text(e))
			}
		}
	}
	if !known {
		j.unknown("entry %d has no :revision", p.Done.Index)
		return len(pages)
	}
	for _, e := range order {
		was, by := elements[e].at(revision)
		if was == present && !there[e] {
			j.found("element-missing", append(entries(p), by), "%d lacks %s, which was there at revision %d",
				p.Done.Index, text(e), revision)
		} else if was == absent && there[e] {
			ops := append(entries(p), by)
			if add, is := tried[e]; is {
				ops = append(ops, entries(add)...)
			}
			j.found("element-too-many", ops, "%d has %s, which was not there at revision %d",
				p.Done.Index, text(e), revision)
		}
	}
	return len(pages)
}
