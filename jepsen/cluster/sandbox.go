// Package cluster runs real clusters of claded: processes, their disks and the network between
// them, all inside namespaces that end with this process.
package cluster

import (
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strings"
	"syscall"
)

const insideVariable = "CLADE_JEPSEN_INSIDE"

// Powers are what this process may do to the world.
type Powers struct {
	Net  bool // nftables rules in a network namespace of its own
	Disk bool // file systems in loop-mounted files
	Why  string
}

// Enter runs this program again inside namespaces of network, mounts and processes, and ends with
// its exit code; inside it returns. When this process ends, however it does, the kernel ends every
// process in there, and with the last of them the mounts, loop devices and the network go.
func Enter() Powers {
	if os.Getenv(insideVariable) != "" {
		return settleIn()
	}
	// Pdeathsig goes by the thread that started the child.
	runtime.LockOSThread()
	var why []string
	for _, kind := range []string{"root", "user", "none"} {
		code, err := runInside(kind, strings.Join(why, "; "))
		if err == nil {
			os.Exit(code)
		}
		why = append(why, fmt.Sprintf("as %s: %v", kind, err))
	}
	fmt.Fprintln(os.Stderr, "jepsen: cannot run myself:", strings.Join(why, "; "))
	os.Exit(2)
	return Powers{}
}

func runInside(kind, why string) (int, error) {
	attr := &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	switch kind {
	case "root":
		if os.Geteuid() != 0 {
			return 0, fmt.Errorf("not root")
		}
		attr.Cloneflags = syscall.CLONE_NEWNET | syscall.CLONE_NEWNS | syscall.CLONE_NEWPID
	case "user":
		attr.Cloneflags = syscall.CLONE_NEWUSER | syscall.CLONE_NEWNET | syscall.CLONE_NEWNS |
			syscall.CLONE_NEWPID
		attr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
		attr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	self, err := os.Executable()
	if err != nil {
		return 0, err
	}
	cmd := exec.Command(self, os.Args[1:]...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), insideVariable+"="+kind, insideVariable+"_WHY="+why)
	cmd.SysProcAttr = attr
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	go func() {
		for s := range signals {
			_ = cmd.Process.Signal(s)
		}
	}()
	_ = cmd.Wait()
	if status, is := cmd.ProcessState.Sys().(syscall.WaitStatus); is && status.Signaled() {
		return 128 + int(status.Signal()), nil
	}
	return cmd.ProcessState.ExitCode(), nil
}

func settleIn() Powers {
	kind := os.Getenv(insideVariable)
	p := Powers{Why: os.Getenv(insideVariable + "_WHY")}
	os.Unsetenv(insideVariable)
	os.Unsetenv(insideVariable + "_WHY")
	if kind == "none" {
		return p
	}
	fatal := func(what string, err error) {
		if err != nil {
			fmt.Fprintf(os.Stderr, "jepsen: %s: %v\n", what, err)
			os.Exit(2)
		}
	}
	fatal("keeping mounts to ourselves",
		syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""))
	fatal("mounting /proc", syscall.Mount("proc", "/proc", "proc", 0, ""))
	fatal("the loopback interface", linkUp("lo"))
	p.Net = tryNftables(&p)
	p.Disk = kind == "root"
	return p
}

func tryNftables(p *Powers) bool {
	out, err := nft("add table ip jepsen\n")
	if err != nil {
		p.Why += fmt.Sprintf("; nft: %v %s", err, out)
	}
	return err == nil
}

func nft(script string) (string, error) {
	cmd := exec.Command("nft", "-f", "-")
	cmd.Stdin = strings.NewReader(script)
	out, err := cmd.CombinedOutput()
	return string(out), err
}
