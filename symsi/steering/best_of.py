"""Best of N: as many independent samples as the budget carries, by the ODE or with noise."""

from __future__ import annotations

from dataclasses import replace

from symsi.errors import BudgetError
from symsi.steering.chain import Chain
from symsi.steering.forms import Forms, of_samples, of_state
from symsi.steering.held import Held, pack, state_of
from symsi.steering.settings import Settings

__all__ = ["begin", "fit", "forms", "level"]


def fit(chain: Chain, s: Settings) -> Settings:
    """Return the settings with as many particles as the budget carries."""
    levels, account = chain.levels, chain.account
    carried = min(account.nfe_left // (levels * chain.cost), account.rewards_left)
    if carried < 1 or (s.particles or 0) > carried:
        raise BudgetError(
            f"{s.particles or 1} samples of {levels} steps take {(s.particles or 1) * levels * chain.cost} "
            f"evaluations; the budget is {account.budget}, which carries {carried}. Give more, or fewer steps."
        )
    return replace(s, particles=s.particles or carried)


def begin(chain: Chain, s: Settings) -> Held:
    """Return fresh noise."""
    return pack("state", chain.begin(range(s.particles or 0)))


def level(chain: Chain, s: Settings, held: Held) -> Held:
    """Take a step; rate what is there after the last."""
    state = state_of("state", held, chain)
    after = chain.moved(chain.evaluate(state), range(len(state)))
    if after.evaluations < chain.levels:
        return pack("state", after)
    x = chain.finished(after)
    rewards = chain.rate(x, chain.levels)
    return {"x": x, "rewards": rewards}


def forms(chain: Chain, s: Settings, held: Held) -> Forms:
    """Return the forms of what is held between two levels, or of the samples. Raises SymsiError for no state."""
    count = s.particles or 0
    return of_samples(chain, count) if "x" in held else of_state("state", chain, held, count)
