"""What MeanFlow's residual is at the exact map, where those of other objectives vanish."""

from __future__ import annotations

import math

import torch

from symsi.bench.small_map import Batch
from symsi.models.analytic import Mixture
from symsi.models.exact_map import exact_map
from symsi.training.objectives.flow_maps import mean_flow

__all__ = ["mean_flow_floor"]


def mean_flow_floor(law: Mixture, *, count: int = 65536, seed: int = 0) -> dict[str, float]:
    """Return what MeanFlow's residual is at the exact map: "measured" and "predicted" mean squares over s < t.

    There it is grad X_{s,t}(x) (v_s(x) - I'_s), whose mean square is E[(grad X)^2 Var(I'_s | I_s)]; under the linear
    schedule the variance is dE[X | I_s = x]/dx/s. On Gaussian data that is (g_t/g_s)^2 L_b(s). "error" is the standard
    error of measured minus predicted.
    """
    generator = torch.Generator().manual_seed(seed)
    batch = Batch.draw(lambda n, g: law.sample(n, int(torch.randint(2**62, (), generator=g))), count, generator)
    exact, data = exact_map(law), law.model(prediction="data").function
    x, rate = batch.at(batch.s)
    found = mean_flow(exact.function, x, batch.s, batch.t, rate).square()
    one = torch.ones_like(x)
    slope = torch.func.jvp(lambda y: exact(y, batch.s, batch.t), (x,), (one,))[1]
    revealed = torch.func.jvp(lambda y: data(y, batch.s), (x,), (one,))[1]
    wanted = slope.square() * revealed / batch.s[:, None]
    error = (found - wanted).std() / math.sqrt(count)
    return {"measured": float(found.mean()), "predicted": float(wanted.mean()), "error": float(error)}
