"""Tests that run agents."""

load("//tools:cc.bzl", "serf_cc_test")

def agent_test(name, srcs, original = None, data = [], env = {}, size = "medium", **kwargs):
    """A test with //cmd:serf, and with Go Serf if `original` is set. See testing/agents/programs.h.

    Args:
      name: name of the test
      srcs: the .cc files
      original: label of Go Serf's program
      data: further files
      env: further variables of the environment
      size: as in serf_cc_test
      **kwargs: further attributes of serf_cc_test
    """
    programs = {"SERF_PROGRAM": "//cmd:serf"}
    if original:
        programs["SERF_DEBIAN_PROGRAM"] = original
    variables = {variable: "$(rootpath %s)" % label for variable, label in programs.items()}
    variables.update(env)
    serf_cc_test(
        name = name,
        size = size,
        srcs = srcs,
        data = list(programs.values()) + data,
        env = variables,
        **kwargs
    )
