"""Loads of RPC clients at one agent. Each returns {figure: value}."""
import select
import threading
import time

from agents import Agent
from loads_of_one import Pings, make_members
from rpc_client import LAST_KEY, Rpc, ended, headers_of, query_request

SIZES = ((1, "1 member"), (50, "50 members"))


def time_calls(binary, members, calls, call):
    """Seconds per call(rpc) of an agent that knows so many: its CPU's, and the wall's."""
    agent = Agent(binary, "self")
    rpc = Rpc(agent.rpc_port)
    try:
        make_members(agent, members - 1)
        for _ in range(calls // 10):
            call(rpc)
        cpu, begin = agent.cpu_seconds(), time.monotonic()
        for _ in range(calls):
            call(rpc)
        wall = time.monotonic() - begin
        return (agent.cpu_seconds() - cpu) / calls, wall / calls
    finally:
        rpc.close()
        agent.stop()


def time_members_calls(binary, members, calls):
    return time_calls(binary, members, calls, lambda rpc: rpc.call_members(members))


def measure_rpc(binary, calls=3000):
    result = {}
    for members, what in SIZES:
        cpu, wall = time_members_calls(binary, members, calls)
        result["CPU per `members` call, %s (us)" % what] = 1e6 * cpu
        result["`members` calls / s, %s" % what] = 1 / wall
    return result


def measure_members(binary, members=10000, calls=30):
    cpu, wall = time_members_calls(binary, members, calls)
    return {"CPU per `members` call, 10,000 members (ms)": 1e3 * cpu,
            "time of a `members` call, 10,000 members (ms)": 1e3 * wall}


def measure_stats(binary, calls=3000):
    result = {}
    for members, what in SIZES:
        cpu, _ = time_calls(binary, members, calls, lambda rpc: rpc.call("stats", None, 2))
        result["CPU per `stats` call, %s (us)" % what] = 1e6 * cpu
    return result


def measure_pipelined(binary, members=1000, requests=100):
    """One client sends many requests at once; another one asks meanwhile."""
    agent = Agent(binary, "self")
    rpc, other = Rpc(agent.rpc_port), Rpc(agent.rpc_port)
    try:
        make_members(agent, members - 1)
        for _ in range(10):
            rpc.call_members(members)
        request = {"Name": ".*", "Status": "", "Tags": {}}
        cpu, pings = agent.cpu_seconds(), Pings(agent)
        sender = threading.Thread(target=lambda: [
            rpc.send("members-filtered", request, seq) for seq in range(1, requests + 1)])
        sender.start()
        reader = threading.Thread(target=lambda: read_members(rpc, members * requests))
        reader.start()
        waits = []
        while reader.is_alive() or not waits:
            begin = time.monotonic()
            other.call("get-coordinate", {"Node": "nobody"}, 2)
            waits.append(1e3 * (time.monotonic() - begin))
            time.sleep(0.0005)
        sender.join()
        return {"longest wait of a ping (ms)": pings.end()[-1],
                "longest wait of another client (ms)": max(waits),
                "CPU of all 100 requests (ms)": 1e3 * (agent.cpu_seconds() - cpu)}
    finally:
        rpc.close()
        other.close()
        agent.stop()


def read_members(rpc, count):
    """Reads replies with so many members in total, and ignores everything else."""
    left, tail = count, b""
    while left > 0:
        data = tail + rpc.receive()
        left -= data.count(LAST_KEY)
        tail = data[-len(LAST_KEY) + 1:]


def measure_monitors(binary, monitors=500, queries=2500, per_second=500):
    agent = Agent(binary, "asked")
    asking, rpcs, thrown_out = Rpc(agent.rpc_port), [], 0
    try:
        for _ in range(monitors):
            try:
                rpcs.append(Rpc(agent.rpc_port))
                rpcs[-1].call("monitor", {"LogLevel": "ERR"}, 1)
            except OSError:  # closed at once
                thrown_out += 1
        cpu = agent.cpu_seconds()
        accepted = count_accepted(asking, queries, per_second)
        used = agent.cpu_seconds() - cpu
        thrown_out += sum(ended(rpc.sock) for rpc in rpcs)
        return {"thrown out, of 500": thrown_out,
                "queries refused, of 2,500": queries - accepted,
                "CPU per query (us)": 1e6 * used / queries}
    finally:
        for rpc in rpcs + [asking]:
            rpc.close()
        agent.stop()


def count_accepted(rpc, queries, per_second):
    """Asks so many queries at this rate. None is accepted after the end of the connection."""
    begin, replies, accepted, data = time.monotonic(), set(), 0, b""
    try:
        for seq in range(1, queries + 1):
            rpc.sock.sendall(query_request(seq, acks=False))
            while seq not in replies or time.monotonic() < begin + seq / per_second:
                left = max(0, begin + seq / per_second - time.monotonic())
                if not select.select([rpc.sock], [], [], left if seq in replies else 10)[0]:
                    continue
                headers, data = headers_of(data + rpc.receive())
                for header in headers:
                    if header[b"Seq"] not in replies:
                        replies.add(header[b"Seq"])
                        accepted += header[b"Error"] == b""
    except OSError:
        pass
    return accepted
