package report

import (
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"clade/jepsen/checker"
	"clade/jepsen/history"
)

const usage = `usage: jepsen/check [--workload NAME] [--html FILE] FILE.edn...

Judges histories again. A history's workload is NAME, or what its file's name begins with
(append.edn, append-3.edn), or what its operations look like.

  --workload NAME  all histories are of this workload
  --html FILE      also writes the report as a page

The exit code is 0 where every verdict is good, 1 where one is not, 2 for wrong usage.
workloads: `

// Check is the command jepsen/check. It returns the exit code.
func Check(args []string, out, errors io.Writer) int {
	flags := flag.NewFlagSet("check", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	workload := flags.String("workload", "", "")
	page := flags.String("html", "", "")
	if err := flags.Parse(args); err != nil || flags.NArg() == 0 {
		if err == flag.ErrHelp {
			fmt.Fprintln(out, usage+strings.Join(checker.Workloads(), " "))
			return 0
		}
		fmt.Fprintln(errors, usage+strings.Join(checker.Workloads(), " "))
		return 2
	}
	run := &Run{Title: "histories judged again", Command: "jepsen/check " + strings.Join(args, " ")}
	for _, path := range flags.Args() {
		h, err := read(path)
		if err != nil {
			fmt.Fprintf(errors, "jepsen/check: %s: %v\n", path, err)
			return 2
		}
		name := *workload
		if name == "" {
			name = workloadOf(path, h)
		}
		run.Workloads = append(run.Workloads, Workload{
			Name:     strings.TrimSuffix(filepath.Base(path), ".edn"),
			History:  h,
			Verdicts: checker.Judge(name, h, checker.Options{}),
		})
	}
	if err := run.write(out, *page); err != nil {
		fmt.Fprintf(errors, "jepsen/check: %v\n", err)
		return 2
	}
	if run.Valid() != checker.True {
		return 1
	}
	return 0
}

func (r *Run) write(out io.Writer, page string) error {
	if err := r.Text(out); err != nil || page == "" {
		return err
	}
	file, err := os.Create(page)
	if err != nil {
		return err
	}
	if err := r.HTML(file); err != nil {
		_ = file.Close()
		return err
	}
	return file.Close()
}

func read(path string) (history.History, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	return history.ReadEDN(file)
}

// The longest name of a workload that a file's name begins with; else a guess.
func workloadOf(path string, h history.History) string {
	base, found := filepath.Base(path), ""
	for _, name := range checker.Workloads() {
		if strings.HasPrefix(base, name) && len(name) > len(found) {
			found = name
		}
	}
	if found == "" {
		found = checker.Guess(h)
	}
	return found
}
