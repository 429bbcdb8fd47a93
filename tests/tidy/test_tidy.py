"""Bad snippets are caught and good ones are not."""

import pathlib
import tempfile
import types
import unittest

import tidy


def found(check, files, **kw):
    return [(path, line) for path, line, _ in check(tidy.Tree(files, **kw))]


class Includes(unittest.TestCase):
    def test_a_folder_may_not_include_one_above_it(self):
        files = {"storage/a.c": '#include "base/span.h"\n#include "consensus/group.h"\n'}
        self.assertEqual(found(tidy.check_arrows, files), [("storage/a.c", 2)])

    def test_the_command_line_knows_the_library_by_its_header_alone(self):
        files = {"client/cli/a.c": '#include <clade.h>\n#include "command/txn.h"\n'}
        self.assertEqual(found(tidy.check_arrows, files), [("client/cli/a.c", 2)])

    def test_base_includes_nothing_of_ours(self):
        files = {"client/base/a.h": '#include "base/span.h"\n#include "wire/frame.h"\n'}
        self.assertEqual(found(tidy.check_arrows, files), [("client/base/a.h", 2)])

    def test_arrows_are_transitive(self):
        files = {"node/a.c": '#include "command/txn.h"\n#include "storage/store.h"\n'}
        self.assertEqual(found(tidy.check_arrows, files), [])

    def test_tests_may_include_anything(self):
        files = {"tests/unit/base/test_a.c": '#include "node/x.h"\n#include <lmdb.h>\n'}
        self.assertEqual(found(tidy.check_arrows, files), [])
        self.assertEqual(found(tidy.check_libraries, files), [])

    def test_a_comment_is_no_include(self):
        files = {"storage/a.c": '/* #include "node/x.h" */\n// #include "node/x.h"\n'}
        self.assertEqual(found(tidy.check_arrows, files), [])

    def test_a_library_is_seen_in_its_folder_alone(self):
        rows = (
            ("lmdb.h", "storage/a.c", "consensus/a.c"),
            ("raft/uv.h", "consensus/a.c", "node/a.c"),
            ("raft.h", "consensus/a.c", "storage/a.c"),
            ("msgpack.h", "client/wire/a.c", "client/lib/a.c"),
            ("uv.h", "client/cli/a.c", "client/base/a.c"),
            ("uv.h", "consensus/a.c", "storage/a.c"),
            ("microhttpd.h", "node/a.c", "client/cli/a.c"),
            ("sys/uio.h", "client/base/a.c", None),
            ("curl/curl.h", None, "node/a.c"),
        )
        for header, good, bad in rows:
            with self.subTest(header=header):
                text = f"#include <{header}>\n"
                if good:
                    self.assertEqual(found(tidy.check_libraries, {good: text}), [])
                if bad:
                    self.assertEqual(found(tidy.check_libraries, {bad: text}), [(bad, 1)])

    def test_includes_are_written_from_the_root(self):
        text = '#include "../base/span.h"\n#include "span.h"\n#include "base/span.h"\n'
        files = {"storage/a.c": text}
        paths = found(tidy.check_include_paths, files)
        self.assertEqual(paths, [("storage/a.c", 1), ("storage/a.c", 2)])

    def test_tests_may_include_what_lies_beside_them(self):
        files = {"tests/unit/a/t.c": '#include "f.h"\n#include "g.h"\n', "tests/unit/a/f.h": ""}
        self.assertEqual(found(tidy.check_include_paths, files), [("tests/unit/a/t.c", 2)])

    def test_an_internal_header_stays_in_its_folder(self):
        files = {
            "node/a.c": '#include "storage/store_internal.h"\n',
            "storage/a.c": '#include "storage/store_internal.h"\n',
        }
        self.assertEqual(found(tidy.check_internal_headers, files), [("node/a.c", 1)])


