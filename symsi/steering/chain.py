"""A plan as a Markov chain whose samples can be branched, and rated by a reward on what is expected of them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from symsi.coefficients.modal import flow_tables
from symsi.coefficients.tables import tabulate
from symsi.errors import SymsiError
from symsi.interpolants.named import as_schedule
from symsi.models.protocol import Model
from symsi.sampling.noise import standard_normal
from symsi.sampling.predictions import check_form, not_finite, predictor
from symsi.sampling.state import State, init, model_input, observe, step
from symsi.solvers.plan import Plan
from symsi.solvers.stage import Coefficient
from symsi.steering.budget import Account
from symsi.theory.conversion import convert
from symsi.theory.tilting import twist

__all__ = ["Chain", "Cloud"]


@dataclass(frozen=True, eq=False)
class Cloud:
    """B samples before a stage that was evaluated: states, what the model said (B, *shape), and eta_X (B, *shape)."""

    state: State
    said: Tensor
    data: Tensor

    def __len__(self) -> int:
        return len(self.said)

    def __getitem__(self, rows: Any) -> Cloud:
        """Return some of the samples, with repetitions."""
        return Cloud(self.state[rows], self.said[rows], self.data[rows])


@dataclass(eq=False)
class Chain:
    """What every method is built of; all that is spent is counted in `account`.

    x is in model units, `decode` takes it to what the reward rates, in batches of `reward_batch`. The transition from
    stage k is z' = m(z, P) + L n; a Gaussian of the reference's variances, 1 without one, has the posterior mean
    eta' = eta + U G L n, G = beta' Lambda/S' (T8), after it; Lambda are `variances`.
    """

    model: Model
    plan: Plan
    reward: Callable[..., Any]
    decode: Callable[[Tensor], Any]
    form: tuple[int, ...]
    account: Account
    conditions: Mapping[str, Any] = field(default_factory=dict)
    guidance: float = 1.0
    seed: int = 0
    batch: int | None = None
    reward_batch: int | None = None
    variances: Tensor = field(default_factory=lambda: torch.ones((), dtype=torch.float64))
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    dtype: torch.dtype = torch.float32
    tick: Callable[[int], object] = lambda rows: None
    each: int = 1  # evaluations of a network that a call of the model makes for a row
    look: Callable[[Account], object] = lambda account: None

    @property
    def levels(self) -> int:
        """Stages of the plan."""
        return len(self.plan.stages)

    @property
    def cost(self) -> int:
        """Evaluations that a row is counted as."""
        return self.each * (1 if self.guidance == 1 else 2)

    @property
    def working(self) -> torch.dtype:
        """The dtype of states and samples; the model's may have 16 bits."""
        return torch.float64 if self.dtype == torch.float64 else torch.float32

    def noisy(self, k: int) -> bool:
        """Whether stage k adds noise."""
        return self.plan.stages[k].noisy

    def begin(self, draws: Sequence[int]) -> State:
        """Return the states of fresh noise, one a draw."""
        return init(self.plan, standard_normal(self.seed, draws, 0, self.form, self.device, self.working))

    def evaluate(self, state: State) -> Cloud:
        """Ask the model where states are. Raises ModelError for what is no prediction, and beyond the budget."""
        k = state.evaluations
        self.account.evaluated(len(state) * self.cost)
        said, data = torch.empty((2, len(state), *self.form), dtype=state.z.dtype, device=self.device)
        for rows in _slices(len(state), self.batch):
            x, t = model_input(self.plan, state[rows])
            told = {name: _rows(value, len(x), self.device) for name, value in self.conditions.items()}
            free = {name: _rows(value, len(x), self.device) for name, value in self.model.unconditional.items()}
            predict = predictor(self.model, told, {**told, **free}, self.guidance)
            answer = predict("prediction", x.to(self.dtype), t)
            time = self.plan.stages[k].time
            check_form(answer, tuple(x.shape), self.device, time, k + 1)
            said[rows] = answer
            if not torch.isfinite(said[rows]).all():
                raise not_finite(time, k + 1, finite=False)
            of_state, of_prediction = self._data[k]
            data[rows] = of_state * x + of_prediction * said[rows]
            self.tick(len(x) * self.cost)
        return Cloud(state, said, data)

    def moved(
        self, cloud: Cloud, draws: Sequence[int], push: Tensor | None = None, parents: Tensor | None = None
    ) -> State:
        """Return the states after the stage of some of the samples, by default all, batch by batch.

        Noise is that of these draws, one a row, if the stage adds any; `push` has a row for each sample of the cloud.
        """
        k, parents = cloud.state.evaluations, torch.arange(len(cloud)) if parents is None else parents
        parts = []
        for rows in _slices(len(parents), self.batch):
            mine = parents[rows]
            noise = self._noise(k, draws[rows], None if push is None else push[mine])
            parts.append(step(self.plan, cloud.state[mine], cloud.said[mine], noise))
        return State.join(parts)

    def finished(self, state: State) -> Tensor:
        """Return samples x (B, *shape) in model units after the last stage."""
        return observe(self.plan, state)

    def rate(self, data: Tensor, level: int, time: float | None = None) -> Tensor:
        """Return the rewards of x (B, *shape), (B,) in float64; `level` is the stage, or `levels` for samples.

        The model's time is that of the stage, 1 for samples, unless it is given.
        """
        return self._rated(len(data), lambda rows: data[rows], level, time=time)

    def scaled(self, rewards: Tensor, temperature: float) -> Tensor:
        """Return r/lambda. Raises SymsiError where that is beyond float64."""
        found = rewards / temperature
        if not torch.isfinite(found).all():
            largest = float(rewards.abs().max())
            raise SymsiError(f"a reward of size {largest:.3g} over the temperature {temperature:.3g} is not finite.")
        return found

    def rate_children(self, cloud: Cloud, children: int, push: Tensor | None = None) -> Tensor:
        """Return the rewards (B * children,) of what is foreseen for children of each sample, without the model.

        Child m of sample p has draw p * children + m. After the last stage they are the samples themselves.
        """
        k = cloud.state.evaluations

        def foreseen(rows: slice) -> Tensor:
            draws = range(rows.start, rows.stop)
            parents = torch.arange(rows.start, rows.stop) // children
            if k + 1 == self.levels:
                return self.finished(self.moved(cloud, draws, push, parents))
            noise = self._noise(k, draws, None if push is None else push[parents])
            assert noise is not None, "children of a stage without noise are all alike"
            return cloud.data[parents] + self._carried(k, noise)

        return self._rated(len(cloud) * children, foreseen, k + 1)

    def rate_and_push(self, data: Tensor, level: int) -> tuple[Tensor, Tensor]:
        """Return rewards (B,), and for each row the noise's mean that a linear reward would give it, (B, *shape).

        It is U L G U^T grad r at eta_X, the optimal twist of T25 for lambda = 1.
        """
        gradients = torch.empty_like(data)

        def through(rows: slice) -> Tensor:
            return data[rows].detach().requires_grad_()

        def keep(rows: slice, x: Tensor, rewards: Tensor) -> None:
            if not rewards.requires_grad:
                raise SymsiError(
                    "twist='gradient' needs a reward that torch can differentiate in its images; this one returned a "
                    "tensor without a gradient. Leave twist out, or take detach and no_grad out of the reward."
                )
            (found,) = torch.autograd.grad(rewards.sum(), x, allow_unused=True)
            if found is None or not torch.isfinite(found).all():
                what = "does not depend on its images" if found is None else "has a gradient that is nan or infinite"
                raise SymsiError(f"twist='gradient' needs a reward with a gradient; this one {what} at level {level}.")
            gradients[rows] = found

        with torch.enable_grad():
            rewards = self._rated(len(data), through, level, keep)
        return rewards, self._carried(level, gradients)

    def log_twist(self, k: int, draws: Sequence[int], parents: Tensor, push: Tensor) -> Tensor:
        """Return log N(n; 0, I)/N(n; s, I), T25's twist, of n = s + e, e the noise of a draw and s its parent's."""
        found = torch.empty(len(draws), dtype=torch.float64)
        for rows in _slices(len(draws), self.reward_batch):
            e, s = self._noise(k, draws[rows], None), push[parents[rows]]
            assert e is not None, "a stage without noise has none to twist"
            weights: Any = twist(e + s, s)
            found[rows] = weights.flatten(1).sum(1).to("cpu", torch.float64)
        return found

    def _rated(
        self,
        count: int,
        images: Callable[[slice], Tensor],
        level: int,
        keep: Callable[[slice, Tensor, Tensor], None] | None = None,
        time: float | None = None,
    ) -> Tensor:
        """The rewards of `count` rows, batch by batch."""
        found = torch.empty(count, dtype=torch.float64)
        if time is None:
            time = 1.0 if level == self.levels else float(self.plan.stages[level].time)
        self.account.rated(count)
        for rows in _slices(count, self.reward_batch):
            x = images(rows)
            rewards = self._reward(x, rows, level, time)
            if keep:
                keep(rows, x, rewards)
            found[rows] = rewards.detach().to("cpu", torch.float64)
            self.account.seen(x.detach(), found[rows], time)
        return found

    def _reward(self, x: Tensor, rows: slice, level: int, time: float) -> Tensor:
        """The reward of a batch, checked. Raises SymsiError that names level and particles."""
        where = f"at level {level} of {self.levels}, particles {rows.start} to {rows.stop - 1}"
        extras = {"t": time, "conditions": self.conditions}
        decoded = self._decoded(x, where)
        try:
            rewards = self.reward(decoded, **{name: extras[name] for name in self._asked})
        except SymsiError:
            raise
        except Exception as error:
            raise SymsiError(f"the reward failed {where}: {type(error).__name__}: {error}") from error
        if not isinstance(rewards, Tensor) or tuple(rewards.shape) != (len(x),):
            got = f"shape {tuple(rewards.shape)}" if isinstance(rewards, Tensor) else f"a {type(rewards).__name__}"
            raise SymsiError(f"the reward returned {got} {where}; it must return a tensor ({len(x)},), one a sample.")
        if rewards.is_complex():
            raise SymsiError(f"the reward returned complex numbers {where}; it must return real ones.")
        wrong = (~torch.isfinite(rewards.detach())).nonzero().flatten().tolist()
        if wrong:
            raise SymsiError(
                f"the reward is {float(rewards[wrong[0]])} at level {level} of {self.levels}, particle "
                f"{rows.start + wrong[0]}; it must be finite. A sample that is forbidden gets a large negative number."
            )
        return rewards

    def _decoded(self, x: Tensor, where: str) -> Any:
        """What the reward is shown, in memory of its own."""
        try:
            decoded = self.decode(x.to(self.dtype, copy=True))
        except SymsiError:
            raise
        except Exception as error:
            raise SymsiError(f"decode failed {where}: {type(error).__name__}: {error}") from error
        if hasattr(decoded, "__len__") and len(decoded) != len(x):
            raise SymsiError(f"decode made {len(decoded)} of {len(x)} samples {where}; it must return one for each.")
        return decoded

    @cached_property
    def _asked(self) -> tuple[str, ...]:
        """Which of t and conditions the reward takes by name."""
        try:
            reward = self.reward.forward if isinstance(self.reward, nn.Module) else self.reward
            parameters = inspect.signature(reward).parameters
        except (TypeError, ValueError):
            return ()
        return tuple(name for name in ("t", "conditions") if name in parameters)

    def _noise(self, k: int, draws: Sequence[int], push: Tensor | None) -> Tensor | None:
        if not self.noisy(k):
            return None
        noise = standard_normal(self.seed, draws, k + 1, self.form, self.device, self.working)
        return noise if push is None else noise + push

    def _carried(self, k: int, noise: Tensor) -> Tensor:
        """U G L U^T n: what noise after stage k adds to the posterior mean of Gaussian data."""
        gain = self._gains[k]
        gain = gain.to(noise) if isinstance(gain, Tensor) else gain
        reference = self.plan.reference
        if reference is None:
            return noise * gain
        reference = reference.beside(noise)
        return reference.inverse(reference.forward(noise) * gain, self.form)

    @cached_property
    def _data(self) -> list[tuple[float, float]]:
        """eta_X = a x + b P in model coordinates, by stage."""
        base = as_schedule(self.model.schedule)
        times = [float(stage.time) for stage in self.plan.stages]
        points = sorted(set(times))
        names = ("data_input", "data_prediction")
        table = tabulate(convert(base, base, prediction=self.model.prediction), points, names)
        known = dict(zip(points, zip(*(table[name].tolist() for name in names), strict=True), strict=True))
        return [known[time] for time in times]

    @cached_property
    def _gains(self) -> list[Coefficient]:
        """G L by stage, one number or one a mode."""
        base = as_schedule(self.model.schedule)
        table = tabulate(convert(base, base), self.plan.times, ("alpha", "beta"))
        gains = flow_tables(table["alpha"].tolist(), table["beta"].tolist(), self.variances)["data"]
        return [gains[stage.step] * stage.noise for stage in self.plan.stages]


def _slices(count: int, size: int | None) -> Iterator[slice]:
    size = size or max(count, 1)
    for begin in range(0, count, size):
        yield slice(begin, min(begin + size, count))


def _rows(value: Any, count: int, device: torch.device) -> Any:
    """A condition of one row for each of `count` samples."""
    if not isinstance(value, Tensor):
        return value
    value = value.to(device)
    return value.expand(count, *value.shape[1:]) if value.ndim and len(value) == 1 else value
