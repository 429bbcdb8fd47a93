"""Style as a test: what the compiler does not see, checked over every file of the tree.

A check is a function from a Tree to a list of findings, (path, line, message); line 0 means the
whole file. CHECKS, at the end, lists them with the sentence that each one makes true.
"""

import ast
import argparse
import json
import os
import re
import shutil
import subprocess
import sys

# --- the rules --------------------------------------------------------------------------------

# Which folders a folder may include; arrows are transitive, so each row is written out in full.
ARROWS = {
    "include": (),
    "base": (),
    "command": ("base",),
    "wire": ("command", "base"),
    "lib": ("wire", "command", "base"),
    "cli": ("base",),
    "storage": ("command", "base"),
    "consensus": ("storage", "command", "base"),
    "node": ("consensus", "storage", "wire", "command", "base"),
}
CLIENT_FOLDERS = ("include", "base", "command", "wire", "lib", "cli")

# Which folders may include a library's headers; arrows of libraries are not transitive.
PUBLIC_HEADERS = ("clade.h", "clade_limits.h")

LIBRARIES = (
    (r"lmdb\.h", ("storage",)),
    (r"raft\.h|raft/.*", ("consensus",)),
    (r"msgpack\.h|msgpack/.*", ("command", "wire")),
    (r"uv\.h", ("lib", "cli", "consensus", "node")),
    (r"jansson\.h", ("cli", "node")),
    (r"cyaml/.*", ("cli", "node")),
    (r"gnutls/.*", ("cli",)),
    (r"microhttpd\.h", ("node",)),
    (r"xxhash\.h", ("base", "storage", "consensus")),
)
C_AND_POSIX = frozenset(
    """assert complex ctype errno fenv float inttypes iso646 limits locale math setjmp signal
    stdalign stdarg stdatomic stdbool stddef stdint stdio stdlib stdnoreturn string tgmath threads
    time uchar wchar wctype aio byteswap cpio dirent dlfcn endian execinfo fcntl fnmatch ftw
    getopt glob grp iconv ifaddrs langinfo libgen malloc monetary mqueue netdb nl_types paths poll
    pthread pwd regex sched search semaphore spawn strings syslog tar termios ulimit unistd utime
    utmpx wordexp""".split()
)
SYSTEM_FOLDERS = ("sys/", "net/", "netinet/", "arpa/", "linux/", "sanitizer/")

# Calls that are banned, with the files (or folders) that may make them nevertheless.
BANNED_CALLS = {
    "sprintf": (),
    "vsprintf": (),
    "strcpy": (),
    "strcat": (),
    "gets": (),
    "atoi": (),
    "atol": (),
    "strtok": (),
    "rand": (),
    "srand": (),
    "time": ("client/base/clock.c",),
    "localtime": (),
    "gmtime": (),
    "asctime": (),
    "system": (),
    "popen": (),
    "signal": (),
    "alloca": (),
    "assert": (),
    "abort": ("client/base/check.c", "tests/fuzz/"),
}

FILE_LINES_MAX = 700
FUNCTION_LINES_MAX = 70
EXAMPLE_LINES_MAX = 40

# Split, so that this file does not find itself.
LEFTOVERS = re.compile(r"\b(?:" + "|".join(("TO" "DO", "FIX" "ME", "X" "XX", "HA" "CK")) + r")\b")
MACHINE = re.compile(
    "|".join(
        (
            r"(?<![\w.$})])/(?:wo" r"rk|ro" r"ot|ho" r"me/\w+)/",
            r"/tmp/bui" r"ld",
            r"\b(?:[\w-]+\.)*deb" r"ian\.(?:org|net)\b",
            r"\bpy" r"pi\.org\b",
            r"\bpython" r"hosted\.org\b",
            r"\bpro" r"xy\.golang\.org\b",
            r"\bregi" r"stry\.npmjs\.org\b",
            r"\bcra" r"tes\.io\b",
        )
    )
)

EXAMPLE = "client/examples/register.c"
EXAMPLE_MARK = "<!-- register.c -->"


# --- the tree ---------------------------------------------------------------------------------


