"""Go Serf as a module extension, for the tests of this repository under MODULE.bazel."""

load("//:deps.bzl", "go_serf_repositories")

def _impl(_module_ctx):
    go_serf_repositories()

go_serf_extension = module_extension(implementation = _impl)
