"""The loop and its face: seeds, batches, dtypes, guidance, callbacks, what a wrong model meets."""

import io
import math
from collections.abc import Callable
from itertools import product

import pytest
import torch
from torch import Tensor

import symsi
from symsi.calibration.reference import estimate
from symsi.models.analytic import Mixture
from symsi.sampling import progress
from symsi.sampling.noise import standard_normal
from symsi.sampling.sample import Snapshot

QUIET = {"progress": False}


@pytest.mark.parametrize("options", [{}, {"diffusion": "optimal", "schedule": "lazy(kappa=1)"}])
def test_a_sample_is_the_same_whatever_the_batch(three_modes: Mixture, options: dict[str, str]) -> None:
    model = three_modes.model()

    def draw(**more: object) -> Tensor:
        return symsi.sample(model, steps=3, dtype=torch.float64, **QUIET, **options, **more).x

    whole = draw(shape=7)
    for found in (draw(shape=7, batch=1), draw(shape=7, batch=3), draw(shape=7, batch=100)):
        torch.testing.assert_close(found, whole, rtol=0, atol=1e-14)
    torch.testing.assert_close(draw(shape=2, first=5), whole[5:], rtol=0, atol=1e-14)
    assert not torch.allclose(draw(shape=7, seed=1), whole)


@pytest.mark.parametrize("options", [{"steps": 2, "guidance": 1.7}, {"steps": 2, "diffusion": "optimal"}], ids=str)
def test_a_sample_of_a_network_is_the_same_bits_whatever_the_batch(options: dict[str, object]) -> None:
    model, label = symsi.models.load("digits28"), torch.arange(9)

    def draw(**more: object) -> Tensor:
        return symsi.sample(model, shape=9, conditions={"label": label}, **QUIET, **options, **more).x

    whole = draw(batch=64)
    for size in (1, 7):
        assert torch.equal(draw(batch=size), whole)


def test_noise_that_is_drawn_here_and_in_a_thread_is_the_same() -> None:
    model = symsi.Model(lambda x, t: -x)

    def draw(**more: object) -> Tensor:
        return symsi.sample(model, shape=(3000, 3), diffusion="optimal", steps=4, **QUIET, **more).x

    assert torch.equal(draw(batch=1000), draw())


def test_conditions_are_split_with_the_batch() -> None:
    seen = []

    def model(x: Tensor, t: Tensor, label: Tensor, style: Tensor, name: str) -> Tensor:
        seen.append((label.tolist(), style.shape, name))
        return label[:, None].to(x) * torch.ones_like(x)

    found = symsi.sample(
        model,
        shape=(5, 2),
        steps=1,
        batch=2,
        **QUIET,
        conditions={"label": torch.arange(5), "style": torch.zeros(3), "name": "a"},
    )
    assert seen == [([0, 1], (3,), "a"), ([2, 3], (3,), "a"), ([4], (3,), "a")]
    expected = standard_normal(0, range(5), 0, (2,)) + torch.arange(5)[:, None]
    torch.testing.assert_close(found.x, expected)


def test_guidance_is_the_affine_combination_and_doubles_the_evaluations() -> None:
    def model(x: Tensor, t: Tensor, label: Tensor | None = None) -> Tensor:
        return torch.zeros_like(x) if label is None else label[:, None].to(x).expand_as(x)

    known = symsi.Model(model, shape=(2,), unconditional={"label": None})
    labels = {"label": torch.tensor([1.0, 2.0])}
    found = symsi.sample(known, shape=2, steps=4, solver="euler", guidance=2.5, conditions=labels, **QUIET)
    assert found.nfe == 8
    expected = standard_normal(0, range(2), 0, (2,)) + 2.5 * labels["label"][:, None]
    torch.testing.assert_close(found.x, expected)
    with pytest.raises(symsi.SymsiError, match="unconditional"):
        symsi.sample(model, shape=(2, 2), steps=1, guidance=2.0, conditions=labels, **QUIET)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_dtypes_reach_the_model_and_the_samples(three_modes: Mixture, dtype: torch.dtype) -> None:
    seen = set()
    exact = three_modes.model()

    def model(x: Tensor, t: Tensor) -> Tensor:
        seen.add((x.dtype, t.dtype))
        return exact(x, t)

    found = symsi.sample(
        symsi.Model(model, shape=(3,)), shape=64, steps=6, schedule="trigonometric", dtype=dtype, **QUIET
    )
    assert seen == {(dtype, torch.float64 if dtype == torch.float64 else torch.float32)}
    assert found.x.dtype == dtype
    reference = symsi.sample(exact, shape=64, steps=6, schedule="trigonometric", dtype=torch.float64, **QUIET)
    assert float((found.x.double() - reference.x).abs().max()) < 40 * torch.finfo(dtype).eps


