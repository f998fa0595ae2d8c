"""Sequential Monte Carlo over a plan's levels, with fan-out: an auxiliary filter that asks the reward, not the model.

A level evaluates P particles, V = U_k (see `potential`), log w += V - V^, V^ what was foreseen for them. With M > 1
children it draws M noises a parent, foresees V^' of each without the model, and resamples P of the P M candidates by
w_p exp(V^' - V), from which V itself cancels; with one child it resamples where the ESS is low, and V^' = V. After the
last stage candidates are the samples, weighed by r(x_1)/lambda - V. Unbiased for the normaliser of the chain under the
tilt (T25), whatever is foreseen, unless the tempering is chosen by ESS.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from symsi.errors import BudgetError
from symsi.steering.chain import Chain
from symsi.steering.forms import Form, Forms, of_samples, of_state, whole
from symsi.steering.held import Held, pack, state_of
from symsi.steering.potential import Past, accumulate, gamma_at
from symsi.steering.resampling import effective, log_mean, resample
from symsi.steering.settings import Settings

__all__ = ["begin", "fit", "forms", "level"]

_CHILDREN = 8


def fit(chain: Chain, s: Settings) -> Settings:
    """Return the settings with as many particles as the budget carries through all levels, and 8 children."""
    children = _CHILDREN if s.children is None else s.children
    levels, account = chain.levels, chain.account
    ends_noisy = chain.noisy(levels - 1)
    inner = levels - 1 if children > 1 else 0
    ratings = levels + inner * children + (children if ends_noisy and children > 1 else 1)
    carried = min(account.nfe_left // (levels * chain.cost), account.rewards_left // ratings)
    if carried < 1 or (s.particles or 0) > carried:
        raise BudgetError(
            f"{s.particles or 1} particles take {levels * chain.cost} evaluations and {ratings} calls of the reward "
            f"each; the budget is {account.budget}, which carries {carried}. Give more, fewer steps, particles or "
            "children."
        )
    return replace(s, particles=s.particles or carried, children=children)


def begin(chain: Chain, s: Settings) -> Held:
    """Return fresh noise without weights."""
    count = s.particles or 0
    past = Past.new(count, s.potential)
    zeros = torch.zeros(count, dtype=torch.float64)
    return {
        **pack("state", chain.begin(range(count))),
        "log_weights": zeros,
        "foreseen": zeros,
        "total": past.total,
        "running": past.running,
        "numbers": torch.zeros(2, dtype=torch.float64),  # log Z so far, gamma
        "ancestry": torch.empty((0, count), dtype=torch.long),
    }


def level(chain: Chain, s: Settings, held: Held) -> Held:
    """Evaluate, weigh, branch, resample: one level, or the last, which leaves samples."""
    state = state_of("state", held, chain)
    k, count, children = state.evaluations, len(state), s.children or 1
    log_z, gamma = held["numbers"].tolist()
    noisy, last = chain.noisy(k), k + 1 == chain.levels
    cloud = chain.evaluate(state)
    if s.twist is not None and noisy:
        rewards, push = chain.rate_and_push(cloud.data, k)
    else:
        rewards, push = chain.rate(cloud.data, k), None
    past = accumulate(s.potential, Past(held["total"], held["running"]), chain.scaled(rewards, s.temperature))
    before = held["log_weights"] - held["foreseen"]
    fans_out = children > 1 and noisy
    if not (fans_out and s.tempering == "ess"):  # which chooses it for the candidates
        gamma = gamma_at(s.tempering, k, chain.levels, gamma, before, past.total, s.ess)
    if push is not None:  # by the most that the next level may weigh rewards with
        most = 1.0 if s.tempering == "fixed" else min(1.0, (k + 2) / chain.levels)
        push = chain.scaled(push, s.temperature / most)
    potential = gamma * past.total
    log_weights = before + potential
    ess = effective(log_weights)
    chain.account.note(k, rewards, ess)
    every = torch.arange(count)
    if fans_out:
        parents = every.repeat_interleave(children)
        foreseen = chain.rate_children(cloud, children, push)
        base = before[parents]
        if push is not None:
            base = base + chain.log_twist(k, range(len(parents)), parents, push)
        seen = chain.scaled(foreseen, s.temperature)
        if last:
            x = chain.finished(chain.moved(cloud, range(count * children), push, parents))
            return _samples(held, log_z, x, foreseen, base + seen, parents)
        total = accumulate(s.potential, past[parents], seen).total
        gamma = gamma_at(s.tempering, k + 1, chain.levels, gamma, base, total, s.ess)
        candidates = base + gamma * total
        log_z += log_mean(candidates)
        chosen = resample(s.resample, candidates, count, chain.seed, k)
        parents, ahead, log_weights = parents[chosen], gamma * total[chosen], torch.zeros_like(log_weights)
        after = chain.moved(cloud, chosen.tolist(), push, parents)
        past = past[parents]
    else:
        parents, ahead = every, potential
        if not last and (ess < s.ess * count or s.tempering == "ess"):
            log_z += log_mean(log_weights)
            parents = resample(s.resample, log_weights, count, chain.seed, k)
            ahead, log_weights, past = potential[parents], torch.zeros_like(log_weights), past[parents]
        after = chain.moved(cloud, range(count), push, parents)
        if push is not None:
            log_weights = log_weights + chain.log_twist(k, range(count), parents, push)
        if last:
            x = chain.finished(after)
            final = chain.rate(x, chain.levels)
            weights = log_weights + chain.scaled(final, s.temperature) - potential
            return _samples(held, log_z, x, final, weights, parents)
    return {
        **pack("state", after),
        "log_weights": log_weights,
        "foreseen": ahead,
        "total": past.total,
        "running": past.running,
        "numbers": torch.tensor([log_z, gamma], dtype=torch.float64),
        "ancestry": torch.cat([held["ancestry"], parents[None]]),
    }


def forms(chain: Chain, s: Settings, held: Held) -> Forms:
    """Return the forms of what is held between two levels, or of the samples. Raises SymsiError for no state."""
    count = s.particles or 0
    if "x" in held:
        found = count * (s.children or 1 if chain.noisy(chain.levels - 1) else 1)
        return {
            **of_samples(chain, found),
            "log_weights": Form((found,)),
            "log_normalizer": Form(()),
            "ancestry": whole(chain.levels - 1, count, most=count - 1),
            "parents": whole(found, most=count - 1),
        }
    state = of_state("state", chain, held, count)
    running = -torch.inf if s.potential == "max" else None
    return {
        **state,
        **dict.fromkeys(("log_weights", "foreseen", "total"), Form((count,))),
        "running": Form((count,), least=running),
        "numbers": Form((2,)),
        "ancestry": whole(int(held["state.about"][0]), count, most=count - 1),
    }


def _samples(held: Held, log_z: float, x: Tensor, rewards: Tensor, log_weights: Tensor, parents: Tensor) -> Held:
    """What is left after the last level."""
    return {
        "x": x,
        "rewards": rewards,
        "log_weights": log_weights,
        "log_normalizer": torch.tensor(log_z + log_mean(log_weights), dtype=torch.float64),
        "ancestry": held["ancestry"],
        "parents": parents,
    }
