// Package wire speaks the client protocol of clade. It was written from client/wire/README.md and
// client/command/README.md alone and shares nothing with libclade, so it tests these pages too.
package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"sort"
)

// ErrDamaged says that bytes are no MessagePack value, or one that the protocol has no use for.
var ErrDamaged = errors.New("damaged MessagePack")

// Map is a MessagePack map with string keys; it is written in the order of its keys.
type Map = map[string]any

// Append writes a value behind b. It panics at a type that the protocol has no form for, because
// that is a fault of the caller.
func Append(b []byte, value any) []byte {
	switch v := value.(type) {
	case nil:
		return append(b, 0xc0)
	case bool:
		if v {
			return append(b, 0xc3)
		}
		return append(b, 0xc2)
	case int:
		return appendInt(b, int64(v))
	case int64:
		return appendInt(b, v)
	case uint32:
		return appendUint(b, uint64(v))
	case uint64:
		return appendUint(b, v)
	case float64:
		return binary.BigEndian.AppendUint64(append(b, 0xcb), math.Float64bits(v))
	case string:
		return append(appendHead(b, len(v), 0xa0, 32, 0xd9, 0xda, 0xdb), v...)
	case []byte:
		return append(appendHead(b, len(v), 0, 0, 0xc4, 0xc5, 0xc6), v...)
	case []string:
		b = appendHead(b, len(v), 0x90, 16, 0, 0xdc, 0xdd)
		for _, item := range v {
			b = Append(b, item)
		}
		return b
	case []int:
		b = appendHead(b, len(v), 0x90, 16, 0, 0xdc, 0xdd)
		for _, item := range v {
			b = Append(b, item)
		}
		return b
	case []Map:
		b = appendHead(b, len(v), 0x90, 16, 0, 0xdc, 0xdd)
		for _, item := range v {
			b = Append(b, item)
		}
		return b
	case []any:
		b = appendHead(b, len(v), 0x90, 16, 0, 0xdc, 0xdd)
		for _, item := range v {
			b = Append(b, item)
		}
		return b
	case Map:
		return appendMap(b, v)
	}
	panic(fmt.Sprintf("wire: no MessagePack form for a %T", value))
}

func appendMap(b []byte, m Map) []byte {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	b = appendHead(b, len(m), 0x80, 16, 0, 0xde, 0xdf)
	for _, k := range keys {
		b = Append(Append(b, k), m[k])
	}
	return b
}

// appendHead writes the head of a string, binary, array or map of n: the short form below `short`,
// else with a length of 8 (where there is one), 16 or 32 bits.
func appendHead(b []byte, n int, fix byte, short int, code8, code16, code32 byte) []byte {
	switch {
	case n < short:
		return append(b, fix|byte(n))
	case n < 1<<8 && code8 != 0:
		return append(b, code8, byte(n))
	case n < 1<<16:
		return binary.BigEndian.AppendUint16(append(b, code16), uint16(n))
	}
	return binary.BigEndian.AppendUint32(append(b, code32), uint32(n))
}

func appendUint(b []byte, v uint64) []byte {
	switch {
	case v < 1<<7:
		return append(b, byte(v))
	case v < 1<<8:
		return append(b, 0xcc, byte(v))
	case v < 1<<16:
		return binary.BigEndian.AppendUint16(append(b, 0xcd), uint16(v))
	case v < 1<<32:
		return binary.BigEndian.AppendUint32(append(b, 0xce), uint32(v))
	}
	return binary.BigEndian.AppendUint64(append(b, 0xcf), v)
}

func appendInt(b []byte, v int64) []byte {
	switch {
	case v >= 0:
		return appendUint(b, uint64(v))
	case v >= -32:
		return append(b, byte(v))
	}
	return binary.BigEndian.AppendUint64(append(b, 0xd3), uint64(v))
}

// Decode reads the one value that b is, into nil, bool, int64 (uint64 above that), float64, string,
// []byte, []any and Map.
func Decode(b []byte) (any, error) {
	d := decoder{b: b}
	v := d.value(0)
	if d.bad || len(d.b) != 0 {
		return nil, ErrDamaged
	}
	return v, nil
}

type decoder struct {
	b   []byte
	bad bool
}

const depthMax = 64

func (d *decoder) take(n uint64) []byte {
	if d.bad || n > uint64(len(d.b)) {
		d.bad = true
		return nil
	}
	out := d.b[:n]
	d.b = d.b[n:]
	return out
}

func (d *decoder) uint(bytes uint64) uint64 {
	var v uint64
	for _, c := range d.take(bytes) {
		v = v<<8 | uint64(c)
	}
	return v
}

func (d *decoder) value(depth int) any {
	head := d.take(1)
	if d.bad || depth > depthMax {
		d.bad = true
		return nil
	}
	c := head[0]
	switch {
	case c < 0x80:
		return int64(c)
	case c < 0x90:
		return d.mapOf(uint64(c&0x0f), depth)
	case c < 0xa0:
		return d.arrayOf(uint64(c&0x0f), depth)
	case c < 0xc0:
		return string(d.take(uint64(c & 0x1f)))
	case c >= 0xe0:
		return int64(int8(c))
	}
	return d.long(c, depth)
}

func (d *decoder) long(c byte, depth int) any {
	switch c {
	case 0xc0:
		return nil
	case 0xc2, 0xc3:
		return c == 0xc3
	case 0xc4, 0xc5, 0xc6:
		return append([]byte(nil), d.take(d.uint(1<<(c-0xc4)))...)
	case 0xca:
		return float64(math.Float32frombits(uint32(d.uint(4))))
	case 0xcb:
		return math.Float64frombits(d.uint(8))
	case 0xcc, 0xcd, 0xce, 0xcf:
		v := d.uint(1 << (c - 0xcc))
		if v > math.MaxInt64 {
			return v
		}
		return int64(v)
	case 0xd0, 0xd1, 0xd2, 0xd3:
		bytes := uint64(1) << (c - 0xd0)
		shift := 64 - 8*bytes
		return int64(d.uint(bytes)<<shift) >> shift
	case 0xd9, 0xda, 0xdb:
		return string(d.take(d.uint(1 << (c - 0xd9))))
	case 0xdc, 0xdd:
		return d.arrayOf(d.uint(2<<(c-0xdc)), depth)
	case 0xde, 0xdf:
		return d.mapOf(d.uint(2<<(c-0xde)), depth)
	}
	d.bad = true
	return nil
}

func (d *decoder) arrayOf(n uint64, depth int) any {
	if n > uint64(len(d.b)) {
		d.bad = true
		return nil
	}
	list := make([]any, 0, n)
	for i := uint64(0); i < n && !d.bad; i++ {
		list = append(list, d.value(depth+1))
	}
	return list
}

func (d *decoder) mapOf(n uint64, depth int) any {
	if n > uint64(len(d.b)) {
		d.bad = true
		return nil
	}
	m := make(Map, n)
	for i := uint64(0); i < n && !d.bad; i++ {
		key, isString := d.value(depth + 1).(string)
		if !isString {
			d.bad = true
			return nil
		}
		m[key] = d.value(depth + 1)
	}
	return m
}
