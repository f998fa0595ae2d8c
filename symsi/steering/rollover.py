"""Rollover Budget Forcing (Kim et al. 2025): what a level does not need of its quota goes to the next.

M noises a chain are evaluated, each of B chains keeps its best, r* is the highest reward. With N levels the quota is
Q = floor((NFE - B M)/(N B)) draws. In a turn every chain draws one child of its state and evaluates it (B NFE), and
keeps the level's best. Where the turn's highest reward is at least r*, it becomes r*, every chain advances to its
level's best, and quota <- (quota - used) + Q; where the quota is used up, they advance alike, quota <- Q, r* stays.
The last level spends what is left. Output: each chain's best, carried to the end.
"""

from __future__ import annotations

from dataclasses import replace

import torch

from symsi.errors import BudgetError, SymsiError
from symsi.sampling.state import State
from symsi.steering.chain import Chain, Cloud
from symsi.steering.forms import Form, Forms, of_cloud, of_samples, whole
from symsi.steering.held import Held, cloud_of, pack
from symsi.steering.selection import best_of
from symsi.steering.settings import Settings

__all__ = ["begin", "fit", "forms", "level"]

_CHAINS, _NOISES = 2, 25


def fit(chain: Chain, s: Settings) -> Settings:
    """Return the settings with 2 chains and 25 noises each, or as many as leave a draw for every level."""
    chains, levels = s.particles or _CHAINS, chain.levels
    if chain.noisy(levels - 1):
        raise SymsiError("method 'rbf' ends in the posterior mean of what it found; use last='land'.")
    account = chain.account
    turns = min(account.nfe_left // (chains * chain.cost), (account.rewards_left - chains) // chains)
    noises = turns if levels == 1 and s.children is None else min(s.children or _NOISES, turns - (levels - 1))
    if noises < (s.children or 1):
        raise BudgetError(
            f"{chains} chains of {s.children or 1} noises and a draw at each level take "
            f"{chains * (levels - 1 + (s.children or 1)) * chain.cost} evaluations; the budget is {account.budget}. "
            "Give more, fewer steps, particles or children."
        )
    return replace(s, particles=chains, children=noises)


def begin(chain: Chain, s: Settings) -> Held:
    """Evaluate the noises and keep each chain's best."""
    chains, noises = s.particles or 1, s.children or 1
    cloud = chain.evaluate(chain.begin(range(chains * noises)))
    rewards = chain.rate(cloud.data, 0)
    chain.account.note(0, rewards)
    chosen = best_of(rewards, chains)
    quota = max(_turns(chain, chains) // chain.levels, 1)
    return {**pack("chains", cloud[chosen]), "record": rewards.max(), "quotas": torch.tensor([quota, quota])}


def level(chain: Chain, s: Settings, held: Held) -> Held:
    """Draw until the level is left, or finish: chains at the last level are carried to the end."""
    chains = cloud_of("chains", held, chain)
    count, k = len(chains), chains.state.evaluations
    if k + 1 == chain.levels:
        x = chain.finished(chain.moved(chains, range(count)))
        return {"x": x, "rewards": chain.rate(x, chain.levels)}
    each, quota = held["quotas"].tolist()
    record = float(held["record"])
    best: Cloud | None = None
    rewards = torch.full((count,), -torch.inf, dtype=torch.float64)
    last, used, accepted = k + 2 == chain.levels, 0, False
    while _turns(chain, count) >= 1 and (last or used < quota) and not accepted:
        found = chain.evaluate(chain.moved(chains, range(used * count, (used + 1) * count)))
        rated = chain.rate(found.data, k + 1)
        used += 1
        better = rated > rewards
        best = found if best is None else _merged(best, found, better)
        rewards = torch.maximum(rewards, rated)
        accepted = not last and float(rated.max()) >= record
    if best is None:  # `fit` leaves a draw for every level: another account was put into the file
        raise BudgetError(f"no draw is left for level {k + 1} of {chain.levels} in {chain.account.budget}.")
    chain.account.note(k + 1, rewards)
    left = quota - used + each if accepted else each
    return {
        **pack("chains", best),
        "record": rewards.max() if accepted else held["record"],
        "quotas": torch.tensor([each, left]),
    }


def forms(chain: Chain, s: Settings, held: Held) -> Forms:
    """Return the forms of what is held between two levels, or of the samples. Raises SymsiError for no state."""
    count = s.particles or 1
    if "x" in held:
        return of_samples(chain, count)
    draws = whole(2, least=1, most=chain.account.budget.nfe)
    return {**of_cloud("chains", chain, held, count), "record": Form(()), "quotas": draws}


def _turns(chain: Chain, chains: int) -> int:
    """Draws for every chain that evaluations and calls of the reward allow, the last rating kept back."""
    account = chain.account
    return min(account.nfe_left // (chains * chain.cost), (account.rewards_left - chains) // chains)


def _merged(best: Cloud, found: Cloud, better: torch.Tensor) -> Cloud:
    """Of each chain the better one."""
    rows = torch.where(better, torch.arange(len(better)) + len(better), torch.arange(len(better)))
    both = Cloud(
        State.join([best.state, found.state]), torch.cat([best.said, found.said]), torch.cat([best.data, found.data])
    )
    return both[rows]
