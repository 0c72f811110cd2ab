#!/usr/bin/env python3
"""The project's rules for its own sources: tables, and the code that applies them.

    testing/lint/tidy.py [FOLDER]    checks every .h, .cc, .md and BUILD.bazel below FOLDER,
                                     by default the work tree this file is in

As //testing/lint:tidy_test it checks the packages of packages.bzl. Where a rule names
what to use instead, so does its message. To make an exception, name the file in the
rule's `allowed`, with the reason: there is no comment that silences a rule.
"""
import bisect
import collections
import fnmatch
import os
import re
import sys

MAX_COLUMNS = 100
MAX_LINES = 700

# A path matches a pattern as in a shell, but * crosses folders.
OURS = ["serf/*", "transport/*", "rpc/*", "cmd/*", "testing/*", "tools/*"]
CORE = ["serf/*"]
LIBRARIES = ["serf/*.h", "transport/*.h", "rpc/*.h"]  # what consumers include
HEADERS = [p + ".h" for p in OURS]
UNIT_TESTS = ["*_test.cc", "*_benchmark.cc", "*_fuzz.cc"]
TESTS = UNIT_TESTS + ["testing/*"]

# Include(name, headers, where, allowed, instead): no file of `where`, except `allowed`,
# includes a header that begins with one of `headers` (those that end in > are whole).
Include = collections.namedtuple("Include", "name headers where allowed instead")

INCLUDES = [
    # The core is a pure machine: no clock, thread, socket, entropy or log of its own.
    Include("core-threads",
            ["atomic>", "barrier>", "condition_variable>", "future>", "latch>", "mutex>",
             "pthread.h>", "semaphore>", "shared_mutex>", "stop_token>", "thread>",
             "absl/synchronization/", "absl/base/call_once.h"],
            CORE, [], "the core runs on its driver's one thread"),
    Include("core-sockets",
            ["arpa/", "net/", "netdb.h>", "netinet/", "poll.h>", "sys/", "unistd.h>"],
            # It asks what the processor can do.
            CORE, ["serf/wire/openssl_aead.h"], "serf/base/endpoint.h; sockets are transport/'s"),
    Include("core-entropy", ["random>", "absl/random/"],
            CORE, [], "serf/base/rng.h"),
    Include("core-clock", ["ctime>", "time.h>", "absl/time/clock.h"],
            CORE, [], "the Instant that the driver passes"),
    Include("core-log", ["absl/log/", "syslog.h>"],
            CORE, [], "serf/base/logger.h"),
    Include("iostream", ["iostream>"],
            LIBRARIES + ["cmd/*.h", "testing/*.h"], [],
            "nothing, or <ostream>: it adds a static initializer to every file"),

    # Each library has its place.
    Include("asio", ["boost/", "asio.hpp>", "asio/"],
            OURS, ["transport/*", "rpc/*_io.h", "rpc/*_connection.h", "rpc/http/connection.h",
                   "rpc/http/request_parser.h", "rpc/client.h", "rpc/server.h", "rpc/*_test.cc", "rpc/*_benchmark.cc",
                   "cmd/*", "testing/*"],
            "a driver in transport/ or rpc/*_io.h"),
    Include("whole-asio", ["boost/asio.hpp"],
            OURS, [], "single headers, e.g. <boost/asio/ip/udp.hpp>: they compile faster"),
    Include("beast", ["boost/beast"],
            OURS, ["rpc/http/request_parser.h"], "rpc/http/request_parser.h"),
    Include("beast-streams", ["boost/beast.hpp", "boost/beast/core", "boost/beast/http.hpp",
                              "boost/beast/http/parser", "boost/beast/websocket"],
            OURS, [], "its basic_parser: the rest is ten times the code"),
    Include("openssl", ["openssl/"],
            OURS, ["serf/wire/openssl_aead.h"], "serf/wire/aead.h"),
    Include("msgpack", ["msgpack.h", "msgpack/"],
            OURS, ["serf/wire/msgpack.h", "serf/wire/*_test.cc", "rpc/*"],
            "serf/wire/msgpack.h"),
    Include("re2", ["re2/"],
            OURS, ["serf/base/regex.h"], "serf/base/regex.h"),
    Include("std-regex", ["regex>", "regex.h>"],
            OURS, [], "serf/base/regex.h: the standard one recurses as deep as its input is long"),
    Include("glog-gflags", ["glog/", "gflags/"],
            OURS, ["cmd/*"], "serf/base/logger.h and Config; cmd/ has the flags and the sink"),
    Include("json", ["nlohmann/"],
            OURS, ["cmd/*"] + TESTS, "msgpack on the wire; JSON is cmd/'s"),
    Include("gtest", ["gtest/", "gmock/"],
            OURS, TESTS, "a test"),

    # Layers: what is below does not know what is above.
    Include("base-layer", ["serf/"],
            ["serf/base/*.h"], [], "what serf/base/ has"),
    Include("wire-layer", ["serf/"],
            ["serf/wire/*.h"], [], "what serf/base/ and serf/wire/ have"),
    Include("swim-layer", ["serf/"],
            ["serf/swim/*.h"], [], "what serf/base/, serf/wire/ and serf/swim/ have"),
    Include("core-layer", ["serf/transport/", "serf/rpc/", "serf/cmd/"],
            CORE, [], "the core knows no driver"),
    Include("net-layer", ["serf/"],
            ["transport/net/*.h"], [], "what serf/base/ and transport/net/ have"),
    Include("transport-layer", ["serf/rpc/", "serf/cmd/"],
            ["transport/*"], [], "transport/ and rpc/ meet in cmd/"),
    Include("rpc-layer", ["serf/transport/", "serf/cmd/"],
            ["rpc/*"], TESTS, "transport/ and rpc/ meet in cmd/"),
    Include("testing-layer", ["serf/testing/"],
            OURS, TESTS + ["tools/fuzz_main.cc"], "only tests use testing/"),
]
# For layers above: the folders each may include from all the same.
LAYERS = {
    "base-layer": ("serf/base/",),
    "wire-layer": ("serf/base/", "serf/wire/"),
    "swim-layer": ("serf/base/", "serf/wire/", "serf/swim/"),
    "net-layer": ("serf/base/", "serf/transport/net/"),
    "rpc-layer": ("serf/transport/net/",),
}