def test_the_model_is_called_at_the_ends_exactly_and_in_its_own_coordinates(three_modes: Mixture) -> None:
    calls = []
    exact = three_modes.model()

    def model(x: Tensor, t: Tensor) -> Tensor:
        calls.append((float(t[0]), x.double().std().item()))
        return exact(x, t)

    symsi.sample(symsi.Model(model, shape=(3,)), shape=500, schedule="trigonometric", steps=4, solver="heun", **QUIET)
    times = [t for t, _ in calls]
    angles = [math.tan(math.pi / 8 * k) for k in range(4)]
    expected = [r / (1 + r) for r in angles]
    assert times[::2] == pytest.approx(expected, abs=1e-7)
    assert times[0] == 0
    assert times[-1] == 1
    assert calls[0][1] == pytest.approx(1, abs=0.1)  # noise of unit variance, whatever the schedule


def test_a_point_mass_starts_the_model_from_unit_noise(three_modes: Mixture) -> None:
    result = symsi.sample(
        three_modes.model(),
        shape=2000,
        schedule="lazy(kappa=1)",
        diffusion="optimal",
        steps=8,
        trajectory=True,
        last="step",
        dtype=torch.float64,
        **QUIET,
    )
    assert result.path is not None
    assert float(result.path[0].abs().max()) == 0
    assert torch.isfinite(result.path).all()


def test_the_trajectory_and_the_callback_see_every_step(three_modes: Mixture) -> None:
    seen: list[Snapshot] = []
    result = symsi.sample(
        three_modes.model(),
        shape=5,
        batch=2,
        schedule="trigonometric",
        solver="heun",
        steps=3,
        trajectory=True,
        callback=seen.append,
        **QUIET,
    )
    assert result.path is not None
    assert result.path.shape == (4, 5, 3)
    torch.testing.assert_close(result.path[-1], result.x)
    assert [(s.step, s.steps, s.t, len(s.x)) for s in seen] == [
        (k, 3, result.plan.grid[k], n) for n in (2, 2, 1) for k in (1, 2, 3)
    ]
    assert result.nfe == 6


def test_a_reference_with_modes_records_whole_states(three_modes: Mixture) -> None:
    reference = estimate(three_modes.sample(500), "pca", rank=2)
    result = symsi.sample(
        three_modes.model(),
        shape=4,
        schedule="trigonometric",
        steps=3,
        reference=reference,
        trajectory=True,
        dtype=torch.float64,
        **QUIET,
    )
    assert result.path is not None
    torch.testing.assert_close(result.path[-1], result.x)
    torch.testing.assert_close(
        result.path[0], standard_normal(0, range(4), 0, (3,), dtype=torch.float64), rtol=0, atol=1e-14
    )


