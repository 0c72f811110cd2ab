"""The cost and the time of small RPC calls, call by call. Each load returns {figure: value}."""
import socket
import subprocess
import time

import figures
from agents import Agent, Failure
from loads_of_one import make_members
from rpc_client import HERE, request, unpack_list

# Each: the command, its body, and how many objects its reply has.
CALLS = {"members": ("members", None, 2),
         "stats": ("stats", None, 2),
         "members-filtered": ("members-filtered", {"Name": "", "Status": "alive", "Tags": {}}, 2)}
CONNECT = "connect + handshake + stats"
HANDSHAKE = ("handshake", {"Version": 1})
# An agent writes a small reply in one piece.
PIECE = 1 << 16


def measure_calls(binary, members=1, calls=2000):
    """An agent that knows so many members answers one call after the other."""
    agent, found = Agent(binary, "self"), {}
    try:
        if members > 1:
            make_members(agent, members - 1)
        for name in [*CALLS, CONNECT]:
            found.update(time_calls(agent, name, calls))
        return found
    finally:
        agent.stop()


def time_calls(agent, name, calls):
    one = connecting(agent.rpc_port) if name == CONNECT else calling(agent.rpc_port, CALLS[name])
    for _ in range(max(1, calls // 10)):
        one()
    before = agent.cpu_seconds()
    waits = [1e6 * one() for _ in range(calls)]
    used = 1e6 * (agent.cpu_seconds() - before)
    return {figure(name, "CPU"): used / calls,
            figure(name, "time, median"): figures.percentile(waits, 0.5),
            figure(name, "time, 99 %"): figures.percentile(waits, 0.99)}


def figure(name, what):
    return "%s: %s (us)" % (name, what)


# What the project aims at: figure -> ratio to Go Serf.
AIMS = {figure(name, what): aim for name in [*CALLS, CONNECT]
        for what, aim in (("CPU", 0.3), ("time, median", 0.6), ("time, 99 %", 0.6))}


def fresh(port):
    sock = socket.socket()
    sock.connect((HERE, port))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def finish(sock, data, objects):
    """Reads the rest of a reply, if it came in pieces."""
    while True:
        try:
            unpack_list(data, 0, objects)
            return
        except IndexError:
            piece = sock.recv(PIECE)
            if not piece:
                raise Failure("the agent closed an RPC connection")
            data += piece


def calling(port, call):
    """A function that makes one call over one connection and returns the seconds that it took."""
    sock = fresh(port)
    sock.sendall(request(*HANDSHAKE, 0))
    finish(sock, sock.recv(PIECE), 1)
    ready = request(*call[:2], 1)

    def one():
        begin = time.perf_counter()
        sock.sendall(ready)
        data = sock.recv(PIECE)
        wait = time.perf_counter() - begin
        finish(sock, data, call[2])
        return wait
    return one


def connecting(port):
    handshake, stats = request(*HANDSHAKE, 1), request("stats", None, 1)

    def one():
        begin = time.perf_counter()
        sock = fresh(port)
        sock.sendall(handshake)
        sock.recv(PIECE)
        sock.sendall(stats)
        data = sock.recv(PIECE)
        wait = time.perf_counter() - begin
        finish(sock, data, 2)
        sock.close()
        return wait
    return one


def measure_cli(binary, members=10000, runs=10):
    """`serf members` of so many: the client's work and the agent's."""
    agent = Agent(binary, "self")
    try:
        make_members(agent, members - 1)
        waits = []
        for _ in range(runs):
            begin = time.monotonic()
            subprocess.run([binary, "members", "-rpc-addr", "%s:%d" % (HERE, agent.rpc_port)],
                           stdout=subprocess.DEVNULL, check=True)
            waits.append(time.monotonic() - begin)
        return {"wall time of `serf members`, 10,000 members (ms)": 1e3 * figures.median(waits)}
    finally:
        agent.stop()
