"""Sample paths: converted ones lie on those sampled under the other schedule (T5); one noise, three diffusions."""

from __future__ import annotations

import numpy as np
import sympy
import torch
from matplotlib.axes import Axes

import symsi
from symsi.figures import POINT_MASS, Drawing, run_script, start_noise
from symsi.plotting.style import COLORS, column

DATA = symsi.models.mixture([0.35, 0.65], [[-1.1], [0.7]], [0.12, 0.08])
SCHEDULES = (("linear", "linear"), ("trigonometric", "VP"), (POINT_MASS, "point mass"))
EPSILON = "2*alpha*beta"  # of the base
SHOWN = 9
KAPPAS = ("1/4", "1", "4")


def draw(quick: bool, seed: int) -> Drawing:
    """Rows: the linear ODE and the SDE of epsilon = 2 alpha beta, converted; one noise under three kappa epsilon*."""
    steps = 300 if quick else 1500
    figure = column(5.6)
    table = figure.subplots(3, 3, sharex=True)
    numbers: dict[str, tuple[float, float]] = {}
    data = {}
    for row, (kind, epsilon) in enumerate((("ODE", "ode"), ("SDE", EPSILON))):
        base = _run("linear", epsilon, steps, seed, grid="uniform")
        for axes, (schedule, label) in zip(table[row], SCHEDULES, strict=True):
            converted = symsi.convert_path(base, schedule)
            own = _run(schedule, _converted_diffusion(schedule, epsilon), steps, seed, grid=converted.times)
            gap = float((converted.states - own.states).abs().max())
            numbers[f"{kind}, {label}: largest gap"] = (gap, gap / 5)
            data[f"{kind} {label}"] = converted.states[:, :SHOWN, 0].numpy()
            _density(axes, schedule)
            thin = slice(None, None, steps // 150)
            axes.plot(own.times[thin], own.states[thin, :SHOWN, 0], color=COLORS["sky"], lw=2.4, alpha=0.8)
            axes.plot(converted.times[thin], converted.states[thin, :SHOWN, 0], color="black", lw=0.6, ls=(0, (4, 2)))
            axes.set_title(f"{kind}, {label}")
            axes.text(0.03, 0.03, f"gap {_power(gap)}" if label != "linear" else "sampled here",
                      transform=axes.transAxes)
    for axes, kappa in zip(table[2], KAPPAS, strict=True):
        path = _run(POINT_MASS, f"kappa={kappa}", steps, seed, grid="uniform")
        _density(axes, POINT_MASS)
        data[f"kappa {kappa}"] = path.states[:, :SHOWN, 0].numpy()
        for k in range(4):
            axes.plot(path.times[thin], path.states[thin, k, 0], color=list(COLORS.values())[2 + k], lw=0.9)
        axes.set(title=rf"$\epsilon = {kappa}\,\epsilon^*$, same noise", xlabel="time t", xlim=(0, 1))
    for line in table:
        line[0].set_ylabel("state x")
    legend = "blue: sampled under the panel's schedule; dashed: the linear path, converted by $c_t X_{\\tau_t}$"
    figure.supxlabel(legend, fontsize=7.5)
    return Drawing(figure, numbers, data)


def _run(schedule: symsi.Schedule | str, diffusion: object, steps: int, seed: int, grid: object) -> symsi.Path:
    """Sample paths; the noise of step k is the same for every schedule and diffusion."""
    deterministic = diffusion == "ode"
    out = symsi.sample(
        DATA.model(), shape=32, schedule=schedule, diffusion=diffusion, seed=seed, dtype=torch.float64,
        solver="heun" if deterministic else "euler-maruyama", last="step", progress=False, trajectory=True,
        **({"steps": steps} if grid == "uniform" else {}), grid=grid,
    )
    start = start_noise(DATA.model(), shape=32, seed=seed, dtype=torch.float64)
    return symsi.Path(schedule if schedule is POINT_MASS else symsi.schedule(schedule), out.plan.grid, out.path, start)


def _converted_diffusion(schedule: symsi.Schedule | str, epsilon: str) -> object:
    """epsilon_bar = c^2 tau' epsilon(tau), where c^2 tau' is the quotient of any diffusion and its base diffusion."""
    if epsilon == "ode":
        return epsilon
    found = symsi.convert("linear", schedule, diffusion="alpha").formulas
    base = symsi.diffusion(epsilon).of(symsi.schedule("linear").pair).subs("t", found["time"])
    return symsi.diffusion(base * found["diffusion"] / found["base_diffusion"])


def _density(axes: Axes, schedule: symsi.Schedule | str) -> None:
    """Shade the marginal density of x at each t, over its largest value there."""
    times = np.linspace(0, 1, 160)
    height = 3.1 if schedule is not POINT_MASS else 2.2
    x = np.linspace(-height, height, 240)[:, None]
    pair = (schedule if schedule is POINT_MASS else symsi.schedule(str(schedule))).pair
    t, variance = sympy.symbols("t lamda")
    beta = np.array([float(pair.beta.subs(t, time)) for time in times])
    density = np.zeros((len(x), len(times)))
    for weight, mean, value in zip(DATA.weights, DATA.means[:, 0], DATA.eigenvalues[:, 0], strict=True):
        marginal = symsi.marginal_variance(pair, variance).subs(variance, float(value))
        spread = np.maximum([float(marginal.subs(t, time)) for time in times], 1e-3)  # a point would not be seen
        density += float(weight) * np.exp(-((x - beta * float(mean)) ** 2) / (2 * spread)) / np.sqrt(spread)
    axes.imshow(density / density.max(0), extent=(0, 1, -height, height), origin="lower", aspect="auto",
                cmap="Greys", vmin=0, vmax=2.4)
    axes.set(ylim=(-height, height))


def _power(value: float) -> str:
    return "0" if value == 0 else f"{value:.0e}".replace("e-0", "e-")


if __name__ == "__main__":
    run_script(draw, __file__)