def broken(kind: str, at: int) -> symsi.Model:
    """A model that goes wrong at its `at`-th call."""
    calls = []

    def model(x: Tensor, t: Tensor) -> object:
        calls.append(t)
        if len(calls) < at:
            return torch.zeros_like(x)
        wrong = {
            "nan": lambda: torch.full_like(x, math.nan),
            "inf": lambda: torch.cat([torch.full_like(x[:1], math.inf), x[1:]]),
            "shape": lambda: x[:, :1],
            "dtype": lambda: torch.zeros_like(x, dtype=torch.int64),
            "complex": lambda: torch.zeros_like(x, dtype=torch.complex64),
            "device": lambda: torch.zeros_like(x, device="meta"),
            "tuple": lambda: (x,),
        }
        return wrong[kind]()

    return symsi.Model(model, shape=(3,), name="broken")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("nan", "nan or inf"),
        ("inf", "nan or inf"),
        ("shape", r"shape \(4, 1\)"),
        ("dtype", "torch.int64"),
        ("complex", "torch.complex64"),
        ("device", "on meta"),
        ("tuple", "returned a tuple"),
    ],
)
def test_a_wrong_prediction_is_reported_with_step_and_model_time(kind: str, message: str) -> None:
    with pytest.raises(symsi.SymsiError, match=message) as caught:
        symsi.sample(broken(kind, 3), shape=4, steps=4, schedule="linear", **QUIET)
    assert "at step 3, model time 0.5" in str(caught.value)


def test_large_finite_predictions_are_not_taken_for_infinite_ones() -> None:
    def model(x: Tensor, t: Tensor) -> Tensor:
        return torch.full_like(x, 3e38)

    found = symsi.sample(model, shape=(4, 8), steps=1, solver="euler", **QUIET)
    assert torch.isfinite(found.x).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"shape": 4}, "does not know the shape"),
        ({"shape": (0, 2)}, "at least 1; got 0"),
        ({"shape": None}, "positive integers"),
        ({"shape": 2.5}, "positive integers"),
        ({"batch": 2.5}, "batch must be"),
        ({"first": -1}, "first must be"),
        ({"device": "gpu"}, "device must be"),
        ({"dtype": "float32"}, "dtype must be"),
        ({"conditions": [1]}, "conditions must be"),
        ({"schedule": 3}, "a schedule is a name"),
        ({"solver": 3}, "unknown solver"),
        ({"reference": "file"}, "a reference is a symsi.Reference"),
        ({"diffusion": "kappa=sqrt(2)", "solver": "exact"}, "rational K"),
        ({"noise": [1.0]}, "noise must be"),
        ({"start": torch.zeros(3, 2)}, r"start must have the shape \(N, \*shape\) = \(4, 2\); got \(3, 2\)"),
        ({"start": torch.full((4, 2), torch.nan)}, "start has nan"),
        ({"conditions": {"labl": 1}}, "it knows no condition labl"),
        ({"noise": torch.full((2, 4, 2), math.nan)}, "noise has nan"),
        ({"shape": (4,)}, r"\(N, ...\)"),
        ({"seed": -1}, "seed must be"),
        ({"seed": 1 << 64}, "seed must be"),
        ({"seed": 1.5}, "seed must be"),
        ({"batch": 0}, "batch must be"),
        ({"dtype": torch.int32}, "floating-point type"),
        ({"noise": torch.zeros(2, 4, 2, dtype=torch.int64)}, "noise must be"),
        ({"noise": torch.zeros(2, 3, 2)}, "noise must have the shape"),
        ({"guidance": "2"}, "guidance must be a finite number"),
        ({"guidance": float("nan")}, "guidance must be a finite number"),
        ({"guidance": None}, "guidance must be a finite number"),
        ({"last": True}, "unknown last step"),
        ({"last": []}, "unknown last step"),
        ({"solver": []}, "unknown solver"),
        ({"dtype": torch.float8_e4m3fn}, "floating-point type"),
        ({"device": "meta"}, "hold no numbers"),
    ],
)
def test_bad_input_is_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(symsi.SymsiError, match=message):
        symsi.sample(lambda x, t: x, **({"shape": (4, 2), "steps": 2, "progress": False} | options))  # type: ignore[arg-type]


