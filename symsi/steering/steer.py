"""One door to all methods: from a model, a reward and a budget to samples that the reward prefers."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor
from tqdm import tqdm

from symsi.coefficients.tables import tabulate
from symsi.errors import SymsiError, unknown
from symsi.files import check_free
from symsi.interpolants.named import as_schedule
from symsi.interpolants.schedule import Schedule
from symsi.models.protocol import Model, as_device, as_model, fingerprint
from symsi.models.reference import Reference
from symsi.sampling.inputs import check_inputs, check_memory, check_plan, read_shape, whole_number
from symsi.sampling.noise import check_seed
from symsi.sampling.predictions import not_finite
from symsi.solvers.grids import Grid
from symsi.solvers.plan import Plan
from symsi.solvers.planning import plan as make_plan
from symsi.steering import best_of, over_paths, rollover, saving, selection, smc, tree
from symsi.steering.budget import Account, Budget, as_budget
from symsi.steering.chain import Chain
from symsi.steering.forms import Forms, check, check_account
from symsi.steering.held import Held
from symsi.steering.presets import preset_of
from symsi.steering.resampling import effective
from symsi.steering.result import Steered
from symsi.steering.settings import Settings
from symsi.theory.conversion import convert
from symsi.theory.diffusion import Diffusion

__all__ = ["METHODS", "steer"]

_LOW_NOISE = 0.3  # in units of the linear schedule, where a posterior mean is nearly a sample
_STEPS = 10


class Method(NamedTuple):
    """How a method fills its settings from the budget, begins, and goes one level on until x is there."""

    fit: Callable[[Chain, Settings], Settings]
    begin: Callable[[Chain, Settings], Held]
    level: Callable[[Chain, Settings, Held], Held]
    forms: Callable[[Chain, Settings, Held], Forms]  # of what it holds, which a file must keep
    noise: bool | None  # whether it needs noise between the levels, must have none, or takes either
    reads: tuple[str, ...] = ("particles", "children")  # the settings that it goes by


METHODS: Mapping[str, Method] = {
    "smc": Method(smc.fit, smc.begin, smc.level, smc.forms, True, tuple(f.name for f in fields(Settings))),
    "rbf": Method(rollover.fit, rollover.begin, rollover.level, rollover.forms, True),
    "svdd": Method(selection.fit, selection.begin, selection.level, selection.forms, True),
    "code": Method(selection.fit_of_blocks, selection.begin, selection.level_of_blocks, selection.forms, True),
    "dts": Method(tree.fit, tree.begin, tree.level, tree.forms, True, ("temperature",)),
    "bon": Method(best_of.fit, best_of.begin, best_of.level, best_of.forms, None, ("particles",)),
    "sop": Method(over_paths.fit, over_paths.begin, over_paths.level, over_paths.forms, False),
}


@torch.inference_mode(False)
@torch.no_grad()
def steer(
    model: Model | Callable[..., Tensor],
    reward: Callable[..., Tensor],
    method: str = "smc",
    *,
    budget: Budget | int = 500,
    particles: int | None = None,
    children: int | None = None,
    temperature: float = 1.0,
    tempering: str = "fixed",
    potential: str = "difference",
    ess: float = 0.5,
    resample: str = "systematic",
    twist: str | None = None,
    preset: str | None = None,
    plan: Plan | None = None,
    schedule: Schedule | str | None = None,
    diffusion: Diffusion | str | None = None,
    solver: str | None = None,
    steps: int | None = None,
    grid: Grid | None = None,
    last: str | None = None,
    reference: Reference | None = None,
    shape: tuple[int, ...] | None = None,
    decode: Callable[[Tensor], Any] | None = None,
    conditions: Mapping[str, Any] | None = None,
    guidance: float = 1.0,
    batch: int | None = None,
    reward_batch: int | None = None,
    seed: int = 0,
    dtype: torch.dtype | None = None,
    device: torch.device | str | None = None,
    cost: int = 1,
    callback: Callable[[Account], object] | None = None,
    state: str | Path | None = None,
    progress: bool | None = None,
) -> Steered:
    """Spend a budget of evaluations on samples that a reward prefers.

    model       as `sample` takes it
    reward      reward(images) -> (B,), larger is better, of what `decode` makes of posterior means and of samples; it
                gets t, the model time, and conditions if it has arguments of these names
    method      "smc" samples the tilt p(x) exp(r(x)/temperature)/Z by sequential Monte Carlo; with children > 1
                (default 8) each particle fans out over so many noises, which costs rewards and no evaluation. "dts"
                samples it by a tree. The others search: "rbf" Rollover Budget Forcing, "svdd" the best child of each
                level, "code" that of blocks of two levels, "bon" the best of N, "sop" search over paths (the ODE)
    budget      evaluations of the model, or Budget(nfe, rewards); a guided row counts as two
    particles   of "smc" and "bon", by default what the budget carries; chains of the others, by default 2. Where the
                last step adds noise x holds all children of "smc", with weights
    children    of "smc"; noises that "rbf" starts a chain from (25); K of "svdd", "code", and "sop" (5)
    tempering   of "smc": "fixed" 1, "linear" (k + 1)/N, or "ess": the most up to that which leaves an ESS of `ess`
    potential   of "smc": "difference", "max" or "sum" of the rewards so far; the last one always makes the tilt whole
    ess         share of the particles below which "smc" with one child resamples
    resample    "systematic", "stratified", "ssp", "multinomial"
    twist       "gradient": proposals of "smc" are moved along the gradient of the reward, and weighed for it
    preset      instead of what follows but steps: "kim2025-linear-ode", "kim2025-linear-sde", "kim2025-vp-sde"
    plan        as for `sample`, one evaluation a step; or schedule, diffusion ("optimal" where a method needs noise),
                solver, steps (10), grid, last, reference, which also make the exact steps and the fan-out's gain
    shape       of one sample, where the model does not know it
    decode      from x in model units (B, *shape) to what the reward rates; default: the model's units of the data
    conditions  of all samples: tensors of one row serve every particle; guidance, dtype, device as for `sample`
    batch, reward_batch   rows a call of the model and of the reward at most; the samples are the same, up to how a
                network that is not symsi's rounds in batches of another size
    seed        particle i has the noise of (seed, i, level)
    cost        evaluations that the model makes for a row: 2 where it has a guidance of its own built in
    callback    called after each level with the `Account`: entries, nfe, reward_calls, best and best_reward so far
    state       a file in which the run is kept after each level ("dts": every 16 walks); the same call goes on from it
    progress    show a bar of evaluations; by default where standard error is a terminal

    Raises SymsiError for what does not fit, with what would; where the reward raises, the last level is in `state`.
    Kim et al. 2025 (arXiv:2503.19385); Wu et al. 2023, Singhal et al. 2025 (Feynman-Kac); T25 for the weights.
    """
    known = as_model(model)
    if method not in METHODS:
        raise unknown("method of steering", str(method), METHODS)
    if not callable(reward):
        raise SymsiError(f"reward must be callable, reward(images) -> (B,); got {type(reward).__name__}.")
    chosen, where = METHODS[method], as_device(device or known.device or "cpu")
    kind = dtype or known.dtype or torch.float32
    if not isinstance(shape, Sequence | None):
        raise SymsiError(f"shape is that of one sample, such as (1, 28, 28), or left out; got {shape!r}.")
    if shape is None and known.shape is None:
        raise SymsiError(f"{known.name} does not know the shape of a sample; give shape=(...), without particles.")
    _, form = read_shape(1 if shape is None else (1, *shape), known)
    given = dict(conditions or {}) if isinstance(conditions, Mapping | None) else {"conditions": conditions}
    check_inputs(known, where, kind, guidance, given, conditions, 1)
    for name, value in given.items():
        if isinstance(value, Tensor) and value.ndim and len(value) != 1:
            raise SymsiError(
                f"condition {name!r} has {len(value)} rows; particles share one: give a tensor of one row."
            )
    asked = {
        "schedule": schedule,
        "diffusion": diffusion,
        "solver": solver,
        "steps": steps,
        "grid": grid,
        "last": last,
        "reference": reference,
    }
    options = {name: value for name, value in asked.items() if value is not None}
    made = _plan(known, method, chosen, plan, preset, options, form, guidance)
    account, law = Account(as_budget(budget)), made.reference or reference
    with tqdm(
        total=account.budget.nfe,
        desc=f"{known.name} {method}",
        unit="eval",
        disable=None if progress is None else not progress,
    ) as bar:
        chain = Chain(
            known,
            made,
            reward,
            decode or (lambda x: x * known.gain + known.offset),
            form,
            account,
            given,
            float(guidance),
            check_seed(seed),
            None if batch is None else whole_number("batch", batch, 1),
            None if reward_batch is None else whole_number("reward_batch", reward_batch, 1),
            torch.ones((), dtype=torch.float64) if law is None else law.modal_variances.cpu(),
            where,
            kind,
            bar.update,
            whole_number("cost", cost, 1),
            callback or (lambda account: None),
        )
        wanted = Settings(particles, children, temperature, tempering, potential, ess, resample, twist)
        _check_read(method, wanted)
        settings = chosen.fit(chain, wanted)
        apart = settings.children if method != "smc" or made.stages[-1].noisy else 1
        check_memory((settings.particles or 1) * (apart or 1), form, torch.float32, where, 3)
        held = _run(chain, method, settings) if state is None else _kept(chain, method, settings, Path(state))
    count = len(held["x"])
    assert account.best is not None
    if not torch.isfinite(held["x"]).all():
        raise not_finite(float(made.stages[-1].time), len(made.grid) - 1, finite=True)
    return Steered(
        held["x"].to(kind),
        held["rewards"].to(where),
        held.get("log_weights", torch.zeros(count, dtype=torch.float64)).to(where),
        float(held["log_normalizer"]) if "log_normalizer" in held else None,
        account.nfe,
        account.reward_calls,
        tuple(account.entries),
        held.get("ancestry", torch.empty((0, count), dtype=torch.long)),
        held.get("parents", torch.arange(count)),
        account.best,
        account.best_reward,
        account.best_time,
        made,
        known,
        method,
    )


def _check_read(method: str, settings: Settings) -> None:
    """Raise SymsiError for a setting that the method does not go by."""
    for field in fields(Settings):
        if field.name not in METHODS[method].reads and getattr(settings, field.name) != field.default:
            takers = [name for name, other in METHODS.items() if field.name in other.reads]
            raise SymsiError(
                f"method {method!r} does not use {field.name}; leave it out. It is of {', '.join(takers)}."
            )


def _run(chain: Chain, method: str, settings: Settings) -> Held:
    """The loop: levels until samples are there."""
    held = METHODS[method].begin(chain, settings)
    while "x" not in held:
        held = _level(chain, method, settings, held)
        chain.look(chain.account)
    return held


def _level(chain: Chain, method: str, settings: Settings, held: Held) -> Held:
    """One level; the last has an entry for the samples."""
    held = METHODS[method].level(chain, settings, held)
    if "x" in held:
        weights = held.get("log_weights")
        chain.account.note(chain.levels, held["rewards"], torch.nan if weights is None else effective(weights))
    return held


def _kept(chain: Chain, method: str, settings: Settings, path: Path) -> Held:
    """The loop with a file, from which it goes on and in which each level is kept.

    Functions are known by their names, and a model without parameters too: another of the same name is not noticed.
    """
    about = {
        "method": method,
        "settings": str(settings),
        "plan": chain.plan.hash,
        "model": fingerprint(chain.model) or chain.model.name,
        "shape": list(chain.form),
        "dtype": str(chain.dtype),
        "reward": _name(chain.reward),
        "decode": _name(chain.decode),
        "seed": chain.seed,
        "budget": str(chain.account.budget),
        "guidance": chain.guidance,
        "conditions": saving.words_of(chain.conditions),
        "cost": chain.each,
    }
    check_free(path, force=True)
    held = saving.load(path, about, chain.device)
    if held is None:
        held = {**METHODS[method].begin(chain, settings), **chain.account.tensors()}
        saving.save(path, held, about)
    else:
        _check_held(chain, method, settings, held, path)
        chain.account.restore(held)
        chain.tick(chain.account.nfe)
    while "x" not in held:
        held = {**_level(chain, method, settings, held), **chain.account.tensors()}
        saving.save(path, held, about)
        chain.look(chain.account)
    return held


def _check_held(chain: Chain, method: str, settings: Settings, held: Held, path: Path) -> None:
    """Raise SymsiError unless the tensors of a file are such as this run holds."""
    try:
        check_account(chain, held)
        mine = {name: value for name, value in held.items() if not name.startswith("account.")}
        check(mine, METHODS[method].forms(chain, settings, mine))
    except SymsiError as error:
        raise SymsiError(f"cannot go on from {path}: {error} Delete it to start anew.") from None


def _name(function: Callable[..., Any]) -> str:
    return getattr(function, "__qualname__", type(function).__name__)


def _plan(
    model: Model,
    name: str,
    method: Method,
    plan: Plan | None,
    preset: str | None,
    options: dict[str, Any],
    form: tuple[int, ...],
    guidance: float,
) -> Plan:
    """The plan of a run. Raises SymsiError where it does not fit the method, and warns where it lands in noise."""
    if name == "sop" and (plan is not None or preset not in (None, "kim2025-linear-ode") or not _of_paths(options)):
        raise SymsiError(
            "method 'sop' makes the ODE of its paths itself, in the linear schedule; give steps and solver='euler' or "
            "'ab2', or preset='kim2025-linear-ode', and leave the rest out."
        )
    if preset is not None:
        if plan is not None:
            raise SymsiError("preset and plan both say how to sample; leave one out.")
        options = preset_of(preset, options.pop("steps", _STEPS), options)
    if plan is None:
        standard = {"diffusion": "optimal" if method.noise else "ode"}
        if "grid" not in options or isinstance(options["grid"], str):
            standard["steps"] = _STEPS  # type: ignore[assignment]
        made = make_plan(model, shape=form, **{**standard, **options})
    else:
        made = check_plan(plan, model, options, form, guidance)
    if any(stage.asks != ("prediction",) or stage.until is not None for stage in made.stages):
        raise SymsiError("steering takes plans that ask for one prediction a row; this one asks for other parts.")
    if made.times[-1] < 1:
        raise SymsiError(f"the plan ends in noise, at model time {made.times[-1]:.4g}; rewards are of data, at time 1.")
    if method.noise:
        inner = made.stages[:-1]
        if not all(stage.noisy for stage in inner) or not made.stochastic:
            raise SymsiError(
                f"method {name!r} branches by the noise of each step, and under this plan copies stay alike for ever "
                "(resampling an ODE). Use diffusion='optimal' or 'kappa=K' with solver 'exact' or 'euler-maruyama'; "
                "for the ODE method='bon' or 'sop'."
            )
    if made.stochastic and not made.stages[-1].noisy:
        _check_landing(model, made)
    return made


def _of_paths(options: Mapping[str, Any]) -> bool:
    return set(options) <= {"steps", "solver"} and options.get("solver", "ab2") in ("euler", "ab2")


def _check_landing(model: Model, made: Plan) -> None:
    """Warn where the last step jumps from much noise to the posterior mean, which is a blur there."""
    base, time = as_schedule(model.schedule), float(made.stages[-1].time)
    table = tabulate(convert(base, base), [time], ("alpha", "beta"))
    alpha, beta = float(table["alpha"][0]), float(table["beta"][0])
    level = alpha / (alpha + beta)
    if level > _LOW_NOISE:
        warnings.warn(
            f"the plan lands from noise level {level:.3g} (alpha/(alpha + beta)), where the posterior mean is a blur "
            "of the samples that are possible; use more steps, a grid with points near the data, or last='step'.",
            stacklevel=6,
        )