# The rooms of serf/, cmd/ and testing/: which of their neighbours each may include. "serf" is what
# stands directly in serf/. Tests may include all, and so may the tops, which nothing else includes.
ROOMS = {
    "serf": [],
    "serf/context": ["serf"],
    "serf/lamport": ["serf"],
    "serf/gossip": ["serf", "serf/lamport"],
    "serf/coordinates": ["serf"],
    "serf/snapshot": ["serf", "serf/lamport"],
    "serf/members": ["serf", "serf/context", "serf/gossip", "serf/lamport"],
    "serf/events": ["serf", "serf/context", "serf/gossip", "serf/lamport"],
    "serf/requests": ["serf", "serf/gossip"],
    "serf/queries": ["serf", "serf/context", "serf/lamport", "serf/members"],
    "serf/reconnect": ["serf", "serf/context", "serf/members"],
    "serf/machine": ["serf", "serf/context", "serf/coordinates", "serf/events", "serf/gossip",
                     "serf/lamport", "serf/members", "serf/queries"],
    "cmd": ["cmd/text"],
    "cmd/text": [],
    "cmd/files": ["cmd/text"],
    "cmd/telemetry": ["cmd/text"],
    "cmd/http": ["cmd", "cmd/files", "cmd/telemetry", "cmd/text"],
    "cmd/events": ["cmd/telemetry", "cmd/text"],
    "cmd/discovery": ["cmd/telemetry", "cmd/text"],
    "cmd/daemon": ["cmd", "cmd/discovery", "cmd/events", "cmd/files", "cmd/http", "cmd/telemetry",
                   "cmd/text"],
    "cmd/commands": ["cmd", "cmd/discovery", "cmd/files", "cmd/text"],
    "testing": [],
    "testing/vectors": ["testing"],
    "testing/agents": ["testing"],
    "testing/rpc": ["testing", "testing/vectors"],
    "testing/node": ["testing"],
    "testing/precompiled": ["testing"],
    "testing/sim": ["testing"],
    "testing/checkers": ["testing", "testing/sim"],
    "testing/swarm": ["testing", "testing/checkers", "testing/sim"],
    "testing/scenarios": ["testing", "testing/checkers", "testing/sim"],
    "testing/transcripts": ["testing", "testing/sim"],
    "testing/integration": ["testing", "testing/agents", "testing/vectors"],
}
TOPS = ["serf/serf.h", "cmd/serf.cc", "cmd/*_main.cc", "testing/precompiled/*.h"]
# Folders with a rule of their own: base-layer, wire-layer, swim-layer.
LAYER_FOLDERS = ["serf/base", "serf/wire", "serf/swim"]

