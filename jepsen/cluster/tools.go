package cluster

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// Folder is where what the cluster leaves on disk may lie.
func (c *Cluster) Folder() string { return c.options.Folder }

// Clade runs the command line against one node alone, and returns what it said.
func (c *Cluster) Clade(n *Node, timeout time.Duration, words ...string) (string, error) {
	folder := filepath.Dir(c.options.Claded)
	for _, path := range []string{"clade", "../client/cli/clade"} {
		if _, err := os.Stat(filepath.Join(folder, path)); err == nil {
			return runTool(timeout, []string{"CLADE_ENDPOINTS=" + n.Client}, filepath.Join(folder, path), words...)
		}
	}
	return "", fmt.Errorf("there is no clade beside %s", c.options.Claded)
}

// Offline runs claded on files that are no node's.
func (c *Cluster) Offline(timeout time.Duration, words ...string) (string, error) {
	return runTool(timeout, nil, c.options.Claded, words...)
}

func runTool(timeout time.Duration, env []string, program string, words ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, words...)
	cmd.Env = cleanEnvironment(env...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}
