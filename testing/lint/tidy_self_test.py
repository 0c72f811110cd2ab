#!/usr/bin/env python3
"""Shows that each rule of tidy.py finds what it forbids, and leaves the rest alone."""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.dont_write_bytecode = True
import tidy  # noqa: E402 (beside this file)

# (rule, path, text): the rule, and no other, speaks about that text in that place.
PLANTED = [
    ("core-threads", "serf/x.h", "#include <mutex>"),
    ("core-threads", "serf/swim/x_test.cc", "#include <atomic>\n"),
    ("core-threads", "serf/x.h", '#include "absl/synchronization/mutex.h"'),
    ("core-sockets", "serf/x.h", "#include <sys/socket.h>"),
    ("core-sockets", "serf/base/x.h", "#  include <netinet/in.h>"),
    ("core-entropy", "serf/x.h", "#include <random>"),
    ("core-clock", "serf/x.h", '#include "absl/time/clock.h"'),
    ("core-log", "serf/x.h", '#include "absl/log/log.h"'),
    ("iostream", "rpc/x.h", "#include <iostream>"),
    ("asio", "serf/x.h", "#include <boost/asio/ip/udp.hpp>"),
    ("asio", "rpc/session.h", "#include <boost/asio/ip/udp.hpp>"),
    ("beast", "transport/x.h", "#include <boost/beast/http/basic_parser.hpp>"),
    ("beast-streams", "rpc/http/request_parser.h", "#include <boost/beast/http/parser.hpp>"),
    ("whole-asio", "transport/x.h", "#include <boost/asio.hpp>"),
    ("openssl", "serf/wire/aead.h", "#include <openssl/evp.h>"),
    ("openssl", "transport/x.h", "#include <openssl/evp.h>"),
    ("msgpack", "serf/swim/x.h", "#include <msgpack.hpp>"),
    ("re2", "rpc/x.h", '#include "re2/re2.h"'),
    ("std-regex", "cmd/x.h", "#include <regex>"),
    ("glog-gflags", "serf/x.h", '#include "glog/logging.h"'),
    ("glog-gflags", "transport/x.h", "#include <gflags/gflags.h>"),
    ("json", "rpc/x.h", '#include "nlohmann/json.hpp"'),
    ("gtest", "serf/x.h", '#include "gtest/gtest.h"'),
    ("base-layer", "serf/base/x.h", '#include "serf/wire/lzw.h"'),
    ("wire-layer", "serf/wire/x.h", '#include "serf/swim/node.h"'),
    ("swim-layer", "serf/swim/x.h", '#include "serf/serf.h"'),
    ("core-layer", "serf/x.h", '#include "serf/transport/host.h"'),
    ("net-layer", "transport/net/x.h", '#include "serf/transport/host.h"'),
    ("transport-layer", "transport/x.h", '#include "serf/rpc/client.h"'),
    ("rpc-layer", "rpc/x.h", '#include "serf/transport/host.h"'),
    ("testing-layer", "cmd/x.cc", '#include "serf/testing/sim/world.h"\n'),
    ("room", "serf/x.h", '#include "serf/queries/queries.h"'),
    ("room", "serf/x.h", '#include "serf/serf.h"'),
    ("room", "serf/queries/x.h", '#include "serf/serf.h"'),
    ("room", "serf/lamport/x.h", '#include "serf/gossip/broadcasts.h"'),
    ("room", "serf/members/x.h", '#include "serf/queries/queries.h"'),
    ("room", "serf/events/x.h", '#include "serf/machine/stat_map.h"'),
    ("room", "serf/drawer/x.h", "int n;"),
    ("room", "cmd/x.h", '#include "serf/cmd/daemon/agent.h"'),
    ("room", "cmd/text/x.h", '#include "serf/cmd/flags.h"'),
    ("room", "cmd/commands/x.cc", '#include "serf/cmd/daemon/agent.h"\n'),
    ("room", "cmd/events/x.h", '#include "serf/cmd/discovery/mdns.h"'),
    ("room", "testing/x.h", '#include "serf/testing/sim/world.h"'),
    ("room", "testing/sim/x.cc", '#include "serf/testing/checkers/checkers.h"\n'),
    ("room", "testing/agents/x.h", '#include "serf/testing/sim/world.h"'),
    ("quoted-include", "rpc/x.h", '#include "rpc/client.h"'),
    ("core-now", "serf/x.h", "auto t = std::chrono::steady_clock::now();"),
    ("core-now", "serf/x_test.cc", "auto t = absl::Now();\n"),
    ("core-random", "serf/x.h", "std::random_device seed;"),
    ("core-random", "serf/x.h", "absl::BitGen gen;"),
    ("core-random", "serf/x_test.cc", "std::mt19937_64 gen;\n"),
    ("core-random", "serf/x.h", "std::uniform_int_distribution<int> die(1, 6);"),
    ("core-environment", "serf/x.h", 'auto* home = getenv("HOME");'),
    ("core-threads-code", "serf/x.h", "std::atomic<int> n;"),
    ("core-threads-code", "serf/x.h", "thread_local int n;"),
    ("string-view", "rpc/x.h", "void F(std::string_view s);"),
    ("absl-vocabulary", "rpc/x.h", "absl::optional<int> n;"),
    ("using-namespace", "transport/x.h", "using namespace std;"),
    ("anonymous-namespace", "serf/x.h", "namespace {\n}"),
    ("namespace-static", "serf/x.h", "static int n = 0;"),
    ("virtual-inline", "serf/x.h", "struct X : Y {\n  void F() override;\n};"),
    ("virtual-inline", "rpc/x.h",
     "class X : Y {\n public:\n  int F(int a,\n        int b) override;\n};"),
    ("frame-capture", "cmd/x.h", "void F() { host.AsyncLeave([&](Status s) { n = s; }); }"),
    ("frame-capture", "cmd/x.cc", "void F() { s->Join(a, [this, &done](int n) { done = n; }); }\n"),
    ("frame-capture", "rpc/x.h", "auto F(int& n) { return [&n = n] { ++n; }; }"),
    ("frame-capture", "transport/x.h", "void F() { Callbacks c{[&] { ++n; }}; }"),
    ("frame-capture", "transport/x.h",
     "void F() {\n  const auto done = [&] { ++n; };\n  asio::post(io_, done);\n}"),
    ("throw", "serf/x.h", "throw 1;"),
    ("console", "transport/x.h", 'std::cerr << "x";'),
    ("console", "serf/x.h", 'std::printf("x");'),
    ("sleep", "testing/x_test.cc", "std::this_thread::sleep_for(d);\n"),
    ("sleep", "rpc/x.h", "usleep(1);"),
    ("skipped-test", "serf/x_test.cc", "GTEST_SKIP();\n"),
    ("skipped-test", "serf/x_test.cc", "TEST(A, DISABLED_B) {}\n"),
    ("fuzz-bounds", "serf/x_fuzz.cc", "int LLVMFuzzerTestOneInput(const char*, long);\n"),
    ("todo", "serf/x.h", "// TODO: more"),
    ("todo", "serf/BUILD.bazel", "# FIXME\n"),
    ("flaky", "serf/BUILD.bazel", "flaky = True,\n"),
    ("machine-path", "testing/x.cc", 'Open("/%s/x");\n' % "work"),
    ("pragma-once", "serf/x.h", "#pragma once"),
    ("prose-of", "serf/x.h", "// Of the intent of this node.\nint n;"),
    ("prose-of", "serf/x.cc", "int n;  // Of a query\nint m;\n"),
    ("prose-is-no", "serf/x.h", "// A claimant is no member."),
    ("prose-is-no", "docs/x.md", "The members are\nno seeds.\n"),
    ("prose-own", "cmd/x.h", "// Replaces the own tags."),
    ("prose-own", "docs/x.md", "| a | an own key |\n"),
    ("prose-who", "rpc/x.h", "// Who leaves is dropped."),
    ("prose-who", "testing/x.cc", "// It ends. Whose name that is waits.\n"),
    ("prose-who", "docs/x.md", "- Who leaves is dropped.\n"),
    ("prose-whoever", "serf/x.h", "// It answers whoever asks."),
    ("prose-for-ever", "docs/x.md", "It waits for ever.\n"),
    ("prose-is-to-be", "serf/x.h", "// A list that is\n// to be sent."),
    ("prose-told", "serf/x.h", "// The application is told."),
    ("prose-told", "transport/x.h", "// It tells of an end."),
    ("prose-goes-on", "serf/x.h", "// The leave goes on."),
    ("prose-original", "serf/x.h", "// The original's text."),
    ("prose-original", "serf/x.h", "// As the original sends it."),
    ("prose-engine", "serf/x.h", "// The engine forgets it."),
    ("columns", "serf/x.cc", "// " + "x" * 98 + "\n"),
    ("trailing-space", "serf/x.cc", "int n; \n"),
    ("final-newline", "serf/x.cc", "int n;"),
    ("lines", "serf/x.cc", "\n" * 701),
]