# Ban(name, pattern, where, allowed, instead): the pattern does not occur in the code
# (comments and literals left out) of `where`, except `allowed`.
Ban = collections.namedtuple("Ban", "name pattern where allowed instead")

BANS = [
    Ban("core-now", r"(::|\.)now\s*\(|\bNow\s*\(\s*\)|\bgettimeofday\b|\bclock_gettime\b",
        CORE, ["serf/base/time_test.cc"],  # asks whether the core's clock has a now()
        "the Instant that the driver passes"),
    Ban("core-random", r"\brandom_device\b|\bBitGen\b|\bInsecureBitGen\b|\bmt19937|"
        r"\w+_distribution\b|\bminstd_rand|\bs?rand\s*\(|\bgetrandom\b|\bstd::shuffle\b",
        CORE, [], "serf/base/rng.h, whose sequence is the same everywhere"),
    Ban("core-environment", r"\b(secure_)?getenv\b|\bgethostname\b",
        CORE, [], "Config"),
    Ban("core-threads-code", r"\bstd::(jthread|thread|mutex|atomic\w*|async)\b|\bthread_local\b|"
        r"\babsl::Mutex\b", CORE, [], "the core runs on its driver's one thread"),
    Ban("string-view", r"\bstd::(string_view\b|literals\b|string_view_literals\b)",
        HEADERS, [], "absl::string_view: Debian's does not convert to the standard one"),
    Ban("absl-vocabulary", r"\babsl::(optional|variant|any|nullopt|monostate|visit|make_unique)\b",
        OURS, [], "the same name in std::"),
    Ban("using-namespace", r"\busing\s+namespace\b",
        HEADERS, [], "qualified names"),
    Ban("anonymous-namespace", r"\bnamespace\s*\{",
        HEADERS, [], "namespace internal, and inline: each file that includes it has its own copy"),
    # clang-format sets what is at namespace scope into the first column.
    Ban("namespace-static", r"(?m)^static\b",
        HEADERS, [], "inline: each file that includes it has its own copy"),
    # Else the compiler takes it for the function whose file has the class's virtual table, and
    # then finds it inline: each file that includes the header compiles the whole class.
    Ban("virtual-inline",
        r"(?:[;{}]|\b(?:public|protected|private):)\s*(?!(?:inline|public|protected|private)\b)"
        r"[\w:~][^;{}]*\boverride(?=;)",
        LIBRARIES, [], "inline in the class too, if the body is below"),
    Ban("throw", r"\bthrow\b",
        LIBRARIES, [], "absl::Status, or an enum on the data plane"),
    Ban("console", r"\bstd::(cout|cerr|clog)\b|\b(printf|puts)\s*\(",
        LIBRARIES, [], "serf/base/logger.h"),
    Ban("sleep", r"\bsleep_(for|until)\b|\b[un]?(nano)?sleep\s*\(|\bSleepFor\b",
        OURS, [], "wait for a condition with a deadline"),
    Ban("skipped-test", r"\bGTEST_SKIP\b|\bDISABLED_",
        OURS, [], "a test that runs"),
]

