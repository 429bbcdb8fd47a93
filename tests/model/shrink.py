"""Makes a failing case small: items, then operations and references, then keys, are left out as long
as some answer still differs."""

import copy

from episode import Episode, Mismatch


# Without these it is another case.
KEPT = ('_', 'op', 'kind', 'ref', 'refs', 'from', 'label', 'to', 'model', 'key', 'points', 'version')


class Shrinker:
    def __init__(self, real, items, attempts):
        self.real = real
        self.items = items
        self.left = attempts
        self.found = None
        self.pipelined = False

    def fails(self, items):
        if self.left <= 0 or items is None:
            return False
        self.left -= 1
        try:
            Episode(self.real).replay(items, self.pipelined)
        except Mismatch as e:
            self.found = e
            return True
        except (KeyError, IndexError, ValueError):
            return False  # what is left means nothing
        return False

    def run(self):
        """The smallest that was found and its Mismatch, None when it does not fail again."""
        if not self.fails(self.items):
            self.pipelined = True
            if not self.fails(self.items):
                return self.items, None
        size = None
        while size != (size := len(repr(self.items))) and self.left > 0:
            self.items = self.leave_out(self.items, lambda part: part)
            self.parts_of_items()
        return self.items, self.found

    def leave_out(self, parts, whole):
        """The fewest of `parts` with which whole(parts) still fails."""
        chunk = max(1, len(parts) // 2)
        while chunk >= 1:
            i = 0
            while i < len(parts):
                fewer = parts[:i] + parts[i + chunk:]
                if self.fails(whole(fewer)):
                    parts = fewer
                else:
                    i += chunk
            chunk = 0 if chunk == 1 else max(1, chunk // 2)
        return parts

    def with_item(self, n, item):
        return self.items[:n] + [item] + self.items[n + 1:]

    def parts_of_items(self):
        for n in range(len(self.items)):
            item = self.items[n]
            if 'command' in item:
                self.items[n] = item = self.shrink_command(n, item)
            elif 'params' in item:
                def with_params(params, n=n, item=item):
                    return self.with_item(n, {**item, 'params': params})
                self.items[n] = {**item, 'params': self.shrink_map(item['params'], with_params)}

    def shrink_command(self, n, item):
        command = item['command']
        for key in ('ops', 'guards'):
            if key in command:
                def with_list(parts, key=key):
                    return self.with_item(n, {**item, 'command': {**command, key: parts}}) \
                        if parts or key != 'ops' else None
                command = {**command, key: self.leave_out(command[key], with_list)}
        for i in range(len(command['ops'])):
            def with_op(op, i=i):
                ops = command['ops'][:i] + [op] + command['ops'][i + 1:]
                return self.with_item(n, {**item, 'command': {**command, 'ops': ops}})
            command = copy.deepcopy(command)
            command['ops'][i] = self.shrink_map(command['ops'][i], with_op)
        return {**item, 'command': command}

    def shrink_map(self, given, whole):
        for key in list(given):
            fewer = {k: v for k, v in given.items() if k != key}
            if key not in KEPT and self.fails(whole(fewer)):
                given = fewer
        for key, value in list(given.items()):
            def with_value(part, key=key):
                return whole({**given, key: part}) if part else None
            given = {**given, key: self.shrink_value(value, with_value)}
        return given

    def shrink_value(self, value, whole):
        if isinstance(value, dict) and len(value) > 1:
            return self.shrink_map(value, whole)
        if isinstance(value, list):
            value = self.leave_out(value, whole) if len(value) > 1 else value
            for i in range(len(value)):
                if isinstance(value[i], dict):
                    def with_part(part, i=i):
                        return whole(value[:i] + [part] + value[i + 1:])
                    value = value[:i] + [self.shrink_map(value[i], with_part)] + value[i + 1:]
        return value