class Tree:
    """The text files of a project by their path; `root` is None for one made by a test."""

    def __init__(self, files, root=None, executables=()):
        self.files = files
        self.root = root
        self.executables = frozenset(executables)

    @classmethod
    def of(cls, root):
        files, executables = {}, []
        for path in list_paths(root):
            full = os.path.join(root, path)
            try:
                with open(full, encoding="utf-8") as f:
                    files[path] = f.read()
            except (UnicodeDecodeError, FileNotFoundError, IsADirectoryError):
                continue
            if os.access(full, os.X_OK):
                executables.append(path)
        return cls(files, root, executables)

    def sources(self):
        """C files and headers, sorted: (path, text)."""
        return [(p, t) for p, t in sorted(self.files.items()) if p.endswith((".c", ".h"))]


def list_paths(root):
    """What git tracks or would track; without git every file outside build folders."""
    command = ["git", "-C", root, "ls-files", "-co", "--exclude-standard", "-z"]
    try:
        out = subprocess.run(command, capture_output=True, check=True).stdout.decode()
        return sorted(set(out.split("\0")) - {""})
    except (OSError, subprocess.CalledProcessError):
        pass
    paths = []
    for folder, folders, names in os.walk(root):
        folders[:] = [f for f in folders if f not in (".git", "build", "__pycache__", ".cache")]
        paths += [os.path.relpath(os.path.join(folder, n), root) for n in names]
    return sorted(paths)


def folder_of(path):
    """The name that a source's folder has in ARROWS; None for tests and examples."""
    parts = path.split("/")
    if parts[0] == "client" and len(parts) > 2 and parts[1] in CLIENT_FOLDERS:
        return parts[1]
    if len(parts) > 1 and parts[0] in ARROWS and parts[0] not in CLIENT_FOLDERS:
        return parts[0]
    return None


TOKEN = re.compile(r"//[^\n]*|/\*.*?\*/|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'", re.DOTALL)


def code_only(text):
    """The text with comments and literals blanked; lines and columns stay."""
    return TOKEN.sub(lambda m: re.sub(r"[^\n]", " ", m.group()), text)


def line_at(text, offset):
    return text.count("\n", 0, offset) + 1


def includes(text):
    """(line, form, path) of each #include; form is '<' or '"'."""
    for m in re.finditer(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"\n]*)[>"]', text, re.M):
        yield line_at(text, m.start(1)), m.group(1), m.group(2)


# --- includes ---------------------------------------------------------------------------------


def check_arrows(tree):
    findings = []
    for path, text in tree.sources():
        folder = folder_of(path)
        for line, form, target in includes(text):
            if form != '"' or folder is None:
                continue
            other = target.split("/")[0]
            if other not in ARROWS or other == folder or other in ARROWS[folder]:
                continue
            findings.append((path, line, f'{folder} may not include "{target}"'))
    return findings


def check_internal_headers(tree):
    findings = []
    for path, text in tree.sources():
        folder = folder_of(path)
        for line, form, target in includes(text):
            if form == '"' and target.endswith("_internal.h") and folder is not None:
                if target.split("/")[0] != folder:
                    findings.append((path, line, f'"{target}" belongs to its own folder'))
    return findings


def check_libraries(tree):
    findings = []
    for path, text in tree.sources():
        folder = folder_of(path)
        if folder is None:
            continue
        for line, form, target in includes(text):
            if form == "<" and not library_allowed(folder, target):
                findings.append((path, line, f"{folder} may not include <{target}>"))
    return findings


def library_allowed(folder, header):
    for pattern, folders in LIBRARIES:
        if re.fullmatch(pattern, header):
            return folder in folders
    if header in PUBLIC_HEADERS:
        return True
    return header.startswith(SYSTEM_FOLDERS) or header.removesuffix(".h") in C_AND_POSIX


def check_include_paths(tree):
    findings = []
    for path, text in tree.sources():
        for line, form, target in includes(text):
            if form != '"':
                continue
            beside = f"{path.rpartition('/')[0]}/{target}" in tree.files
            if path.startswith("tests/") and "/" not in target and beside:
                continue
            if ".." in target.split("/") or "/" not in target:
                findings.append((path, line, f'"{target}" is not written from the root'))
            elif folder_of(path) is not None and target.split("/")[0] not in ARROWS:
                findings.append((path, line, f'"{target}" is not in a folder of the project'))
    return findings


