package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"time"
)

// The longest frames, as the protocol has them.
const (
	RequestBytesMax = 2097152
	AnswerBytesMax  = 8388608
)

// Failure is an error that the server answered.
type Failure struct {
	Code     string // the class: "CONFLICT"
	Message  string
	Where    string
	Leader   string // where to go instead, or ""
	Revision int64
}

func (f *Failure) Error() string {
	if f.Where != "" {
		return f.Code + ": " + f.Where + ": " + f.Message
	}
	return f.Code + ": " + f.Message
}

// Lost says that a connection was not made or ended. Sent tells whether the server may have got
// the request.
type Lost struct {
	Sent bool
	Why  string
}

func (l *Lost) Error() string {
	if l.Sent {
		return "LOST: " + l.Why
	}
	return "NOT_SENT: " + l.Why
}

// Code is the class of an error: of a Failure its code, "LOST", "NOT_SENT", or "" of nil.
func Code(err error) string {
	var failure *Failure
	if errors.As(err, &failure) {
		return failure.Code
	}
	var lost *Lost
	if errors.As(err, &lost) && lost.Sent {
		return "LOST"
	}
	if err == nil {
		return ""
	}
	return "NOT_SENT"
}

// NothingHappened tells whether an error of a write that was sent once means for certain that it
// had no effect and never will.
func NothingHappened(err error) bool {
	switch Code(err) {
	case "UNKNOWN", "LOST", "INTERNAL", "IO", "CORRUPT", "SESSION_EXPIRED":
		return Code(err) == "SESSION_EXPIRED"
	}
	return true
}

type answer struct {
	result any
	err    error
}

// Client is one connection; any goroutine may call it.
type Client struct {
	Address string
	Hello   Map // the answer to hello

	conn    net.Conn
	mutex   sync.Mutex // guards what follows, and writing
	next    uint32
	pending map[uint32]chan answer
	lost    error
	// Notifications other than "error" are given to OnNote, on the reader's goroutine, if it is set
	// before the first one can come.
	OnNote func(method string, params Map)
}

// Options of a connection.
type Options struct {
	From      string // source address, or "" for any
	Namespace string
	Timeout   time.Duration // for the connection and hello
}

// Dial connects and says hello.
func Dial(address string, o Options) (*Client, error) {
	dialer := net.Dialer{Timeout: o.Timeout}
	if o.From != "" {
		dialer.LocalAddr = &net.TCPAddr{IP: net.ParseIP(o.From)}
	}
	conn, err := dialer.Dial("tcp", address)
	if err != nil {
		return nil, &Lost{Why: err.Error()}
	}
	c := &Client{Address: address, conn: conn, pending: map[uint32]chan answer{}}
	go c.read()
	params := Map{"versions": []int{1}, "client": "jepsen/1.0", "user": "jepsen"}
	if o.Namespace != "" {
		params["namespace"] = o.Namespace
	}
	result, err := c.Call("hello", params, o.Timeout)
	if err != nil {
		c.Close()
		return nil, &Lost{Why: "hello: " + err.Error()}
	}
	c.Hello = result
	return c, nil
}

// Close ends the connection; what waits for an answer gets Lost.
func (c *Client) Close() { c.fail("closed") }

// Alive tells whether the connection is still there, as far as is known.
func (c *Client) Alive() bool {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	return c.lost == nil
}

func (c *Client) fail(why string) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if c.lost != nil {
		return
	}
	c.lost = &Lost{Sent: true, Why: why}
	_ = c.conn.Close()
	for id, to := range c.pending {
		to <- answer{err: c.lost}
		delete(c.pending, id)
	}
}

// Call sends a request and waits for its answer. Without one within the timeout it is Lost; the
// connection stays, and a late answer is thrown away.
func (c *Client) Call(method string, params Map, timeout time.Duration) (Map, error) {
	to, err := c.Send(method, params, timeout)
	if err != nil {
		return nil, err
	}
	return c.Wait(to, timeout)
}