# The guard's own: whole headers.
BAD_GUARDS = [
    ("serf/base/x.h", "#ifndef SERF_X_H_\n#define SERF_X_H_\n#endif  // SERF_X_H_\n"),
    ("serf/x.h", "#ifndef SERF_X_H_\n#define SERF_Y_H_\n#endif  // SERF_X_H_\n"),
    ("serf/x.h", "#ifndef SERF_X_H_\n#define SERF_X_H_\n#endif\n"),
    ("serf/x.h", "int n;\n"),
]

CLEAN = [
    ("serf/serf.h", '#include "serf/queries/queries.h"'),
    ("serf/queries/x.h", '#include "serf/members/member_tracker.h"\n#include "serf/query.h"'),
    ("serf/queries/x_test.cc", '#include "serf/serf.h"\n#include "serf/testing/node/lone_serf.h"\n'),
    ("serf/machine/x.h", '#include "serf/events/user_events.h"\n#include "serf/swim/node.h"'),
    ("cmd/join_main.cc", '#include "serf/cmd/commands/commands.h"\n'),
    ("cmd/daemon/x.cc", '#include "serf/cmd/flags.h"\n#include "serf/transport/host.h"\n'),
    ("testing/swarm/x.h", '#include "serf/serf.h"\n#include "serf/testing/checkers/checkers.h"'),
    ("serf/x.h", '#include "absl/strings/string_view.h"'),
    ("serf/base/x.h", '#include "serf/base/rng.h"'),
    ("serf/swim/x.h", '#include "serf/wire/lzw.h"'),
    ("serf/x.h", "// now() is std::chrono::steady_clock::now(); never throw"),
    ("serf/x.h", "/* std::mutex\n std::mutex */ int n = 1'000'000;"),
    ("serf/x.h", 'inline const char* k = "std::mutex \\" throw";'),
    ("serf/x.h", 'inline const char* k = R"x(std::mutex " throw)x";'),
    ("serf/x.h", "inline char quote = '\"'; inline char other = '\\'';"),
    ("serf/x.h", "struct X {\n  static int n;\n};"),
    ("serf/x.h", "class X : Y {\n  X() {}\n private:\n  inline void F() override;\n  "
     "void G() override {}\n};"),
    ("cmd/x.h", "void F() {\n  const auto fail = [&](int n) { m = n; };\n  fail(1);\n}"),
    ("cmd/x.h", "void F() { std::sort(a, b, [&keys](int i, int j) { return i < j; }); }"),
    ("cmd/x.h", "void F() { Wait<Status>([&](auto done) { a->AsyncX(std::move(n), done); }); }"),
    ("cmd/x.h", "void F() { asio::post(io_, [&io = io_, this, n] { n; }); }"),
    ("cmd/x.h", "void F() {\n  int n = a[x & y];\n  [&] { ++n; }();\n}"),
    ("cmd/x_test.cc", "void F() { host.AsyncLeave([&](Status s) { n = s; }); }\n"),
    ("serf/x.h", "static_assert(true);"),
    ("serf/x.h", "namespace serf {\n}"),
    ("serf/x.h", "std::snprintf(buffer, n, f);"),
    ("serf/wire/openssl_aead.h", "#include <openssl/evp.h>"),
    ("serf/wire/msgpack.h", "#include <msgpack.hpp>"),
    ("rpc/client_io.h", "#include <boost/asio/ip/tcp.hpp>"),
    ("transport/x.h", '#include "serf/serf.h"\n#include <thread>'),
    ("cmd/x.cc", '#include "glog/logging.h"\n'),
    ("testing/x_test.cc", '#include "serf/testing/sim/world.h"\nstd::string_view s;\n'),
    ("serf/BUILD.bazel", "# " + "x" * 200 + "\n"),
    ("serf/x.h", "// Of two requests the later one counts. Of the hosts that voted, half agree."),
    ("serf/x.h", "int n;  // of the query"),
    ("serf/x.h", "// There is no room; it is no longer there, and is no larger than a ping."),
    ("serf/x.h", "// A key of its own. Parts are told, then asked; the two can be told apart."),
    ("serf/x.h", "// A relay of the original message to the original address."),
    ("serf/x.h", 'inline const char* k = "the own key is to be told";  // told apart'),
    ("serf/x.h", "// Pings go on the wire. The job is done.\nint whoever = 0;"),
    ("serf/x.h", "// The first ends here\n\nint n;  // is\n// no list"),
    ("docs/x.md", "## Who is gossiped to?\n\n```\nthe own key goes on for ever\n```\n`is to be`\n"),
    ("tools/x.md", "| is | no |\n|---|---|\n| the | own |\n"),
]