# Text(name, pattern, where, allowed, instead): as Ban, in the whole text.
TEXTS = [
    Ban("todo", r"\b(TODO|FIXME|XXX|HACK)\b", ["*"], [], "an issue, or the thing itself"),
    Ban("flaky", r"\bflaky\s*=\s*(True|1)\b", ["*BUILD.bazel"], [], "a test that always passes"),
    Ban("machine-path", r"(?<![\w.])/(work|root)/", ["*"], [], "a path in the repository"),
    Ban("pragma-once", r"(?m)^\s*#\s*pragma\s+once\b", ["*"], [], "an include guard"),
]

# Prose(name, pattern, where, allowed, instead): as Ban, in the comments of .h and .cc files and in
# the text of .md files, without quoted code. A paragraph is one line there, with single spaces.
# The house rule behind these: a comment is a sentence with a named subject, an active verb and one
# idea. Each pattern leaves alone what is good English; narrow one that does not.
CODE = HEADERS + [p + ".cc" for p in OURS]
PROSE_FILES = CODE + ["*.md"]
SENTENCE = r"(?:(?m:^)|[.!?:;] )"  # where one begins
PROSE = [
    Ban("prose-of", r"(?m)^Of (?:an?|the|this|that|its|each|every|own|those|some)\b[^,.:\n]*(?:[.:]|$)",
        PROSE_FILES, [], "the noun: \"The token of this node's leave\""),
    Ban("prose-is-no", r"(?<!\b[Tt]here )\b(?:is|are|was|were) no "
        r"(?!if\b|when\b|longer\b|more\b|less\b|better\b|worse\b|[a-z]+er (?:than|and|or)\b)",
        PROSE_FILES, [], "is not: \"the claimant is not a member\""),
    Ban("prose-own", r"\b(?:the|an) own\b",
        PROSE_FILES, [], "whose it is: \"this node's tags\", \"its tags\", \"a key of its own\""),
    Ban("prose-who", SENTENCE + r"(?:Who|Whom|Whose)\b(?![^.:;\n]*\?)",
        PROSE_FILES, [], "the noun: \"A node that leaves ...\", \"The member that ...\""),
    Ban("prose-whoever", r"\b[Ww]ho(?:m|se)?ever\b",
        PROSE_FILES, [], "the noun: \"any node that ...\", \"a peer that ...\""),
    Ban("prose-for-ever", r"\bfor ever\b",
        PROSE_FILES, [], "forever"),
    Ban("prose-is-to-be", r"\b(?:is|are|was|were) to be\b",
        PROSE_FILES, [], "must be, will be, or the active verb: \"call it again\""),
    Ban("prose-told", r"\b(?:tells|told) of\b|\b(?:is|are|was|were|be|been|being) told\b"
        r"(?! apart|,? (?:and )?then asked)",
        PROSE_FILES, [], "report, deliver, say, or send: \"the node reports each change\""),
    Ban("prose-goes-on", r"\b(?:goes|go|going|went) on\b(?! (?:the|an?|its|this|that|each)\b)",
        PROSE_FILES, [], "continue"),
    Ban("prose-original", r"\b[Tt]he original(?=[.,;:)'\n]|$| (?!address\b|bytes\b|process\b)"
        r"(?:and|are|can|do|had|in|may|of|on|or|to|was|[a-z]*s)\b)",
        PROSE_FILES, [], "Go Serf, or whose original: \"the original message\""),
    Ban("prose-engine", r"\b[Tt]he engine\b",
        CODE, [], "the SWIM layer"),
]

# A lambda that refers to its frame is gone with it: it gets a name of that frame and is called by
# it, or it is handed to one of these, which call it before they return. All others may keep it.
CAPTURES = ["transport/*", "rpc/*", "cmd/*"]
CALLED_AT_ONCE = frozenset((
    "ForEachNetlinkAttribute", "ForEachNetlinkMessage", "Open", "RunAgent", "Wait",
    "all_of", "any_of", "apply", "c_any_of", "c_find_if", "erase_if", "find_if", "for_each",
    "none_of", "sort",
    "visit", "wait", "wait_for"))
