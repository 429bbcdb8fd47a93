package history

import (
	"fmt"
	"math"
	"reflect"
)

// Keyword is an EDN keyword without its colon: the names of micro-operations (:append, :r).
type Keyword string

// Canonical returns a deep copy of a value in the one form that checkers meet, whether a history
// comes from memory or from a file:
//
//	nil, bool, int64, float64, string, Keyword
//	[]any            from any slice or array (but []byte, which becomes a string)
//	map[string]any   from a map with string or Keyword keys; written with keyword keys
//	map[any]any      from a map with keys of another kind (integers, mostly)
//
// It panics at a type that has no such form, because that is a fault of the workload.
func Canonical(value any) any {
	switch v := value.(type) {
	case nil, bool, int64, float64, string, Keyword:
		return v
	case int:
		return int64(v)
	case []byte:
		return string(v)
	}
	return canonicalOther(reflect.ValueOf(value))
}

func canonicalOther(v reflect.Value) any {
	switch v.Kind() {
	case reflect.Bool:
		return v.Bool()
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return v.Int()
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		if v.Uint() > math.MaxInt64 {
			panic(fmt.Sprintf("history: %d does not fit 64 bits with a sign", v.Uint()))
		}
		return int64(v.Uint())
	case reflect.Float32, reflect.Float64:
		return v.Float()
	case reflect.String:
		return v.String()
	case reflect.Slice, reflect.Array:
		list := make([]any, v.Len())
		for i := range list {
			list[i] = Canonical(v.Index(i).Interface())
		}
		return list
	case reflect.Map:
		return canonicalMap(v)
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			return nil
		}
		return Canonical(v.Elem().Interface())
	}
	panic(fmt.Sprintf("history: a value of type %s", v.Type()))
}

func canonicalMap(v reflect.Value) any {
	named := map[string]any{}
	other := map[any]any{}
	for _, key := range v.MapKeys() {
		value := Canonical(v.MapIndex(key).Interface())
		switch k := Canonical(key.Interface()).(type) {
		case string:
			named[k] = value
			other[k] = value
		case Keyword:
			named[string(k)] = value
			other[k] = value
		default:
			other[k] = value
		}
	}
	if len(named) == len(other) {
		return named
	}
	return other
}
