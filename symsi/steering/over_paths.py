"""Search over Paths (Ma et al. 2025): the ODE almost to the data, noise again on K copies, the ODE back, keep the best.

In noise levels s = alpha/(alpha + beta), the linear schedule's 1 - t: B chains go to s_0 = 0.12. In turn i = 1 .. R
each is copied K times, noised to s_{i-1} + 0.78, and taken back to s_i = s_0 (1 - i/R), so that turn R ends in samples;
the best posterior mean of its last evaluation goes on. R is what the budget carries. 2 chains, 5 copies, 0.12 and 0.78
are those of Kim et al. 2025, where the way back is 0.81 and turns are 4.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from symsi.coefficients.renoising import renoising
from symsi.errors import BudgetError, SymsiError
from symsi.interpolants.named import schedule as named
from symsi.sampling.noise import standard_normal
from symsi.sampling.state import State
from symsi.solvers.planning import plan
from symsi.steering.chain import Chain
from symsi.steering.forms import Form, Forms, check, of_samples, whole
from symsi.steering.held import Held
from symsi.steering.selection import best_of
from symsi.steering.settings import Settings

__all__ = ["begin", "fit", "forms", "level"]

_CHAINS, _COPIES, _NEAR, _BACK = 2, 5, 0.12, 0.78


def fit(chain: Chain, s: Settings) -> Settings:
    """Return the settings with 2 chains and 5 copies. Raises BudgetError where the budget carries no turn."""
    found = replace(s, particles=s.particles or _CHAINS, children=s.children or _COPIES)
    if _turns(chain, found) < 1:
        raise BudgetError(
            f"{found.particles} chains take {_first(chain) * (found.particles or 1) * chain.cost} evaluations to get "
            f"near the data, and a turn of {found.children} copies {_spent(chain, found, 1)} in all; the budget is "
            f"{chain.account.budget}. Give more, or fewer steps, particles or children."
        )
    return found


def begin(chain: Chain, s: Settings) -> Held:
    """Take fresh noise to s_0."""
    segment = _segment(chain, 1.0, _NEAR, _first(chain))
    turns = _turns(chain, s)
    state, _ = _run(segment, segment.begin(range(s.particles or 1)), _first(chain))
    return {"z": state.z, "turns": torch.tensor([0, turns])}


def level(chain: Chain, s: Settings, held: Held) -> Held:
    """One turn: copies, noise, the ODE back, the choice."""
    made, turns = held["turns"].tolist()
    chains, copies = s.particles or 1, s.children or 1
    here, there = _NEAR * (1 - made / turns), _NEAR * (1 - (made + 1) / turns)
    steps = _steps(chain, turns)
    segment = _segment(chain, here + _BACK, there, steps)
    near = _segment(chain, 1.0, here, 1)
    up, down = 1 - (here + _BACK), 1 - here
    share = 1 - (up / (1 - up) * (1 - down) / down) ** 2
    (back,) = renoising(named("linear"), (up,), share)
    z = held["z"].repeat_interleave(copies, 0)
    draws = range(chains * copies)
    noise = standard_normal(chain.seed, draws, 1 + made, chain.form, chain.device, z.dtype)
    before, after = near.plan.scales[1], segment.plan.scales[0]
    z = (back.factor * before * z + back.noise * noise) / after
    state, data = _run(segment, State(z, chain.form), steps)
    if made + 1 < turns:
        rewards = chain.rate(data, made, float(segment.plan.stages[steps - 1].time))
        chain.account.note(made, rewards)
        return {"z": state.z[best_of(rewards, chains)], "turns": torch.tensor([made + 1, turns])}
    x = segment.finished(state)
    rewards = chain.rate(x, chain.levels)
    chosen = best_of(rewards, chains)
    return {"x": x[chosen], "rewards": rewards[chosen]}


def forms(chain: Chain, s: Settings, held: Held) -> Forms:
    """Return the forms of what is held between two turns, or of the samples. Raises SymsiError for other turns."""
    count = s.particles or 1
    if "x" in held:
        return of_samples(chain, count)
    turns = _turns(chain, s)
    found = {"z": Form((count, *chain.form), chain.working), "turns": whole(2, most=turns)}
    check(held, found)
    made, told = held["turns"].tolist()
    if told != turns or made == turns:
        raise SymsiError(f"its turns are {made} of {told}, and this run makes {turns}.")
    return found


def _run(segment: Chain, state: State, steps: int) -> tuple[State, Tensor]:
    """The state after so many steps of the ODE, and eta_X of the last evaluation."""
    for _ in range(steps):
        cloud = segment.evaluate(state)
        state = segment.moved(cloud, range(len(cloud)))
    return state, cloud.data


def _segment(chain: Chain, noisiest: float, cleanest: float, steps: int) -> Chain:
    """The ODE from one noise level to another in equal steps, and on to the data in one that may be left out."""
    times = [1 - noisiest - (cleanest - noisiest) * k / steps for k in range(steps + 1)]
    grid = [*times[:-1], 1 - cleanest, *([1.0] if cleanest > 0 else [])]
    solver = "euler" if chain.plan.origin.get("solver") == "euler" else "ab2"
    return replace(chain, plan=plan(chain.model, schedule="linear", solver=solver, grid=grid))


def _first(chain: Chain) -> int:
    return max(1, round((1 - _NEAR) * chain.levels))


def _steps(chain: Chain, turns: int) -> int:
    return max(1, round((_BACK + _NEAR / turns) * chain.levels))


def _spent(chain: Chain, s: Settings, turns: int) -> int:
    """Evaluations of so many turns, all in all."""
    a_turn = _steps(chain, turns) * (s.children or 1)
    return (s.particles or 1) * (_first(chain) + turns * a_turn) * chain.cost


def _turns(chain: Chain, s: Settings) -> int:
    """The most turns that evaluations and calls of the reward allow."""
    most = chain.account.rewards_left // ((s.particles or 1) * (s.children or 1))
    turns = 0
    while turns < most and _spent(chain, s, turns + 1) <= chain.account.nfe_left:
        turns += 1
    return turns
