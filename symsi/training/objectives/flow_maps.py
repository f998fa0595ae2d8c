"""Objectives of flow maps, as losses a sample for a user's own loop.

A map is X_{s,t}(x) = x + (t - s) u_{s,t}(x); `u(x, s, t)` is the network, x is (B, *shape), s and t are (B,) in the
time of the interpolant I = alpha z + beta y, whose derivative is I'. A teacher is `v(x, t)`, in the same coordinates
(convert it by `symsi.kernels` otherwise), and never gets a gradient. Each function returns the residual, (B, *shape),
whose mean square is the loss: at the exact map it is 0 but for the floors that are stated (T20). Derivatives in t and s
are taken by `torch.func.jvp`, through `u` alone; attention is computed by its formula there, as its fused kernels have
no forward derivative on a GPU.

Sources: Boffi, Albergo, Vanden-Eijnden 2406.07507 (lagrangian, eulerian, map_matching, progressive) and 2505.18825
(lsd, esd, psd); Geng et al. 2505.13447 (mean_flow); Song et al. 2303.01469 (consistency); Frans et al. 2410.12557
(shortcut).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from symsi.errors import SymsiError

__all__ = [
    "consistency",
    "diagonal",
    "esd",
    "eulerian",
    "lagrangian",
    "loss",
    "lsd",
    "map_matching",
    "mean_flow",
    "progressive",
    "psd",
    "roughness",
    "shortcut",
]

Average = Callable[[Tensor, Tensor, Tensor], Tensor]  # u(x, s, t)
Velocity = Callable[[Tensor, Tensor], Tensor]  # v(x, t)


def loss(residual: Tensor, weight: Tensor | None = None) -> Tensor:
    """Return the mean of |r|^2, or of e^-w |r|^2 + w with a learned log-variance w (B,), clamped to [-10, 10].

    |r|^2 is the mean square of a sample. Raises SymsiError where the residual is not finite.
    """
    square = residual.flatten(1).square().mean(1)
    if not bool(torch.isfinite(square.detach()).all()):
        raise SymsiError("the residual of an objective is nan or infinite; check the network and its times.")
    if weight is None:
        return square.mean()
    w = weight.clamp(-10.0, 10.0)
    return (torch.exp(-w) * square + w).mean()


def diagonal(u: Average, x: Tensor, t: Tensor, rate: Tensor) -> Tensor:
    """u_{t,t}(I_t) - I'_t, with `rate` = I'_t; the floor of its mean square is E|I' - v|^2."""
    return u(x, t, t) - rate


def lagrangian(u: Average, v: Velocity, x: Tensor, s: Tensor, t: Tensor, *, stop: bool = False) -> Tensor:
    """LMD: d/dt X_{s,t}(x) - v_t(X_{s,t}(x)); the teacher's value is stopped.

    With `stop` so is all but u_{s,t}(x): u - sg(v_t(X_{s,t}(x)) - (t - s) d/dt u), which takes no derivative of a
    derivative.
    """
    if not stop:
        moved, rate = _by_end(u, x, s, t)
        return rate - _stopped(v, moved, t)
    with torch.no_grad():
        moved, rate = _by_end(u, x, s, t)
    here = u(x, s, t)
    return here + (rate - here - _stopped(v, moved, t)).detach()


def eulerian(u: Average, v: Velocity, x: Tensor, s: Tensor, t: Tensor, *, stop: bool = False) -> Tensor:
    """EMD: d/ds X_{s,t}(x) + grad X_{s,t}(x) v_s(x); with `stop` the second term has no gradient."""
    here = _stopped(v, x, s)
    if not stop:
        return _by_start(u, x, s, t, here)
    whole = _by_start(u, x, s, t, here)
    alone = _by_start(u, x, s, t, torch.zeros_like(x))
    return alone + (whole - alone).detach()


def map_matching(u: Average, x: Tensor, s: Tensor, t: Tensor, rate: Tensor) -> tuple[Tensor, Tensor]:
    """FMM, without a teacher: d/dt X_{s,t}(y) - I'_t and X_{s,t}(y) - I_t at y = X_{t,s}(I_t), x = I_t.

    (s, t) covers the whole square. The first has the floor of `diagonal`; gradients go through y.
    """
    back = x + _wide(s - t, x) * u(x, t, s)
    moved, speed = _by_end(u, back, s, t)
    return speed - rate, moved - x


def progressive(u: Average, teacher: Average, x: Tensor, s: Tensor, q: Tensor, t: Tensor) -> Tensor:
    """PFMM: X_{s,t}(x) - Y_{q,t}(Y_{s,q}(x)) for a frozen map Y of shorter steps."""
    with torch.no_grad():
        middle = x + _wide(q - s, x) * teacher(x, s, q)
        target = middle + _wide(t - q, x) * teacher(middle, q, t)
    return x + _wide(t - s, x) * u(x, s, t) - target


def lsd(u: Average, x: Tensor, s: Tensor, t: Tensor) -> Tensor:
    """LSD: d/dt X_{s,t}(x) - sg(u_{t,t}(X_{s,t}(x)))."""
    return lagrangian(u, lambda y, r: u(y, r, r), x, s, t)


def esd(u: Average, x: Tensor, s: Tensor, t: Tensor) -> Tensor:
    """ESD: d/ds X_{s,t}(x) + sg(grad X_{s,t}(x) u_{s,s}(x))."""
    return eulerian(u, lambda y, r: u(y, r, r), x, s, t, stop=True)