LAMBDA = re.compile(r"\[(?P<captures>[^\[\]]*&[^\[\]]*)\]\s*(?:[({<]|mutable\b)")
# "&", "&name", "&name = name", "&...": not "&name = member_", which refers to no frame.
FRAME_REFERENCE = re.compile(r"(?:^|,)\s*&(?!\s*\w+\s*=\s*(?:this->)?\w+_\s*(?:,|$))")
LAMBDA_NAME = re.compile(r"\bauto&*\s+(\w+)\s*=\s*$")

# Must(name, pattern, where, allowed, instead): the pattern occurs in the code of each of `where`.
MUSTS = [
    Ban("fuzz-bounds", r"\breturn serf::testkit::FuzzWithin\(", ["*_fuzz.cc"], [],
        "testing/fuzz_bounds.h: every target bounds the memory and the work of an input"),
]

# The first line of what consumers include.
LICENSE_LINE = "// SPDX-License-Identifier: Apache-2.0\n"

# What may stand in quotes: ours, and the libraries' own habit.
QUOTED = ("serf/", "absl/", "benchmark/", "boost/", "gflags/", "glog/", "gmock/", "gtest/",
          "msgpack", "nlohmann/", "re2/", "tools/cpp/runfiles/")

INCLUDE = re.compile(r'(?m)^[ \t]*#[ \t]*include[ \t]*([<"])([^>"\n]+)[>"]')
TOKEN = re.compile(r"""
      (?P<comment> //(?:\\\n|[^\n])* | /\*.*?\*/ )
    | (?P<raw> R"(?P<mark>[^(\s]{0,16})\(.*?\)(?P=mark)" )
    | (?P<string> "(?:\\.|[^"\\\n])*" )
    | (?P<char> (?<![0-9A-Fa-f])'(?:\\.|[^'\\\n])+' )
""", re.X | re.S)
MARKDOWN_CODE = re.compile(r"(?ms)^ *```.*?^ *```|`[^`\n]*`|\]\([^)\n]*\)")
MARKDOWN_MARK = re.compile(r"\A\s*(?:[-*#>]+|\d+\.)\s+")


def matches(path, patterns):
    return any(fnmatch.fnmatchcase(path, pattern) for pattern in patterns)


def applies(rule, path):
    return matches(path, rule.where) and not matches(path, rule.allowed)


def blank(text, literals):
    """The text without comments (and literals), every line where it was."""
    def replace(match):
        if match.lastgroup != "comment" and not literals:
            return match.group()
        return " " + "\n" * match.group().count("\n")
    return TOKEN.sub(replace, text)


def prose_of(path, text):
    """The prose of a file, a paragraph a line, and (position, line of the file) of its pieces."""
    parts, places, size, line = [], [], 0, 1

    def add(piece, begins):
        nonlocal size
        for part in ("\n" if begins else " ", piece):
            parts.append(part)
            size += len(part)
        places.append((size - len(piece), line))

    if path.endswith(".md"):
        begins = True
        code = MARKDOWN_CODE.sub(lambda match: "\n" * match.group().count("\n") or "x", text)
        for line, content in enumerate(code.split("\n"), 1):
            cells = content.strip().strip("|").split("|")
            for cell in cells:
                piece = MARKDOWN_MARK.sub("", cell).strip()
                if piece:
                    add(piece, begins or len(cells) > 1 or MARKDOWN_MARK.match(cell) is not None)
                begins = not piece
    else:
        begins, trails, end = True, False, 0
        for match in TOKEN.finditer(text):
            if match.lastgroup != "comment":
                continue
            gap = text[end:match.start()]
            # A comment behind code, or after other lines than a comment, begins a paragraph.
            begins = begins or trails or gap.strip() != "" or gap.count("\n") != 1
            trails = gap.rpartition("\n")[2].strip() != ""
            line += gap.count("\n")
            piece = match.group()[2:].strip()
            if piece:
                add(piece, begins)
            begins = not piece
            line += match.group().count("\n")
            end = match.end()
    return "".join(parts), places


