package main

import (
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"clade/jepsen/cluster"
	"clade/jepsen/history"
	"clade/jepsen/nemesis"
	"clade/jepsen/workload"
)

const (
	diskBytes   = 3 << 30
	repairLimit = 4 * time.Minute
	// After everything is whole again somebody is answered within this.
	availableLimit = 20 * time.Second
)

// campaign is one run.
type campaign struct {
	o       *options
	powers  cluster.Powers
	cluster *cluster.Cluster
	world   *nemesis.World
	plan    *nemesis.Schedule
	runs    []*workload.Run
	sinks   []*os.File
	begin   time.Time
	end     time.Time
	stop    chan struct{}
	stopped sync.Once

	mutex    sync.Mutex
	log      *os.File
	bad      []string // verdicts that are not good, a line each
	worst    time.Duration
	left     []string // faults that are not possible here
	episodes int
	stalls   stalls
}

func run(o *options, powers cluster.Powers) int {
	c := &campaign{o: o, powers: powers, begin: time.Now(), stop: make(chan struct{})}
	if err := c.prepare(); err != nil {
		fmt.Fprintln(os.Stderr, "jepsen:", err)
		if c.cluster != nil {
			c.cluster.Close()
		}
		return 2
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	go func() {
		<-signals
		c.say("interrupted")
		c.cluster.Close()
		c.removeDisks()
		os.Exit(130)
	}()
	err := c.disturb()
	if err != nil {
		c.fail("%v", err)
	}
	good := c.conclude()
	c.cluster.Close()
	if good && !o.keep {
		c.removeDisks()
	}
	if !good {
		return 1
	}
	return 0
}

func (c *campaign) prepare() error {
	o := c.o
	if o.out == "" {
		return fmt.Errorf("--out is missing")
	}
	out, err := filepath.Abs(o.out)
	if err != nil {
		return err
	}
	o.out = out
	if err := os.MkdirAll(filepath.Join(out, "nodes"), 0o755); err != nil {
		return err
	}
	if c.log, err = os.Create(filepath.Join(out, "log")); err != nil {
		return err
	}
	c.say("seed %d, %d nodes, %.1f minutes, in %s", o.seed, o.nodes, o.minutes, out)
	if !c.powers.Net || !c.powers.Disk {
		c.say("a smaller set of faults: network %v, disks %v (%s)", c.powers.Net, c.powers.Disk, c.powers.Why)
	}
	var kinds []nemesis.Kind
	if o.nemeses != "none" {
		if kinds, c.left, err = nemesis.Choose(o.nemeses, c.powers, o.short); err != nil {
			return err
		}
	}
	c.cluster, err = cluster.New(cluster.Options{Nodes: o.nodes, Folder: filepath.Join(out, "nodes"),
		Claded: o.claded, Shim: o.shim, DiskBytes: diskBytes, Port: c.port(), Log: c.say}, c.powers)
	if err != nil {
		return err
	}
	if err := c.cluster.Start(60 * time.Second); err != nil {
		return err
	}
	c.world = nemesis.NewWorld(c.cluster, o.seed, c.say)
	if len(kinds) > 0 {
		c.plan = nemesis.NewSchedule(kinds, c.world.Rand)
	}
	return c.prepareWorkloads()
}

// port is where nodes listen: any in a network of our own, else one that is likely to be free.
func (c *campaign) port() int {
	if c.powers.Net {
		return 7400
	}
	return 10000 + os.Getpid()%10000*2
}

func (c *campaign) prepareWorkloads() error {
	names := strings.Split(c.o.workloads, ",")
	if c.o.workloads == "all" {
		names = workload.Names()
	}
	for _, name := range names {
		sink, err := os.Create(filepath.Join(c.o.out, name+".edn"))
		if err != nil {
			return err
		}
		r, err := workload.New(name, c.cluster, history.NewRecorder(sink), c.o.seed, c.o.threads)
		if err != nil {
			return err
		}
		c.sinks = append(c.sinks, sink)
		c.runs = append(c.runs, r)
		if err := r.Setup(); err != nil {
			return err
		}
	}
	return nil
}

// say writes a line of what happens, to the log and the terminal.
func (c *campaign) say(format string, args ...any) {
	line := fmt.Sprintf("%7.2f  %s", time.Since(c.begin).Seconds(), fmt.Sprintf(format, args...))
	c.mutex.Lock()
	defer c.mutex.Unlock()
	fmt.Println(line)
	if c.log != nil {
		fmt.Fprintln(c.log, line)
	}
}

// fail notes a verdict that is not good.
func (c *campaign) fail(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	c.mutex.Lock()
	c.bad = append(c.bad, text)
	c.mutex.Unlock()
	c.say("BAD: %s", text)
}

// mark records a nemesis operation in every history.
func (c *campaign) mark(f string, value any) {
	for _, r := range c.runs {
		r.Recorder.Nemesis(f, value)
	}
}

func (c *campaign) disturb() error {
	go c.stalls.watch()
	for _, r := range c.runs {
		r.Start()
	}
	defer func() {
		for _, r := range c.runs {
			r.Stop()
		}
	}()
	c.end = time.Now().Add(time.Duration(c.o.minutes * float64(time.Minute)))
	c.pause(time.Second)
	for time.Now().Before(c.end) {
		if c.plan == nil {
			c.pause(time.Until(c.end))
			break
		}
		if err := c.episode(); err != nil {
			return err
		}
		if len(c.cluster.Violations()) > 0 {
			return fmt.Errorf("a node did what it may not")
		}
	}
	return nil
}

func (c *campaign) pause(d time.Duration) {
	select {
	case <-time.After(d):
	case <-c.stop:
	}
}

// episode is one fault, or two, from begin to order restored.
func (c *campaign) episode() error {
	numbers := c.plan.Next()
	hold := c.hold()
	c.episodes++
	for _, i := range numbers {
		kind := c.plan.Kind(i)
		c.mark("start-"+kind.Name, nil)
		what, err := c.plan.Fault(i).Begin(c.world)
		if err != nil {
			return fmt.Errorf("%s: %w", kind.Name, err)
		}
		c.mark("start-"+kind.Name, what)
		c.say("%s: %s", kind.Name, what)
		c.pause(time.Duration(c.world.Rand.Int63n(int64(hold) / 4)))
	}
	c.pause(hold/4 + time.Duration(c.world.Rand.Int63n(int64(hold)*3/4)))
	for _, i := range numbers {
		kind := c.plan.Kind(i)
		c.mark("stop-"+kind.Name, nil)
		if err := c.plan.Fault(i).End(c.world); err != nil {
			return fmt.Errorf("%s: %w", kind.Name, err)
		}
		c.mark("stop-"+kind.Name, nil)
	}
	return c.restore(numbers)
}

// hold is how long a fault lasts at most: shorter where the run would else end before each kind had
// its turn. Half of an episode goes into order being restored.
func (c *campaign) hold() time.Duration {
	left := c.plan.Kinds() - c.episodes
	if left <= 0 {
		return c.o.hold
	}
	share := time.Until(c.end) / time.Duration(left) / 2
	if share > c.o.hold {
		return c.o.hold
	}
	if share < 500*time.Millisecond {
		return 500 * time.Millisecond
	}
	return share
}

// restore brings the cluster back to order, and measures how long nobody was answered.
func (c *campaign) restore(numbers []int) error {
	healed := time.Now()
	answered := make(chan time.Duration, 1)
	go c.watchAnswers(healed, answered)
	if err := c.cluster.Repair(repairLimit); err != nil {
		return fmt.Errorf("the cluster does not come back: %w", err)
	}
	for _, i := range numbers {
		if err := nemesis.Settle(c.plan.Fault(i), c.world); err != nil {
			return fmt.Errorf("%s: %w", c.plan.Kind(i).Name, err)
		}
	}
	took := <-answered
	if took > c.worst {
		c.worst = took
	}
	if took > availableLimit+c.stalls.since(healed) {
		c.fail("nobody was answered for %v after all was healed", took)
	}
	c.pause(300 * time.Millisecond)
	return nil
}

// watchAnswers says after how long the first operation that began after an instant succeeded.
func (c *campaign) watchAnswers(since time.Time, to chan<- time.Duration) {
	for time.Since(since) < availableLimit+c.stalls.since(since)+time.Second {
		for _, r := range c.runs {
			if at := r.LastGood(); at.After(since) {
				to <- time.Since(since)
				return
			}
		}
		time.Sleep(5 * time.Millisecond)
	}
	to <- time.Since(since)
}

func (c *campaign) removeDisks() {
	_ = os.RemoveAll(filepath.Join(c.o.out, "nodes"))
}
