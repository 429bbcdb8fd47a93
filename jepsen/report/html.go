package report

import (
	"html/template"
	"io"
	"sort"

	"clade/jepsen/checker"
	"clade/jepsen/history"
)

// HTML writes the report as one page that needs nothing beside it.
func (r *Run) HTML(w io.Writer) error {
	p := page{Run: r, Valid: r.Valid(), Own: verdictViews(r.own())}
	var all []timed
	var end int64
	var faults []checker.Fault
	for i := range r.Workloads {
		wl := &r.Workloads[i]
		ops := timesOf(wl.History)
		last := endOf(wl.History)
		if last > end {
			end = last
		}
		all = append(all, ops...)
		if f := checker.Faults(wl.History); len(f) > len(faults) {
			faults = f // all histories have the same ones
		}
		p.Views = append(p.Views, workloadView{
			Name: wl.Name, Valid: checker.Worst(wl.Verdicts), Tally: tally(wl.History), Entries: len(wl.History),
			Verdicts: verdictViews(wl.Verdicts), Charts: charts(ops, last, checker.Faults(wl.History)),
		})
	}
	sort.Slice(all, func(a, b int) bool { return all[a].end < all[b].end })
	p.Operations, p.Episodes = len(all), episodes(faults)
	for _, op := range all {
		switch op.kind {
		case history.Ok:
			p.Ok++
		case history.Fail:
			p.Fail++
		default:
			p.Unknown++
		}
	}
	if len(r.Workloads) > 1 {
		p.Charts = charts(all, end, faults)
	}
	return pageTemplate.Execute(w, &p)
}

func endOf(h history.History) int64 {
	if len(h) == 0 {
		return 0
	}
	return h[len(h)-1].Time
}

type page struct {
	*Run
	Valid                         checker.Validity
	Views                         []workloadView
	Own                           []verdictView
	Charts                        []figure
	Episodes                      []episode
	Operations, Ok, Fail, Unknown int
}

type workloadView struct {
	Name     string
	Valid    checker.Validity
	Tally    string
	Entries  int
	Verdicts []verdictView
	Charts   []figure
}

// A chart with what it shows.
type figure struct {
	Caption string
	SVG     template.HTML
}

// A fault with its times in words.
type episode struct {
	Name, Begin, End, What string
}

type verdictView struct {
	checker.Verdict
	Names   []string // of the counts
	Details []anomalyView
}

type anomalyView struct {
	checker.Anomaly
	Lanes template.HTML
	Lines []string
}

// An entry of an anomaly is shown to this length: some are reads of a whole store.
const entryMax = 4000

func verdictViews(verdicts []checker.Verdict) []verdictView {
	var views []verdictView
	for _, v := range verdicts {
		view := verdictView{Verdict: v}
		for name := range v.Counts {
			view.Names = append(view.Names, name)
		}
		sort.Strings(view.Names)
		for _, a := range v.Anomalies {
			d := anomalyView{Anomaly: a}
			if len(a.Ops) > 0 {
				d.Lanes = template.HTML(lanes(a.Ops))
			}
			for _, op := range a.Ops {
				d.Lines = append(d.Lines, shorten(op.String(), entryMax))
			}
			view.Details = append(view.Details, d)
		}
		views = append(views, view)
	}
	return views
}

// The parts of a chart are numbers, names of classes, and text that was escaped.
func charts(ops []timed, end int64, faults []checker.Fault) []figure {
	if len(ops) == 0 {
		return nil
	}
	return []figure{
		{"latency of each operation, by its end", template.HTML(latencies(ops, end, faults))},
		{"quantiles of the latency of what succeeded: 0.5, 0.95, 0.99 and the longest",
			template.HTML(quantileLines(ops, end, faults))},
		{"operations a second, by how they ended", template.HTML(throughput(ops, end, faults))},
	}
}

func episodes(faults []checker.Fault) []episode {
	var list []episode
	for _, f := range faults {
		list = append(list, episode{f.Name, seconds(f.Begin), seconds(f.End), f.What})
	}
	return list
}

