"""Headers that many tests include, read and compiled once for all of them, with Clang.

Apart from tools/, so that the builds of consumers load none of it.
"""

load("@bazel_tools//tools/cpp:toolchain_utils.bzl", "find_cpp_toolchain")
load("@rules_cc//cc:defs.bzl", "cc_library")
load("//tools:cc.bzl", "TEST_COPTS", "serf_cc_library")
load("//tools:precompiled.bzl", "precompiled_include")

def _precompiled_impl(ctx):
    toolchain = find_cpp_toolchain(ctx)
    features = cc_common.configure_features(
        ctx = ctx,
        cc_toolchain = toolchain,
        requested_features = ctx.features,
        unsupported_features = ctx.disabled_features,
    )
    deps = cc_common.merge_cc_infos(cc_infos = [dep[CcInfo] for dep in ctx.attr.deps])
    context = deps.compilation_context
    flags = cc_common.get_memory_inefficient_command_line(
        feature_configuration = features,
        action_name = "c++-compile",
        variables = cc_common.create_compile_variables(
            feature_configuration = features,
            cc_toolchain = toolchain,
            user_compile_flags = ctx.fragments.cpp.copts + ctx.fragments.cpp.cxxopts + ctx.attr.copts,
            include_directories = context.includes,
            quote_include_directories = context.quote_includes,
            system_include_directories = context.system_includes,
            preprocessor_defines = context.defines,
            use_pic = True,
        ),
    )
    options = ctx.actions.args()
    options.add(cc_common.get_tool_for_action(
        feature_configuration = features,
        action_name = "c++-compile",
    ))
    options.add_all(flags)

    # What layering_check sets where the result is used must be set here.
    options.add("-fmodules-strict-decluse")

    # Clang leaves out of the tests what it compiles with the header.
    options.add_all(["-fpch-instantiate-templates", "-fpch-codegen"])

    # Sandboxes have names and times of their own: the paths in the result begin in the folder that the
    # compiler runs in.
    options.add_all(["-Xclang", "-fno-pch-timestamp", "-relocatable-pch"])
    header = ctx.file.hdr
    pch = ctx.actions.declare_file(ctx.label.name)
    ctx.actions.run_shell(
        command = "exec \"$@\" -Xclang -isysroot -Xclang \"$PWD\"",
        arguments = [options, "-x", "c++-header", header.path, "-o", pch.path],
        inputs = depset([header], transitive = [context.headers, toolchain.all_files]),
        outputs = [pch],
        mnemonic = "CppPrecompile",
        progress_message = "Precompiling %s" % header.short_path,
    )
    own = CcInfo(
        compilation_context = cc_common.create_compilation_context(headers = depset([pch, header])),
    )
    return [
        DefaultInfo(files = depset([pch])),
        cc_common.merge_cc_infos(cc_infos = [own, deps]),
    ]

_precompiled_header = rule(
    implementation = _precompiled_impl,
    attrs = {
        "copts": attr.string_list(),
        "deps": attr.label_list(providers = [CcInfo]),
        "hdr": attr.label(allow_single_file = [".h"], mandatory = True),
        "_cc_toolchain": attr.label(default = "@bazel_tools//tools/cpp:current_cc_toolchain"),
    },
    fragments = ["cpp"],
    toolchains = ["@bazel_tools//tools/cpp:toolchain_type"],
)

def serf_precompiled(name, deps):
    """A header that most tests of some packages include, precompiled for them.

    Declares the library NAME with the header NAME.h, NAME.pch, and NAME.code: the header's functions.

    Args:
      name: one of those in tools/precompiled.bzl
      deps: of the header
    """
    serf_cc_library(
        name = name,
        testonly = True,
        hdrs = [name + ".h"],
        deps = deps,
    )
    _precompiled_header(
        name = name + ".pch",
        testonly = True,
        hdr = name + ".h",
        copts = TEST_COPTS,
        tags = ["manual"],
        deps = [":" + name],
    )
    native.genrule(
        name = name + ".empty",
        testonly = True,
        outs = [name + ".code.cc"],
        cmd = ">$@",
    )
    cc_library(
        name = name + ".code",
        testonly = True,
        srcs = [name + ".code.cc"],
        copts = TEST_COPTS + precompiled_include(name) + ["-Xclang", "-building-pch-with-obj"],
        features = ["layering_check"],
        linkstatic = True,
        tags = ["manual"],
        deps = [":%s.pch" % name],
    )
