"""serf_dependencies(): what a WORKSPACE calls to use or build this project.

It declares the libraries, out of Debian packages, and the few repositories that
Bazel itself wants. Each is declared only if the workspace has none of that name yet:
a consumer that has its own abseil (or any other) declares it first, and that one is
used. The labels are those of the upstream projects, or of their usual packagings.
"""

load("//third_party:debian.bzl", "debian_repository")
load("//third_party/abseil:repository.bzl", "debian_absl_repository")
load("//third_party/bazel:compat.bzl", "bazel_compat_repositories")

_PUBLIC = "package(default_visibility = [\"//visibility:public\"])\n"

_BOOST = _PUBLIC + """
# Only what Asio includes: a sandbox links every header for every compilation.
cc_library(
    name = "boost.asio",
    hdrs = glob([
        "include/boost/*.hpp",
        "include/boost/asio/**",
        "include/boost/assert/**",
        "include/boost/bind/**",
        "include/boost/config/**",
        "include/boost/core/**",
        "include/boost/detail/**",
        "include/boost/exception/**",
        "include/boost/predef/**",
        "include/boost/system/**",
        "include/boost/variant2/**",
        "include/boost/mp11/**",
    ], allow_empty = True),
    defines = [
        "BOOST_ASIO_DISABLE_BOOST_DATE_TIME",
        "BOOST_ASIO_DISABLE_BOOST_REGEX",
        "BOOST_ASIO_NO_DEPRECATED",
    ],
    includes = ["include"],
    linkopts = ["-pthread"],
)
"""

_MSGPACK = _PUBLIC + """
cc_library(
    name = "msgpack",
    hdrs = ["include/msgpack.hpp"] + glob(["include/msgpack/**"]),
    defines = ["MSGPACK_NO_BOOST"],
    includes = ["include"],
)
"""

_GFLAGS = _PUBLIC + """
cc_library(
    name = "gflags",
    srcs = ["lib/libgflags.a"],
    hdrs = glob(["include/gflags/*.h"]),
    includes = ["include"],
    linkopts = ["-pthread"],
)
"""

_GLOG = _PUBLIC + """
cc_library(
    name = "unwind",
    srcs = ["glog_unwind.cc"],
    linkstatic = True,
)

cc_library(
    name = "glog",
    srcs = ["lib/libglog.a"],
    hdrs = glob(["include/glog/*.h"]),
    includes = ["include"],
    linkopts = ["-pthread"],
    deps = [":unwind", "@com_github_gflags_gflags//:gflags"],
)
"""

_GTEST = _PUBLIC + """
# As upstream: ":gtest" is googletest with googlemock.
cc_library(
    name = "gtest",
    srcs = ["lib/libgmock.a", "lib/libgtest.a"],
    hdrs = glob(["include/gtest/**/*.h", "include/gmock/**/*.h"]),
    includes = ["include"],
    linkopts = ["-pthread"],
    testonly = True,
)

cc_library(
    name = "gtest_main",
    srcs = ["lib/libgmock_main.a"],
    deps = [":gtest"],
    testonly = True,
)
"""

_BENCHMARK = _PUBLIC + """
# Debian ships the library as a shared object only.
cc_library(
    name = "benchmark",
    srcs = glob(["lib/libbenchmark.so.*"]),
    hdrs = glob(["include/benchmark/*.h"]),
    includes = ["include"],
    linkopts = ["-pthread"],
)

cc_library(
    name = "benchmark_main",
    srcs = ["lib/libbenchmark_main.a"],
    deps = [":benchmark"],
)
"""

_OPENSSL = _PUBLIC + """
cc_library(
    name = "crypto",
    srcs = ["lib/libcrypto.a"] + glob(["lib/libz.a", "lib/libzstd.a"], allow_empty = True),
    hdrs = glob(["include/openssl/*.h", "include_arch/openssl/*.h"], allow_empty = True),
    includes = ["include", "include_arch"],
    linkopts = {PC_LINKOPTS},
)

cc_library(
    name = "ssl",
    srcs = ["lib/libssl.a"],
    deps = [":crypto"],
)
"""

_RE2 = _PUBLIC + """
cc_library(
    name = "re2",
    srcs = ["lib/libre2.a"],
    hdrs = glob(["include/re2/*.h"]),
    includes = ["include"],
    linkopts = ["-pthread"],
)
"""

_JSON = _PUBLIC + """
cc_library(
    name = "json",
    hdrs = glob(["include/nlohmann/**"]),
    includes = ["include"],
)
"""