def test_a_shape_that_the_model_does_not_make_and_no_model_at_all_are_refused(three_modes: Mixture) -> None:
    with pytest.raises(symsi.SymsiError, match=r"makes samples of shape \(3,\)"):
        symsi.sample(three_modes.model(), shape=(4, 5), steps=2, **QUIET)
    with pytest.raises(symsi.SymsiError, match="a model is a callable"):
        symsi.sample(7, shape=(4, 5), steps=2, **QUIET)  # type: ignore[arg-type]
    reference = estimate(torch.randn(9, 5), "pca")
    with pytest.raises(symsi.SymsiError, match="another shape"):
        symsi.sample(three_modes.model(), shape=4, steps=2, reference=reference, **QUIET)


@pytest.mark.parametrize("batch", [None, 3])
def test_a_given_start_takes_the_place_of_the_seeds_and_is_left_alone(three_modes: Mixture, batch: int | None) -> None:
    common = {"shape": 4, "steps": 3, "dtype": torch.float64, **QUIET}
    z = standard_normal(7, range(4), 0, (3,), dtype=torch.float64)
    kept = z.clone()
    found = symsi.sample(three_modes.model(), start=z, batch=batch, **common).x
    assert torch.equal(found, symsi.sample(three_modes.model(), seed=7, **common).x)
    assert torch.equal(z, kept)
    assert not symsi.sample(three_modes.model(), start=z.requires_grad_(), batch=batch, **common).x.requires_grad


