#!/usr/bin/env python3
"""The known answers of the sample, by a plain breadth-first search over its file.

Nothing of clade is used here: what clade answers is compared with it. Prints a line for each
question, or with --json an array of them; --check looks at the file instead: every end of an edge
exists, nothing is made or linked twice, versions have no gaps, no cycle among derivations.
"""

import argparse
import collections
import json
import os
import sys

SAMPLE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "models.ndjson")

DERIVED = ("derived_from", "fine_tuned_from", "distilled_from", "merged_from", "quantized_from",
           "adapter_of")
ACYCLIC = DERIVED + ("contains", "version_of", "stands_for")
MADE_FROM = ("trained_on",) + DERIVED

# direction, start, labels (None: all), depth (None: to the end)
QUESTIONS = (
    ("down", "artifact/imagenet-1k", None, None),
    ("down", "artifact/imagenet-1k", None, 1),
    ("down", "artifact/imagenet-1k", MADE_FROM, None),
    ("down", "artifact/imagenet-21k", MADE_FROM, None),
    ("down", "artifact/common-crawl", MADE_FROM + ("contains",), None),
    ("down", "artifact/the-pile", ("trained_on",), 1),
    ("down", "artifact/librivox", None, None),
    ("down", "version/llama/2", DERIVED, None),
    ("down", "version/mistral-7b/1", None, None),
    ("up", "version/zephyr-7b/2", None, None),
    ("up", "version/goliath-120b-gguf/1", DERIVED, None),
    ("up", "version/stable-diffusion-1/5", None, None),
    ("up", "version/distilbert-base-cased-distilled-squad/1", MADE_FROM, 2),
)


def read_ops(path):
    """(line, operation) of each operation of the file."""
    with open(path, encoding="utf-8") as f:
        for number, line in enumerate(f, 1):
            document = json.loads(line)
            for op in document.get("ops", [document]):
                yield number, op


def reference(op):
    """What names the thing that a create makes."""
    if op["kind"] == "version":
        return f"version/{op['model'].removeprefix('model/')}/{op['number']}"
    return f"{op['kind']}/{op['name']}"


class Graph:
    def __init__(self, path):
        self.things = {}
        self.edges = []
        self.up = collections.defaultdict(list)
        self.down = collections.defaultdict(list)
        for _, op in read_ops(path):
            if op["op"] == "create":
                self.things[reference(op)] = op
            else:
                edge = (op["from"], op["label"], op["to"])
                self.edges.append(edge)
                self.up[op["from"]].append((op["label"], op["to"]))
                self.down[op["to"]].append((op["label"], op["from"]))

    def walk(self, direction, start, labels=None, depth=None):
        """{reference: least depth} of what is reached, the start not in it."""
        neighbours = self.up if direction == "up" else self.down
        seen, queue = {start: 0}, collections.deque([start])
        while queue:
            at = queue.popleft()
            if depth is not None and seen[at] == depth:
                continue
            for label, to in neighbours[at]:
                if (labels is None or label in labels) and to not in seen:
                    seen[to] = seen[at] + 1
                    queue.append(to)
        del seen[start]
        return seen

    def newest(self, model):
        numbers = [op["number"] for op in self.things.values()
                   if op["kind"] == "version" and op["model"] == model]
        return max(numbers)


def answers(graph):
    kinds = collections.Counter(op["kind"] for op in graph.things.values())
    rows = [{"question": "count", "kind": kind, "count": n} for kind, n in sorted(kinds.items())]
    rows.append({"question": "count", "kind": "edge", "count": len(graph.edges)})
    for direction, start, labels, depth in QUESTIONS:
        rows.append({
            "question": "lineage", "direction": direction, "ref": start,
            "labels": list(labels) if labels else None, "depth": depth,
            "count": len(graph.walk(direction, start, labels, depth)),
        })
    for model in ("model/llama", "model/resnet-50", "model/zephyr-7b"):
        rows.append({"question": "newest", "ref": model, "number": graph.newest(model)})
    return rows


def sentence(row):
    if row["question"] == "count":
        return f"{row['count']:5}  {row['kind']}s in all"
    if row["question"] == "newest":
        return f"{row['number']:5}  newest version of {row['ref']}"
    labels = f" --labels {','.join(row['labels'])}" if row["labels"] else ""
    depth = f" --depth {row['depth']}" if row["depth"] else ""
    return f"{row['count']:5}  lineage {row['direction']} {row['ref']}{labels}{depth} --count"


def problems(path):
    made, linked = set(), set()
    numbers = collections.Counter()
    for line, op in read_ops(path):
        if op["op"] == "create":
            ref = reference(op)
            if ref in made:
                yield f"{line}: {ref} is made twice"
            made.add(ref)
            if op["kind"] == "version":
                if op["model"] not in made:
                    yield f"{line}: {op['model']} is not there"
                numbers[op["model"]] += 1
                if op["number"] != numbers[op["model"]]:
                    yield f"{line}: {ref} leaves a gap"
            if "type" in op and f"type/{op['kind']}:{op['type']}" not in made:
                yield f"{line}: the type {op['type']} is not there"
        else:
            edge = (op["from"], op["label"], op["to"])
            if edge in linked:
                yield f"{line}: {' '.join(edge)} is linked twice"
            linked.add(edge)
            for end in (op["from"], op["to"]):
                if end not in made:
                    yield f"{line}: {end} is not there"
    for ref in sorted(made):
        if ref.split("/")[0] != "type" and ref.split("/")[0] != "model":
            if not any(ref in (a, b) for a, _, b in linked) and not ref.startswith("version/"):
                yield f"{ref} has no edge"
    graph = Graph(path)
    for ref in graph.things:
        for label, to in graph.up[ref]:
            if label in ACYCLIC and (to == ref or ref in graph.walk("up", to, ACYCLIC)):
                yield f"{ref} {label} {to} is on a cycle"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("file", nargs="?", default=SAMPLE)
    parser.add_argument("--json", action="store_true", help="an array of objects")
    parser.add_argument("--check", action="store_true", help="look at the file's consistency")
    options = parser.parse_args()
    if options.check:
        found = list(problems(options.file))
        print("\n".join(found) if found else "the file is consistent")
        return 1 if found else 0
    rows = answers(Graph(options.file))
    print(json.dumps(rows, indent=1) if options.json else "\n".join(map(sentence, rows)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
