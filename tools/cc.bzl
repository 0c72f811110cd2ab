"""The project's C++ rules. tools/README.md shows how to use each.

They add what all targets share: the warnings, the `serf/` that every include begins
with, a compilation of each header alone, and :lint_sources for //testing/lint.
"""

load("@rules_cc//cc:defs.bzl", "cc_binary", "cc_library", "cc_test")
load("//tools:precompiled.bzl", "precompiled_copts", "precompiled_deps", "precompiled_for", "precompiled_linkopts")

_COPTS = [
    "-Wall",
    "-Wextra",
    "-Wshadow",
    "-Wnon-virtual-dtor",
    "-Woverloaded-virtual",
    "-Wconversion",
    "-Wno-sign-conversion",
]

# Turns a memory fault into an abort instead of an exploit. Set here and not left to the toolchain,
# because toolchains have different defaults; //cmd:hardening_test checks the built program.
# Fortified libc calls need an optimizer. libstdc++'s assertions cost 4 to 6 % of the time of old
# news and of push/pulls (serf/swim:node_benchmark), so only unoptimised builds have them.
_HARDENING = [
    "-fPIE",
    "-fstack-protector-strong",
    "-fstack-clash-protection",
] + select({
    "@platforms//cpu:x86_64": ["-fcf-protection=full"],
    "//conditions:default": [],
}) + select({
    "//tools:optimized": [
        "-U_FORTIFY_SOURCE",
        "-D_FORTIFY_SOURCE=3",
    ],
    "//conditions:default": ["-D_GLIBCXX_ASSERTIONS"],
})

# What a precompiled header must have in common with the tests that take it in.
TEST_COPTS = _COPTS + _HARDENING

# The same for the linker: unpredictable addresses, a table of imports that is read-only before
# main(), no code on the stack, and (by default in the other linkers) constants outside of code
# pages.
_HARDENED_LINKING = [
    "-pie",
    "-Wl,-z,relro",
    "-Wl,-z,now",
    "-Wl,-z,noexecstack",
] + select({
    "//tools:gold": [
        "-fuse-ld=gold",
        "-Wl,--rosegment",
    ],
    "//conditions:default": [],
})

# With Clang: a file may include only headers of its target's direct dependencies. (Set here and not
# in .bazelrc, because abseil's own files break that rule.)
_FEATURES = ["layering_check"]

def _lint_sources():
    """Declares the package's files as :lint_sources, once per package."""
    if not native.existing_rule("lint_sources"):
        native.filegroup(
            name = "lint_sources",
            srcs = native.glob(
                ["**/*.h", "**/*.cc", "*.md", "BUILD.bazel"],
                exclude = ["testdata/**"],
            ),
            visibility = ["//testing/lint:__pkg__"],
        )

def _under_serf():
    """Whether the package's path begins with serf/ by itself."""
    package = native.package_name()
    return package == "serf" or package.startswith("serf/")

def serf_cc_library(name, hdrs = [], srcs = [], deps = [], copts = [], visibility = None, **kwargs):
    """A library, and NAME_hdrs: each of its headers compiled on its own.

    A header is included by its path in the repository, with serf/ before it unless the
    path begins so: serf/serf.h as "serf/serf.h", rpc/client.h as "serf/rpc/client.h".

    Args:
      name: name of the library
      hdrs: its headers
      srcs: .cc files, for testing/ and cmd/: what is published is header-only
      deps: of headers and sources
      copts: further compiler options for the sources
      visibility: by default what the BUILD file's package() says; what consumers name is public
      **kwargs: further attributes of cc_library
    """
    _lint_sources()
    prefix = {} if _under_serf() else {"include_prefix": "serf", "strip_include_prefix": "/"}
    cc_library(
        name = name,
        srcs = srcs,
        hdrs = hdrs,
        copts = _COPTS + _HARDENING + copts,
        features = _FEATURES,
        linkstatic = True,
        visibility = visibility,
        deps = deps,
        **dict(prefix, **kwargs)
    )
    checks = []
    for hdr in hdrs:
        check = "%s_%s_check.cc" % (name, hdr.replace("/", "_").replace(".", "_"))
        include = "#include \"%s%s/%s\"" % ("" if _under_serf() else "serf/", native.package_name(), hdr)

        # Twice, to reveal a missing include guard too.
        native.genrule(
            name = check[:-len(".cc")],
            testonly = True,
            outs = [check],
            cmd = "printf '%%s\\n' '%s' '%s' >$@" % (include, include),
        )
        checks.append(check)
    if checks:
        cc_library(
            name = name + "_hdrs",
            testonly = True,
            srcs = checks,
            copts = _COPTS + _HARDENING,
            features = _FEATURES,
            linkstatic = True,
            visibility = ["//visibility:private"],
            deps = [":" + name],
        )