@pytest.mark.parametrize("batch", [None, 3])
def test_given_noise_drives_the_path_in_place_of_the_seeds(three_modes: Mixture, batch: int | None) -> None:
    """Against the plan's recursion written out; the seed's own noise goes elsewhere."""
    n = torch.randn(5, 4, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    kept, model = n.clone(), three_modes.model()
    options = {"schedule": "trigonometric", "diffusion": "alpha", "steps": 5, "last": "step"}
    common = {"shape": 4, "dtype": torch.float64, **QUIET, **options}
    found = symsi.sample(model, noise=n, batch=batch, **common).x
    plan = symsi.plan(model, **options)
    z = standard_normal(0, range(4), 0, (3,), dtype=torch.float64)
    for k, row in enumerate(plan.stages):
        field = row.state * z + row.gain * model(z, torch.full((4,), row.time, dtype=torch.float64))
        z = row.keep * z + row.weights[0] * field + row.noise * n[k]
    torch.testing.assert_close(found, z, rtol=0, atol=1e-13)
    assert torch.equal(n, kept)
    assert float((symsi.sample(model, **common).x - found).abs().max()) > 0.1


def test_the_same_noise_couples_two_diffusions(three_modes: Mixture) -> None:
    """T7: nearly the same diffusion, nearly the same path; without the coupling, another one."""
    common = {"schedule": "trigonometric", "shape": 4, "steps": 5, "dtype": torch.float64, "last": "step", **QUIET}
    near, far = (
        float((symsi.sample(three_modes.model(), diffusion="alpha", **common).x - other).abs().max())
        for other in (
            symsi.sample(three_modes.model(), diffusion="alpha*101/100", **common).x,
            symsi.sample(three_modes.model(), diffusion="alpha*101/100", noise=torch.zeros(5, 4, 3), **common).x,
        )
    )
    assert 0 < near < 0.1 < far


@pytest.mark.parametrize("solver", ["euler", "ab2", "dpm++2m"])
def test_a_model_may_return_its_input_but_not_write_into_it(solver: str) -> None:
    options = {"shape": (4, 2), "steps": 3, "schedule": "trigonometric", "solver": solver, **QUIET}
    same = symsi.sample(lambda x, t: x, **options).x
    torch.testing.assert_close(same, symsi.sample(lambda x, t: x.clone(), **options).x, rtol=0, atol=0)
    torch.testing.assert_close(
        symsi.sample(lambda x, t: x[:], **options).x, symsi.sample(lambda x, t: x.clone(), **options).x, rtol=0, atol=0
    )
    with pytest.raises(symsi.SymsiError, match="wrote into its input"):
        symsi.sample(lambda x, t: x.mul_(2), **options)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("shape", [(4, 2), (2, 4, 8, 8)])
def test_a_model_that_writes_past_autograd_is_told(dtype: torch.dtype, shape: tuple[int, ...]) -> None:
    def by_data(x: Tensor, t: Tensor) -> Tensor:
        answer = x.clone()
        x.data[0, 0] += 1
        return answer

    def by_order(x: Tensor, t: Tensor) -> Tensor:
        answer = x.clone()
        x.data.copy_(answer.flip(0))
        return answer

    def by_numpy(x: Tensor, t: Tensor) -> Tensor:
        answer = x.clone()
        x.numpy()[:] *= -1
        return answer

    layouts = (torch.contiguous_format, torch.channels_last) if len(shape) == 4 else (torch.contiguous_format,)
    for model, layout in product((by_data, by_order, by_numpy), layouts):
        start = standard_normal(0, range(shape[0]), 0, shape[1:], dtype=dtype).contiguous(memory_format=layout)
        with pytest.raises(symsi.SymsiError, match="wrote into its input x at step 1"):
            symsi.sample(model, shape=shape, steps=2, dtype=dtype, start=start, **QUIET)


@pytest.mark.parametrize(("dtype", "size"), [(torch.float64, 1e308), (torch.float32, 3e38)])
def test_finite_predictions_that_a_state_cannot_hold_are_told_with_the_step(dtype: torch.dtype, size: float) -> None:
    stages = [symsi.Stage(k + 1, k / 4, [1.0], gains=[4.0 * (k == 2)]) for k in range(4)]
    plan = symsi.Plan(stages, [0, 0.25, 0.5, 0.75, 1], spans=())
    with pytest.raises(symsi.SymsiError, match=r"finite at step 3, .* 0\.5 for samples 0, 1, 2 and 1 more, but so"):
        symsi.sample(lambda x, t: torch.full_like(x, size), shape=(4, 2), plan=plan, dtype=dtype, **QUIET)


def test_samples_that_float16_cannot_hold_are_told() -> None:
    with pytest.raises(symsi.SymsiError, match="do not fit into float16"):
        symsi.sample(
            lambda x, t: torch.full_like(x, 6e4),
            shape=(4, 2),
            steps=2,
            schedule="trigonometric",
            dtype=torch.float16,
            **QUIET,
        )


def test_more_samples_than_memory_are_refused_before_they_are_drawn() -> None:
    with pytest.raises(symsi.SymsiError, match=r"8,000 GB.*first=K"):
        symsi.sample(lambda x, t: x, shape=(10**12, 2), steps=2, **QUIET)


@pytest.mark.parametrize("solver", ["ab2", "ab3", "heun"])
def test_a_model_that_writes_into_an_earlier_input_is_told(three_modes: Mixture, solver: str) -> None:
    """That memory holds a sum for states to come by then."""
    model, kept = three_modes.model(), []

    def buffered(x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        answer = model(x, t)
        kept.append(x)
        if len(kept) > 1:
            kept[0].copy_(x)
        return answer

    with pytest.raises(symsi.SymsiError, match="wrote into its input"):
        symsi.sample(buffered, shape=(2, 3), solver=solver, schedule="trigonometric", steps=3, **QUIET)


@pytest.mark.parametrize("solver", ["euler", "ab2", "ab3", "heun"])
def test_a_model_may_return_the_memory_of_an_earlier_input(solver: str) -> None:
    def run(copies: bool) -> torch.Tensor:
        kept: list[torch.Tensor] = []

        def stale(x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
            kept.append(x)
            return kept[-2].clone() if copies and len(kept) > 1 else kept[-2] if len(kept) > 1 else x

        return symsi.sample(stale, shape=(2, 3), solver=solver, schedule="trigonometric", steps=4, **QUIET).x

    assert torch.equal(run(True), run(False))


def test_sampling_inside_inference_mode_gives_what_it_gives_outside(three_modes: Mixture) -> None:
    start = torch.ones(2, 3)
    with torch.inference_mode():
        inside = symsi.sample(three_modes.model(), shape=2, steps=3, start=start.clone(), **QUIET).x
    assert torch.equal(inside, symsi.sample(three_modes.model(), shape=2, steps=3, start=start, **QUIET).x)


def test_a_callback_cannot_change_the_path(three_modes: Mixture) -> None:
    result = symsi.sample(
        three_modes.model(), shape=2, steps=2, trajectory=True, callback=lambda s: s.x.zero_(), **QUIET
    )
    assert result.path is not None
    assert float(result.path[1:].abs().min()) > 0


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda x, t: x.to_sparse(), "in the layout sparse_coo at step 1, .*; it must be dense"),
        (lambda x, t: x.to_sparse_csr(), "in the layout sparse_csr"),
        (lambda x, t: x.to_mkldnn(), "in the layout _mkldnn"),
        (lambda x, t: x.to(torch.float8_e4m3fn), "float8_e4m3fn at step 1, .*; it must return floating point"),
    ],
    ids=["sparse", "rows", "mkldnn", "8 bits"],
)
@pytest.mark.filterwarnings("ignore:Sparse CSR tensor support is in beta state:UserWarning")
def test_a_prediction_that_is_no_plain_tensor_is_refused(
    wrong: Callable[[Tensor, Tensor], Tensor], message: str
) -> None:
    with pytest.raises(symsi.ModelError, match=message):
        symsi.sample(wrong, shape=(2, 3), steps=2, **QUIET)


