"""SVDD and CoDe: of K children of each chain the best goes on, chosen at every level or at every other one.

SVDD (Li et al. 2024) takes the argmax of K posterior means at each level, CoDe (Singh et al. 2025) lets each of the K
run through a block of two levels first. B chains, so B K evaluations a level. A child costs an evaluation where the
model is asked again; of a last stage with noise K children are free, and the best of them is taken.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from symsi.errors import BudgetError
from symsi.steering.chain import Chain
from symsi.steering.forms import Forms, of_samples, of_state
from symsi.steering.held import Held, pack, state_of
from symsi.steering.settings import Settings

__all__ = ["begin", "best_of", "fit", "fit_of_blocks", "forms", "level", "level_of_blocks"]

_CHAINS, _BLOCK = 2, 2


def fit(chain: Chain, s: Settings) -> Settings:
    """Return the settings with 2 chains and as many children as the budget carries through all levels."""
    return _fit(chain, s, block=1)


def fit_of_blocks(chain: Chain, s: Settings) -> Settings:
    """As `fit`, where levels between the ends of blocks are not rated."""
    return _fit(chain, s, block=_BLOCK)


def _fit(chain: Chain, s: Settings, block: int) -> Settings:
    chains, levels = s.particles or _CHAINS, chain.levels
    account, rated = chain.account, -(-chain.levels // block) + 1
    carried = int(min(account.nfe_left // (chains * levels * chain.cost), account.rewards_left // (chains * rated)))
    if carried < 1 or (s.children or 0) > carried:
        raise BudgetError(
            f"{chains} chains of {s.children or 1} children take {chains * (s.children or 1) * levels * chain.cost} "
            f"evaluations; the budget is {account.budget}, which carries {carried} children. Give more, fewer steps, "
            "particles or children."
        )
    return replace(s, particles=chains, children=s.children or carried)


def begin(chain: Chain, s: Settings) -> Held:
    """Return K noises a chain."""
    return pack("state", chain.begin(range((s.particles or 1) * (s.children or 1))))


def level(chain: Chain, s: Settings, held: Held) -> Held:
    """Evaluate all children, keep each chain's best, branch it."""
    return _level(chain, s, held, block=1)


def level_of_blocks(chain: Chain, s: Settings, held: Held) -> Held:
    """As `level`, with a choice at the end of each block of two levels, counted from the start, and at the last."""
    return _level(chain, s, held, block=_BLOCK)


def _level(chain: Chain, s: Settings, held: Held, block: int) -> Held:
    state = state_of("state", held, chain)
    k, chains, children = state.evaluations, s.particles or 1, s.children or 1
    last = k + 1 == chain.levels
    cloud = chain.evaluate(state)
    if last or (k + 1) % block == 0:
        rewards = chain.rate(cloud.data, k)
        chain.account.note(k, rewards)
        chosen = best_of(rewards, chains)
        cloud = cloud[chosen.repeat_interleave(children if chain.noisy(k) else 1)]
    after = chain.moved(cloud, range(len(cloud)))
    if not last:
        return pack("state", after)
    x = chain.finished(after)
    rewards = chain.rate(x, chain.levels)
    chosen = best_of(rewards, chains)
    return {"x": x[chosen], "rewards": rewards[chosen]}


def forms(chain: Chain, s: Settings, held: Held) -> Forms:
    """Return the forms of what is held between two levels, or of the samples. Raises SymsiError for no state."""
    chains = s.particles or 1
    return of_samples(chain, chains) if "x" in held else of_state("state", chain, held, chains * (s.children or 1))


def best_of(rewards: Tensor, chains: int) -> Tensor:
    """Return the index of each chain's highest reward, of rewards that lie chain by chain."""
    per = len(rewards) // chains
    return rewards.reshape(chains, per).argmax(1) + per * torch.arange(chains)
