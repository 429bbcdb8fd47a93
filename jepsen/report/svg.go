package report

import (
	"fmt"
	"html"
	"math"
	"sort"
	"strings"

	"clade/jepsen/checker"
	"clade/jepsen/history"
)

// A chart over the time of a run, as SVG. Sizes are pixels; times nanoseconds.
type chart struct {
	b      strings.Builder
	title  string
	height float64 // of the plot
	end    int64   // the time at its right edge
	faults []checker.Fault
	strip  float64 // the height of the strip above it that names the faults
	bottom float64 // the value at its lower edge
	top    float64 // the value at its upper edge
	log    bool
}

const (
	plotLeft  = 64.0
	plotWidth = 860.0
	laneSize  = 13.0
	axisSize  = 22.0
)

func newChart(title string, height float64, end int64, faults []checker.Fault, bottom, top float64, log bool) *chart {
	c := &chart{title: title, height: height, end: end, faults: faults, bottom: bottom, top: top, log: log}
	if c.end <= 0 {
		c.end = 1
	}
	lanes := lanesOf(faults)
	for _, lane := range lanes {
		c.strip = math.Max(c.strip, float64(lane+1)*laneSize)
	}
	c.shade(lanes)
	c.axes()
	return c
}

func (c *chart) x(time int64) float64 {
	return plotLeft + plotWidth*float64(time)/float64(c.end)
}

func (c *chart) y(value float64) float64 {
	low, high := c.bottom, c.top
	if c.log {
		value, low, high = math.Log10(math.Max(value, c.bottom)), math.Log10(low), math.Log10(high)
	}
	share := (value - low) / (high - low)
	return c.strip + c.height*(1-math.Max(0, math.Min(1, share)))
}

// String is the chart as an element of a page.
func (c *chart) String() string {
	all := c.strip + c.height + axisSize
	return fmt.Sprintf(`<svg viewBox="0 0 %g %g" width="%g" height="%g" role="img"><title>%s</title>%s</svg>`,
		plotLeft+plotWidth+12, all, plotLeft+plotWidth+12, all, html.EscapeString(c.title), c.b.String())
}

func (c *chart) add(format string, args ...any) { fmt.Fprintf(&c.b, format, args...) }

// For each fault a lane in which nothing else is at that time.
func lanesOf(faults []checker.Fault) []int {
	var free []int64
	lanes := make([]int, len(faults))
	for i, f := range faults {
		lane := 0
		for lane < len(free) && free[lane] > f.Begin {
			lane++
		}
		if lane == len(free) {
			free = append(free, 0)
		}
		free[lane] = f.End
		lanes[i] = lane
	}
	return lanes
}

func (c *chart) shade(lanes []int) {
	for i, f := range c.faults {
		x, w := c.x(f.Begin), math.Max(1, c.x(f.End)-c.x(f.Begin))
		tip := html.EscapeString(fmt.Sprintf("%s, %s to %s %s", f.Name, seconds(f.Begin), seconds(f.End), f.What))
		c.add(`<rect class="shade" x="%.1f" y="%.1f" width="%.1f" height="%.1f"><title>%s</title></rect>`,
			x, c.strip, w, c.height, tip)
		c.add(`<rect class="fault" x="%.1f" y="%.1f" width="%.1f" height="%.1f"><title>%s</title></rect>`,
			x, float64(lanes[i])*laneSize, w, laneSize-2, tip)
		if room := int(w / 6.2); room >= 3 {
			c.add(`<text class="name" x="%.1f" y="%.1f">%s</text>`, x+2, float64(lanes[i])*laneSize+laneSize-4,
				html.EscapeString(clip(f.Name, room)))
		}
	}
}

func clip(s string, most int) string {
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "")
}

func (c *chart) axes() {
	bottom := c.strip + c.height
	step := niceStep(float64(c.end)/1e9, 12)
	for i := 0; float64(i)*step <= float64(c.end)/1e9; i++ {
		s := float64(i) * step
		x := c.x(int64(s * 1e9))
		c.add(`<line class="grid" x1="%.1f" x2="%.1f" y1="%.1f" y2="%.1f"/><text class="tick" x="%.1f" y="%.1f" text-anchor="middle">%.4g s</text>`,
			x, x, c.strip, bottom, x, bottom+15, s)
	}
	for _, v := range c.ticks() {
		y := c.y(v)
		c.add(`<line class="grid" x1="%.1f" x2="%.1f" y1="%.1f" y2="%.1f"/><text class="tick" x="%.1f" y="%.1f" text-anchor="end">%s</text>`,
			plotLeft, plotLeft+plotWidth, y, y, plotLeft-6, y+4, c.unit(v))
	}
}