def test_labels_and_weights_that_do_not_fit_the_network_are_refused() -> None:
    model = symsi.models.load("digits28")
    one = torch.tensor([1])
    for label in (
        *(torch.tensor([10]), torch.tensor([-2]), torch.tensor([1.0]), torch.tensor(3), 3, [1]),
        *(one.to(torch.uint8), one.bool(), one.to(torch.complex64), one[:0], one.to_sparse(), one.to("meta")),
    ):
        with pytest.raises(symsi.SymsiError, match="label must be"):
            symsi.sample(model, shape=1, steps=1, conditions={"label": label}, **QUIET)
    with pytest.raises(symsi.SymsiError, match="has weights in"):
        symsi.sample(model, shape=1, steps=1, dtype=torch.float64, **QUIET)


def test_interruption_leaves_the_model_and_the_state_of_torch_alone(three_modes: Mixture) -> None:
    def stop(state: Snapshot) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        symsi.sample(three_modes.model(), shape=4, steps=3, callback=stop, **QUIET)
    assert torch.is_grad_enabled()


@pytest.mark.parametrize("batch", [1, 3, 7])
def test_the_bar_counts_the_evaluations_of_every_batch(monkeypatch: pytest.MonkeyPatch, batch: int) -> None:
    bars = []

    class Bar(progress.tqdm):
        def __init__(self, **options: object) -> None:
            super().__init__(**options | {"file": io.StringIO()})
            bars.append(self)

    monkeypatch.setattr(progress, "tqdm", Bar)
    model = symsi.models.gaussian([0.0, 0.0], 0.25).model()
    found = symsi.sample(model, shape=7, steps=4, batch=batch, progress=True)
    (bar,) = bars
    assert bar.n == bar.total == found.nfe * -(-7 // batch)


def test_samples_are_where_the_path_ends_also_where_the_data_is_scaled(three_modes: Mixture) -> None:
    scaled = symsi.Schedule("1 - t", "2*t", data_scale=2)
    result = symsi.sample(three_modes.model(), shape=5, schedule=scaled, steps=3, trajectory=True, **QUIET)
    assert result.plan.scales[-1] == 2
    assert result.path is not None
    torch.testing.assert_close(result.x, result.path[-1])
