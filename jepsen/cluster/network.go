package cluster

import (
	"fmt"
	"regexp"
	"sort"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Link is one direction between two nodes, by id.
type Link struct{ From, To int }

// Network is what lies between the nodes: links that are cut, lossy or slow. Clients' connections
// are never touched, so that they reach nodes which nobody else reaches.
type Network struct {
	mutex   sync.Mutex
	address func(id int) string
	cut     map[Link]bool
	lossy   map[Link]int // per mille
	slow    map[Link]bool
	resets  map[Link]bool
	proxy   *slowProxy
	port    int // of peers
}

func newNetwork(address func(id int) string, port int) *Network {
	return &Network{address: address, port: port, cut: map[Link]bool{}, lossy: map[Link]int{},
		slow: map[Link]bool{}, resets: map[Link]bool{}}
}

// Cut drops what these links carry.
func (n *Network) Cut(links []Link) error {
	return n.change(func() {
		for _, l := range links {
			n.cut[l] = true
		}
	})
}

// Lose drops so many of a thousand packets on these links.
func (n *Network) Lose(links []Link, perMille int) error {
	return n.change(func() {
		for _, l := range links {
			n.lossy[l] = perMille
		}
	})
}

// Slow holds back what is said on these links: connections end, and new ones go through a proxy.
func (n *Network) Slow(links []Link, min, max time.Duration) error {
	if n.proxy == nil {
		var err error
		if n.proxy, err = newSlowProxy(); err != nil {
			return err
		}
	}
	n.proxy.set(min, max)
	err := n.change(func() {
		for _, l := range links {
			n.slow[l] = true
			n.resets[l] = true
		}
	})
	if err != nil {
		return err
	}
	time.Sleep(150 * time.Millisecond) // a heartbeat or two, each answered with a reset
	return n.change(func() { n.resets = map[Link]bool{} })
}

// Heal makes links whole again.
func (n *Network) Heal(links []Link) error {
	wereSlow := false
	err := n.change(func() {
		for _, l := range links {
			wereSlow = wereSlow || n.slow[l]
			delete(n.cut, l)
			delete(n.lossy, l)
			delete(n.slow, l)
		}
	})
	if wereSlow {
		n.proxy.endAll()
	}
	return err
}

// change changes the tables and gives nftables the whole rules anew, at once.
func (n *Network) change(how func()) error {
	n.mutex.Lock()
	defer n.mutex.Unlock()
	how()
	var s strings.Builder
	s.WriteString("add table ip jepsen\n" +
		"add counter ip jepsen cut\nadd counter ip jepsen lost\n" +
		"add chain ip jepsen in { type filter hook input priority 0; policy accept; }\n" +
		"add chain ip jepsen out { type nat hook output priority -100; policy accept; }\n" +
		"flush chain ip jepsen in\nflush chain ip jepsen out\n")
	rule := func(chain string, l Link, rest string) {
		fmt.Fprintf(&s, "add rule ip jepsen %s ip saddr %s ip daddr %s %s\n", chain, n.address(l.From),
			n.address(l.To), rest)
	}
	for _, l := range sortedLinks(n.cut) {
		rule("in", l, "counter name cut drop")
	}
	for l, perMille := range n.lossy {
		rule("in", l, fmt.Sprintf("numgen random mod 1000 < %d counter name lost drop", perMille))
	}
	for _, l := range sortedLinks(n.slow) {
		rule("out", l, fmt.Sprintf("tcp dport %d redirect to :%d", n.port, n.proxy.port))
	}
	for _, l := range sortedLinks(n.resets) {
		rule("in", l, "meta l4proto tcp reject with tcp reset")
	}
	if out, err := nft(s.String()); err != nil {
		return fmt.Errorf("nft: %v: %s", err, out)
	}
	return nil
}

func sortedLinks(set map[Link]bool) []Link {
	links := make([]Link, 0, len(set))
	for l := range set {
		links = append(links, l)
	}
	sort.Slice(links, func(a, b int) bool {
		return links[a].From < links[b].From || links[a].From == links[b].From && links[a].To < links[b].To
	})
	return links
}

var counterLine = regexp.MustCompile(`counter (\w+) \{\s*packets (\d+)`)

// Counters are the packets so far that were "cut" and "lost", and the pieces held back as "slow".
func (n *Network) Counters() map[string]int64 {
	counters := map[string]int64{}
	out, err := nft("list counters table ip jepsen\n")
	if err != nil {
		return counters
	}
	for _, m := range counterLine.FindAllStringSubmatch(out, -1) {
		counters[m[1]], _ = strconv.ParseInt(m[2], 10, 64)
	}
	if n.proxy != nil {
		counters["slow"] = atomic.LoadInt64(&n.proxy.held)
	}
	return counters
}
