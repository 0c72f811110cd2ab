"""The dependencies of deps.bzl as a module extension, for Bazel 7."""

load("//:deps.bzl", "serf_dependencies")

def _impl(_module_ctx):
    serf_dependencies(modules = True)

serf_dependencies_extension = module_extension(implementation = _impl)