_SERF = _PUBLIC + """
filegroup(
    name = "serf",
    srcs = ["bin/serf"],
)
"""

def serf_dependencies(modules = False):
    """Declares every dependency that is not declared yet.

    Args:
      modules: called from a module extension, which sees no other repositories
    """
    if not modules:
        bazel_compat_repositories()
    have = {} if modules else native.existing_rules()
    if "com_google_absl" not in have:
        debian_absl_repository(
            name = "com_google_absl",
            packages = ["libabsl-dev"],
            probe = "/usr/include/absl/base/config.h",
        )
    if "bazel_skylib" not in have and not modules:
        debian_repository(
            name = "bazel_skylib",
            packages = ["bazel-skylib"],
            probe = "/usr/share/bazel/tools/skylib/WORKSPACE",
            tree = "share/bazel/tools/skylib",
        )
    for name, kwargs in _REPOSITORIES.items():
        if name not in have:
            debian_repository(name = name, **kwargs)

_REPOSITORIES = {
    # Debian 12's default Boost (1.74) is too old for awaitable operators,
    # cancellation slots, as_tuple and clang; libboost1.81-dev conflicts with it and
    # with libmsgpack-cxx-dev, so it is downloaded, not installed.
    "boost.asio": dict(
        packages = ["libboost1.81-dev|libboost1.83-dev|libboost1.88-dev|libboost1.90-dev|libboost1.92-dev"],
        probe = "/usr/include/boost/version.hpp",
        min_macro = "BOOST_VERSION",
        min_value = 108100,
        includes = ["boost"],
        build_file_content = _BOOST,
    ),
    "msgpack": dict(
        packages = ["libmsgpack-cxx-dev"],
        probe = "/usr/include/msgpack.hpp",
        includes = ["msgpack", "msgpack.hpp"],
        build_file_content = _MSGPACK,
    ),
    "com_github_gflags_gflags": dict(
        packages = ["libgflags-dev"],
        probe = "/usr/include/gflags/gflags.h",
        includes = ["gflags"],
        archives = ["libgflags.a"],
        build_file_content = _GFLAGS,
    ),
    "com_github_google_glog": dict(
        packages = ["libgoogle-glog-dev"],
        probe = "/usr/include/glog/logging.h",
        includes = ["glog"],
        archives = ["libglog.a"],
        extra_files = {"glog_unwind.cc": "//third_party:glog_unwind.cc"},
        build_file_content = _GLOG,
    ),
    "com_google_googletest": dict(
        packages = ["libgtest-dev", "libgmock-dev"],
        probe = "/usr/include/gmock/gmock.h",
        includes = ["gtest", "gmock"],
        archives = ["libgtest.a", "libgmock.a", "libgmock_main.a"],
        build_file_content = _GTEST,
    ),
    "com_github_google_benchmark": dict(
        packages = ["libbenchmark-dev", "libbenchmark1debian|libbenchmark1"],
        probe = "/usr/include/benchmark/benchmark.h",
        includes = ["benchmark"],
        archives = ["libbenchmark_main.a"],
        shared = ["libbenchmark.so"],
        build_file_content = _BENCHMARK,
    ),
    "openssl": dict(
        packages = ["libssl-dev", "zlib1g-dev", "libzstd-dev"],
        probe = "/usr/include/openssl/evp.h",
        includes = ["openssl"],
        archives = ["libcrypto.a", "libssl.a"],
        pc = "libcrypto",
        build_file_content = _OPENSSL,
    ),
    "com_googlesource_code_re2": dict(
        packages = ["libre2-dev"],
        probe = "/usr/include/re2/re2.h",
        includes = ["re2"],
        archives = ["libre2.a"],
        build_file_content = _RE2,
    ),
    "nlohmann_json": dict(
        packages = ["nlohmann-json3-dev"],
        probe = "/usr/include/nlohmann/json.hpp",
        includes = ["nlohmann"],
        build_file_content = _JSON,
    ),
    # The reference implementation, as a peer for the tests. The probe is not the
    # program itself, which could be anybody's serf.
    "debian_serf": dict(
        packages = ["serf"],
        probe = "/usr/share/doc/serf/copyright",
        programs = ["serf"],
        build_file_content = _SERF,
    ),
    # Its 0.10.1, which Debian 12 does not have but can run.
    "debian_serf_0_10": dict(
        packages = ["serf"],
        release = "trixie",
        probe = "/usr/share/doc/serf/copyright",
        programs = ["serf"],
        build_file_content = _SERF,
    ),
}
