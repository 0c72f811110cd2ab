"""Programs as a module extension, for the tests of this repository under MODULE.bazel."""

load("//:deps.bzl", "test_program_repositories")

def _impl(_module_ctx):
    test_program_repositories()

test_programs_extension = module_extension(implementation = _impl)