def check_prose(path, text):
    rules = [rule for rule in PROSE if applies(rule, path)]
    if not rules:
        return
    prose, places = prose_of(path, text)
    for rule in rules:
        for match in re.finditer(rule.pattern, prose):
            line = places[bisect.bisect_right(places, (match.end() - 1, sys.maxsize)) - 1][1]
            yield line, rule.name, "%s; use: %s" % (match.group().strip(" .:;\n"), rule.instead)


def line_of(text, position):
    return text.count("\n", 0, position) + 1


def guard_of(path):
    name = path[len("serf/"):] if path.startswith("serf/") else path
    return "SERF_%s_" % re.sub(r"\W", "_", name).upper()


def check_guard(path, text):
    guard = guard_of(path)
    lines = [line.strip() for line in text.split("\n")]
    at = next((n for n, line in enumerate(lines) if line.startswith("#")), None)
    opened = at is not None and lines[at:at + 2] == ["#ifndef " + guard, "#define " + guard]
    closed = [line for line in lines if line][-1:] == ["#endif  // " + guard]
    if not (opened and closed):
        yield (at or 0) + 1, "guard", "the include guard is %s, also after #endif" % guard


def check_includes(path, text):
    for match in INCLUDE.finditer(blank(text, literals=False)):
        quote, header = match.groups()
        line = line_of(text, match.start(2))
        if quote == '"' and not header.startswith(QUOTED):
            yield line, "quoted-include", '"%s": ours begin with serf/, others stand in <>' % header
        for rule in INCLUDES:
            if not applies(rule, path):
                continue
            if header.startswith(LAYERS.get(rule.name, ())):
                continue
            if any(header + ">" == h if h.endswith(">") else header.startswith(h)
                   for h in rule.headers):
                yield line, rule.name, "%s is not for %s; use: %s" % (header, path, rule.instead)


def path_of(header):
    """The path in the work tree of a header of ours: serf/rpc/client.h is rpc/client.h."""
    inner = header[len("serf/"):]
    return inner if inner.split("/")[0] in ("transport", "rpc", "cmd", "testing") else header


def check_rooms(path, text):
    folder, top = os.path.dirname(path), path.split("/")[0]
    if top not in ROOMS or matches(path, UNIT_TESTS + TOPS) or folder in LAYER_FOLDERS:
        return
    if folder not in ROOMS:
        if path.endswith(".h"):
            yield 1, "room", "%s/ is no room; use: one of ROOMS, or add it there" % folder
        return
    for match in INCLUDE.finditer(blank(text, literals=False)):
        quote, header = match.groups()
        if quote != '"' or not header.startswith("serf/"):
            continue
        included = path_of(header)
        room = os.path.dirname(included)
        if included.split("/")[0] != top or room not in ROOMS:
            continue
        if matches(included, TOPS) or room not in [folder] + ROOMS[folder]:
            yield line_of(text, match.start(2)), "room", "%s is not for %s; use: what %s has" % (
                header, path, ", ".join("%s/" % room for room in [folder] + ROOMS[folder]))


def callee_of(code, position):
    """The function in whose argument list the position is; empty if it is in none."""
    depth = 0
    for at in range(position - 1, -1, -1):
        if code[at] in ")}":
            depth += 1
        elif code[at] in "({" and depth:
            depth -= 1
        elif code[at] == ";" and not depth:
            return ""
        elif code[at] in "({":
            name = re.search(r"(\w+)\s*(?:<[^;{}()]*>)?\s*$", code[:at])
            # A block, as that of a function.
            if code[at] == "{" and (not name or re.search(r"[;{})]\s*$", code[:at])):
                return ""
            return name.group(1) if name else "?"
    return ""


