package nemesis

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"sort"
	"strings"
	"syscall"
	"time"

	"clade/jepsen/cluster"
)

// Disks that are full, lose their power, or change what was written.

func init() {
	register(Kind{Name: "disk-full", What: "nodes that found no room", make: func() Fault { return &full{} }})
	for _, which := range []string{"one", "leader", "all"} {
		which := which
		register(Kind{Name: "power-" + which, What: "files that lost what was not synced", Disk: true,
			make: func() Fault { return &power{which: which} }})
	}
	for _, file := range []struct{ name, pattern string }{
		{"log-closed", `^raft/\d+-\d+$`},
		{"log-open", `^raft/open-\d+$`},
		{"metadata", `^raft/metadata\d$`},
		{"snapshot", `^raft/snapshot-.*\d$`},
		{"mark", `^raft/mark$`},
		{"archive", `^archive/.`},
		{"store", `^store/\d+/data\.mdb$`},
		{"identity", `^(identity|raft/identity|store/identity|store/CURRENT)$`},
	} {
		pattern := regexp.MustCompile(file.pattern)
		register(Kind{Name: "flip-" + file.name, What: "bits flipped and read", Disk: true,
			make: func() Fault { return &flip{pattern: pattern} }})
	}
	register(Kind{Name: "torn", What: "torn writes found and cut off", make: func() Fault { return &torn{} }})
}

// full leaves a node no room. Where the disk is not the node's own, writes say so.
type full struct {
	counter
	nodes []*cluster.Node
}

func (f *full) Begin(w *World) (string, error) {
	which := []string{"one", "leader", "minority"}[w.Rand.Intn(3)]
	f.nodes = w.pick(which)
	for _, n := range f.nodes {
		n.MayEnd("its disk is full")
		if w.Cluster.Powers().Disk {
			if _, err := n.Disk.Fill(int64(w.Rand.Intn(3 << 20))); err != nil {
				return "", err
			}
		} else {
			n.Shim.Set(cluster.PerMille, 1000)
			n.Shim.Set(cluster.WriteErrno, int64(syscall.ENOSPC))
		}
	}
	return "nodes " + ids(f.nodes), nil
}

func (f *full) End(*World) error {
	for _, n := range f.nodes {
		if text := n.LogText(); strings.Contains(text, "full") || strings.Contains(text, "space") {
			f.hit(1)
		}
		n.Disk.Empty()
		n.Shim.Calm()
	}
	return nil
}

// power cuts the power of nodes: what had not reached the disk is gone.
type power struct {
	counter
	which string
}

func (f *power) Begin(w *World) (string, error) {
	leader := w.leaderID()
	nodes := w.pick(f.which)
	// Half of the time disks fall behind before: more is under way when the power goes.
	behind := w.Rand.Intn(2) == 0
	if behind {
		for _, n := range nodes {
			n.Shim.Set(cluster.SyncDelayUs, 300_000)
		}
		time.Sleep(time.Second + time.Duration(w.Rand.Int63n(int64(time.Second))))
	}
	// At one instant, as far as signals go: first all stand still, then the disks are copied.
	for _, n := range nodes {
		n.Pause()
	}
	percent := []int{0, 10, 50, 90}[w.Rand.Intn(4)]
	for _, n := range nodes {
		n.Disk.WriteBack(w.Rand, percent)
		if err := n.Disk.CopyImage(); err != nil {
			return "", err
		}
	}
	for _, n := range nodes {
		before := sums(n.Data())
		n.Kill()
		if behind {
			n.Shim.Set(cluster.SyncDelayUs, 0)
		}
		if n.ID == leader {
			w.killedLeader()
		}
		if err := n.Disk.Unmount(); err != nil {
			return "", err
		}
		if err := n.Disk.UseCopy(); err != nil {
			return "", err
		}
		if err := n.Disk.Mount(); err != nil {
			return "", err
		}
		after := sums(n.Data())
		for path, sum := range before {
			if after[path] != sum {
				f.hit(1)
			}
		}
	}
	return fmt.Sprintf("nodes %s, %d %% was written back", ids(nodes), percent), nil
}

func (f *power) End(*World) error { return nil }

// sums are checksums of all files of a folder.
func sums(folder string) map[string]uint64 {
	out := map[string]uint64{}
	_ = filepath.Walk(folder, func(path string, info os.FileInfo, err error) error {
		if err != nil || !info.Mode().IsRegular() {
			return nil
		}
		file, err := os.Open(path)
		if err != nil {
			return nil
		}
		defer file.Close()
		h := fnv.New64a()
		if info.Size() <= 64<<20 {
			_, _ = io.Copy(h, file)
		} else { // a store's beginning has its newest pages' numbers
			_, _ = io.CopyN(h, file, 1<<20)
		}
		out[strings.TrimPrefix(path, folder)] = h.Sum64() ^ uint64(info.Size())
		return nil
	})
	return out
}