func (c *chart) ticks() []float64 {
	var ticks []float64
	if c.log {
		for v := c.bottom; v <= c.top*1.001; v *= 10 {
			ticks = append(ticks, v)
		}
		return ticks
	}
	step := niceStep(c.top, 4)
	for i := 0; float64(i)*step <= c.top; i++ {
		ticks = append(ticks, float64(i)*step)
	}
	return ticks
}

func (c *chart) unit(v float64) string {
	if c.log {
		return fmt.Sprintf("%.4g ms", v)
	}
	return fmt.Sprintf("%.4g", v)
}

// 1, 2 or 5 times a power of ten, so that about n steps fill a range.
func niceStep(width float64, n float64) float64 {
	if width <= 0 {
		return 1
	}
	raw := width / n
	power := math.Pow(10, math.Floor(math.Log10(raw)))
	for _, times := range []float64{1, 2, 5, 10} {
		if times*power >= raw {
			return times * power
		}
	}
	return 10 * power
}

// --- what is drawn ----------------------------------------------------------------------------

// Dots, one for each cell of a pixel that has any.
func (c *chart) dots(class string, times []int64, values []float64) {
	seen := map[[2]int]bool{}
	var path strings.Builder
	for i := range times {
		x, y := c.x(times[i]), c.y(values[i])
		cell := [2]int{int(x), int(y)}
		if !seen[cell] {
			seen[cell] = true
			fmt.Fprintf(&path, "M%d %dh0", cell[0], cell[1])
		}
	}
	if path.Len() > 0 {
		c.add(`<path class="dots %s" d="%s"/>`, class, path.String())
	}
}

// A line through points; a negative value is a gap.
func (c *chart) line(class string, times []int64, values []float64) {
	var path strings.Builder
	pen := "M"
	for i := range times {
		if values[i] < 0 {
			pen = "M"
			continue
		}
		fmt.Fprintf(&path, "%s%.1f %.1f", pen, c.x(times[i]), c.y(values[i]))
		pen = "L"
	}
	if path.Len() > 0 {
		c.add(`<path class="line %s" d="%s"/>`, class, path.String())
	}
}

// An operation with the time that it took, in milliseconds.
type timed struct {
	end  int64
	took float64
	kind string
}

func timesOf(h history.History) []timed {
	var ops []timed
	for _, p := range h.Pairs() {
		if p.Done != nil {
			ops = append(ops, timed{p.Done.Time, float64(p.Done.Time-p.Begin.Time) / 1e6, p.Done.Type})
		}
	}
	sort.Slice(ops, func(a, b int) bool { return ops[a].end < ops[b].end })
	return ops
}

var kinds = []string{history.Ok, history.Fail, history.Info}

// The bounds of an axis of latencies: powers of ten around them.
func bounds(ops []timed) (low, high float64) {
	low, high = 1, 10
	for _, op := range ops {
		for op.took > high {
			high *= 10
		}
		for op.took > 0.001 && op.took < low {
			low /= 10
		}
	}
	return low, high
}

func latencies(ops []timed, end int64, faults []checker.Fault) string {
	low, high := bounds(ops)
	c := newChart("latency of each operation", 190, end, faults, low, high, true)
	for _, kind := range kinds {
		var times []int64
		var values []float64
		for _, op := range ops {
			if op.kind == kind {
				times = append(times, op.end)
				values = append(values, op.took)
			}
		}
		c.dots(kind, times, values)
	}
	return c.String()
}

// The run in windows, by the ends of operations.
func windows(ops []timed, end int64) (width int64, parts [][]timed) {
	const most = 172
	width = end/most + 1
	if least := int64(100e6); width < least {
		width = least
	}
	parts = make([][]timed, end/width+1)
	for _, op := range ops {
		if at := op.end / width; at < int64(len(parts)) {
			parts[at] = append(parts[at], op)
		}
	}
	return width, parts
}

// The middle of a window; the last one ends with the run.
func middle(i int, width, end int64) int64 {
	from, to := int64(i)*width, int64(i+1)*width
	if to > end {
		to = end
	}
	return (from + to) / 2
}

