#!/usr/bin/env python3
"""Fails if docs/commands/ and the help texts of the commands differ in their commands or flags."""
import glob
import os
import re
import sys

# Every page refers to the README for these.
COMMON = {"rpc-addr", "rpc-auth"}


def help_flags(source):
    """The flags in the help text of a command's source: lines that begin with two blanks and -."""
    found = re.search(r'kHelp\[\] =\s*R"\((.*?)\)"', source, re.DOTALL)
    return set(re.findall(r"^  -([a-z0-9-]+)", found.group(1), re.MULTILINE)) if found else set()


def page_flags(page):
    """The flags in the first columns of a page's tables."""
    flags = set()
    for line in page.splitlines():
        if line.startswith("| `-"):
            flags |= set(re.findall(r"`-([a-z0-9-]+)", line.split(" | ")[0]))
    return flags


def self_test():
    assert help_flags('kHelp[] =\n    R"(Usage\n\n  -a=text   x\n  -b-c\n           -d)";') == {"a", "b-c"}
    assert page_flags("| `-a`, `-b=X` | `-c` |\n| x | `-d` |\n") == {"a", "b"}


def problems(sources, pages, index):
    """Of {command: text} of both kinds."""
    for name in sorted(set(sources) | set(pages)):
        if name not in pages:
            yield f"docs/commands/{name}.md does not exist"
        elif name not in sources:
            yield f"docs/commands/{name}.md describes no command"
        else:
            if f"]({name}.md)" not in index:
                yield f"docs/commands/README.md does not list {name}.md"
            said, told = help_flags(sources[name]) - COMMON, page_flags(pages[name]) - COMMON
            for flag in sorted(said - told):
                yield f"docs/commands/{name}.md does not tell of -{flag}"
            for flag in sorted(told - said):
                yield f"the help of {name} does not tell of -{flag}"


def read(paths, suffix):
    texts = {}
    for path in paths:
        with open(path, encoding="utf-8") as file:
            texts[os.path.basename(path)[:-len(suffix)].replace("_", "-")] = file.read()
    return texts


def main():
    self_test()
    top = sys.argv[1] if len(sys.argv) > 1 else "."
    sources = read([path for room in ("commands", "daemon")
                    for path in glob.glob(os.path.join(top, "cmd", room, "*_command.cc"))],
                   "_command.cc")
    pages = read(glob.glob(os.path.join(top, "docs/commands/*.md")), ".md")
    index = pages.pop("README", "")
    # Its flags have a page of their own, docs/agent-options.md.
    sources["agent"] = ""
    if len(sources) < 2 or not pages:
        sys.exit("no commands, or no pages, found")
    found = list(problems(sources, pages, index))
    for problem in found:
        print(problem)
    print(f"{len(pages)} pages, {len(found)} problems")
    sys.exit(bool(found))


main()
