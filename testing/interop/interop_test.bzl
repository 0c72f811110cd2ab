"""Tests that run agents of this project and of Go Serf."""

load("//testing/agents:agent_test.bzl", "agent_test")
load("//tools:cc.bzl", "serf_cc_library")

# Each version of Go Serf: 0.9.4 of Debian 12, and 0.10.1 of Debian 13.
_ORIGINALS = [
    ("", "@debian_serf//:serf"),
    ("_0_10", "@debian_serf_0_10//:serf"),
]

def interop_test(name, srcs, deps, **kwargs):
    """NAME_test with Go Serf 0.9.4 and NAME_0_10_test with 0.10.1, compiled once for both.

    Args:
      name: name of the tests without _test
      srcs: the .cc files
      deps: as in serf_cc_library, without GoogleTest
      **kwargs: further attributes of agent_test
    """
    serf_cc_library(
        name = name + "_cases",
        testonly = True,
        srcs = srcs,
        alwayslink = True,
        deps = deps + ["@com_google_googletest//:gtest"],
    )
    for suffix, original in _ORIGINALS:
        agent_test(
            name = name + suffix + "_test",
            srcs = [],
            original = original,
            deps = [":%s_cases" % name],
            **kwargs
        )
