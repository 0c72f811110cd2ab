#!/usr/bin/env python3
"""Fails if a recorded run in testing/vectors/cli is replayed by no test.

A test replays a recording by its name: in a list of names, or in Transcript("name"). Names that are
also words of a command line ("join") count only where a recording is meant: in
ExpectAsRecorded({...}), or in Transcript("join").
"""
import glob
import os
import re
import sys


def replayed(text):
    """The names that this source of a test uses: (surely, or as some literal)."""
    surely = set(re.findall(r'\bTranscript(?:\s+\w+)?\("([^"\\]+)"\)', text))
    for names in re.findall(r"\bExpectAsRecorded\(\{([^}]*)\}\)", text):
        surely |= set(re.findall(r'"([^"\\]+)"', names))
    return surely, set(re.findall(r'"([a-z0-9-]+)"', text))


def missing(recordings, texts):
    """The recordings that no text replays, sorted."""
    surely, anywhere = set(), set()
    for text in texts:
        one, other = replayed(text)
        surely |= one
        anywhere |= other
    return sorted(name for name in recordings
                  if name not in surely and not ("-" in name and name in anywhere))


def self_test():
    text = ('ExpectAsRecorded({"join", "a-b"}); Transcript("leave").Run(); const Transcript t("tags");'
            'Serf({"members"}); {"c-d", 1}')
    wanted = ["d-e", "members"]
    got = missing(["join", "a-b", "leave", "tags", "members", "c-d", "d-e"], [text])
    assert got == wanted, got


def main():
    self_test()
    top = sys.argv[1] if len(sys.argv) > 1 else "."
    recordings = [os.path.basename(path)[:-len(".json")]
                  for path in glob.glob(os.path.join(top, "testing/vectors/cli/*.json"))]
    sources = [path for folder in ("testing/integration", "cmd", "cmd/*")
               for path in glob.glob(os.path.join(top, folder, "*_test.cc"))]
    if not recordings or not sources:
        sys.exit("no recordings, or no tests, found")
    texts = []
    for path in sources:
        with open(path, encoding="utf-8") as file:
            texts.append(file.read())
    unreplayed = missing(recordings, texts)
    for name in unreplayed:
        print(f"testing/vectors/cli/{name}.json is replayed by no test")
    print(f"{len(recordings)} recordings, {len(unreplayed)} not replayed")
    sys.exit(bool(unreplayed))


main()