def found(path, text):
    if path.endswith(".h") and not text.startswith("#ifndef"):
        guard = tidy.guard_of(path)
        text = tidy.LICENSE_LINE + "#ifndef %s\n#define %s\n%s\n#endif  // %s\n" % (
            guard, guard, text, guard)
    return {rule for _, rule, _ in tidy.check(path, text)}


def main():
    errors = []

    def expect(path, text, want):
        got = found(path, text)
        if got != want:
            errors.append("%s: %r: found %s, not %s" % (path, text[:60], sorted(got), sorted(want)))

    for rule, path, text in PLANTED:
        expect(path, text, {rule})
    for path, text in BAD_GUARDS:
        got = {rule for _, rule, _ in tidy.check(path, tidy.LICENSE_LINE + text)}
        if got != {"guard"}:
            errors.append("%s: %r: found %s, not the guard" % (path, text, sorted(got)))
    for path, text in CLEAN:
        expect(path, text, set())
    expect("serf/x.h", "#ifndef SERF_X_H_\n#define SERF_X_H_\n#endif  // SERF_X_H_\n", {"license"})

    line = next(tidy.check("serf/x.cc", "/* a\nb */\nstd::mutex m;\n"))[0]
    if line != 3:
        errors.append("a comment of two lines moves what follows to line %d" % line)
    if tidy.guard_of("rpc/client.h") != "SERF_RPC_CLIENT_H_":
        errors.append("the guard of rpc/client.h is %s" % tidy.guard_of("rpc/client.h"))

    for room in tidy.ROOMS:
        below, more = set(), set(tidy.ROOMS[room])
        while more:
            below |= more
            more = {low for high in more for low in tidy.ROOMS[high]} - below
        if room in below:
            errors.append("the rooms below %s lead back to it" % room)

    tables = tidy.INCLUDES + tidy.BANS + tidy.MUSTS + tidy.TEXTS + tidy.PROSE
    untried = {rule.name for rule in tables} - {rule for rule, _, _ in PLANTED}
    if untried:
        errors.append("no planted violation shows that these work: %s" % sorted(untried))
    print("\n".join(errors + ["%d planted, %d errors" % (
        len(PLANTED) + len(BAD_GUARDS), len(errors))]))
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
