"""serf_dependencies(): what a WORKSPACE calls to use or build this project.

It declares the libraries, out of Debian packages, and the few repositories that
Bazel itself wants. Each is declared only if the workspace has none of that name yet:
a consumer that has its own abseil (or any other) declares it first, and that one is
used. The labels are those of the upstream projects, or of their usual packagings.
"""

load("//third_party:debian.bzl", "debian_repository")
load("//third_party/abseil:repository.bzl", "debian_absl_repository")
load("//third_party/bazel:compat.bzl", "bazel_compat_repositories")

def serf_dependencies():
    """Declares every dependency that is not declared yet."""
    bazel_compat_repositories()
    have = native.existing_rules()
    if "com_google_absl" not in have:
        debian_absl_repository(
            name = "com_google_absl",
            packages = ["libabsl-dev"],
            probe = "/usr/include/absl/base/config.h",
        )
    if "bazel_skylib" not in have:
        debian_repository(
            name = "bazel_skylib",
            packages = ["bazel-skylib"],
            probe = "/usr/share/bazel/tools/skylib/WORKSPACE",
            tree = "share/bazel/tools/skylib",
        )
    for name, kwargs in _LIBRARIES.items():
        if name not in have:
            debian_repository(name = name, **kwargs)
    test_program_repositories(have)

def test_program_repositories(have = {}):
    """Declares the programs that our tests talk to: Go Serf's, and Prometheus.

    Args:
      have: names that are declared already
    """
    for name, kwargs in _TEST_PROGRAMS.items():
        if name not in have:
            debian_repository(name = name, **kwargs)

_LIBRARIES = {
    # Debian 12's default Boost (1.74) is too old for awaitable operators,
    # cancellation slots, as_tuple and clang; libboost1.81-dev conflicts with it and
    # with libmsgpack-cxx-dev, so it is downloaded, not installed.
    "boost.asio": dict(
        packages = ["libboost1.81-dev|libboost1.83-dev|libboost1.88-dev|libboost1.90-dev|libboost1.92-dev"],
        probe = "/usr/include/boost/version.hpp",
        min_macro = "BOOST_VERSION",
        min_value = 108100,
        includes = ["boost"],
        build_file = Label("//third_party:boost.asio.BUILD"),
    ),
    # Another part of the same headers: one version of both. A consumer with an Asio of its own
    # declares its own Beast, too.
    "boost.beast": dict(
        probe = "/usr/include/boost/version.hpp",
        includes = ["boost"],
        tree_of = Label("@boost.asio//:BUILD.bazel"),
        build_file = Label("//third_party:boost.beast.BUILD"),
    ),
    "msgpack": dict(
        packages = ["libmsgpack-cxx-dev"],
        probe = "/usr/include/msgpack.hpp",
        includes = ["msgpack", "msgpack.hpp"],
        build_file = Label("//third_party:msgpack.BUILD"),
    ),
    "com_github_gflags_gflags": dict(
        packages = ["libgflags-dev"],
        probe = "/usr/include/gflags/gflags.h",
        includes = ["gflags"],
        archives = ["libgflags.a"],
        build_file = Label("//third_party:gflags.BUILD"),
    ),
    "com_github_google_glog": dict(
        packages = ["libgoogle-glog-dev"],
        probe = "/usr/include/glog/logging.h",
        includes = ["glog"],
        archives = ["libglog.a"],
        extra_files = {"glog_substitutes.cc": "//third_party:glog_substitutes.cc"},
        build_file = Label("//third_party:glog.BUILD"),
    ),
    "com_google_googletest": dict(
        packages = ["libgtest-dev", "libgmock-dev"],
        probe = "/usr/include/gmock/gmock.h",
        includes = ["gtest", "gmock"],
        archives = ["libgtest.a", "libgmock.a", "libgmock_main.a"],
        build_file = Label("//third_party:googletest.BUILD"),
    ),
    "com_github_google_benchmark": dict(
        packages = ["libbenchmark-dev", "libbenchmark1debian|libbenchmark1"],
        probe = "/usr/include/benchmark/benchmark.h",
        includes = ["benchmark"],
        archives = ["libbenchmark_main.a"],
        shared = ["libbenchmark.so"],
        build_file = Label("//third_party:benchmark.BUILD"),
    ),
    "openssl": dict(
        packages = ["libssl-dev", "zlib1g-dev", "libzstd-dev"],
        probe = "/usr/include/openssl/evp.h",
        includes = ["openssl"],
        archives = ["libcrypto.a", "libssl.a"],
        pc = "libcrypto",
        build_file = Label("//third_party:openssl.BUILD"),
    ),
    "com_googlesource_code_re2": dict(
        packages = ["libre2-dev"],
        probe = "/usr/include/re2/re2.h",
        includes = ["re2"],
        archives = ["libre2.a"],
        build_file = Label("//third_party:re2.BUILD"),
    ),
    "nlohmann_json": dict(
        packages = ["nlohmann-json3-dev"],
        probe = "/usr/include/nlohmann/json.hpp",
        includes = ["nlohmann"],
        build_file = Label("//third_party:nlohmann_json.BUILD"),
    ),
}

_TEST_PROGRAMS = {
    # The reference implementation, as a peer for the tests. The probe is not the
    # program itself, which could be anybody's serf.
    "debian_serf": dict(
        packages = ["serf"],
        probe = "/usr/share/doc/serf/copyright",
        programs = ["serf"],
        build_file = Label("//third_party:debian_serf.BUILD"),
    ),
    # What scrapes the agent's metrics, and what checks their text.
    "debian_prometheus": dict(
        packages = ["prometheus"],
        probe = "/usr/share/doc/prometheus/copyright",
        programs = ["prometheus", "promtool"],
        build_file = Label("//third_party:debian_prometheus.BUILD"),
    ),
    # Go Serf's 0.10.1, which Debian 12 does not have but can run.
    "debian_serf_0_10": dict(
        packages = ["serf"],
        release = "trixie",
        probe = "/usr/share/doc/serf/copyright",
        programs = ["serf"],
        build_file = Label("//third_party:debian_serf.BUILD"),
    ),
}