// flip flips a bit in a file of a node that is down, and looks what the node makes of it.
type flip struct {
	counter
	pattern *regexp.Regexp
}

// attempts is how many bits are flipped until one is read: a store's pages are mostly free.
func (f *flip) attempts() int {
	if f.pattern.MatchString("store/1/data.mdb") {
		return 24
	}
	return 4
}

func (f *flip) Begin(w *World) (string, error) {
	// At most one damaged disk at a time: a majority's damage is nobody's to survive.
	for _, other := range w.Cluster.Nodes() {
		if other.Damaged() {
			return "none: another disk is damaged", nil
		}
	}
	nodes := w.pick("one")
	if len(nodes) == 0 {
		return "none: no node runs", nil
	}
	n := nodes[0]
	if len(f.find(n)) == 0 { // a snapshot, or a full segment, comes with what is written
		ballast(w, w.pickRandomly(), 3<<20)
	}
	if n.Kill() && n.ID == w.leaderID() {
		w.killedLeader()
	}
	// Another one takes its place in the end, whatever it makes of it.
	n.Damage()
	n.MayEnd("a bit of its files is flipped")
	said := []string{fmt.Sprintf("node %d", n.ID)}
	before := f.Hits()
	for i := 0; i < f.attempts() && f.Hits() == before; i++ {
		n.Kill()
		paths := f.find(n)
		if len(paths) == 0 {
			return strings.Join(append(said, "there is no such file"), "; "), nil
		}
		what, err := f.damage(w, n, paths[w.Rand.Intn(len(paths))])
		if err != nil {
			return "", err
		}
		said = append(said, what)
	}
	return strings.Join(said, "; "), nil
}

// find lists the files of a node that fit and have something in them.
func (f *flip) find(n *cluster.Node) []string {
	var paths []string
	_ = filepath.Walk(n.Data(), func(path string, info os.FileInfo, err error) error {
		name := strings.TrimPrefix(path, n.Data()+"/")
		if err == nil && info.Mode().IsRegular() && f.pattern.MatchString(name) && !isBlank(path) {
			paths = append(paths, path)
		}
		return nil
	})
	sort.Strings(paths)
	return paths
}

// isBlank tells whether the beginning of a file is zeros, as of a segment that is not used yet.
func isBlank(path string) bool {
	file, err := os.Open(path)
	if err != nil {
		return true
	}
	defer file.Close()
	b := make([]byte, sector)
	n, _ := io.ReadFull(file, b)
	return strings.Trim(string(b[:n]), "\x00") == ""
}

func (f *flip) damage(w *World, n *cluster.Node, path string) (string, error) {
	name := strings.TrimPrefix(path, n.Data()+"/")
	at, err := flipBit(w, path)
	if err != nil {
		return "", err
	}
	what := fmt.Sprintf("bit in byte %d of %s: ", at, name)
	if strings.HasSuffix(name, ".mdb") {
		// The way of the runbook: a folder that may be damaged is checked before it is used.
		if out, err := n.Claded("check"); err != nil {
			f.hit(1)
			return what + "found by claded check: " + lastLine(out), nil
		}
		return what + "claded check finds nothing wrong (the page is free, or the bit unused)", nil
	}
	return what + f.watch(n, path), nil
}

// watch starts the node on its damaged disk and says what it does.
func (f *flip) watch(n *cluster.Node, path string) string {
	flipped := time.Now()
	if err := n.StartDamaged(); err != nil {
		return err.Error()
	}
	if n.WaitEnd(2 * time.Second) {
		f.hit(1)
		return "it stops: " + n.LastLine()
	}
	if wasRead(path, flipped) {
		f.hit(1)
		return "it was read, and the node serves"
	}
	return "it was not read"
}

// wasRead tells whether a file was read after an instant; the disks keep strict access times, by a
// clock that moves every few milliseconds.
func wasRead(path string, since time.Time) bool {
	var st syscall.Stat_t
	if syscall.Stat(path, &st) != nil {
		return true // it was replaced
	}
	return st.Atim.Nano() > since.Add(-20*time.Millisecond).UnixNano()
}

func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return lines[len(lines)-1]
}

