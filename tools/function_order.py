#!/usr/bin/env python3
"""Writes cmd/function_order.txt: the functions of an agent's start and of joins, and then those that
it runs while nothing happens.

  tools/function_order.py [SERF]     # SERF: a program to look at; default: builds //cmd:serf

The linker puts them side by side (tools/cc.bzl, function_order). The kernel maps code in pieces of
64 KiB, so that 200 KiB of functions, strewn over 6 MiB, would cost an idle agent 1.9 MiB, and each
piece costs a start a page fault. A list that is out of date costs memory and time and nothing else:
write it anew when the load "idle" of //testing/bench:compare shows more resident memory.

An agent runs in Valgrind's callgrind, alone at first and then with two others, on the loopback
addresses of a network namespace of its own; another one only starts, answers RPC, joins, is joined,
and ends. Needs valgrind, and root or user namespaces.
"""
import os
import re
import signal
import subprocess
import sys
import tempfile
import time

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
LIST = os.path.join(TOP, "cmd", "function_order.txt")
# Longer than the longest period of the LAN profile: that of push/pull and of reconnecting.
OBSERVE_SECONDS = 65
# Until the news of a join are with all.
GOSSIP_SECONDS = 3
DEADLINE_SECONDS = 60
# Suffixes that callgrind adds for recursion, and g++ for variants that may appear and disappear.
SUFFIX = r"('\d+)?((\.(isra|part|constprop|cold|lto_priv))+(\.\d+)?)*('\d+)?$"


def start_agent(serf, number, before=()):
    address = "127.0.0.%d" % number
    return subprocess.Popen(
        [*before, serf, "agent", "-node=agent-%d" % number, "-bind=" + address,
         "-rpc-addr=%s:7373" % address],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def until_it_answers(serf, number):
    """Waits until the agent's RPC answers."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while subprocess.run([serf, "members", "-rpc-addr=127.0.0.%d:7373" % number],
                         stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode != 0:
        if time.monotonic() > deadline:
            sys.exit("agent %d does not answer within %d s" % (number, DEADLINE_SECONDS))
        time.sleep(0.2)


def observe(agent):
    """Counts what the agent runs for a while."""
    for state in ("on", "off"):
        subprocess.run(["callgrind_control", "-i", state, str(agent.pid)],
                       check=True, stdout=subprocess.DEVNULL)
        if state == "on":
            time.sleep(OBSERVE_SECONDS)


def callgrind(path, from_start):
    return ["valgrind", "--tool=callgrind", "--instr-atstart=" + ("yes" if from_start else "no"),
            "--demangle=no", "--callgrind-out-file=" + path]


def stop(agents):
    for agent in reversed(agents):
        agent.send_signal(signal.SIGTERM)
    for agent in agents:
        agent.wait(DEADLINE_SECONDS)


def record(serf, idle, start):
    """Has callgrind write to these paths what an agent runs. In a namespace of its own."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    agents = [start_agent(serf, 1, callgrind(start, from_start=True))]
    try:
        until_it_answers(serf, 1)
        for number in (2, 3):  # one that it joins, one that joins it
            agents.append(start_agent(serf, number))
            until_it_answers(serf, number)
            first, other = (1, number) if number == 2 else (number, 1)
            subprocess.run([serf, "join", "-rpc-addr=127.0.0.%d:7373" % first,
                            "127.0.0.%d" % other], check=True, stdout=subprocess.DEVNULL)
        time.sleep(GOSSIP_SECONDS)
    finally:
        stop(agents)
    agents = [start_agent(serf, 1, callgrind(idle, from_start=False))]
    try:
        until_it_answers(serf, 1)
        observe(agents[0])
        agents += [start_agent(serf, number) for number in (2, 3)]
        for number in (2, 3):
            until_it_answers(serf, number)
        subprocess.run([serf, "join", "-rpc-addr=127.0.0.1:7373", "127.0.0.2", "127.0.0.3"],
                       check=True, stdout=subprocess.DEVNULL)
        observe(agents[0])
    finally:
        stop(agents)


def functions_of(lines, program):
    """The names that callgrind's lines count in the program's own file."""
    objects, names, functions, current = {}, {}, set(), None
    for line in lines:
        match = re.match(r"(c?ob|c?fn)=\((\d+)\)(?: (.*))?$", line.rstrip("\n"))
        if not match:
            continue
        kind, number, text = match.groups()
        table = objects if kind.endswith("ob") else names
        if text:
            table[number] = text
        if kind == "ob":
            current = table[number]
        elif kind == "fn" and os.path.realpath(current) == program:
            functions.add(re.sub(SUFFIX, "", table[number]))
    return functions


def with_aliases(functions, program):
    """All names of these functions: the section may bear another."""
    names = {}
    for line in subprocess.run(["nm", program], check=True, stdout=subprocess.PIPE,
                               universal_newlines=True).stdout.splitlines():
        fields = line.split()
        if len(fields) == 3 and fields[1] in "tTwW":
            names.setdefault(fields[0], set()).add(re.sub(SUFFIX, "", fields[2]))
    return {name for same in names.values() if same & functions for name in same}


def main():
    if len(sys.argv) > 1 and sys.argv[1] == "--record":
        record(*sys.argv[2:])
        return
    if len(sys.argv) > 1:
        program = sys.argv[1]
    else:
        subprocess.run([os.path.join(TOP, "bazelw"), "build", "-c", "opt", "//cmd:serf"], check=True)
        program = os.path.join(TOP, "bazel-bin", "cmd", "serf")
    program = os.path.realpath(program)
    with tempfile.TemporaryDirectory() as folder:
        paths = [os.path.join(folder, name) for name in ("idle", "start")]
        namespace = ["unshare", "--net"] + ([] if os.geteuid() == 0 else ["--map-root-user"])
        subprocess.run(namespace + [sys.executable, __file__, "--record", program, *paths],
                       check=True)
        found = []
        for path in paths:
            with open(path) as lines:
                found.append(with_aliases(functions_of(lines, program), program))
        idle, start = found
        # What cannot be ordered of an idle agent's code, operator new and the like, comes after the
        # list: the idle functions stand beside it.
        functions = sorted(start - idle) + sorted(idle)
    with open(LIST, "w") as out:
        # All static initialisers: a start runs each, and the compilers name their sections so.
        out.write(".text.startup*\n")
        for name in functions:
            out.write(".text.%s*\n" % name)  # with or without such a suffix
    print("%s: %d functions" % (os.path.relpath(LIST, TOP), len(functions)))


if __name__ == "__main__":
    main()
