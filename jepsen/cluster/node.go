package cluster

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"clade/jepsen/wire"
)

// Node is one claded, its disk and its settings.
type Node struct {
	ID     int
	Client string // HOST:PORT for clients
	Peer   string // HOST:PORT for other nodes
	Folder string
	Disk   *Disk
	Shim   *Shim

	cluster *Cluster
	mutex   sync.Mutex
	cmd     *exec.Cmd
	done    chan struct{} // closed when cmd has ended
	killing bool          // we end it ourselves
	paused  bool
	damaged bool // it must not run again; a new member takes its place
	leaving bool // the cluster was asked to remove it
	removed bool
	mayEnd  string // why it may end by itself, or ""
	logFrom int64  // where the log of this start begins
}

func (c *Cluster) newNode(id int) (*Node, error) {
	n := &Node{ID: id, cluster: c, Folder: filepath.Join(c.options.Folder, fmt.Sprintf("n%d", id)),
		Client: fmt.Sprintf("%s:%d", c.host(id), c.options.Port),
		Peer:   fmt.Sprintf("%s:%d", c.host(id), c.options.Port+1)}
	err := os.MkdirAll(n.Folder, 0o755)
	if err == nil {
		n.Disk, err = newDisk(n.Folder, c.powers.Disk, c.options.DiskBytes)
	}
	if err == nil {
		n.Shim, err = newShim(filepath.Join(n.Folder, "shim"))
	}
	if err == nil {
		err = n.writeConfig()
	}
	return n, err
}

// Data is its data folder.
func (n *Node) Data() string { return filepath.Join(n.Disk.folder, "data") }

func (n *Node) config() string { return filepath.Join(n.Folder, "claded.yaml") }
func (n *Node) log() string    { return filepath.Join(n.Folder, "log") }

// Not the same everywhere: a leader that is cut off may believe in itself for longer than the others
// do, which is when it answers what it must not.
var electionTimeouts = []string{"400", "700", "1600"}

func (n *Node) writeConfig() error {
	settings := map[string]string{
		"data": n.Data(), "listen": n.Client, "peer_listen": n.Peer, "node": strconv.Itoa(n.ID),
		"election_timeout_ms": electionTimeouts[n.ID%len(electionTimeouts)], "heartbeat_ms": "50",
		"headroom_bytes": "16MiB",
		"log_bytes":      "1MiB", "archive_bytes": "32MiB", "threads": "2",
	}
	for k, v := range n.cluster.options.Settings {
		settings[k] = v
	}
	var b bytes.Buffer
	for k, v := range settings {
		fmt.Fprintf(&b, "%s: %s\n", k, v)
	}
	return os.WriteFile(n.config(), b.Bytes(), 0o644)
}