# --- words ------------------------------------------------------------------------------------


def check_banned_calls(tree):
    pattern = re.compile(r"(?<![\w.>])(" + "|".join(BANNED_CALLS) + r")\s*\(")
    findings = []
    for path, text in tree.sources():
        code = code_only(text)
        for m in pattern.finditer(code):
            if not path.startswith(BANNED_CALLS[m.group(1)] or ("\0",)):
                findings.append((path, line_at(code, m.start()), f"{m.group(1)}() is banned"))
    return findings


def check_leftovers(tree):
    return grep(tree, LEFTOVERS, "leftover mark", skip=("LICENSE",))


def check_machine(tree):
    return grep(tree, MACHINE, "a path or a host of one machine", skip=("LICENSE",))


def grep(tree, pattern, message, skip):
    findings = []
    for path, text in sorted(tree.files.items()):
        if path in skip:
            continue
        for number, line in enumerate(text.splitlines(), 1):
            m = pattern.search(line)
            if m:
                findings.append((path, number, f"{message}: {m.group()}"))
    return findings


# --- headers and sizes ------------------------------------------------------------------------


def check_pragma_once(tree):
    findings = []
    for path, text in tree.sources():
        if path.endswith(".h") and path.removeprefix("client/include/") not in PUBLIC_HEADERS:
            if not text.startswith("#pragma once\n"):
                findings.append((path, 1, "a header begins with #pragma once"))
    return findings


NO_FUNCTION = re.compile(
    r"(#|typedef\b|static_assert\b|_Static_assert\b|static inline\b|extern\s*$|[A-Z0-9_]+\()"
)
# Verbs whose meaning is the same everywhere.
LIFECYCLE = re.compile(r"\w+_(?:init|release|new|free|open|close|ref|unref)")


def check_header_comments(tree):
    """A function declared in a folder's public header has a comment in its paragraph, or is of
    the first paragraph, which the comment at the header's top is about."""
    findings = []
    for path, text in tree.sources():
        public = path.endswith(".h") and not path.endswith("_internal.h")
        if public and folder_of(path) is not None:
            findings += [(path, n, f"{name}() has no comment") for n, name in uncommented(text)]
    return findings


def uncommented(text):
    code = code_only(text).split("\n")
    depth, commented, continued, first = 0, False, False, None
    for number, (line, bare) in enumerate(zip(text.split("\n"), code), 1):
        if depth == 0 and not line.strip():
            commented = False
            if first:
                first = False
        if line != bare and re.search(r"/\*|\*/|//", line):
            commented = True
        macro = continued or bare.startswith("#")
        continued = macro and bare.rstrip().endswith("\\")
        if macro:
            continue
        m = re.match(r"[A-Za-z_][\w \t*]*?[ *](\w+)\s*\(", bare)
        if depth == 0 and m and not NO_FUNCTION.match(bare) and not LIFECYCLE.fullmatch(m.group(1)):
            if first is None:
                first = has_head_comment(text)
            if not commented and not first:
                yield number, m.group(1)
        if not bare.startswith('extern "C"'):
            depth = max(0, depth + bare.count("{") - bare.count("}"))


def has_head_comment(text):
    return re.match(r"(?:#pragma once\s*)?/\*", text) is not None


def check_file_lengths(tree):
    findings = []
    for path, text in tree.sources():
        lines = text.count("\n")
        if lines > FILE_LINES_MAX:
            findings.append((path, 0, f"{lines} lines; split it at {FILE_LINES_MAX}"))
    return findings


def check_function_lengths(tree):
    findings = []
    for path, text in tree.sources():
        begin = None
        for number, line in enumerate(text.split("\n"), 1):
            if line.startswith("{"):
                begin = number
            elif line.startswith("}") and begin is not None:
                if number - begin - 1 > FUNCTION_LINES_MAX:
                    message = f"a function of {number - begin - 1} lines; {FUNCTION_LINES_MAX} at most"
                    findings.append((path, begin, message))
                begin = None
    return findings


# --- format, scripts, documents ---------------------------------------------------------------