var quantiles = []struct {
	class string
	share float64
}{{"q50", 0.5}, {"q95", 0.95}, {"q99", 0.99}, {"q100", 1}}

func quantileLines(ops []timed, end int64, faults []checker.Fault) string {
	low, high := bounds(ops)
	c := newChart("quantiles of the latency of what succeeded: 0.5, 0.95, 0.99, 1", 150, end, faults, low, high, true)
	width, parts := windows(ops, end)
	for _, q := range quantiles {
		var times []int64
		var values []float64
		for i, part := range parts {
			var took []float64
			for _, op := range part {
				if op.kind == history.Ok {
					took = append(took, op.took)
				}
			}
			times = append(times, middle(i, width, end))
			values = append(values, quantile(took, q.share))
		}
		c.line(q.class, times, values)
	}
	return c.String()
}

// The smallest of values that a share of them does not exceed; -1 of none.
func quantile(values []float64, share float64) float64 {
	if len(values) == 0 {
		return -1
	}
	sort.Float64s(values)
	at := int(math.Ceil(share*float64(len(values)))) - 1
	if at < 0 {
		at = 0
	}
	return values[at]
}

func throughput(ops []timed, end int64, faults []checker.Fault) string {
	width, parts := windows(ops, end)
	rates := map[string][]float64{}
	var times []int64
	top := 1.0
	for i, part := range parts {
		times = append(times, middle(i, width, end))
		counts := map[string]int{}
		for _, op := range part {
			counts[op.kind]++
		}
		for _, kind := range kinds {
			rate := float64(counts[kind]) / (float64(2*(times[i]-int64(i)*width)+1) / 1e9)
			rates[kind] = append(rates[kind], rate)
			top = math.Max(top, rate)
		}
	}
	c := newChart("operations a second by how they ended", 120, end, faults, 0, top*1.05, false)
	for _, kind := range kinds {
		c.line(kind, times, rates[kind])
	}
	return c.String()
}

// The operations of an anomaly, a lane for each process, by the order of their entries.
func lanes(ops history.History) string {
	const row, step, left = 24.0, 70.0, 84.0
	place := map[int]int{}
	var order []int
	for _, op := range ops {
		if _, is := place[op.Process]; !is {
			place[op.Process] = 0
			order = append(order, op.Process)
		}
	}
	sort.Ints(order)
	for i, process := range order {
		place[process] = i
	}
	var b strings.Builder
	open := map[int]int{}
	bar := func(from, to int, op *history.Op) {
		y := float64(place[op.Process])*row + 4
		x, w := left+float64(from)*step, math.Max(10, float64(to-from)*step)
		fmt.Fprintf(&b, `<rect class="op %s" x="%.1f" y="%.1f" width="%.1f" height="%.1f"><title>%s</title></rect>`,
			op.Type, x, y, w, row-8, html.EscapeString(op.String()))
		what := fmt.Sprintf("%d %s %s", op.Index, op.F, history.EDN(op.Value))
		fmt.Fprintf(&b, `<text class="label" x="%.1f" y="%.1f">%s</text>`, x+4, y+row-13,
			html.EscapeString(clip(what, int(w/6.5))))
	}
	for i := range ops {
		op := &ops[i]
		switch {
		case op.Type == history.Invoke:
			open[op.Process] = i
		default:
			from, is := open[op.Process]
			if !is || op.Process == history.Nemesis {
				from = i
			}
			bar(from, i, op)
			delete(open, op.Process)
		}
	}
	for _, process := range order { // what never ended
		if from, is := open[process]; is {
			op := ops[from]
			op.Type = history.Info
			bar(from, len(ops), &op)
		}
	}
	for _, process := range order {
		name := fmt.Sprint("process ", process)
		if process == history.Nemesis {
			name = "nemesis"
		}
		fmt.Fprintf(&b, `<text class="tick" x="%.1f" y="%.1f" text-anchor="end">%s</text>`,
			left-6, float64(place[process])*row+row-9, name)
	}
	return fmt.Sprintf(`<svg viewBox="0 0 %g %g" width="%g" height="%g" role="img"><title>the operations of the anomaly</title>%s</svg>`,
		left+float64(len(ops)+1)*step, float64(len(order))*row+4, left+float64(len(ops)+1)*step,
		float64(len(order))*row+4, b.String())
}
