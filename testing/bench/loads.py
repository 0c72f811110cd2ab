"""All loads by their names, with what the project aims at.

A name says what is measured: news-20-lan-encrypted-100 is 20 agents with the LAN profile,
encrypted, and 100 events a second.
"""
import collections
import inspect

import loads_of_calls as calls
import loads_of_news as news
import loads_of_one as one
import loads_of_queries as queries
import loads_of_rpc as rpc
import loads_of_start as start

# measure(binary, **how) or, if `mixed`, measure(binary, go, **how) returns {figure: value}.
# aims: the highest ratio of ours to the other's; figures without one are only shown.
# tiny: what to change for a run that only shows that the load works.
Load = collections.namedtuple("Load", "measure how aims tiny mixed")

LOADS = {}


def add(name, measure, aims=None, tiny=None, mixed=False, **how):
    assert name not in LOADS, name
    LOADS[name] = Load(measure, how, aims or {}, tiny or {}, mixed)


def run(name, binary, go, tiny=False, seconds=None):
    """The figures of one run. `go` is the program of the guests in mixed clusters.

    `seconds`: for how long it lasts, without start and end, if the load has such a time.
    """
    load = LOADS[name]
    how = dict(load.how, **(load.tiny if tiny else {}))
    if seconds is not None and "seconds" in inspect.signature(load.measure).parameters:
        how["seconds"] = seconds
    return load.measure(binary, go, **how) if load.mixed else load.measure(binary, **how)


# --- starts, and what stays of them in memory ---------------------------------------------------

add("start", start.measure_start, tiny={"runs": 2},
    aims={"CPU until it runs (ms)": 0.15, "until it answers RPC (ms)": 0.3})
add("version", start.measure_version, tiny={"runs": 2})
for agents in (20, 100):
    add("storm-%d" % agents, start.measure_storm, agents=agents, tiny={"agents": 3, "calm": 0},
        aims={"peak resident memory of one (MiB)": 0.3,
              "resident memory of one afterwards (MiB)": 0.14 if agents == 20 else 0.2})

# --- a lone agent, an idle cluster --------------------------------------------------------------

add("idle", one.measure_idle, tiny={"calm": 1, "seconds": 1},
    aims={"resident memory (MiB)": 0.17, "context switches / s": 1 / 4})
add("cluster-30", one.measure_cluster,
    tiny={"size": 3, "calm": 0, "seconds": 1, "killed": 1, "profile": "local"},
    aims={"idle CPU of all (ms / s)": 1 / 5, "context switches of all / s": 1 / 4,
          "resident memory of one (MiB)": 1 / 4, "convergence (s)": 1,
          "detection of a killed agent by all (s)": 1})
add("ping", one.measure_ping, tiny={"pings": 1000}, aims={"CPU per answered ping (us)": 1 / 10})
add("filter", one.measure_filter, tiny={"seconds": 1})
add("cli", one.measure_cli, tiny={"runs": 3})
add("snapshot", one.measure_snapshot, tiny={"members": 100},
    aims={"CPU per member learned and recorded (us)": 1 / 2})

# --- RPC ----------------------------------------------------------------------------------------

add("rpc", rpc.measure_rpc, tiny={"calls": 20},
    aims={"CPU per `members` call, 1 member (us)": 2 / 3,
          "CPU per `members` call, 50 members (us)": 1 / 3})
add("members", rpc.measure_members, tiny={"members": 100, "calls": 10},
    aims={"CPU per `members` call, 10,000 members (ms)": 0.12,
          "time of a `members` call, 10,000 members (ms)": 0.3})
add("stats", rpc.measure_stats, tiny={"calls": 20},
    aims={"CPU per `stats` call, 1 member (us)": 2 / 3,
          "CPU per `stats` call, 50 members (us)": 2 / 3})
for members in (1, 50):
    add("calls-%d" % members, calls.measure_calls, members=members, tiny={"calls": 20},
        aims=calls.AIMS)
add("cli-10000", calls.measure_cli, tiny={"members": 100, "runs": 3},
    aims={"wall time of `serf members`, 10,000 members (ms)": 0.4})
add("pipelined", rpc.measure_pipelined, tiny={"members": 20, "requests": 10})
add("monitors", rpc.measure_monitors, tiny={"monitors": 5, "queries": 50})