class Words(unittest.TestCase):
    def test_banned_calls_are_caught(self):
        for call in tidy.BANNED_CALLS:
            with self.subTest(call=call):
                files = {"node/a.c": f"void f(void)\n{{\n    x = {call} (y);\n}}\n"}
                self.assertEqual(found(tidy.check_banned_calls, files), [("node/a.c", 3)])

    def test_names_that_only_look_like_them_are_not(self):
        text = (
            "static_assert(1);\nsnprintf(a, b);\nassert_int_equal(1, 1);\nuv_signal_init(a);\n"
            "gmtime_r(a, b);\nclock->time(clock);\n/* system(x) */\nlog(\"time(\");\nx = 'a';\n"
        )
        self.assertEqual(found(tidy.check_banned_calls, {"node/a.c": text}), [])

    def test_the_files_that_may_call_them_may(self):
        files = {"client/base/check.c": "    abort();\n", "client/base/clock.c": "    time(&t);\n"}
        self.assertEqual(found(tidy.check_banned_calls, files), [])

    def test_leftover_marks_are_caught(self):
        for mark in ("TO" + "DO", "FIX" + "ME", "X" * 3, "HA" + "CK"):
            with self.subTest(mark=mark):
                files = {"a.md": f"x\n{mark}: later\n"}
                self.assertEqual(found(tidy.check_leftovers, files), [("a.md", 2)])
        self.assertEqual(found(tidy.check_leftovers, {"a": "mktemp clade.XXXXXX\n"}), [])

    def test_paths_and_hosts_of_a_machine_are_caught(self):
        rows = ("/wo" + "rk/main", "/ro" + "ot/x", "https://py" + "pi.org/simple", "/ho" + "me/ann/x",
                "deb.deb" + "ian.org", "/tmp/bui" + "ld-x")
        for text in rows:
            with self.subTest(text=text):
                self.assertEqual(found(tidy.check_machine, {"a": f"ok\n{text}\n"}), [("a", 2)])
        good = {"a": "$root/ro" + "ot/x\nframework/\nhttps://arxiv.org/abs/1\n"}
        self.assertEqual(found(tidy.check_machine, good), [])


class Headers(unittest.TestCase):
    def test_a_header_begins_with_pragma_once(self):
        files = {"node/a.h": "#ifndef A\n", "node/b.h": "#pragma once\n",
                 "client/include/clade.h": "/* clade */\n"}
        self.assertEqual(found(tidy.check_pragma_once, files), [("node/a.h", 1)])

    def test_a_function_without_a_comment_is_caught(self):
        text = "#pragma once\n\n/* f. */\nint f(void);\n\nint g(void);\n"
        self.assertEqual(found(tidy.check_header_comments, {"node/a.h": text}), [("node/a.h", 6)])

    def test_the_comment_at_the_top_covers_the_first_group_alone(self):
        text = "#pragma once\n/* About f. */\n#include <a.h>\n\nint f(void);\n\nint g(void);\n"
        self.assertEqual(found(tidy.check_header_comments, {"node/a.h": text}), [("node/a.h", 7)])

    def test_lifecycle_verbs_speak_for_themselves(self):
        text = "#pragma once\n\nstruct a *a_new(void);\nvoid a_free(struct a *a);\n"
        self.assertEqual(found(tidy.check_header_comments, {"node/a.h": text}), [])

    def test_a_comment_covers_its_group(self):
        text = "/* Both. */\nint f(void);\nchar *g(int a,\n        int b);\n\nint h(void); /* h */\n"
        self.assertEqual(found(tidy.check_header_comments, {"node/a.h": text}), [])

    def test_what_is_no_function_needs_none(self):
        text = "#define F(x) g(x)\n\nstruct a {\n    int (*f)(void);\n\n    void (*g)(int);\n};\n"
        self.assertEqual(found(tidy.check_header_comments, {"node/a.h": text}), [])

    def test_the_body_of_an_inline_function_is_no_declaration(self):
        text = "/* f. */\nstatic inline int f(void)\n{\n    int a = 1;\n\n    return g(a);\n}\n"
        self.assertEqual(found(tidy.check_header_comments, {"node/a.h": text}), [])


