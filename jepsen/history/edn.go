package history

// Histories in EDN, one map a line, as Jepsen's own checkers read them:
//
//	{:index 0 :type :invoke :process 0 :f :txn :value [[:append 1 2] [:r 1 nil]] :time 12345}
//	{:index 1 :type :info :process :nemesis :f :kill :value ["n1"] :time 13000}
//
// :error follows where there is one, then the keys of Extra by name.

import (
	"bufio"
	"fmt"
	"io"
	"math"
	"sort"
	"strconv"
	"strings"
	"unicode/utf8"
)

// WriteEDN writes a history, one entry a line.
func WriteEDN(w io.Writer, h History) error {
	out := bufio.NewWriterSize(w, 1<<16)
	var line []byte
	for i := range h {
		line = append(appendOp(line[:0], &h[i]), '\n')
		if _, err := out.Write(line); err != nil {
			return err
		}
	}
	return out.Flush()
}

// String is the entry's line in EDN.
func (op Op) String() string {
	return string(appendOp(nil, &op))
}

// EDN is a value as it stands in a file.
func EDN(value any) string {
	return string(appendValue(nil, Canonical(value)))
}

func appendOp(b []byte, op *Op) []byte {
	b = append(b, "{:index "...)
	b = strconv.AppendInt(b, int64(op.Index), 10)
	b = append(b, " :type :"...)
	b = append(b, op.Type...)
	b = append(b, " :process "...)
	if op.Process == Nemesis {
		b = append(b, ":nemesis"...)
	} else {
		b = strconv.AppendInt(b, int64(op.Process), 10)
	}
	b = append(b, " :f "...)
	b = appendName(b, op.F)
	b = append(b, " :value "...)
	b = appendValue(b, op.Value)
	b = append(b, " :time "...)
	b = strconv.AppendInt(b, op.Time, 10)
	if op.Error != "" {
		b = append(b, " :error "...)
		b = appendString(b, op.Error)
	}
	for _, key := range sortedKeys(op.Extra) {
		b = append(b, ' ')
		b = appendName(b, key)
		b = append(b, ' ')
		b = appendValue(b, op.Extra[key])
	}
	return append(b, '}')
}

func sortedKeys(m map[string]any) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}

func appendValue(b []byte, value any) []byte {
	switch v := value.(type) {
	case nil:
		return append(b, "nil"...)
	case bool:
		return strconv.AppendBool(b, v)
	case int64:
		return strconv.AppendInt(b, v, 10)
	case float64:
		return appendFloat(b, v)
	case string:
		return appendString(b, v)
	case Keyword:
		return appendName(b, string(v))
	case []any:
		b = append(b, '[')
		for i, item := range v {
			if i > 0 {
				b = append(b, ' ')
			}
			b = appendValue(b, item)
		}
		return append(b, ']')
	case map[string]any:
		b = append(b, '{')
		for i, key := range sortedKeys(v) {
			if i > 0 {
				b = append(b, ' ')
			}
			b = append(appendName(b, key), ' ')
			b = appendValue(b, v[key])
		}
		return append(b, '}')
	case map[any]any:
		return appendAnyMap(b, v)
	}
	return appendValue(b, Canonical(value))
}

func appendAnyMap(b []byte, m map[any]any) []byte {
	keys := make([]any, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Slice(keys, func(x, y int) bool { return less(keys[x], keys[y]) })
	b = append(b, '{')
	for i, k := range keys {
		if i > 0 {
			b = append(b, ' ')
		}
		b = append(appendValue(b, k), ' ')
		b = appendValue(b, m[k])
	}
	return append(b, '}')
}

func less(x, y any) bool {
	a, isA := x.(int64)
	b, isB := y.(int64)
	if isA && isB {
		return a < b
	}
	return string(appendValue(nil, x)) < string(appendValue(nil, y))
}

func appendFloat(b []byte, v float64) []byte {
	switch {
	case math.IsNaN(v):
		return append(b, "##NaN"...)
	case math.IsInf(v, 1):
		return append(b, "##Inf"...)
	case math.IsInf(v, -1):
		return append(b, "##-Inf"...)
	}
	begin := len(b)
	b = strconv.AppendFloat(b, v, 'g', -1, 64)
	if !strings.ContainsAny(string(b[begin:]), ".e") {
		b = append(b, ".0"...)
	}
	return b
}

// A name that no EDN reader would take for a keyword is written as a string.
func appendName(b []byte, name string) []byte {
	if !isKeyword(name) {
		return appendString(b, name)
	}
	return append(append(b, ':'), name...)
}

func isKeyword(name string) bool {
	for i := 0; i < len(name); i++ {
		if !isSymbolByte(name[i]) {
			return false
		}
	}
	return name != "" && name[0] != ':' && name[0] != '/'
}

func isSymbolByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' ||
		strings.IndexByte(".*+!-_?$%&=<>/:#'", c) >= 0
}

func appendString(b []byte, s string) []byte {
	b = append(b, '"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b = append(b, '\\', byte(r))
		case r == '\n':
			b = append(b, `\n`...)
		case r == '\t':
			b = append(b, `\t`...)
		case r == '\r':
			b = append(b, `\r`...)
		case r < 0x20 || r == 0x7f:
			b = append(b, fmt.Sprintf(`\u%04x`, r)...)
		default:
			b = utf8.AppendRune(b, r)
		}
	}
	return append(b, '"')
}
