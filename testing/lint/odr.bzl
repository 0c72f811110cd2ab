"""serf_odr_test: headers that every file may include, in any order and any number."""

load("//tools:cc.bzl", "serf_cc_test")

def _include_all_impl(ctx):
    names = {}
    for dep in ctx.attr.deps:
        for header in dep[CcInfo].compilation_context.headers.to_list():
            # Where a rule sets a prefix, the header is found through a folder of links.
            _, virtual, name = header.short_path.partition("/_virtual_includes/")
            name = name.partition("/")[2] if virtual else header.short_path
            if not header.owner.workspace_name and name.startswith("serf/"):
                names[name] = True
    names = sorted(names)
    if ctx.attr.backwards:
        names = reversed(names)
    ctx.actions.write(ctx.outputs.out, "".join(["#include \"%s\"\n" % name for name in names]))

_include_all = rule(
    implementation = _include_all_impl,
    attrs = {
        "backwards": attr.bool(),
        "deps": attr.label_list(providers = [CcInfo]),
        "out": attr.output(mandatory = True),
    },
)

def serf_odr_test(name, deps):
    """Links two files, each of which includes all our headers that deps lead to.

    A definition that is neither inline nor a template is then there twice, and does not
    link; the second file's order is the reverse of the first's.

    Args:
      name: name of the test
      deps: libraries
    """
    for part, backwards in (("forwards", False), ("backwards", True)):
        _include_all(
            name = "%s_%s" % (name, part),
            testonly = True,
            backwards = backwards,
            out = "%s_%s.cc" % (name, part),
            deps = deps,
        )
    serf_cc_test(
        name = name,
        srcs = [
            "odr_test.cc",
            name + "_backwards.cc",
            name + "_forwards.cc",
        ],
        # It includes what its dependencies depend on, too.
        features = ["-layering_check"],
        deps = deps,
    )
