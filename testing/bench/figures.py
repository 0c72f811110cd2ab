"""What the samples of a run amount to. Pure functions."""
import math
import statistics


def percentile(samples, share):
    """The smallest sample that at least this share of all samples do not exceed."""
    if not samples:
        raise ValueError("no samples")
    if not 0 < share <= 1:
        raise ValueError("%r is no share" % share)
    return sorted(samples)[math.ceil(share * len(samples)) - 1]


def median(samples):
    return statistics.median(samples)


def over_rounds(rounds):
    """{figure: median} of [{figure: value}]. A figure may be missing in some rounds, or None."""
    names = []
    for figures in rounds:
        names += [name for name in figures if name not in names]
    values = {name: [f[name] for f in rounds if f.get(name) is not None] for name in names}
    return {name: median(found) for name, found in values.items() if found}


def ratio(ours, other):
    """Nothing if either is not known; infinite if only the other is zero."""
    if ours is None or other is None:
        return None
    if other == 0:
        return 1.0 if ours == 0 else math.inf
    return ours / other


def missed(found, aim):
    """Whether a ratio is not what the project aims at. Without an aim or a ratio, nothing is."""
    return aim is not None and found is not None and found > aim


# --- deliveries ---------------------------------------------------------------------------------

def delays(sent, deliveries):
    """Nanoseconds from the sending of each event until the last agent had it.

    `sent` is {number: instant}; `deliveries` has one [(number, instant)] for each agent. Events
    that some agent never got are left out.
    """
    firsts = [first_instants(delivery) for delivery in deliveries]
    return [max(first[number] for first in firsts) - instant
            for number, instant in sent.items() if all(number in first for first in firsts)]


def first_instants(delivery):
    """{number: instant} of [(number, instant)], where a number may occur again."""
    first = {}
    for number, instant in delivery:
        first.setdefault(number, instant)
    return first


def share_delivered(sent, deliveries):
    """The part of all pairs of an event and an agent, in percent."""
    got = sum(len(set(number for number, _ in delivery) & set(sent)) for delivery in deliveries)
    return 100 * got / (len(sent) * len(deliveries))


def out_of_order(delivery, reference):
    """How many events an agent got after one that the reference had later."""
    place = {number: i for i, (number, _) in enumerate(reference)}
    late, furthest = 0, -1
    for number, _ in delivery:
        if number not in place:
            continue
        late += place[number] < furthest
        furthest = max(furthest, place[number])
    return late
