package history

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"unicode/utf8"
)

// ReadEDN reads a history: a sequence of maps, or one vector or list of them, tagged
// (#jepsen.history.Op) or not. A missing :index is the entry's place. Values come in canonical
// form; sets and lists come as []any, symbols as strings, tags are dropped.
func ReadEDN(r io.Reader) (History, error) {
	text, err := io.ReadAll(r)
	if err != nil {
		return nil, err
	}
	p := &parser{text: text}
	var h History
	for {
		value, err := p.value()
		if errors.Is(err, io.EOF) {
			return h, nil
		}
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", p.line(), err)
		}
		if h, err = appendEntries(h, value); err != nil {
			return nil, fmt.Errorf("line %d: %w", p.line(), err)
		}
	}
}

// ReadValue reads one value.
func ReadValue(text string) (any, error) {
	p := &parser{text: []byte(text)}
	value, err := p.value()
	if err != nil {
		return nil, err
	}
	if _, err := p.value(); !errors.Is(err, io.EOF) {
		return nil, errors.New("more than one value")
	}
	return value, nil
}

func appendEntries(h History, value any) (History, error) {
	switch v := value.(type) {
	case []any:
		for _, entry := range v {
			var err error
			if h, err = appendEntries(h, entry); err != nil {
				return nil, err
			}
		}
		return h, nil
	case map[string]any:
		op, err := opOf(v, len(h))
		return append(h, op), err
	}
	return nil, fmt.Errorf("%s is not an entry", EDN(value))
}

func opOf(m map[string]any, index int) (Op, error) {
	op := Op{Index: index, Value: m["value"]}
	for key, value := range m {
		var known bool
		switch key {
		case "index":
			op.Index, known = asInt(value)
		case "type":
			op.Type, known = asName(value)
		case "process":
			if name, is := asName(value); is && name == "nemesis" {
				op.Process, known = Nemesis, true
			} else {
				op.Process, known = asInt(value)
			}
		case "f":
			op.F, known = asName(value)
		case "value":
			known = true
		case "time":
			op.Time, known = value.(int64)
		case "error":
			op.Error, known = asName(value)
			if !known && value != nil {
				op.Error = EDN(value)
			}
			known = true
		default:
			if op.Extra == nil {
				op.Extra = map[string]any{}
			}
			op.Extra[key], known = value, true
		}
		if !known {
			return op, fmt.Errorf("%s is no :%s", EDN(value), key)
		}
	}
	switch op.Type {
	case Invoke, Ok, Fail, Info:
		return op, nil
	}
	return op, fmt.Errorf("an entry of type %q", op.Type)
}

func asInt(value any) (int, bool) {
	n, is := value.(int64)
	return int(n), is
}

func asName(value any) (string, bool) {
	switch v := value.(type) {
	case string:
		return v, true
	case Keyword:
		return string(v), true
	}
	return "", false
}

// --- EDN --------------------------------------------------------------------------------------

// Deeper than any history; a file that is deeper is refused rather than followed.
const depthMax = 1000

type parser struct {
	text  []byte
	at    int
	depth int
}

func (p *parser) line() int {
	return 1 + bytes.Count(p.text[:p.at], []byte{'\n'})
}

// Skips white space, commas and comments; false at the end.
func (p *parser) skip() bool {
	for p.at < len(p.text) {
		switch p.text[p.at] {
		case ' ', '\t', '\n', '\r', ',':
			p.at++
		case ';':
			for p.at < len(p.text) && p.text[p.at] != '\n' {
				p.at++
			}
		default:
			return true
		}
	}
	return false
}

func (p *parser) value() (any, error) {
	if !p.skip() {
		return nil, io.EOF
	}
	c := p.text[p.at]
	switch c {
	case '[', '(':
		return p.list(map[byte]byte{'[': ']', '(': ')'}[c])
	case '{':
		return p.mapping()
	case '"':
		return p.str()
	case '#':
		return p.dispatch()
	case ':':
		p.at++
		token := p.token()
		if token == "" {
			return nil, errors.New("a keyword without a name")
		}
		return Keyword(token), nil
	case '\\':
		p.at++
		r, size := utf8.DecodeRune(p.text[p.at:])
		p.at += size
		return string(r), nil
	}
	return p.atom()
}

func (p *parser) token() string {
	begin := p.at
	for p.at < len(p.text) && isSymbolByte(p.text[p.at]) {
		p.at++
	}
	return string(p.text[begin:p.at])
}

