package history

import (
	"io"
	"sync"
	"time"
)

// Recorder collects a run's entries. Its methods may be called from any goroutine; indexes are
// dense and times never run backwards. Values are copied (Canonical), so the caller may go on to
// change what it passed.
type Recorder struct {
	mutex   sync.Mutex
	start   time.Time
	ops     History
	sink    io.Writer
	sinkErr error
	lines   []byte // whole lines that are not in the sink yet
}

// NewRecorder begins a run now. What is recorded is also written to sink as EDN, an entry a line,
// so that a run that dies leaves its history; nil writes nothing. Many lines are written at once,
// and always whole ones; Flush writes those that wait.
func NewRecorder(sink io.Writer) *Recorder {
	return &Recorder{start: time.Now(), sink: sink}
}

// So many bytes wait at most before they are written.
const linesMax = 1 << 16

// Start is when the run began; an entry's Time counts from here.
func (r *Recorder) Start() time.Time { return r.start }

// Record appends an entry, giving it its Index and its Time, and returns it.
func (r *Recorder) Record(op Op) Op {
	op.Value = Canonical(op.Value)
	if op.Extra != nil {
		op.Extra = Canonical(op.Extra).(map[string]any)
	}
	r.mutex.Lock()
	defer r.mutex.Unlock()
	op.Index = len(r.ops)
	op.Time = int64(time.Since(r.start))
	r.ops = append(r.ops, op)
	if r.sink != nil {
		r.lines = append(appendOp(r.lines, &op), '\n')
		if len(r.lines) > linesMax {
			r.write()
		}
	}
	return op
}

// Nemesis appends an entry of the nemesis.
func (r *Recorder) Nemesis(f string, value any) Op {
	return r.Record(Op{Type: Info, Process: Nemesis, F: f, Value: value})
}

// History is a copy of what was recorded so far; values are shared and must not be changed.
func (r *Recorder) History() History {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	return append(History(nil), r.ops...)
}

// Flush writes what waits to the sink; the first error of any write so far.
func (r *Recorder) Flush() error {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	if r.sink != nil {
		r.write()
	}
	return r.sinkErr
}

func (r *Recorder) write() {
	if r.sinkErr == nil {
		_, r.sinkErr = r.sink.Write(r.lines)
	}
	r.lines = r.lines[:0]
}

// Thread is one client's line of operations, run one after the other by one goroutine. It gives the
// process ids: thread t of n is process t, and after each operation of unknown outcome t+n, t+2n and
// so on, as Jepsen does, so a retired id never comes back.
type Thread struct {
	recorder *Recorder
	process  int
	threads  int
}

// NewThread is thread number t of n in all; every thread of a run must be made with the same n.
func (r *Recorder) NewThread(t, n int) *Thread {
	return &Thread{recorder: r, process: t, threads: n}
}

// Process is the id of the operation that is under way, or next.
func (t *Thread) Process() int { return t.process }

// Do records the invocation of f, runs the operation and records how it ended: run returns the
// completion's Type, Value, Error and Extra, and the rest is filled in. It returns the completion.
func (t *Thread) Do(f string, value any, run func() Op) Op {
	t.recorder.Record(Op{Type: Invoke, Process: t.process, F: f, Value: value})
	done := run()
	done.Process = t.process
	done.F = f
	if done.Type == Info {
		t.process += t.threads
	}
	return t.recorder.Record(done)
}