// flipBit flips a bit in a byte that is not in a stretch of zeros; where.
func flipBit(w *World, path string) (int64, error) {
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return 0, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return 0, err
	}
	// Any stretch of the file, then what is not zero near there.
	const stretch = 1 << 20
	for attempt := 0; ; attempt++ {
		from := int64(0)
		if info.Size() > stretch && attempt < 100 {
			from = w.Rand.Int63n(info.Size()-stretch) / 8 * 8
		}
		b := make([]byte, stretch)
		n, _ := file.ReadAt(b, from)
		var used []int
		for i := 0; i+8 <= n; i += 8 {
			if binary.LittleEndian.Uint64(b[i:]) != 0 {
				used = append(used, i)
			}
		}
		if len(used) == 0 && attempt < 200 {
			continue
		}
		i := 0 // of a file of less than 8 bytes the first
		if len(used) > 0 {
			i = used[w.Rand.Intn(len(used))] + w.Rand.Intn(8)
		}
		if _, err := file.WriteAt([]byte{b[i] ^ 1<<w.Rand.Intn(8)}, from+int64(i)); err != nil {
			return 0, err
		}
		return from + int64(i), file.Sync()
	}
}

// torn leaves the beginning of a write in a node's log, as a crash amid the write would.
type torn struct{ counter }

func (f *torn) Begin(w *World) (string, error) {
	nodes := w.pick([]string{"one", "leader", "minority"}[w.Rand.Intn(3)])
	leader := w.leaderID()
	var said []string
	for _, n := range nodes {
		n.Kill()
		if n.ID == leader {
			w.killedLeader()
		}
		path, err := tear(filepath.Join(n.Data(), "raft"))
		if err != nil {
			return "", fmt.Errorf("node %d: %w", n.ID, err)
		}
		if path == "" {
			continue
		}
		if err := n.Start(); err != nil {
			return "", err
		}
		said = append(said, fmt.Sprintf("node %d: %s", n.ID, filepath.Base(path)))
		if n.Serves(5 * time.Second) {
			// It would not serve with what was torn still in its log.
			f.hit(1)
		}
	}
	return strings.Join(said, ", "), nil
}

func (f *torn) End(*World) error { return nil }

func (f *flip) End(*World) error { return nil }

const (
	segmentHead = 8
	sector      = 512
	blockBytes  = 4096
)

// tear writes a batch of 3 KiB behind the last one of the newest open segment, but for one of its
// sectors. Returns the segment, or "" when there is no room or no segment.
func tear(raft string) (string, error) {
	paths, _ := filepath.Glob(filepath.Join(raft, "open-*"))
	sort.Slice(paths, func(a, b int) bool { return openNumber(paths[a]) < openNumber(paths[b]) })
	for i := len(paths) - 1; i >= 0; i-- {
		text, err := os.ReadFile(paths[i])
		if err != nil {
			return "", err
		}
		end := batchesEnd(text)
		if end <= segmentHead || end+2*blockBytes > len(text) {
			continue
		}
		batch := tornBatch()
		copy(text[end:], batch)
		// The second sector that it touches did not reach the disk.
		hole := (end/sector + 1) * sector
		for j := hole; j < hole+sector; j++ {
			text[j] = 0
		}
		file, err := os.OpenFile(paths[i], os.O_WRONLY, 0)
		if err != nil {
			return "", err
		}
		defer file.Close()
		if _, err := file.WriteAt(text[end:end+len(batch)], int64(end)); err != nil {
			return "", err
		}
		return paths[i], file.Sync()
	}
	return "", nil
}

func openNumber(path string) (n int) {
	_, _ = fmt.Sscanf(filepath.Base(path), "open-%d", &n)
	return n
}

// batchesEnd is where the last batch of a segment ends: checksums of 8 bytes, the number of entries
// (8), for each 16 bytes with its length in the last 4, and the entries.
func batchesEnd(text []byte) int {
	at := segmentHead
	for at+16 <= len(text) {
		n := int(binary.LittleEndian.Uint64(text[at+8:]))
		if n <= 0 || n > (len(text)-at-16)/16 {
			break
		}
		end := at + 16 + 16*n
		for i := 0; i < n; i++ {
			end += int(binary.LittleEndian.Uint32(text[at+16+16*i+12:]))
		}
		if end > len(text) {
			break
		}
		at = end
	}
	return at
}

func tornBatch() []byte {
	const bytes = 3072
	b := make([]byte, 32+bytes)
	binary.LittleEndian.PutUint64(b[8:], 1)
	binary.LittleEndian.PutUint64(b[16:], 1) // term
	b[24] = 1                                // a command
	binary.LittleEndian.PutUint32(b[28:], bytes)
	for i := 32; i < len(b); i++ {
		b[i] = 0xab
	}
	binary.LittleEndian.PutUint32(b[4:], crc(b[32:]))
	binary.LittleEndian.PutUint32(b, crc(b[8:32]))
	return b
}

func crc(b []byte) uint32 {
	var c uint32
	for _, x := range b {
		c ^= uint32(x) << 24
		for i := 0; i < 8; i++ {
			if c&0x80000000 != 0 {
				c = c<<1 ^ 0x04c11db7
			} else {
				c <<= 1
			}
		}
	}
	return c
}