class Sizes(unittest.TestCase):
    def test_long_files_are_caught(self):
        files = {"node/a.c": "int a;\n" * 701, "node/b.c": "int a;\n" * 700}
        self.assertEqual(found(tidy.check_file_lengths, files), [("node/a.c", 0)])

    def test_long_functions_are_caught(self):
        def text(n):
            return "void f(void)\n{\n" + "    g();\n" * n + "}\n"

        files = {"node/a.c": text(71), "node/b.c": text(70) * 3}
        self.assertEqual(found(tidy.check_function_lengths, files), [("node/a.c", 2)])


class Format(unittest.TestCase):
    def test_go_that_gofmt_would_change_is_caught(self):
        with tempfile.TemporaryDirectory() as folder:
            files = {"a.go": "package a\n\nvar x = 1\n", "b.go": "package a\nvar  y=1\n"}
            for name, content in files.items():
                pathlib.Path(folder, name).write_text(content)
            tree = types.SimpleNamespace(root=folder, files=files)
            self.assertEqual([p for p, _, _ in tidy.check_gofmt(tree)], ["b.go"])


class Documents(unittest.TestCase):
    def test_a_script_that_does_not_parse_is_caught(self):
        files = {"a": "#!/usr/bin/env bash\nif true; then\n", "b": "#!/bin/sh\ntrue\n",
                 "c.py": "def f(:\n", "d.py": "x = 1\n"}
        self.assertEqual([p for p, _ in found(tidy.check_scripts, files)], ["a", "c.py"])

    def test_a_script_must_be_executable(self):
        files = {"a": "#!/bin/sh\n", "b": "#!/bin/sh\n"}
        self.assertEqual(found(tidy.check_executables, files, executables=["a"]), [("b", 0)])

    def test_a_file_with_a_sentence_for_a_name_is_found(self):
        files = {"a/b-c_d.1.h": "", ".ci/run": "", "note: later, perhaps": ""}
        self.assertEqual(found(tidy.check_names, files), [("note: later, perhaps", 0)])

    def test_a_folder_without_a_readme_is_caught(self):
        files = {"storage/a.c": "", "node/README.md": "", "client/wire/a.c": "", ".ci/run": ""}
        paths = [p for p, _ in found(tidy.check_readmes, files)]
        self.assertEqual(paths, ["client/wire/README.md", "storage/README.md"])

    def test_the_readme_shows_the_example_byte_for_byte(self):
        source = "int main(void)\n{\n}\n"
        good = f"x\n\n{tidy.EXAMPLE_MARK}\n```c\n{source}```\n"
        rows = ((good, source, 0), (good, source + "\n", 1), ("nothing", source, 1),
                (good, None, 1), (good.replace(source, source * 20), source * 20, 1))
        for readme, example, findings in rows:
            with self.subTest(readme=readme, example=example):
                files = {"README.md": readme}
                if example is not None:
                    files[tidy.EXAMPLE] = example
                self.assertEqual(len(found(tidy.check_example, files)), findings)

    def test_the_changelog_begins_with_breaking_changes(self):
        good = "# Changes\n\n## 1\n\n### Breaking changes\n\n### Added\n"
        self.assertEqual(found(tidy.check_changelog, {"CHANGELOG.md": good}), [])
        bad = {"CHANGELOG.md": "### Added\n"}
        self.assertEqual(found(tidy.check_changelog, bad), [("CHANGELOG.md", 0)])

    def test_a_mutant_of_code_that_has_changed_is_caught(self):
        row = "MUTANTS = [('a bug', 'a.c', 'x = 1;', 'x = 2;')]\n"
        for code, findings in (("x = 1;", 0), ("x = 3;", 1), ("x = 1; x = 1;", 1)):
            with self.subTest(code=code):
                files = {tidy.MUTANT_LISTS[0]: row, "a.c": code}
                self.assertEqual(len(found(tidy.check_mutants, files)), findings)


if __name__ == "__main__":
    unittest.main()