// Send sends a request; its answer is taken with Wait, once.
func (c *Client) Send(method string, params Map, timeout time.Duration) (<-chan answer, error) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if c.lost != nil {
		return nil, &Lost{Why: c.lost.Error()}
	}
	c.next++
	id := c.next
	frame := Append(make([]byte, 4, 256), []any{0, id, method, params})
	if len(frame)-4 > RequestBytesMax {
		return nil, &Lost{Why: fmt.Sprintf("a frame of %d bytes", len(frame)-4)}
	}
	binary.BigEndian.PutUint32(frame, uint32(len(frame)-4))
	to := make(chan answer, 1)
	c.pending[id] = to
	_ = c.conn.SetWriteDeadline(time.Now().Add(timeout))
	if _, err := c.conn.Write(frame); err != nil {
		delete(c.pending, id)
		go c.fail(err.Error())
		// Part of it may have left, and a whole frame is what counts; but the kernel does not tell.
		return nil, &Lost{Sent: true, Why: err.Error()}
	}
	return to, nil
}

// Wait waits for the answer to a request that was sent.
func (c *Client) Wait(to <-chan answer, timeout time.Duration) (Map, error) {
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	var got answer
	select {
	case got = <-to:
	case <-timer.C:
		return nil, &Lost{Sent: true, Why: "no answer in time"}
	}
	if got.err != nil {
		return nil, got.err
	}
	result, isMap := got.result.(Map)
	if !isMap {
		return Map{"data": got.result}, nil
	}
	return result, nil
}

func (c *Client) read() {
	head := make([]byte, 4)
	for {
		if _, err := io.ReadFull(c.conn, head); err != nil {
			c.fail(err.Error())
			return
		}
		n := binary.BigEndian.Uint32(head)
		if n == 0 || n > AnswerBytesMax {
			c.fail(fmt.Sprintf("a frame of %d bytes", n))
			return
		}
		body := make([]byte, n)
		if _, err := io.ReadFull(c.conn, body); err != nil {
			c.fail(err.Error())
			return
		}
		if why := c.take(body); why != "" {
			c.fail(why)
			return
		}
	}
}

// take handles one message; says why the connection must end, or "".
func (c *Client) take(body []byte) string {
	value, err := Decode(body)
	if err != nil {
		return "the server sent " + err.Error()
	}
	message, _ := value.([]any)
	if len(message) == 3 && message[0] == int64(2) {
		return c.takeNote(message)
	}
	if len(message) != 4 || message[0] != int64(1) {
		return fmt.Sprintf("the server sent no answer: %v", value)
	}
	id, isInt := message[1].(int64)
	c.mutex.Lock()
	to := c.pending[uint32(id)]
	delete(c.pending, uint32(id))
	c.mutex.Unlock()
	if !isInt || to == nil {
		return fmt.Sprintf("an answer to no request: %v", message[1])
	}
	if message[2] != nil {
		to <- answer{err: failureOf(message[2])}
	} else {
		to <- answer{result: message[3]}
	}
	return ""
}

func (c *Client) takeNote(message []any) string {
	method, _ := message[1].(string)
	params, _ := message[2].(Map)
	if method == "error" {
		return fmt.Sprintf("the server ended it: %v %v", params["code"], params["message"])
	}
	if c.OnNote != nil {
		c.OnNote(method, params)
	}
	return ""
}

func failureOf(value any) error {
	m, isMap := value.(Map)
	if !isMap {
		return &Failure{Code: "INTERNAL", Message: fmt.Sprint(value)}
	}
	f := &Failure{}
	f.Code, _ = m["code"].(string)
	f.Message, _ = m["message"].(string)
	f.Where, _ = m["where"].(string)
	f.Leader, _ = m["leader"].(string)
	f.Revision, _ = m["revision"].(int64)
	f.Message = strings.TrimSpace(f.Message)
	return f
}

// Garbage sends bytes that are no frame; the server ends the connection.
func (c *Client) Garbage() {
	c.mutex.Lock()
	_ = c.conn.SetWriteDeadline(time.Now().Add(time.Second))
	_, _ = c.conn.Write([]byte("\x00\x00\x00\x05\xc1\xc1\xc1\xc1\xc1GET / HTTP/1.1\r\n\r\n"))
	c.mutex.Unlock()
}
