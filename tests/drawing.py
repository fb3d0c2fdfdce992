"""What the state machine draws: each of the machine that draws it, so that most of it means something there."""

from __future__ import annotations

from typing import Any

from histories import KEYS, START_US, Author, Step
from hypothesis import strategies as st

from ledger.clock import SECOND, format_moment
from ledger.model.entry import Record
from ledger.service.withdrawal import NARROWING


@st.composite
def steps(draw: st.DrawFn) -> Step:
    """Seconds that pass, and a command."""
    machine = draw(st.runner())
    return Author(draw(st.randoms(use_true_random=False))).step(machine.ledger)


@st.composite
def revisions(draw: st.DrawFn) -> str:
    """A token of any entry, or a tag."""
    machine = draw(st.runner())
    tokens = [machine.token(entry.seq) for entry in machine.entries]
    return draw(st.sampled_from([*(f"tag:{name}" for name in machine.tags), *tokens]))


@st.composite
def moments(draw: st.DrawFn) -> str:
    """From before the first entry until now, by half seconds."""
    machine = draw(st.runner())
    halves = 2 * (machine.clock.now_us - START_US) // SECOND
    return format_moment(START_US + draw(st.integers(-1, halves)) * SECOND // 2)


@st.composite
def references(draw: st.DrawFn) -> str:
    """Most of them name something."""
    machine = draw(st.runner())
    names = [entry.key for entry in machine.entries if isinstance(entry, Record) and entry.key]
    return draw(st.sampled_from([*dict.fromkeys(names), *(f"@{entry.seq}" for entry in machine.entries), "nobody"]))


@st.composite
def filters(draw: st.DrawFn) -> dict[str, Any]:
    """Some filter, such as everything ann recorded on a key."""
    machine = draw(st.runner())
    choices: dict[str, st.SearchStrategy[Any]] = {
        "actor": st.sampled_from(["ann", "bob"]),
        "kinds": st.just(["belief", "mutation"]) | st.just(["dependency", "justification"]),
        "state": st.sampled_from(["fresh", "stale"]),
        "key_prefix": st.sampled_from(["d/", "b/", "m"]),
        "current": st.just(True),
    }
    if known := [key for key in KEYS if key in machine.ledger._service.live.index.keys]:
        choices |= {"about": st.sampled_from(known), "resting_on": st.sampled_from(known)}
    names = draw(st.lists(st.sampled_from(list(choices)), min_size=2, max_size=3, unique=True).filter(_leaves_some))
    return {name: draw(choices[name]) for name in names}


def _leaves_some(names: list[str]) -> bool:
    """Not only what narrows others: nothing is withdrawn by that."""
    return not NARROWING.issuperset(names)


FIRST_PAGE = [
    {"op": "record", "kind": KEYS[key], "key": key, "content": "red", **({"because": because} if because else {})}
    for key, because in {
        "d/1": [], "d/2": [], "b/1": [["d/1"]], "b/2": [["d/1"], ["d/2"]],
        "a/1": [["b/1", "d/2"]], "m/1": [["a/1"]], "m/2": [["b/2"], ["a/1"]],
    }.items()
]  # fmt: skip

others = st.none() | st.lists(steps(), min_size=1, max_size=3)
"""What comes between a plan and what it plans."""