def check_format(tree):
    paths = [p for p, _ in tree.sources()]
    if not paths:
        return []
    command = ["clang-format", "--dry-run", "-Werror", *paths]
    try:
        run = subprocess.run(command, cwd=tree.root, capture_output=True, text=True)
    except OSError as e:
        return [("clang-format", 0, f"cannot be run: {e.strerror}")]
    first = {}
    for m in re.finditer(r"^(\S+?):(\d+):\d+: error: ", run.stderr, re.M):
        first.setdefault(m.group(1), int(m.group(2)))
    findings = [(p, n, "clang-format would change it") for p, n in first.items()]
    if run.returncode != 0 and not findings:
        findings.append(("clang-format", 0, run.stderr.strip()))
    return findings


def check_gofmt(tree):
    paths = sorted(p for p in tree.files if p.endswith(".go"))
    if not paths:
        return []
    gofmt = shutil.which("gofmt", path=os.environ.get("PATH", "") + ":/usr/lib/go/bin")
    if gofmt is None:
        return [("gofmt", 0, "is not there: install golang-go")]
    run = subprocess.run([gofmt, "-l", *paths], cwd=tree.root, capture_output=True, text=True)
    if run.returncode != 0:
        return [("gofmt", 0, run.stderr.strip())]
    return [(p, 1, "gofmt would change it") for p in run.stdout.split()]


def check_scripts(tree):
    findings = []
    for path, text in sorted(tree.files.items()):
        first = text.split("\n", 1)[0]
        if path.endswith(".sh") or re.match(r"#!.*\b(ba)?sh\b", first):
            run = subprocess.run(["bash", "-n"], input=text, capture_output=True, text=True)
            if run.returncode != 0:
                findings.append((path, 0, run.stderr.strip()))
        elif path.endswith(".py") or re.match(r"#!.*\bpython3?\b", first):
            try:
                compile(text, path, "exec")
            except SyntaxError as e:
                findings.append((path, e.lineno or 0, f"{e.msg}"))
    return findings


def check_names(tree):
    """A note that somebody left is no file of the project."""
    return [(path, 0, "a file's name has letters, digits, '.', '_', '-' alone")
            for path in sorted(tree.files) if not re.fullmatch(r"[A-Za-z0-9._/-]+", path)]


def check_executables(tree):
    return [
        (path, 0, "begins with #! and is not executable")
        for path, text in sorted(tree.files.items())
        if text.startswith("#!") and path not in tree.executables
    ]


def check_readmes(tree):
    folders = {p.split("/")[0] for p in tree.files if "/" in p and not p.startswith(".")}
    folders.discard("client")
    client = {p.split("/")[1] for p in tree.files if p.startswith("client/") and p.count("/") > 1}
    folders |= {f"client/{f}" for f in client if f in ARROWS and f != "include"}
    return [
        (f"{folder}/README.md", 0, "is missing")
        for folder in sorted(folders)
        if f"{folder}/README.md" not in tree.files
    ]


def check_example(tree):
    readme, source = tree.files.get("README.md", ""), tree.files.get(EXAMPLE)
    if source is None:
        return [(EXAMPLE, 0, "is missing")]
    findings = []
    if source.count("\n") >= EXAMPLE_LINES_MAX:
        findings.append((EXAMPLE, 0, f"is not under {EXAMPLE_LINES_MAX} lines"))
    m = re.search(re.escape(EXAMPLE_MARK) + r"\s*```c\n(.*?)^```", readme, re.S | re.M)
    if not m:
        findings.append(("README.md", 0, f"has no block of C after {EXAMPLE_MARK}"))
    elif m.group(1) != source:
        line = line_at(readme, m.start(1))
        findings.append(("README.md", line, f"the example is not {EXAMPLE}, byte for byte"))
    return findings


def write_example(tree):
    """Puts the example into the README's block."""
    block = re.compile("(" + re.escape(EXAMPLE_MARK) + r"\s*```c\n).*?^```", re.S | re.M)
    text = block.sub(lambda m: m.group(1) + tree.files[EXAMPLE] + "```", tree.files["README.md"])
    with open(os.path.join(tree.root, "README.md"), "w", encoding="utf-8") as f:
        f.write(text)