def psd(u: Average, x: Tensor, s: Tensor, q: Tensor, t: Tensor) -> Tensor:
    """PSD: u_{s,t}(x) - sg((1 - g) u_{s,q}(x) + g u_{q,t}(X_{s,q}(x))), g = (t - q)/(t - s).

    PSD-M has q in the middle, PSD-U uniform. Where s = t it is 0.
    """
    with torch.no_grad():
        first = u(x, s, q)
        second = u(x + _wide(q - s, x) * first, q, t)
        span = torch.where(t == s, 1.0, t - s)
        g = _wide(torch.where(t == s, 0.0, (t - q) / span), x)
        target = (1 - g) * first + g * second
    return u(x, s, t) - target


def mean_flow(u: Average, x: Tensor, s: Tensor, t: Tensor, rate: Tensor) -> Tensor:
    """MeanFlow: u_{s,t} - sg(I'_s + (t - s)(d/ds u + grad u I'_s)), the Eulerian residual with I' for v, negated.

    Its mean square never vanishes: on Gaussian data the floor is (g_t/g_s)^2 of the velocity's, so it is no measure of
    convergence.
    """
    average, total = _along(u, x, s, t, rate)
    return average - (rate + _wide(t - s, x) * total).detach()


def consistency(u: Average, v: Velocity, x: Tensor, s: Tensor, q: Tensor) -> Tensor:
    """X_{s,1}(x) - sg(X_{q,1}(x + (q - s) v_s(x))) for neighbours s < q: consistency distillation, t = 1.

    One Euler step of the teacher: at the exact map it is O((q - s)^2).
    """
    one = torch.ones_like(s)
    with torch.no_grad():
        near = x + _wide(q - s, x) * v(x, s)
        target = near + _wide(one - q, x) * u(near, q, one)
    return x + _wide(one - s, x) * u(x, s, one) - target


def shortcut(u: Average, x: Tensor, s: Tensor, width: Tensor) -> Tensor:
    """Two steps of `width` in one of 2 width: `psd` at its midpoint, for s and width on a dyadic grid."""
    end = s + 2 * width
    if bool((end.detach() > 1 + 1e-6).any()):
        raise SymsiError(f"s + 2 width must be at most 1; it is {float(end.detach().max()):.6g}.")
    return psd(u, x, s, s + width, end)


def roughness(u: Average, x: Tensor, s: Tensor, t: Tensor, *, step: float = 0.01) -> tuple[float, float]:
    """How far du/ds and du/dt are from central differences over 2 `step`, as shares of the larger: root mean squares.

    An embedding of a time that turns faster than that gives a derivative that says nothing of the function: a share
    above 1/4 or so. Then leave out the objectives that differentiate there: `eulerian`, `esd`, `mean_flow` in s,
    `lagrangian`, `lsd`, `map_matching` in t. Times s and t, (B,), lie at least `step` inside of what u takes.
    """
    one = torch.ones_like(s)
    with torch.no_grad():
        by_s = _jvp(lambda start: u(x, start, t), (s,), (one,))[1]
        by_t = _jvp(lambda end: u(x, s, end), (t,), (one,))[1]
        wide_s = (u(x, s + step, t) - u(x, s - step, t)) / (2 * step)
        wide_t = (u(x, s, t + step) - u(x, s, t - step)) / (2 * step)
    return _share(by_s, wide_s), _share(by_t, wide_t)


def _share(slope: Tensor, wide: Tensor) -> float:
    size = max(float(slope.square().mean()), float(wide.square().mean()))
    return (float((slope - wide).square().mean()) / size) ** 0.5 if size else 0.0


def _by_end(u: Average, x: Tensor, s: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    """X_{s,t}(x) and its derivative in t."""

    def moved(end: Tensor) -> Tensor:
        return x + _wide(end - s, x) * u(x, s, end)

    return _jvp(moved, (t,), (torch.ones_like(t),))


def _by_start(u: Average, x: Tensor, s: Tensor, t: Tensor, direction: Tensor) -> Tensor:
    """The derivative of X_{s,t}(x) as s and x move by 1 and `direction`."""

    def moved(place: Tensor, start: Tensor) -> Tensor:
        return place + _wide(t - start, place) * u(place, start, t)

    return _jvp(moved, (x, s), (direction, torch.ones_like(s)))[1]


def _along(u: Average, x: Tensor, s: Tensor, t: Tensor, direction: Tensor) -> tuple[Tensor, Tensor]:
    """u_{s,t}(x) and its derivative as s and x move by 1 and `direction`."""
    return _jvp(lambda place, start: u(place, start, t), (x, s), (direction, torch.ones_like(s)))


def _jvp(function: Callable[..., Tensor], at: tuple[Tensor, ...], along: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
    """Value and directional derivative. Raises SymsiError for what the network cannot differentiate, with the layer."""
    try:
        with sdpa_kernel(SDPBackend.MATH):
            value, rate = torch.func.jvp(function, at, along)[:2]
    except (NotImplementedError, RuntimeError) as error:
        with torch.no_grad():
            function(*at)  # where this fails, it is not for the derivative
        raise SymsiError(
            f"this objective needs a forward derivative that {_layer(error)} does not give: {str(error)[:200]} "
            "Use psd or progressive, which need none; GroupNorm needs weights in the plain memory format."
        ) from error
    return value, rate


def _layer(error: BaseException) -> str:
    """The innermost layer in which an error was raised."""
    found, place = "the network", error.__traceback__
    while place is not None:
        owner = place.tb_frame.f_locals.get("self")
        found = f"its layer {type(owner).__name__}" if isinstance(owner, nn.Module) else found
        place = place.tb_next
    return found


def _stopped(v: Velocity, x: Tensor, t: Tensor) -> Tensor:
    with torch.no_grad():
        return v(x.detach(), t).detach()


def _wide(t: Tensor, x: Tensor) -> Tensor:
    return t.reshape(-1, *[1] * (x.ndim - 1))