func (p *parser) atom() (any, error) {
	token := p.token()
	switch token {
	case "":
		return nil, fmt.Errorf("unexpected %q", p.text[p.at])
	case "nil":
		return nil, nil
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	digits := token
	if digits[0] == '+' || digits[0] == '-' {
		digits = digits[1:]
	}
	if digits == "" || digits[0] < '0' || digits[0] > '9' {
		return token, nil // a symbol
	}
	if last := token[len(token)-1]; last == 'N' || last == 'M' {
		token = token[:len(token)-1]
	}
	if n, err := strconv.ParseInt(token, 10, 64); err == nil {
		return n, nil
	}
	f, err := strconv.ParseFloat(token, 64)
	if err != nil {
		return nil, fmt.Errorf("%q is no number", token)
	}
	return f, nil
}

func (p *parser) deeper() error {
	p.depth++
	if p.depth > depthMax {
		return errors.New("too deep")
	}
	return nil
}

func (p *parser) list(end byte) (any, error) {
	if err := p.deeper(); err != nil {
		return nil, err
	}
	defer func() { p.depth-- }()
	p.at++
	items := []any{}
	for {
		if !p.skip() {
			return nil, fmt.Errorf("no %q at the end", end)
		}
		if p.text[p.at] == end {
			p.at++
			return items, nil
		}
		if discarded, err := p.discard(); err != nil {
			return nil, err
		} else if discarded {
			continue
		}
		item, err := p.value()
		if err != nil {
			return nil, noEOF(err)
		}
		items = append(items, item)
	}
}

func (p *parser) mapping() (any, error) {
	value, err := p.list('}')
	if err != nil {
		return nil, err
	}
	items := value.([]any)
	if len(items)%2 != 0 {
		return nil, errors.New("a map with a key and no value")
	}
	named := make(map[string]any, len(items)/2)
	for i := 0; i < len(items); i += 2 {
		name, is := asName(items[i])
		if !is {
			return anyMap(items)
		}
		named[name] = items[i+1]
	}
	return named, nil
}

func anyMap(items []any) (any, error) {
	m := make(map[any]any, len(items)/2)
	for i := 0; i < len(items); i += 2 {
		switch items[i].(type) {
		case []any, map[string]any, map[any]any:
			m[EDN(items[i])] = items[i+1] // Go has no such keys
		default:
			m[items[i]] = items[i+1]
		}
	}
	return m, nil
}

// Skips `#_ value`; false where there is none.
func (p *parser) discard() (bool, error) {
	if !bytes.HasPrefix(p.text[p.at:], []byte("#_")) {
		return false, nil
	}
	p.at += 2
	_, err := p.value()
	return true, noEOF(err)
}

func (p *parser) dispatch() (any, error) {
	if err := p.deeper(); err != nil {
		return nil, err
	}
	defer func() { p.depth-- }()
	if discarded, err := p.discard(); err != nil {
		return nil, err
	} else if discarded {
		return p.value()
	}
	p.at++
	if p.at < len(p.text) && p.text[p.at] == '{' {
		return p.list('}')
	}
	if p.at < len(p.text) && p.text[p.at] == '#' {
		p.at++
		switch token := p.token(); token {
		case "NaN":
			return math.NaN(), nil
		case "Inf":
			return math.Inf(1), nil
		case "-Inf":
			return math.Inf(-1), nil
		default:
			return nil, fmt.Errorf("##%s", token)
		}
	}
	if p.token() == "" {
		return nil, errors.New("# without a tag")
	}
	value, err := p.value()
	return value, noEOF(err)
}

func (p *parser) str() (any, error) {
	p.at++
	var b []byte
	for p.at < len(p.text) {
		c := p.text[p.at]
		p.at++
		switch c {
		case '"':
			return string(b), nil
		case '\\':
			var err error
			if b, err = p.escape(b); err != nil {
				return nil, err
			}
		default:
			b = append(b, c)
		}
	}
	return nil, errors.New("a string without an end")
}

func (p *parser) escape(b []byte) ([]byte, error) {
	if p.at >= len(p.text) {
		return nil, errors.New("a string without an end")
	}
	c := p.text[p.at]
	p.at++
	switch c {
	case 'n':
		return append(b, '\n'), nil
	case 't':
		return append(b, '\t'), nil
	case 'r':
		return append(b, '\r'), nil
	case 'b':
		return append(b, '\b'), nil
	case 'f':
		return append(b, '\f'), nil
	case '"', '\\':
		return append(b, c), nil
	case 'u':
		if p.at+4 > len(p.text) {
			return nil, errors.New(`\u without four digits`)
		}
		n, err := strconv.ParseUint(string(p.text[p.at:p.at+4]), 16, 16)
		p.at += 4
		return utf8.AppendRune(b, rune(n)), err
	}
	return nil, fmt.Errorf(`\%c in a string`, c)
}

// The end of the text inside a value is an error like others.
func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