def check_captures(code):
    for match in LAMBDA.finditer(code):
        if not FRAME_REFERENCE.search(match.group("captures")):
            continue
        before = code[:match.start()].rstrip()
        callee = callee_of(code, match.start())
        named = LAMBDA_NAME.search(before)
        if named:
            # The name is for calls, not for others to keep.
            end = code.find("\n}", match.end())
            for use in re.finditer(r"[(,]\s*%s\s*[,)]" % named.group(1), code[match.end():end]):
                at = match.end() + use.start() + 1
                if callee_of(code, at) not in CALLED_AT_ONCE:
                    yield at, named.group(1)
        elif callee not in CALLED_AT_ONCE and (callee or not before.endswith((";", "{", "}"))):
            yield match.start(), "[%s]" % match.group("captures")


def check(path, text):
    """Yields (line, rule, message) for each violation in a file of the work tree."""
    is_code = path.endswith((".h", ".cc"))
    lines = text.split("\n")
    for number, line in enumerate(lines, 1):
        # A long include, address or label cannot be broken.
        if len(line) > MAX_COLUMNS and is_code and not re.search(r"#include|https?://", line):
            yield number, "columns", "%d columns, the limit is %d" % (len(line), MAX_COLUMNS)
        if line != line.rstrip():
            yield number, "trailing-space", "space at the end of the line"
    # A BUILD file is a table, and as long as its folder has targets.
    if is_code and len(lines) - 1 > MAX_LINES:
        yield MAX_LINES, "lines", "%d lines, the limit is %d: split it by nouns" % (
            len(lines) - 1, MAX_LINES)
    if text and not text.endswith("\n"):
        yield len(lines), "final-newline", "no newline at the end"
    for rule in TEXTS:
        if applies(rule, path):
            for match in re.finditer(rule.pattern, text):
                yield line_of(text, match.start()), rule.name, "%s; use: %s" % (
                    match.group().strip(), rule.instead)
    yield from check_prose(path, text)
    if not is_code:
        return
    if matches(path, LIBRARIES) and not text.startswith(LICENSE_LINE):
        yield 1, "license", "the first line of a published header is %s" % LICENSE_LINE.strip()
    if path.endswith(".h"):
        yield from check_guard(path, text)
    yield from check_includes(path, text)
    yield from check_rooms(path, text)
    code = blank(text, literals=True)
    if matches(path, CAPTURES) and not matches(path, TESTS):
        for position, what in check_captures(code):
            yield line_of(code, position), "frame-capture", (
                "%s may be called when its frame is gone; use: copies, this, a shared_ptr" % what)
    for rule in BANS:
        if applies(rule, path):
            for match in re.finditer(rule.pattern, code):
                yield line_of(code, match.start()), rule.name, "%s; use: %s" % (
                    match.group().strip(), rule.instead)
    for rule in MUSTS:
        if applies(rule, path) and not re.search(rule.pattern, code):
            yield 1, rule.name, "missing; use: %s" % rule.instead


def sources(root):
    for folder, folders, files in os.walk(root):
        # Links to folders (Bazel's outputs) are not followed; a workspace of its own is not ours.
        folders[:] = sorted(f for f in folders if not f.startswith(".") and
                            not os.path.exists(os.path.join(folder, f, "WORKSPACE")) and
                            not os.path.exists(os.path.join(folder, f, "MODULE.bazel")) and
                            not os.path.islink(os.path.join(folder, f)))
        for name in sorted(files):
            if name.endswith((".h", ".cc", ".md")) or name == "BUILD.bazel":
                yield os.path.relpath(os.path.join(folder, name), root)


def main(arguments):
    here = os.path.dirname(os.path.abspath(__file__))
    root = arguments[0] if arguments else os.path.dirname(os.path.dirname(here))
    count = bad = 0
    for path in sources(root):
        count += 1
        with open(os.path.join(root, path), encoding="utf-8") as file:
            text = file.read()
        for line, rule, message in check(path, text):
            print("%s:%d: [%s] %s" % (path, line, rule, message))
            bad += 1
    print("%d files, %d violations" % (count, bad))
    return 1 if bad or not count else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
