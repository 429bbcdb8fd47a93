"""Reads that follow edges, as plain.World answers them."""

import json

import plain
import searching

QUIET = 'evaluated_on'  # is followed only when it is named


def neighbours(state, labels, down, here):
    """What is one step from a thing, by id."""
    return sorted({a if down else b for a, label, b in state.edges
                   if (b if down else a) == here and (labels is None or label in labels)})


def without_quiet(state, params):
    """The labels that impact, provenance and diff follow."""
    if 'labels' in params:
        return params['labels']
    return {label for _, label, _ in state.edges} - {QUIET}


def walk(state, labels, down, start, depth_max):
    """The depth of each thing that is reached, the start's among them."""
    depths, level = {start: 0}, [start]
    while level and (not depth_max or depths[level[0]] < depth_max):
        following = []
        for here in level:
            for there in neighbours(state, labels, down, here):
                if there not in depths:
                    depths[there] = depths[here] + 1
                    following.append(there)
        level = following
    return depths


class Walks:
    """Mixed into World."""

    def start_of(self, state, ns, params, key='ref'):
        ref = plain.Form.inside(key, plain.Ref, params[key])
        dead = params.get('state', 'any') == 'deleted' or ref.form == 'id'
        return plain.Form.inside(key, state.resolve, ref, ns, dead)

    def shown_walk(self, state, ns, params, depths):
        """(depth, thing) of what a read chose, in order."""
        look, tree = searching.Search(state, ns), json.loads(params.get('query', 'null'))
        if tree:
            look.check_references(tree)
        if isinstance(state, plain.Past):
            state.met_hidden |= bool(state.hidden)
            met = {state.hidden[i] for i in depths if i in state.hidden}
            if met:
                raise plain.Refused('COMPACTED', 'as_of', floors=met)
        things = [(d, state.things[i]) for d, i in sorted((d, i) for i, d in depths.items())]
        return [(d, t) for d, t in things if self.wanted(state, t, params, 'any') and
                t['kind'] in params.get('kinds', plain.KINDS) and
                (not tree or look.matches(t, tree))]

    def read_lineage(self, state, ns, params):
        start = self.start_of(state, ns, params)
        depths = walk(state, params.get('labels'), params.get('direction', 'up') == 'down',
                      start['id'], params.get('depth', 0))
        del depths[start['id']]
        found = self.shown_walk(state, ns, params, depths)
        if params.get('count'):
            return {'count': len(found)}
        return [self.show(state, ns, t, params, depth=d) for d, t in found]

    # What is in use.

    @staticmethod
    def uses_of(state, ns, thing):
        if thing['kind'] != 'version':
            return []
        aliases = sorted((alias for (_, alias), (version, _) in state.aliases.items()
                          if version == thing['id']), key=str.encode)
        uses = [{'alias': alias} for alias in aliases]
        for name, _, in_use in state.stages(thing['ns']):
            if in_use and thing['fields'].get('stage') == name:
                uses.append({'stage': name})
        served = [{'deployment': state.ref(d, ns), 'share': share, 'mode': mode}
                  for d in state.find('deployment') if not d['deleted']
                  for version, share, mode in d['fields'].get('targets', ())
                  if version == thing['id']]
        return uses + sorted(served, key=lambda use: use['deployment'].encode())

    def show_path(self, state, ns, params, ids, down):
        """A path's things, each but the first with the labels that lead to it."""
        steps = []
        for i, id_ in enumerate(ids):
            more = {}
            if i:
                ends = (id_, ids[i - 1]) if down else (ids[i - 1], id_)
                more['labels'] = sorted((label for a, label, b in state.edges if (a, b) == ends and
                                         ('labels' not in params or label in params['labels'])),
                                        key=str.encode)
            steps.append(self.show(state, ns, state.things[id_],
                                   {'view': params.get('view', 'heads')}, **more))
        return steps

    @staticmethod
    def path_back(state, labels, depths, id_):
        """From the start to a thing, by way of the least at each depth, seen from its end."""
        path = [id_]
        while depths[path[0]]:
            path.insert(0, min(i for i in neighbours(state, labels, False, path[0])
                               if depths.get(i) == depths[path[0]] - 1))
        return path

    def read_impact(self, state, ns, params):
        start = self.start_of(state, ns, params)
        labels = without_quiet(state, params)
        depths = walk(state, labels, True, start['id'], params.get('depth', 0))
        found = [(d, t, self.uses_of(state, ns, t)) for d, t in
                 self.shown_walk(state, ns, params, depths)]
        found = [row for row in found if row[2]]
        if params.get('count'):
            return {'count': len(found)}
        told = {**params, 'labels': labels}
        return [self.show(state, ns, t, params, depth=d, uses=uses, path=self.show_path(
            state, ns, told, self.path_back(state, labels, depths, t['id']), True))
                for d, t, uses in found]

    # What something was made of.

    @staticmethod
    def role_of(state, thing):
        if thing['kind'] == 'artifact':
            type_ = thing['fields'].get('type')
            code = type_ is not None and state.things[type_]['name'] == 'artifact:code' or any(
                uri.startswith(('git+', 'git:', 'git@')) for uri in thing['fields'].get('uris', ()))
            return 'code' if code else 'data'
        return {'run': 'run', 'version': 'parent', 'model': 'parent'}.get(thing['kind'], 'other')

    def read_provenance(self, state, ns, params):
        start = self.start_of(state, ns, params)
        depths = walk(state, without_quiet(state, params), False, start['id'],
                      params.get('depth', 0))
        del depths[start['id']]
        found = self.shown_walk(state, ns, params, depths)
        if params.get('count'):
            return {'count': len(found)}
        data = []
        for depth, thing in found:
            more = {'depth': depth, 'role': self.role_of(state, thing)}
            for name in ('digests', 'size', 'content', 'uris'):
                if name in thing['fields'] and params.get('view', 'heads') == 'heads':
                    more[name] = self.show_field(state, ns, name, thing['fields'][name])
            data.append(self.show(state, ns, thing, params, **more))
        return data

    # How one thing leads to another.

    def read_paths(self, state, ns, params):
        if isinstance(state, plain.Past):
            state.met_hidden = bool(state.hidden)
        from_ = self.start_of(state, ns, params, 'from')['id']
        to = self.start_of(state, ns, params, 'to')['id']
        ways = {'up': (False,), 'down': (True,)}.get(params.get('direction'), (False, True))
        for down in ways:
            found = self.some_paths(state, params, down, from_, to)
            if found:
                return [{'direction': 'down' if down else 'up', 'length': len(path) - 1,
                         'steps': self.show_path(state, ns, params, path, down)} for path in found]
        return []

    @staticmethod
    def some_paths(state, params, down, from_, to):
        """The first of all paths without a thing twice, by (length, ids)."""
        labels = params.get('labels')
        left = walk(state, labels, not down, to, 0)  # how far each is from the end
        found, limit = [], params.get('limit', 1)

        def extend(path, length):
            if len(path) - 1 == length:
                if path[-1] == to:
                    found.append(path)
                return
            for there in neighbours(state, labels, down, path[-1]) if path[-1] != to else ():
                if there in left and there not in path and len(path) + left[there] <= length and \
                        len(found) < limit:
                    extend([*path, there], length)

        longest = params.get('depth', 0) or len(left)
        for length in range(left.get(from_, longest + 1), longest + 1):
            if len(found) < limit:
                extend([from_], length)
        return found

    # What differs.

    def read_diff(self, state, ns, params):
        past = state
        revisions = [self.revision_at(params.get('as_of'))] * 2
        if 'from_as_of' in params:
            revisions[0] = plain.Form.inside('from_as_of', self.past_revision,
                                             params['from_as_of'])
            past = self.seen(revisions[0])
        named = self.seen(max(revisions))
        for seen in (past, named):
            if isinstance(seen, plain.Past):
                seen.met_hidden = bool(seen.hidden)
        states = (past, state)
        told = {'to': params['from'], **params}
        things = [self.start_of(s, ns, told, key) for s, key in zip(states, ('from', 'to'))]
        data = {key: self.show(s, ns, t, {'view': 'heads'}, revision=r)
                for key, s, t, r in zip(('from', 'to'), states, things, revisions)}
        data['fields'] = self.field_changes(named, ns, *things)
        sides = [{key: text for (id_, key), text in s.params.items() if id_ == t['id']}
                 for s, t in zip(states, things)]
        data['params'] = self.pair_changes(named, ns, 'map', *sides)
        data['metrics'] = self.metric_changes(named, ns, states, things)
        reached = [walk(s, without_quiet(s, params), False, t['id'], params.get('depth', 0))
                   for s, t in zip(states, things)]
        for depths, thing in zip(reached, things):
            del depths[thing['id']]
        only = [[self.show(named, ns, named.things[i], {'view': params.get('view', 'heads')}, depth=d)
                 for d, i in sorted((d, i) for i, d in mine.items() if i not in other)]
                for mine, other in (reached, reached[::-1])]
        limit = params.get('limit', 1000)
        data['provenance'] = {'from': only[0][:limit], 'to': only[1][:limit],
                              'both': len(set(reached[0]) & set(reached[1]))}
        return data

    def past_revision(self, revision):
        if revision > self.revision:
            raise plain.Refused('INVALID')
        return revision

    def metric_changes(self, named, ns, states, things):
        sides = [{place[1:]: s.series[place] for place in self.series_of(s, t)}
                 for s, t in zip(states, things)]
        changes = []
        for key, on in sorted({**sides[0], **sides[1]}, key=lambda p: (p[0].encode(), p[1])):
            points = [side.get((key, on)) for side in sides]
            lasts = [p and [len(p), plain.rank(p[-1].shown[2]), p[-1].shown[0]] for p in points]
            if lasts[0] == lasts[1]:
                continue
            change = {'key': key, **({'on': named.ref(named.things[on], ns)} if on else {})}
            for word, p in zip(('from', 'to'), points):
                if p:
                    change[word] = {'count': len(p), 'last': p[-1].shown}
            changes.append(change)
        return changes