def check_changelog(tree):
    headings = re.findall(r"^### (.*)$", tree.files.get("CHANGELOG.md", ""), re.M)
    if not headings or headings[0] != "Breaking changes":
        return [("CHANGELOG.md", 0, 'each release lists "Breaking changes" first')]
    return []


MUTANT_LISTS = ("tests/sim/mutants/mutants.py", "tests/model/mutants/mutants.py", "jepsen/teeth/teeth.py")


def check_mutants(tree):
    """A mutant whose text the code no longer has, or has twice, is none."""
    findings = []
    for path in MUTANT_LISTS:
        module = ast.parse(tree.files.get(path, "MUTANTS = []"))
        for name, file, text, *_ in ast.literal_eval(module.body[-1].value):
            n = tree.files.get(file, "").count(text)
            if n != 1:
                findings.append((path, 0, f"{name}: its text stands {n} times in {file}"))
    return findings


def check_checker(tree):
    """The checks themselves are tested: a check that cannot fail is none."""
    here = os.path.dirname(os.path.abspath(__file__))
    command = [sys.executable, "-m", "unittest", "-q", "test_tidy"]
    run = subprocess.run(command, cwd=here, capture_output=True, text=True)
    return [] if run.returncode == 0 else [("tests/tidy/test_tidy.py", 0, run.stderr.strip())]


CHECKS = (
    ("the checks below catch bad snippets", check_checker),
    ("folders include along the arrows alone", check_arrows),
    ("internal headers stay in their folder", check_internal_headers),
    ("libraries are seen only where they may be", check_libraries),
    ("includes are written from the root", check_include_paths),
    ("no banned calls", check_banned_calls),
    ("no leftover marks", check_leftovers),
    ("no paths or hosts of one machine", check_machine),
    ("headers begin with #pragma once", check_pragma_once),
    ("declared functions have comments", check_header_comments),
    ("files are not too long", check_file_lengths),
    ("functions are not too long", check_function_lengths),
    ("clang-format changes nothing", check_format),
    ("gofmt changes nothing", check_gofmt),
    ("scripts parse", check_scripts),
    ("names of files are plain", check_names),
    ("scripts are executable", check_executables),
    ("folders have a README", check_readmes),
    ("the README shows the example that is tested", check_example),
    ("the changelog lists breaking changes first", check_changelog),
    ("mutants match the code", check_mutants),
)


# --- clang-tidy, when asked for ---------------------------------------------------------------


def check_clang_tidy(tree, build):
    with open(os.path.join(build, "compile_commands.json"), encoding="utf-8") as f:
        compiled = {os.path.relpath(e["file"], tree.root) for e in json.load(f)}
    findings = []
    for path in sorted(compiled & set(tree.files)):
        command = ["clang-tidy", "-p", build, "--quiet", path]
        run = subprocess.run(command, cwd=tree.root, capture_output=True, text=True)
        for m in re.finditer(r"^(\S+?):(\d+):\d+: (?:warning|error): (.*)$", run.stdout, re.M):
            finding = (os.path.relpath(os.path.join(tree.root, m.group(1)), tree.root),
                       int(m.group(2)), m.group(3))
            if finding not in findings:
                findings.append(finding)
    return findings


# --- running ----------------------------------------------------------------------------------


def report(name, findings):
    print(f"{'FAIL' if findings else 'OK  '} {name}")
    for path, line, message in findings:
        print(f"     {path}:{line}: {message}" if line else f"     {path}: {message}")
    return not findings


def main(argv):
    parser = argparse.ArgumentParser(prog="tests/tidy/run", description=__doc__.split("\n")[0])
    parser.add_argument(
        "--clang-tidy", metavar="BUILD_DIR", help="run clang-tidy alone, on what BUILD_DIR compiles"
    )
    parser.add_argument(
        "--write-example", action="store_true", help=f"put {EXAMPLE} into README.md, and stop"
    )
    options = parser.parse_args(argv)
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    tree = Tree.of(root)
    if options.write_example:
        return write_example(tree)
    if options.clang_tidy:
        results = [report("clang-tidy", check_clang_tidy(tree, options.clang_tidy))]
    else:
        results = [report(name, check(tree)) for name, check in CHECKS]
    print(f"tidy: {results.count(True)} passed, {results.count(False)} failed")
    return 0 if all(results) else 1
