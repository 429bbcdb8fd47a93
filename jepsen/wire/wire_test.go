package wire

import (
	"bytes"
	"encoding/hex"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"
)

// examples returns the byte examples of a page, by name.
func examples(t *testing.T, path string) map[string][]byte {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string][]byte{}
	for _, m := range regexp.MustCompile("(?s)```hex (\\w+)\n(.*?)```").FindAllStringSubmatch(string(text), -1) {
		var digits string
		for _, line := range strings.Split(m[2], "\n") {
			line, _, _ = strings.Cut(line, ";")
			digits += strings.Join(strings.Fields(line), "")
		}
		b, err := hex.DecodeString(digits)
		if err != nil {
			t.Fatal(err)
		}
		found[m[1]] = b
	}
	return found
}

func TestTheExamplesOfThePageDecodeAsTheySay(t *testing.T) {
	found := examples(t, "../../client/wire/README.md")
	command := Map{"v": int64(1), "ops": []any{
		Map{"op": "create", "kind": "artifact", "name": "a"}}}
	txn, err := Decode(found["txn"][4:])
	if err != nil {
		t.Fatal(err)
	}
	params := txn.([]any)[3].(Map)
	inner, err := Decode(params["command"].([]byte))
	if err != nil || !reflect.DeepEqual(inner, command) {
		t.Fatalf("the command is %v, %v", inner, err)
	}
	delete(params, "command")
	if !reflect.DeepEqual(txn, []any{int64(0), int64(2), "txn", Map{
		"deadline_ms": int64(9500), "session": int64(7), "seq": int64(1), "answered": int64(1)}}) {
		t.Fatalf("the transaction is %v", txn)
	}
	answer, err := Decode(found["answer"][4:])
	if err != nil || !reflect.DeepEqual(answer, []any{int64(1), int64(2), nil, Map{
		"revision": int64(12), "node": int64(2), "term": int64(3), "time": int64(1767225600000000),
		"data": []any{Map{"status": "created", "id": int64(5), "ref": "artifact/a"}}}}) {
		t.Fatalf("the answer is %v, %v", answer, err)
	}
	failed, err := Decode(found["error"][4:])
	if err != nil {
		t.Fatal(err)
	}
	failure := failureOf(failed.([]any)[2]).(*Failure)
	if failure.Code != "NOT_FOUND" || failure.Where != "ops[0].ref" {
		t.Fatalf("the failure is %v", failure)
	}
}

func TestHelloIsWrittenAsThePageHasIt(t *testing.T) {
	want := examples(t, "../../client/wire/README.md")["hello"]
	// Keys are written in their order, which here is not the page's: compare what it means.
	wrote, err := Decode(Append(nil, []any{0, uint32(1), "hello", Map{"versions": []int{1}, "user": "ann"}}))
	read, err2 := Decode(want[4:])
	if err != nil || err2 != nil || !reflect.DeepEqual(wrote, read) {
		t.Fatalf("%v and %v differ (%v, %v)", wrote, read, err, err2)
	}
}

func TestWhatIsWrittenIsReadAgain(t *testing.T) {
	long := strings.Repeat("x", 70000)
	values := []any{nil, true, false, int64(0), int64(127), int64(128), int64(255), int64(256),
		int64(65535), int64(65536), int64(1) << 32, int64(-1), int64(-32), int64(-33), int64(-1) << 40,
		1.5, "", "a", long[:31], long[:32], long[:255], long[:256], long, []byte{}, []byte(long),
		[]any{}, []any{int64(1), "b", []any{nil}}, Map{}, Map{"a": Map{"b": int64(2)}}}
	for _, v := range values {
		b := Append(nil, v)
		got, err := Decode(b)
		if bs, is := v.([]byte); is {
			if !bytes.Equal(bs, got.([]byte)) {
				t.Errorf("bytes of %d came back as %d", len(bs), len(got.([]byte)))
			}
			continue
		}
		if err != nil || !reflect.DeepEqual(got, v) {
			t.Errorf("%.40v came back as %.40v, %v", v, got, err)
		}
	}
}

func TestDamagedBytesAreRefused(t *testing.T) {
	whole := Append(nil, Map{"a": []any{int64(1), "text", 2.5}, "b": []byte{1, 2, 3}})
	for n := range whole {
		if _, err := Decode(whole[:n]); err == nil {
			t.Errorf("the first %d bytes were taken", n)
		}
	}
	if _, err := Decode([]byte{0xdd, 0xff, 0xff, 0xff, 0xff}); err == nil {
		t.Error("an array longer than the bytes was taken")
	}
}
