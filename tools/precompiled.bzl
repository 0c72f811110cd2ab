"""Which precompiled header of //testing/precompiled a test has, and what it needs for that.

.bazelrc turns them on (--define=serf_precompiled=on). Without them the same tests build, too, in more than
twice the time.
"""

# The precompiled header of a package's tests: the first line whose folder the package is in.
_HEADERS = [
    ("serf/base", "libraries"),
    ("serf/wire", "libraries"),
    ("serf", "machine"),
    ("testing/integration", "drivers"),
    ("testing/interop", "drivers"),
    ("testing", "machine"),
    ("transport", "drivers"),
    ("rpc", "drivers"),
    ("cmd", "drivers"),
]

def precompiled_for(package):
    """The name of the precompiled header for the package's tests, or None."""
    for folder, header in _HEADERS:
        if (package + "/").startswith(folder + "/"):
            return header
    return None

def _if_precompiled(header, values):
    if not header:
        return []
    return select({
        "//tools:precompiled": values,
        "//conditions:default": [],
    })

def precompiled_deps(header):
    """The deps that a test with this precompiled header has because of it."""
    return _if_precompiled(header, ["//testing/precompiled:%s.code" % header])

def precompiled_include(header):
    """The compiler options that take the precompiled header in."""
    pch = "$(BINDIR)/testing/precompiled/%s.pch" % header
    return ["-Xclang", "-isysroot", "-Xclang", ".", "-include-pch", pch]

def precompiled_copts(header):
    """The compiler options of a test with this precompiled header."""
    return _if_precompiled(header, precompiled_include(header))

def precompiled_linkopts(header):
    """The linker options of a test with this precompiled header: the rest of its code is left out."""
    return _if_precompiled(header, ["-Wl,--gc-sections"])
