// Command check judges histories again; jepsen/check builds and runs it.
package main

import (
	"os"

	"clade/jepsen/report"
)

func main() {
	os.Exit(report.Check(os.Args[1:], os.Stdout, os.Stderr))
}
