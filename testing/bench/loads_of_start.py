"""Loads of a start, and of what stays in memory after one. Each returns {figure: value}."""
import os
import statistics
import subprocess
import time

from agents import DEADLINE_SECONDS, Failure, free_ports, start_cluster, stop_all
from rpc_client import HERE, Rpc

RUNNING = b"agent running!"  # what both programs print when they answer


def process_cpu_seconds(pid):
    return time.clock_gettime(~pid << 3 | 2)  # clock_getcpuclockid()


def page_faults(pid):
    """The faults that needed no disk."""
    with open("/proc/%d/stat" % pid) as file:
        return int(file.read().rpartition(")")[2].split()[7])


def start_once(binary):
    """CPU and time from exec until it says that it runs, its page faults, and the first answer."""
    port, rpc_port = free_ports(2)
    begin = time.monotonic()
    process = subprocess.Popen(
        [binary, "agent", "-node", "starts", "-bind", "%s:%d" % (HERE, port), "-rpc-addr",
         "%s:%d" % (HERE, rpc_port)],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
    try:
        said = b""
        while RUNNING not in said:
            piece = os.read(process.stdout.fileno(), 4096)
            if not piece:
                raise Failure("%s agent ended at once" % binary)
            said += piece
        cpu, running = process_cpu_seconds(process.pid), time.monotonic()
        faults = page_faults(process.pid)
        deadline = begin + DEADLINE_SECONDS
        while True:
            try:
                rpc = Rpc(rpc_port)
                break
            except ConnectionRefusedError:
                if time.monotonic() > deadline:
                    raise Failure("%s agent does not listen" % binary)
        answered = time.monotonic()
        rpc.close()
        return cpu, running - begin, answered - begin, faults
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def measure_start(binary, runs=20):
    start_once(binary)  # does not count
    cpu, running, answered, faults = zip(*(start_once(binary) for _ in range(runs)))
    return {"CPU until it runs (ms)": 1e3 * statistics.median(cpu),
            "until it runs (ms)": 1e3 * statistics.median(running),
            "until it answers RPC (ms)": 1e3 * statistics.median(answered),
            "page faults until it runs": statistics.median(faults)}


def run_once(*command):
    begin = time.monotonic()
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    return 1e3 * (time.monotonic() - begin)


def measure_version(binary, runs=40):
    """In turns with a program that does nothing, since most of the time is the system's."""
    pairs = [(run_once(binary, "version"), run_once("/bin/true")) for _ in range(runs + 1)][1:]
    ours, nothing = map(statistics.median, zip(*pairs))
    return {"wall time of `serf version` (ms)": ours,
            "beyond that of /bin/true (ms)": max(0.0, ours - nothing)}


def peak_resident_mib(pid):
    with open("/proc/%d/status" % pid) as file:
        return [int(line.split()[1]) for line in file if line.startswith("VmHWM:")][0] / 2**10


def measure_storm(binary, agents=100, calm=40):
    """Agents that all join through the first."""
    cluster = start_cluster([binary] * agents)
    try:
        time.sleep(calm)
        return {
            "peak resident memory of one (MiB)":
                statistics.median(peak_resident_mib(a.process.pid) for a in cluster),
            "resident memory of one afterwards (MiB)":
                statistics.median(a.resident_mib() for a in cluster)}
    finally:
        stop_all(cluster)
