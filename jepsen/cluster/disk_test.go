package cluster

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

func TestACopyOfASparseFileIsTheSame(t *testing.T) {
	from, to := filepath.Join(t.TempDir(), "from"), filepath.Join(t.TempDir(), "to")
	file, err := os.Create(from)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for _, at := range []int64{0, 1 << 20, 5<<20 + 123} {
		if _, err := file.WriteAt(bytes.Repeat([]byte{byte(at%251) + 1}, 9000), at); err != nil {
			t.Fatal(err)
		}
	}
	if err := file.Truncate(9 << 20); err != nil {
		t.Fatal(err)
	}
	if err := copySparse(to, from); err != nil {
		t.Fatal(err)
	}
	a, _ := os.ReadFile(from)
	b, err := os.ReadFile(to)
	if err != nil || !bytes.Equal(a, b) {
		t.Errorf("%d bytes came out as %d, %v", len(a), len(b), err)
	}
}