// Claded runs claded with this node's settings to its end; what it printed.
func (n *Node) Claded(words ...string) (string, error) {
	cmd := exec.Command(n.cluster.options.Claded, append(words, "--config", n.config())...)
	cmd.Env = cleanEnvironment()
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func cleanEnvironment(more ...string) []string {
	var kept []string
	for _, pair := range os.Environ() {
		if !strings.HasPrefix(pair, "CLADE_") {
			kept = append(kept, pair)
		}
	}
	return append(kept, more...)
}

// Start starts it, if it does not run; it serves a while later.
func (n *Node) Start() error {
	n.mutex.Lock()
	defer n.mutex.Unlock()
	if n.cmd != nil || n.damaged || n.removed {
		return nil
	}
	if n.cluster.isClosed() {
		return errors.New("the cluster is closed")
	}
	log, err := os.OpenFile(n.log(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	if info, err := log.Stat(); err == nil {
		n.logFrom = info.Size()
	}
	cmd := exec.Command(n.cluster.options.Claded, "run", "--config", n.config())
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Dir = n.Folder
	cmd.Env = cleanEnvironment("CLADE_SHIM="+filepath.Join(n.Folder, "shim"),
		"LD_PRELOAD="+n.cluster.options.Shim,
		"ASAN_OPTIONS=verify_asan_link_order=0:abort_on_error=1", "UBSAN_OPTIONS=print_stacktrace=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := n.cluster.spawn(cmd); err != nil {
		return err
	}
	n.cmd, n.killing, n.paused = cmd, false, false
	n.done = make(chan struct{})
	go n.wait(cmd, n.done)
	return nil
}

func (n *Node) wait(cmd *exec.Cmd, done chan struct{}) {
	_ = cmd.Wait()
	n.mutex.Lock()
	killing, mayEnd := n.killing, n.mayEnd
	n.cmd, n.paused = nil, false
	status := cmd.ProcessState.Sys().(syscall.WaitStatus)
	n.mutex.Unlock()
	close(done)
	if killing {
		return
	}
	how := fmt.Sprintf("node %d ended by itself, exit code %d", n.ID, status.ExitStatus())
	if status.Signaled() {
		how = fmt.Sprintf("node %d was ended by signal %d", n.ID, status.Signal())
	}
	// A disk that fails or is full is no reason for damage.
	damaged := strings.Contains(n.LastLine(), "class=CORRUPT") && !strings.Contains(mayEnd, "flipped")
	if mayEnd == "" || status.Signaled() || damaged {
		n.cluster.violate("%s (%s): %s", how, mayEnd, n.LastLine())
	} else {
		n.cluster.note("%s (%s): %s", how, mayEnd, n.LastLine())
	}
}

// Kill ends it with SIGKILL and waits until it is gone. Tells whether it ran.
func (n *Node) Kill() bool {
	n.mutex.Lock()
	cmd, done := n.cmd, n.done
	n.killing = true
	n.mutex.Unlock()
	if cmd == nil {
		return false
	}
	_ = cmd.Process.Kill()
	<-done
	return true
}

// Terminate ends it with SIGTERM; its exit code, or -1 when it was killed after the timeout.
func (n *Node) Terminate(timeout time.Duration) int {
	n.mutex.Lock()
	cmd, done := n.cmd, n.done
	n.killing = true
	n.mutex.Unlock()
	if cmd == nil {
		return 0
	}
	_ = cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-done:
	case <-time.After(timeout):
		_ = cmd.Process.Kill()
		<-done
	}
	return cmd.ProcessState.ExitCode()
}

// WaitEnd waits until it has ended by itself; whether it did.
func (n *Node) WaitEnd(timeout time.Duration) bool {
	n.mutex.Lock()
	cmd, done := n.cmd, n.done
	n.mutex.Unlock()
	if cmd == nil {
		return true
	}
	select {
	case <-done:
		return true
	case <-time.After(timeout):
		return false
	}
}

// Pause stops it with SIGSTOP, and waits until each of its threads stands still.
func (n *Node) Pause() bool {
	pid := n.signal(syscall.SIGSTOP, true)
	for i := 0; pid != 0 && i < 1000; i++ {
		if standsStill(pid) {
			return true
		}
		time.Sleep(time.Millisecond)
	}
	return false
}

// Resume lets it go on.
func (n *Node) Resume() { n.signal(syscall.SIGCONT, false) }

func (n *Node) signal(s syscall.Signal, paused bool) int {
	n.mutex.Lock()
	defer n.mutex.Unlock()
	if n.cmd == nil {
		return 0
	}
	n.paused = paused
	_ = n.cmd.Process.Signal(s)
	return n.cmd.Process.Pid
}

func standsStill(pid int) bool {
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
	for _, task := range tasks {
		b, err := os.ReadFile(task)
		at := bytes.LastIndexByte(b, ')')
		if err == nil && at >= 0 && at+2 < len(b) && b[at+2] != 'T' {
			return false
		}
	}
	return len(tasks) > 0
}

// Running tells whether its process is there, paused or not.
func (n *Node) Running() bool {
	n.mutex.Lock()
	defer n.mutex.Unlock()
	return n.cmd != nil
}

// Pid is its process, or 0.
func (n *Node) Pid() int {
	n.mutex.Lock()
	defer n.mutex.Unlock()
	if n.cmd == nil {
		return 0
	}
	return n.cmd.Process.Pid
}

// MayEnd says why it may end by itself from now on; "" that it may not. One that is on its way out
// may whatever is said.
func (n *Node) MayEnd(why string) {
	n.mutex.Lock()
	defer n.mutex.Unlock()
	if !n.leaving {
		n.mayEnd = why
	}
}

// leave says that the cluster is asked to remove it.
func (n *Node) leave() {
	n.mutex.Lock()
	defer n.mutex.Unlock()
	n.mayEnd, n.leaving = "it was removed", true
}

// Damage says that its disk has lost something: its place is taken by a new member when the
// cluster is brought back to order.
func (n *Node) Damage() {
	n.mutex.Lock()
	defer n.mutex.Unlock()
	n.damaged = true
}

// Damaged tells whether it is.
func (n *Node) Damaged() bool {
	n.mutex.Lock()
	defer n.mutex.Unlock()
	return n.damaged
}

// LogText is what it printed since its last start.
func (n *Node) LogText() string {
	n.mutex.Lock()
	from := n.logFrom
	n.mutex.Unlock()
	b, _ := os.ReadFile(n.log())
	if from > int64(len(b)) {
		return ""
	}
	return string(b[from:])
}

// LastLine is the last line that it printed.
func (n *Node) LastLine() string {
	lines := strings.Split(strings.TrimSpace(n.LogText()), "\n")
	return lines[len(lines)-1]
}

var sanitizer = regexp.MustCompile(`ERROR: \w+Sanitizer|WARNING: \w+Sanitizer|runtime error:|CHECK failed`)

// SanitizerReport is the first line of one in its whole log, or "".
func (n *Node) SanitizerReport() string {
	b, _ := os.ReadFile(n.log())
	at := sanitizer.FindIndex(b)
	if at == nil {
		return ""
	}
	line, _, _ := bytes.Cut(b[at[0]:], []byte("\n"))
	return string(line)
}

// Ask makes a connection of its own and asks one thing.
func (n *Node) Ask(method string, params wire.Map, timeout time.Duration) (wire.Map, error) {
	c, err := wire.Dial(n.Client, wire.Options{From: n.cluster.source, Timeout: timeout})
	if err != nil {
		return nil, err
	}
	defer c.Close()
	if method == "hello" {
		return c.Hello, nil
	}
	params = wire.With(params, "deadline_ms", timeout.Milliseconds())
	return c.Call(method, params, timeout+time.Second)
}

// Status is what it says of itself and the cluster.
func (n *Node) Status() (wire.Map, error) {
	answer, err := n.Ask("status", wire.Map{}, 2*time.Second)
	if err != nil {
		return nil, err
	}
	status, _ := answer["data"].(wire.Map)
	return status, nil
}

// Descriptors of its process, and what is resident of its own memory: pages of the store's file are
// the kernel's to take back.
func (n *Node) Use() (descriptors int, anonKiB int) {
	pid := n.Pid()
	names, _ := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	for _, line := range strings.Split(string(b), "\n") {
		if words := strings.Fields(line); len(words) > 1 && words[0] == "RssAnon:" {
			anonKiB, _ = strconv.Atoi(words[1])
		}
	}
	return len(names), anonKiB
}

// StartDamaged starts a node that is damaged, to see what it does.
func (n *Node) StartDamaged() error {
	n.mutex.Lock()
	n.damaged = false
	n.mutex.Unlock()
	err := n.Start()
	n.Damage()
	return err
}

// Serves tells whether it answers, within so long, anything at all.
func (n *Node) Serves(timeout time.Duration) bool {
	for deadline := time.Now().Add(timeout); time.Now().Before(deadline); {
		if _, err := n.Ask("hello", nil, time.Second); err == nil {
			return true
		}
		time.Sleep(20 * time.Millisecond)
	}
	return false
}