# --- news ---------------------------------------------------------------------------------------

PROMPT = {news.MEDIAN: 0.06, news.NEARLY_ALL: 0.1, "CPU of all (ms / s)": 0.35}
PROMPT_AMONG_MANY = {news.MEDIAN: 0.1, news.NEARLY_ALL: 0.15, "CPU of all (ms / s)": 0.35}
TINY_NEWS = {"agents": 3, "seconds": 1, "calm": 0}

for agents in (3, 20):
    add("lone-%d" % agents, news.measure_lone, agents=agents, events=6,
        tiny={"agents": 3, "events": 2, "pause": 0.3, "calm": 0},
        aims={news.MEDIAN: 1 / 2})
add("news-3-lan-plain-10", news.measure_steady, mixed=True, agents=3, tiny=TINY_NEWS, aims=PROMPT)
for profile in ("lan", "local"):
    for cipher in ("plain", "encrypted"):
        for per_second in (10, 100):
            add("news-20-%s-%s-%d" % (profile, cipher, per_second), news.measure_steady, mixed=True,
                profile=profile, encrypted=cipher == "encrypted", per_second=per_second,
                tiny=TINY_NEWS, aims=PROMPT)
for cipher in ("plain", "encrypted"):
    add("news-100-lan-%s-10" % cipher, news.measure_steady, mixed=True, agents=100,
        encrypted=cipher == "encrypted", calm=6, tiny=TINY_NEWS, aims=PROMPT_AMONG_MANY)
add("news-20-lan-plain-10-from-all", news.measure_steady, mixed=True, senders="all",
    tiny=TINY_NEWS, aims=PROMPT)
# With Go agents among ours there are figures, and no aims.
add("news-20-lan-plain-10-from-one-go", news.measure_steady, mixed=True, members="one-go",
    senders="last", tiny=TINY_NEWS)
add("news-20-lan-plain-10-half-go", news.measure_steady, mixed=True, members="half-go",
    senders="all", tiny=TINY_NEWS)
# At the rate 0.1 there is one event in ten seconds: nearly no news.
for per_second in (0.1, 10, 100):
    add("guest-20-lan-plain-%g" % per_second, news.measure_guest, mixed=True, per_second=per_second,
        tiny=dict(TINY_NEWS, per_second=10),
        aims={"packets that it receives / s": 1.5, "its CPU (ms / s)": 1.5})

# --- queries ------------------------------------------------------------------------------------

ANSWERED = {"until all have acknowledged, median (ms)": 0.08,
            "until all have acknowledged, 99 % (ms)": 0.15,
            "until all have responded, median (ms)": 0.08,
            "until all have responded, 99 % (ms)": 0.15}
TINY_QUERIES = {"agents": 3, "seconds": 1, "calm": 0}

for agents in (3, 20):
    add("queries-%d-in-turn" % agents, queries.measure_queries, agents=agents, per_second=0,
        tiny=TINY_QUERIES, aims=ANSWERED)
add("queries-20-10", queries.measure_queries, tiny=TINY_QUERIES, aims=ANSWERED)
add("queries-3-500", queries.measure_queries, agents=3, per_second=500, seconds=5,
    tiny=dict(TINY_QUERIES, per_second=50))
add("queries-3-2000-finish-early", queries.measure_queries, agents=3, per_second=2000, seconds=4,
    finish_early=True, tiny=dict(TINY_QUERIES, per_second=50))

# --- floods -------------------------------------------------------------------------------------

for per_second in (1000, 10000, 20000):
    add("flood-3-%d" % per_second, news.measure_flood, per_second=per_second,
        tiny={"per_second": 500, "seconds": 1, "calm": 0},
        aims={"CPU of all per event delivered (us)": 0.4})
TINY_DEPARTURE = {"agents": 3, "profile": "local", "calm": 0, "before": 0.3}
for how in ("failed", "left"):
    add("%s-calm" % how, news.measure_departure, how=how, tiny=TINY_DEPARTURE, aims={
        "until all others know (ms)": 1})
    add("%s-flood" % how, news.measure_departure, how=how, per_second=10000,
        tiny=dict(TINY_DEPARTURE, per_second=200), aims={"until all others know (ms)": 1})