# libstdc++ becomes part of the program: the program needs a tenth of it, and in a shared library
# the pages that the dynamic linker fills would be resident in every process, 0.5 MiB. (The
# toolchain's own -lstdc++ comes last, and then has nothing to add.)
_STATIC_LIBSTDCXX = [
    "-static-libgcc",
    "-Wl,-Bstatic",
    "-lstdc++",
    "-Wl,-Bdynamic",
    "-Wl,--as-needed",
]

# Drops the names of the archives' functions, 0.4 MiB, which nobody looks up.
_NO_EXPORTS = ["-Wl,--exclude-libs,ALL"]

def serf_cc_binary(name, copts = [], linkopts = [], function_order = None, **kwargs):
    """A program: cc_binary with the project's warnings, and small with -c opt.

    Args:
      name: name of the program
      copts: further compiler options
      linkopts: further linker options
      function_order: file that lists, one to a line, the sections of the functions that
        the linker is to put side by side: see tools/function_order.py. It needs gold, and so
        has an effect only with --define=serf_linker=gold
      **kwargs: further attributes of cc_binary
    """
    _lint_sources()
    order = []
    order_options = []
    if function_order:
        order = [function_order]
        order_options = select({
            "//tools:optimized_with_gold": [
                "-Wl,--section-ordering-file,$(location %s)" % function_order,
            ],
            "//conditions:default": [],
        })
    cc_binary(
        name = name,
        copts = _COPTS + _HARDENING + copts,
        features = _FEATURES,
        additional_linker_inputs = order,
        linkopts = linkopts + _HARDENED_LINKING + order_options + select({
            "//tools:optimized": _STATIC_LIBSTDCXX + _NO_EXPORTS,
            "//conditions:default": [],
        }),
        **kwargs
    )

def serf_cc_test(name, srcs, size = "small", copts = [], features = [], linkopts = [], deps = [], **kwargs):
    """A GoogleTest program: gtest, gmock and a main() are linked in.

    Without options or features of its own it takes in the precompiled header of its package: see
    tools/precompiled.bzl.

    Args:
      name: name of the test
      srcs: the .cc files; one of them may define a main() of its own
      size: small (60 s), medium (300 s) or large (900 s)
      copts: further compiler options
      features: further features of the toolchain
      linkopts: further linker options
      deps: without GoogleTest
      **kwargs: further attributes of cc_test
    """
    _lint_sources()
    header = None if copts or features else precompiled_for(native.package_name())
    cc_test(
        name = name,
        size = size,
        srcs = srcs,
        copts = TEST_COPTS + copts + precompiled_copts(header),
        features = _FEATURES + features,
        linkopts = linkopts + precompiled_linkopts(header),
        linkstatic = True,
        deps = deps + precompiled_deps(header) + [
            "//tools:tsan_suppressions",
            "@com_google_googletest//:gtest",
            "@com_google_googletest//:gtest_main",
        ],
        **kwargs
    )

def serf_fuzz_test(name, srcs, corpus = [], size = "small", copts = [], deps = [], **kwargs):
    """NAME, a test that runs the corpus, and NAME.fuzzer, the libFuzzer program.

    Args:
      name: name of the test
      srcs: define LLVMFuzzerTestOneInput
      corpus: files, each an input
      size: as in serf_cc_test
      copts: further compiler options
      deps: as in cc_test
      **kwargs: further attributes of the test
    """
    _lint_sources()
    header = None if copts else precompiled_for(native.package_name())

    # Compiled once for both.
    cc_library(
        name = name + ".target",
        testonly = True,
        srcs = srcs,
        copts = TEST_COPTS + copts + precompiled_copts(header),
        features = _FEATURES,
        linkstatic = True,
        visibility = ["//visibility:private"],
        alwayslink = True,
        deps = deps + precompiled_deps(header),
    )
    cc_test(
        name = name,
        size = size,
        args = ["$(rootpath %s)" % f for f in corpus],
        data = corpus,
        linkstatic = True,
        tags = ["fuzz"],
        linkopts = precompiled_linkopts(header),
        deps = [":%s.target" % name, "//tools:fuzz_main"],
        **kwargs
    )

    # tools/fuzz_all.py finds the corpus among the runfiles.
    cc_binary(
        name = name + ".fuzzer",
        testonly = True,
        data = corpus,
        linkopts = ["-fsanitize=fuzzer"],
        tags = ["manual"],
        deps = [":%s.target" % name],
    )

def serf_cc_benchmark(name, srcs, copts = [], deps = [], **kwargs):
    """A Google Benchmark program with a main(): built with the tests, run by hand.

    Args:
      name: name of the program: bazel run -c opt //PACKAGE:NAME
      srcs: the .cc files
      copts: further compiler options
      deps: without Google Benchmark
      **kwargs: further attributes of cc_binary
    """
    _lint_sources()
    cc_binary(
        name = name,
        testonly = True,
        srcs = srcs,
        copts = _COPTS + _HARDENING + copts,
        features = _FEATURES,
        deps = deps + [
            "@com_github_google_benchmark//:benchmark",
            "@com_github_google_benchmark//:benchmark_main",
        ],
        **kwargs
    )
