"""Simulated runs against closed forms: lines, ceilings, renewals; and what holds however often ranks die."""

import math
import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from symsi.bench.ranks import RESTARTS, Times, _Fleet, simulate
from symsi.errors import SymsiError

TIMES = Times(start=6.0, network=8.0, noise=0.5, rest=0.25, write=0.25, look=0.0, ask=0.01, serve=0.001, seal=0.02)
FREE = replace(TIMES, look=0.0, ask=0.0, serve=0.0, seal=0.0)


@pytest.mark.parametrize("restart", RESTARTS)
@pytest.mark.parametrize(("shards", "ranks"), [(1, 1), (40, 1), (40, 8), (3000, 1000)])
def test_without_deaths_it_is_the_formula(shards: int, ranks: int, restart: str) -> None:
    found = simulate(shards, ranks, TIMES, restart=restart)
    expected = 6 + (ranks - 1) * 0.001 + shards / ranks * 9.01 + 0.01 + shards * 0.02
    assert found.seconds == pytest.approx(expected, rel=1e-12)
    assert (found.runs, found.deaths, found.lost, found.drawn) == (1, 0, 0, shards)
    assert found.requests == shards + ranks


@pytest.mark.parametrize(("shards", "ranks"), [(1, 8), (41, 8), (47, 8), (999, 1000), (1001, 1000)])
def test_ranks_take_rounds(shards: int, ranks: int) -> None:
    assert simulate(shards, ranks, FREE).seconds == pytest.approx(6 + math.ceil(shards / ranks) * 9, rel=1e-12)


def test_a_full_store_is_what_all_wait_for() -> None:
    busy = replace(TIMES, ask=0.1, serve=0.1, seal=0.0)  # of 1000 ranks, 90 would fill it
    found = simulate(20_000, 1000, busy)
    assert found.seconds == pytest.approx(6 + 0.1 * 21_000, rel=0.01)
    assert found.waited > 0.8 * 1000 * found.seconds


@pytest.mark.parametrize("restart", RESTARTS)
def test_one_rank_that_dies_takes_what_renewals_say(restart: str) -> None:
    """A shard takes (1/r + back) e^(r start) (e^(r c) - 1) on average, the start (1/r + back) (e^(r start) - 1)."""
    per_second, back, shards, runs = 0.03, 20.0, 12, 2000
    found = [
        simulate(shards, 1, FREE, failures=3600 * per_second, back=back, restart=restart, seed=seed).seconds
        for seed in range(runs)
    ]
    mean = math.fsum(found) / runs
    error = math.sqrt(math.fsum((x - mean) ** 2 for x in found)) / runs
    each, begin = math.exp(per_second * 6) * math.expm1(per_second * 9), math.expm1(per_second * 6)
    expected = (1 / per_second + back) * (shards * each + begin)
    assert abs(mean - expected) < 4 * error
    assert error < 0.02 * expected


@pytest.mark.parametrize(
    ("restart", "lives", "ends"),
    [
        ("none", (math.inf, 10), (6 + 9 * 9 + 60 + 9 + 8, True)),  # rank 0 waits for a minute, draws it
        ("one", (math.inf, 10), (6 + 7 * 9 + 9, True)),  # rank 1 comes back at 46 for two of them
        ("all", (math.inf, 10), (6 + 9, False)),  # rank 0 finishes what it has
        ("one", (10, math.inf), (6 + 9, False)),  # without a store, so does rank 1
        ("one", (6 + 5 * 9 + 59, math.inf), (6 + 5 * 9, True)),
        ("none", (50, 1e9), (51, False)),  # rank 0 dies when rank 1 draws its last
    ],
)
def test_what_a_death_costs(restart: str, lives: tuple[float, float], ends: tuple[float, bool]) -> None:
    """Ten shards of 9 s for two ranks, which start in 6 s, and come back after 30."""
    chance = random.Random()
    told = iter([*lives, *[math.inf] * 9])
    chance.expovariate = lambda *_: next(told)  # type: ignore[method-assign]
    fleet = _Fleet(2, FREE, 1.0, 30.0, restart, chance, [False] * 10)
    assert fleet.run(0.0) == ends
    if not ends[1]:
        missing = fleet.done.count(False)
        assert fleet.run(1000.0) == (1000 + 6 + 9 * math.ceil(missing / 2), True)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 60),
    st.integers(1, 30),
    st.sampled_from(RESTARTS),
    st.floats(0, 60),
    st.floats(0, 200),
    st.integers(),
)
def test_every_shard_is_drawn_once_and_none_for_nothing(
    shards: int, ranks: int, restart: str, failures: float, back: float, seed: int
) -> None:
    found = simulate(shards, ranks, TIMES, failures=failures / ranks, back=back, restart=restart, seed=seed)
    assert found.drawn == shards
    assert found.lost <= found.deaths * (ranks if restart == "all" else 1)
    assert found.runs <= found.deaths + 1
    assert found.seconds >= 6 + math.ceil(shards / ranks) * 9
    assert found == simulate(shards, ranks, TIMES, failures=failures / ranks, back=back, restart=restart, seed=seed)


def test_joining_again_beats_all_starting_again() -> None:
    """Of 1000 ranks that die every 50 hours one dies in 3 minutes: it costs all what they do, or one what it does."""
    taken = {restart: simulate(30_000, 1000, TIMES, failures=0.02, restart=restart).seconds for restart in RESTARTS}
    assert taken["one"] < taken["none"]
    assert taken["one"] < taken["all"]


def test_what_never_ends_is_told() -> None:
    with pytest.raises(
        SymsiError, match=r"50 ranks that die 100 times an hour each have not drawn all in 55.6 hours .*smaller"
    ):
        simulate(500, 50, replace(TIMES, network=999.0), failures=100.0, restart="all")
    with pytest.raises(SymsiError, match="restart is one of one, all, none; got 'two'"):
        simulate(1, 1, TIMES, restart="two")
