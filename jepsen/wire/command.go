package wire

// The vocabulary of transactions, as client/command/README.md has it.

// Command is the bytes of a transaction.
func Command(namespace string, guards []Map, ops ...Map) []byte {
	m := Map{"v": 1, "ops": ops}
	if len(guards) > 0 {
		m["guards"] = guards
	}
	if namespace != "" {
		m["ns"] = namespace
	}
	return Append(nil, m)
}

// With returns a copy of m with these keys and values set too.
func With(m Map, pairs ...any) Map {
	out := make(Map, len(m)+len(pairs)/2)
	for k, v := range m {
		out[k] = v
	}
	for i := 0; i+1 < len(pairs); i += 2 {
		out[pairs[i].(string)] = pairs[i+1]
	}
	return out
}

// Create is a `create` of a kind; an empty name leaves it to the store.
func Create(kind, name string, pairs ...any) Map {
	m := Map{"op": "create", "kind": kind}
	if name != "" {
		m["name"] = name
	}
	return With(m, pairs...)
}

// Update is an `update` of a thing.
func Update(ref string, pairs ...any) Map {
	return With(Map{"op": "update", "ref": ref}, pairs...)
}

// Delete is a `delete` of a thing.
func Delete(ref string) Map { return Map{"op": "delete", "ref": ref} }

// Edge is a `link` or `unlink`.
func Edge(op, from, label, to string) Map {
	return Map{"op": op, "from": from, "label": label, "to": to}
}

// Unchanged is the guard that a thing was not changed since a revision.
func Unchanged(ref string, revision int64) Map {
	return Map{"guard": "unchanged", "ref": ref, "revision": revision}
}