var pageTemplate = template.Must(template.New("page").Parse(`<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{.Title}}: {{.Valid}}</title>
<style>
:root { --ink: #1c2330; --soft: #5d6778; --line: #d9dee6; --page: #ffffff; --panel: #f5f7fa;
  --ok: #2f6fbb; --fail: #d08a1d; --info: #b3261e; --good: #1f7a4d; --fault: #8a5fb0; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ef; --soft: #9aa4b5; --line: #333b49; --page: #151922;
  --panel: #1d232e; --ok: #6aa5ea; --fail: #e5ab4e; --info: #ef7a70; --good: #58bd8a; --fault: #b58fd6; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--page); max-width: 1000px;
  margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin: 0 0 .3rem; } h2 { font-size: 1.2rem; margin: 2rem 0 .4rem; }
h3 { font-size: 1rem; margin: 1rem 0 .2rem; }
code, pre { font: 12.5px/1.45 ui-monospace, monospace; } pre { background: var(--panel); padding: .6rem .8rem;
  overflow-x: auto; border-radius: 6px; white-space: pre-wrap; word-break: break-all; }
table { border-collapse: collapse; width: 100%; } td, th { text-align: left; padding: .25rem .6rem .25rem 0;
  border-bottom: 1px solid var(--line); vertical-align: top; } td.n { text-align: right; white-space: nowrap; }
.chip { display: inline-block; min-width: 4.6rem; text-align: center; border-radius: 4px; padding: 0 .4rem;
  color: var(--page); font-weight: 600; font-size: .8rem; line-height: 1.5rem; }
.true { background: var(--good); } .false { background: var(--info); } .unknown { background: var(--fail); }
.soft { color: var(--soft); } svg { display: block; max-width: 100%; height: auto; margin: .5rem 0; }
.legend span { margin-right: 1.2rem; } .legend b { display: inline-block; width: .8rem; height: .8rem;
  border-radius: 2px; margin-right: .35rem; vertical-align: -1px; }
.grid { stroke: var(--line); stroke-width: 1; } .tick { fill: var(--soft); font: 11px system-ui, sans-serif; }
.shade { fill: var(--fault); opacity: .1; } .fault { fill: var(--fault); opacity: .55; }
.name { fill: var(--ink); font: 10px system-ui, sans-serif; }
.dots { stroke-width: 2.2; stroke-linecap: round; opacity: .75; fill: none; } .line { fill: none; stroke-width: 1.5; }
path.ok, path.q50 { stroke: var(--ok); } path.fail, path.q95 { stroke: var(--fail); }
path.info, path.q100 { stroke: var(--info); } path.q99 { stroke: var(--fault); }
.op { opacity: .3; } rect.ok { fill: var(--ok); } rect.fail { fill: var(--fail); } rect.info { fill: var(--info); }
.label { fill: var(--ink); font: 11px system-ui, sans-serif; }
details { border: 1px solid var(--line); border-radius: 6px; padding: .4rem .8rem; margin: .5rem 0; }
summary { cursor: pointer; } .anomaly { border-left: 3px solid var(--info); padding-left: .8rem; margin: .8rem 0; }
figure { margin: .8rem 0; } figcaption { color: var(--soft); font-size: .9rem; }
.scroll { overflow-x: auto; } .scroll svg { max-width: none; }
</style>
</head>
<body>
<h1>{{.Title}}</h1>
<p><span class="chip {{.Valid}}">{{template "word" .Valid}}</span>
{{.Operations}} operations: {{.Ok}} ok, {{.Fail}} failed, {{.Unknown}} of unknown outcome</p>
{{if .Facts}}<table>{{range .Facts}}<tr><th>{{.Name}}</th><td>{{.Value}}</td></tr>{{end}}</table>{{end}}
{{if .Command}}<p class="soft">To run it again:</p><pre>{{.Command}}</pre>{{end}}
<h2>Verdicts</h2>
<table>
{{range $w := .Views}}{{range .Verdicts}}<tr><td>{{if eq $w.Entries 0}}{{$w.Name}}{{else}}<a href="#{{$w.Name}}">{{$w.Name}}</a>{{end}}</td>
<td><span class="chip {{.Valid}}">{{template "word" .Valid}}</span></td><td>{{.Checker}}</td><td>{{.Sentence}}</td></tr>
{{end}}{{end}}{{range .Own}}<tr><td>cluster</td><td><span class="chip {{.Valid}}">{{template "word" .Valid}}</span></td>
<td>{{.Checker}}</td><td>{{.Sentence}}</td></tr>
{{end}}</table>
{{if .Faults}}<h2>Faults</h2>
<table><tr><th>fault</th><th>hits</th><th>what is counted</th></tr>
{{range .Faults}}<tr><td>{{.Name}}</td><td class="n">{{.Hits}}</td><td>{{.What}}</td></tr>
{{end}}</table>{{end}}
{{if .Episodes}}<details><summary>the faults one by one ({{len .Episodes}})</summary><table>
{{range .Episodes}}<tr><td>{{.Name}}</td><td class="n">{{.Begin}}</td><td class="n">{{.End}}</td><td>{{.What}}</td></tr>
{{end}}</table></details>{{end}}
{{if .Charts}}<h2>All workloads</h2>{{template "legend"}}{{range .Charts}}<figure><figcaption>{{.Caption}}</figcaption>{{.SVG}}</figure>{{end}}{{end}}
{{range .Own}}{{template "anomalies" .}}{{end}}
{{$many := .Charts}}
{{range .Views}}<h2 id="{{.Name}}">{{.Name}} <span class="chip {{.Valid}}">{{template "word" .Valid}}</span></h2>
<p class="soft">{{.Tally}}</p>
{{range .Verdicts}}{{template "anomalies" .}}{{end}}
<details {{if not $many}}open{{end}}><summary>latency and throughput</summary>{{template "legend"}}{{range .Charts}}<figure><figcaption>{{.Caption}}</figcaption>{{.SVG}}</figure>{{end}}</details>
<details><summary>counts</summary><table>{{range $v := .Verdicts}}{{range .Names}}<tr><td>{{$v.Checker}}</td>
<td>{{.}}</td><td class="n">{{index $v.Counts .}}</td></tr>{{end}}{{end}}</table></details>
{{end}}
</body>
</html>
{{define "word"}}{{if eq . "true"}}good{{else if eq . "false"}}wrong{{else}}unknown{{end}}{{end}}
{{define "legend"}}<p class="legend soft"><span><b style="background:var(--ok)"></b>ok; quantile 0.5</span>
<span><b style="background:var(--fail)"></b>failed; 0.95</span><span><b style="background:var(--fault)"></b>a fault; 0.99</span>
<span><b style="background:var(--info)"></b>unknown outcome; the longest</span></p>{{end}}
{{define "anomalies"}}{{range .Details}}<div class="anomaly"><h3>{{.Kind}}</h3><p>{{.Sentence}}</p>
{{if .Lines}}<div class="scroll">{{.Lanes}}</div><pre>{{range .Lines}}{{.}}
{{end}}</pre>{{end}}</div>{{end}}{{end}}
`))
