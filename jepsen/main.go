// Command jepsen runs workloads against real clusters of claded under faults, and judges what was
// answered. jepsen/run builds and starts it; README.md says what it promises.
package main

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"time"

	"clade/jepsen/cluster"
	"clade/jepsen/nemesis"
	"clade/jepsen/workload"
)

const usage = `usage: jepsen/run [--minutes N] [--workload all|NAMES] [--nemesis all|NAMES] [--seed S] [--out DIR]
                  [--nodes N] [--threads N] [--hold SECONDS] [--keep]

  --minutes    how long faults go on; 0 is the short form of tests/run
  --workload   names with commas between them; all run at once, on one cluster
  --nemesis    names, or their beginnings (kill, partition, flip), or "none"
  --seed       of the random choices; the order of events in real processes is not repeated
  --out        where histories, logs and the report go
  --nodes      of the cluster
  --threads    of each workload
  --hold       how long a fault lasts at most
  --keep       the nodes' folders, though all is well

The exit code is 0 where every verdict is good and every fault hit.
`

func main() {
	o, err := parse(os.Args[1:])
	if err == flag.ErrHelp {
		fmt.Print(usage, "\nworkloads: ", strings.Join(workload.Names(), " "), "\nfaults:\n")
		for _, k := range nemesis.Kinds() {
			fmt.Printf("  %-18s %s\n", k.Name, k.What)
		}
		return
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "jepsen: %v\n%s", err, usage)
		os.Exit(2)
	}
	powers := cluster.Enter()
	os.Exit(run(o, powers))
}

type options struct {
	minutes   float64
	workloads string
	nemeses   string
	seed      int64
	out       string
	nodes     int
	threads   int
	hold      time.Duration
	keep      bool
	short     bool
	claded    string
	shim      string
}

func parse(args []string) (*options, error) {
	o := &options{}
	flags := flag.NewFlagSet("jepsen", flag.ContinueOnError)
	flags.SetOutput(new(strings.Builder))
	flags.Float64Var(&o.minutes, "minutes", 0, "")
	flags.StringVar(&o.workloads, "workload", "all", "")
	flags.StringVar(&o.nemeses, "nemesis", "", "")
	flags.Int64Var(&o.seed, "seed", 0, "")
	flags.StringVar(&o.out, "out", "", "")
	flags.IntVar(&o.nodes, "nodes", 5, "")
	flags.IntVar(&o.threads, "threads", 3, "")
	hold := flags.Float64("hold", 0, "")
	flags.BoolVar(&o.keep, "keep", false, "")
	flags.StringVar(&o.claded, "claded", "", "")
	flags.StringVar(&o.shim, "shim", "", "")
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	if flags.NArg() > 0 {
		return nil, fmt.Errorf("what is '%s'?", flags.Arg(0))
	}
	o.short = o.minutes == 0
	if o.short {
		o.minutes = 1.6
	}
	if o.nemeses == "" {
		o.nemeses = "all"
		if o.short {
			o.nemeses = shortNemeses
		}
	}
	if o.seed == 0 {
		o.seed = time.Now().UnixNano() % 1000000
	}
	if *hold == 0 {
		*hold = 6
		if o.short {
			*hold = 2.5
		}
	}
	o.hold = time.Duration(*hold * float64(time.Second))
	if o.nodes < 1 || o.nodes > 9 || o.threads < 1 || o.minutes < 0 {
		return nil, fmt.Errorf("nodes from 1 to 9, threads from 1")
	}
	return o, nil
}

// shortNemeses are those of the short form.
const shortNemeses = "kill-leader,kill-all,pause-leader,partition-halves,partition-ring,partition-leader," +
	"sync-error,power-all,transfer,clock-jump"
