package cluster

import (
	"fmt"
	"io"
	"math/rand"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// Disk is where a node's data is: an ext4 in a file, mounted through a loop device, or a plain
// folder where mounting is not allowed.
type Disk struct {
	image  string // "" for a plain folder
	folder string // the mount point
	loop   string // the name of the loop device, while it is mounted
}

func newDisk(folder string, loop bool, bytes int64) (*Disk, error) {
	d := &Disk{folder: filepath.Join(folder, "disk")}
	if err := os.MkdirAll(d.folder, 0o755); err != nil || !loop {
		return d, err
	}
	d.image = filepath.Join(folder, "disk.img")
	file, err := os.Create(d.image)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	if err := file.Truncate(bytes); err != nil {
		return nil, err
	}
	if err := run("mkfs.ext4", "-q", "-F", "-m", "0", d.image); err != nil {
		return nil, err
	}
	return d, d.Mount()
}

func run(name string, args ...string) error {
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s %s: %v: %s", name, strings.Join(args, " "), err, out)
	}
	return nil
}

// Mount mounts it. Access times are kept strictly, so that one sees which files were read; what is
// not synced may stay in memory for a minute.
func (d *Disk) Mount() error {
	if d.image == "" {
		return nil
	}
	if err := run("mount", "-o", "loop,strictatime,commit=60", d.image, d.folder); err != nil {
		return err
	}
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return err
	}
	for _, line := range strings.Split(string(mounts), "\n") {
		words := strings.Fields(line)
		if len(words) > 1 && words[1] == d.folder {
			d.loop = filepath.Base(words[0])
		}
	}
	return nil
}

// Unmount unmounts it; nothing may run on it.
func (d *Disk) Unmount() error {
	if d.image == "" || d.loop == "" {
		return nil
	}
	var err error
	for i := 0; i < 50; i++ {
		if err = syscall.Unmount(d.folder, 0); err == nil {
			d.loop = ""
			return nil
		}
		time.Sleep(20 * time.Millisecond)
	}
	return fmt.Errorf("unmounting %s: %w", d.folder, err)
}

// FreeBytes is the room that is left.
func (d *Disk) FreeBytes() int64 {
	var st syscall.Statfs_t
	if syscall.Statfs(d.folder, &st) != nil {
		return 0
	}
	return int64(st.Bavail) * st.Bsize
}

func (d *Disk) ballast() string { return filepath.Join(d.folder, "ballast") }

// Fill leaves so many bytes of room. Returns how many were taken.
func (d *Disk) Fill(leave int64) (int64, error) {
	file, err := os.Create(d.ballast())
	if err != nil {
		return 0, err
	}
	defer file.Close()
	took := d.FreeBytes() - leave
	if took <= 0 {
		return 0, nil
	}
	return took, syscall.Fallocate(int(file.Fd()), 0, 0, took)
}

// Empty takes back what Fill did.
func (d *Disk) Empty() { _ = os.Remove(d.ballast()) }

// writes is how many writes the loop device has done and has under way.
func (d *Disk) writes() (string, error) {
	b, err := os.ReadFile("/sys/block/" + d.loop + "/stat")
	if err != nil {
		return "", err
	}
	words := strings.Fields(string(b))
	if len(words) < 9 {
		return "", fmt.Errorf("/sys/block/%s/stat: %q", d.loop, b)
	}
	return words[4] + " written, " + words[8] + " under way", nil
}

// WriteBack lets some of what is not synced reach the disk, in no order, as the kernel may at any time:
// of each stretch of 32 KiB in the node's files with a chance of so many in a hundred.
func (d *Disk) WriteBack(random *rand.Rand, percent int) {
	const stretch = 32 << 10
	const waitWriteWait = 7 // SYNC_FILE_RANGE_WAIT_BEFORE | _WRITE | _WAIT_AFTER
	_ = filepath.Walk(d.folder, func(path string, info os.FileInfo, err error) error {
		if err != nil || !info.Mode().IsRegular() {
			return nil
		}
		file, err := os.Open(path)
		if err != nil {
			return nil
		}
		defer file.Close()
		for at := int64(0); at < info.Size(); at += stretch {
			if random.Intn(100) < percent {
				_ = syscall.SyncFileRange(int(file.Fd()), at, stretch, waitWriteWait)
			}
		}
		return nil
	})
}

// CopyImage copies what has reached the disk: what a power cut would leave. The node must stand
// still; when the kernel itself wrote meanwhile, the copy is made again.
func (d *Disk) CopyImage() error {
	for attempt := 0; attempt < 20; attempt++ {
		before, err := d.writes()
		if err != nil {
			return err
		}
		if !strings.HasSuffix(before, " 0 under way") {
			time.Sleep(5 * time.Millisecond)
			continue
		}
		if err := copySparse(d.image+".cut", d.image); err != nil {
			return err
		}
		after, err := d.writes()
		if err != nil {
			return err
		}
		if after == before {
			return nil
		}
	}
	return fmt.Errorf("%s does not come to rest", d.image)
}

// UseCopy puts the copy in the image's place. The disk must be unmounted.
func (d *Disk) UseCopy() error { return os.Rename(d.image+".cut", d.image) }

const (
	seekData = 3
	seekHole = 4
)

func copySparse(to, from string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	defer out.Close()
	info, err := in.Stat()
	if err != nil {
		return err
	}
	if err := out.Truncate(info.Size()); err != nil {
		return err
	}
	for at := int64(0); at < info.Size(); {
		begin, err := syscall.Seek(int(in.Fd()), at, seekData)
		if err == syscall.ENXIO {
			return nil
		}
		if err != nil {
			return err
		}
		end, err := syscall.Seek(int(in.Fd()), begin, seekHole)
		if err != nil {
			return err
		}
		if _, err := out.Seek(begin, io.SeekStart); err != nil {
			return err
		}
		if _, err := io.Copy(out, io.NewSectionReader(in, begin, end-begin)); err != nil {
			return err
		}
		at = end
	}
	return nil
}
