"""The step by hand: particles that branch and are resampled, gradients, densities, several predictions."""

import math

import pytest
import torch
from torch import Tensor

import symsi
from symsi.calibration.reference import estimate
from symsi.models.analytic import Mixture
from symsi.sampling.noise import standard_normal

DOUBLE = torch.float64


def by_hand(plan: symsi.Plan, model: symsi.Model, count: int, shape: tuple[int, ...], **conditions: Tensor) -> Tensor:
    state = symsi.init(plan, standard_normal(0, range(count), 0, shape, dtype=DOUBLE))
    for stage in plan.stages:
        x, t = symsi.model_input(plan, state)
        noise = standard_normal(0, range(count), stage.step, shape, dtype=DOUBLE) if stage.noisy else None
        state = symsi.step(plan, state, model(x, t, **conditions), noise)
    return symsi.observe(plan, state)


@pytest.mark.parametrize(
    "options",
    [
        {"solver": "ab3", "schedule": "trigonometric"},
        {"solver": "heun"},
        {"solver": "dpm++2m", "schedule": "lazy(kappa=1)"},
        {"diffusion": "optimal", "schedule": "lazy(kappa=1)"},
        {"diffusion": "alpha", "solver": "ab2-maruyama"},
        {"schedule": "trigonometric", "reference": "pca"},
        {"schedule": "trigonometric", "reference": "low rank", "diffusion": "kappa=1/2", "last": "step"},
    ],
)
def test_steps_by_hand_are_what_sample_does_to_rounding(three_modes: Mixture, options: dict[str, object]) -> None:
    data = torch.randn(50, 3, generator=torch.Generator().manual_seed(5)) + 0.5
    kinds = {"pca": lambda: estimate(data, "pca"), "low rank": lambda: estimate(data, "pca", rank=1)}
    given = {**options, **({"reference": kinds[options["reference"]]()} if "reference" in options else {})}
    plan = symsi.plan(three_modes.model(), steps=5, **given)
    found = by_hand(plan, three_modes.model(), 6, (3,))
    expected = symsi.sample(three_modes.model(), plan=plan, shape=6, dtype=DOUBLE, progress=False).x
    torch.testing.assert_close(found, expected, rtol=0, atol=2e-15)


def particles(batch: int) -> tuple[Tensor, Tensor]:
    """8 samples; after step 2 each branches into 4, which a reward resamples; `batch` rows a call of the model."""
    law = symsi.models.mixture([0.5, 0.5], [[1.0, 0.0], [-1.0, 0.5]], [0.1, 0.3])
    plan = symsi.plan(law.model(), schedule="trigonometric", diffusion="optimal", steps=6, last="step")

    def predict(x: Tensor, t: Tensor) -> Tensor:
        return torch.cat([law.model()(x[k : k + batch], t[k : k + batch]) for k in range(0, len(x), batch)])

    def noise(count: int, step: int) -> Tensor:
        return standard_normal(1, range(count), step, (2,), dtype=DOUBLE)

    state, ancestors = symsi.init(plan, noise(8, 0)), torch.arange(8)
    for stage in plan.stages:
        x, t = symsi.model_input(plan, state)
        state = symsi.step(plan, state, predict(x, t), noise(len(state), stage.step))
        if stage.step == 2:
            state, ancestors = state.repeat(4), ancestors.repeat_interleave(4)
        if stage.step == 4:  # systematic resampling: 8 of 32, by a reward to the right
            weights = (3 * symsi.observe(plan, state)[:, 0]).softmax(0).cumsum(0)
            chosen = torch.searchsorted(weights, (torch.arange(8, dtype=DOUBLE) + 0.5) / 8)
            state, ancestors = state[chosen], ancestors[chosen]
    return symsi.observe(plan, state), ancestors


def test_particles_branch_and_are_resampled_with_the_same_numbers_in_any_batch() -> None:
    whole, ancestors = particles(1000)
    assert len(whole) == len(ancestors) == 8
    assert len(set(ancestors.tolist())) < 8  # some families die out, others grow
    for batch in (1, 3, 7):
        found, same = particles(batch)
        torch.testing.assert_close(found, whole, rtol=0, atol=1e-14)
        assert torch.equal(same, ancestors)


def test_a_state_is_indexed_repeated_and_joined_with_what_a_solver_remembers(three_modes: Mixture) -> None:
    plan = symsi.plan(three_modes.model(), schedule="trigonometric", solver="ab3", steps=4)
    model = three_modes.model()

    def on(state: symsi.State, steps: int) -> symsi.State:
        for _ in range(steps):
            state = symsi.step(plan, state, model(*symsi.model_input(plan, state)))
        return state

    half = on(symsi.init(plan, standard_normal(0, range(5), 0, (3,), dtype=DOUBLE)), 2)
    whole = symsi.observe(plan, on(half, 2))
    mask = torch.tensor([True, False, True, True, False])
    for rows, expected in [([4, 0, 0], [4, 0, 0]), (slice(1, 3), [1, 2]), (mask, [0, 2, 3])]:
        torch.testing.assert_close(symsi.observe(plan, on(half[rows], 2)), whole[expected], rtol=0, atol=1e-14)
    joined = symsi.State.join([half[[3]], half[:2], half.repeat(2)[[9]]])
    torch.testing.assert_close(symsi.observe(plan, on(joined, 2)), whole[[3, 0, 1, 4]], rtol=0, atol=1e-14)
    assert torch.equal(symsi.State.join([half]).z, half.z)
    with pytest.raises(symsi.PlanError, match="same evaluation"):
        symsi.State.join([half, on(half, 1)])
    for rows in (0, torch.tensor(1), (..., 0), None):
        with pytest.raises(symsi.PlanError, match="indexed by sample"):
            half[rows]
    with pytest.raises(symsi.PlanError, match="no states"):
        symsi.State.join([])


def test_what_a_step_gives_out_is_not_the_state_itself(three_modes: Mixture) -> None:
    plan = symsi.plan(three_modes.model(), steps=2)
    state = symsi.init(plan, torch.ones(2, 3))
    symsi.model_input(plan, state)[0].zero_()
    symsi.observe(plan, state).zero_()
    assert torch.equal(state.z, torch.ones(2, 3))


def test_coefficients_of_another_shape_than_the_modes_are_refused(three_modes: Mixture) -> None:
    for shape in ((5,), (4, 1), (1, 3), (1, 1)):
        plan = symsi.Plan([symsi.Stage(1, 0.0, [1.0], keep=torch.ones(shape))], [0, 1], spans=())
        with pytest.raises(symsi.PlanError, match=r"row 0 \(step 1\): a coefficient of shape"):
            symsi.init(plan, torch.ones(4, 3))
        with pytest.raises(symsi.PlanError, match="a coefficient of shape"):
            symsi.sample(three_modes.model(), plan=plan, shape=4, progress=False)


@pytest.mark.parametrize(
    ("keep", "weight", "form"), [((), (2,), (4, 2)), ((3, 1, 1), (1, 2, 2), (3, 2, 2)), ((3, 1), (), (2, 3, 5))]
)
def test_coefficients_that_broadcast_to_the_modes_are_those_of_each(
    keep: tuple[int, ...], weight: tuple[int, ...], form: tuple[int, ...]
) -> None:
    a, b = (torch.linspace(0.5, 1.5, torch.Size(s).numel(), dtype=DOUBLE).reshape(s) for s in (keep, weight))
    plan = symsi.Plan([symsi.Stage(1, 0.0, [b], keep=a)], [0, 1], spans=())
    model = symsi.Model(lambda x, t: x.square(), shape=form)
    z = standard_normal(0, range(3), 0, form, dtype=DOUBLE)
    found = symsi.sample(model, plan=plan, shape=3, dtype=DOUBLE, progress=False).x
    torch.testing.assert_close(found, a * z + b * z.square(), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(by_hand(plan, model, 3, form), found, rtol=1e-12, atol=1e-12)
    with pytest.raises(symsi.PlanError, match="make a plan for samples of this shape"):
        symsi.init(plan, torch.ones(4, *form[:-1], 7, 7))


def test_numbers_that_are_not_of_a_reference_s_modes_are_refused() -> None:
    """Two columns of a basis of 4 components have 2 + 4 modes, of which a sample of 4 says nothing."""
    law = symsi.Reference("pca", torch.tensor([2.0, 1.0, 0.3]), torch.zeros(2, 2), torch.eye(4)[:, :2])
    for size, fits in ((6, True), (4, False), (2, False)):
        stage = symsi.Stage(1, 0.0, [1.0], keep=torch.ones(size))
        plan = symsi.Plan([stage], [0, 1], spans=(), reference=law)
        if fits:
            assert symsi.init(plan, torch.ones(3, 2, 2)).z.shape == (3, 6)
            continue
        with pytest.raises(symsi.PlanError, match=r"does not broadcast to the modes \(6,\)"):
            symsi.init(plan, torch.ones(3, 2, 2))


def test_what_is_observed_after_each_step_is_the_path_of_sample_in_a_schedule_of_scaled_data(
    three_modes: Mixture,
) -> None:
    model, scaled = three_modes.model(), symsi.Schedule("cos(pi*t/2)", "2*sin(pi*t/2)", data_scale=2)
    result = symsi.sample(
        model, shape=4, schedule=scaled, grid=[0.1, 0.5, 0.8, 1.0], trajectory=True, dtype=DOUBLE, progress=False
    )
    assert result.path is not None
    state = symsi.init(result.plan, standard_normal(0, range(4), 0, (3,), dtype=DOUBLE))
    for expected in result.path:
        torch.testing.assert_close(symsi.observe(result.plan, state), expected, rtol=0, atol=1e-13)
        if state.evaluations < result.plan.evaluations:
            state = symsi.step(result.plan, state, model(*symsi.model_input(result.plan, state)))


def test_a_single_stage_is_observed() -> None:
    plan = symsi.Plan([symsi.Stage(1, 0.0, [1.0])], grid=[0.0, 1.0])
    z = torch.randn(2, 3, generator=torch.Generator().manual_seed(0))
    state = symsi.init(plan, z)
    assert torch.equal(symsi.observe(plan, symsi.step(plan, state, torch.ones(2, 3))), z + 1)


def test_a_later_start_has_the_size_of_noise_and_data_there() -> None:
    """At t = 0.3 of the linear schedule: sqrt(0.7^2 + 0.3^2), for data of variance 1."""
    z = torch.ones(2, 3, dtype=DOUBLE)
    state = symsi.init(symsi.plan("linear", grid=[0.3, 0.6, 1.0]), z)
    torch.testing.assert_close(state.z, 0.58**0.5 * z, rtol=1e-15, atol=0)


def test_a_step_leaves_the_state_that_it_was_given(three_modes: Mixture) -> None:
    plan = symsi.plan(three_modes.model(), schedule="trigonometric", solver="ab3", steps=4)
    state = symsi.init(plan, standard_normal(0, range(5), 0, (3,)))
    for _ in plan.stages:
        kept = [(v, v._version, v.clone()) for v in (state.z, *state.ahead) if v is not None]
        first, second = (symsi.step(plan, state, torch.sin(state.z)) for _ in range(2))
        assert all(v._version == version and torch.equal(v, before) for v, version, before in kept)
        assert torch.equal(first.z, second.z)
        state = first


def loss_of(numbers: Tensor, model: symsi.Model, z: Tensor, labels: Tensor) -> Tensor:
    """A loss on samples after 4 steps: the times of 3 evaluations, 4 factors, 4 gains and 7 weights are `numbers`."""
    times, keeps, gains, weights = numbers.split([3, 4, 4, 7])
    rows = [[weights[0]], [weights[1], weights[2]], [weights[3], weights[4]], [weights[5], weights[6]]]
    at = [0.0, *times]
    stages = [
        symsi.Stage(k + 1, at[k], rows[k], keep=keeps[k], gains=[gains[k]], state=0.1 * keeps[k]) for k in range(4)
    ]
    plan = symsi.Plan(stages, [0, 0.25, 0.5, 0.75, 1], spans=())
    state = symsi.init(plan, z)
    for _ in plan.stages:
        x, t = symsi.model_input(plan, state)
        state = symsi.step(plan, state, model(x, t, label=labels))
    return symsi.observe(plan, state).square().mean()


def test_gradients_by_coefficients_and_times_through_digits28_are_finite_differences() -> None:
    model = symsi.models.load("digits28", dtype=DOUBLE)
    z, labels = standard_normal(0, range(2), 0, (1, 28, 28), dtype=DOUBLE), torch.tensor([3, 8])
    start = [0.11, 0.27, 0.52, *[1.0] * 4, *[1.0] * 4, 0.12, 0.24, -0.08, 0.4, -0.15, 0.6, -0.12]
    numbers = torch.tensor(start, dtype=DOUBLE, requires_grad=True)
    loss_of(numbers, model, z, labels).backward()
    assert numbers.grad is not None
    with torch.no_grad():
        for k, size in enumerate([1e-7] * 3 + [1e-5] * 15):  # the time embedding turns 500 times: small steps there
            shift = size * torch.nn.functional.one_hot(torch.tensor(k), len(start))
            above, below = (loss_of(numbers + sign * shift, model, z, labels) for sign in (1, -1))
            slope = float(above - below) / (2 * size)
            assert float(numbers.grad[k]) == pytest.approx(slope, rel=2e-5, abs=1e-7)


def test_gradients_reach_the_start_predictions_noise_and_coefficients_by_mode(three_modes: Mixture) -> None:
    reference = estimate(torch.randn(50, 3, generator=torch.Generator().manual_seed(5)), "pca")
    made = symsi.plan(
        "linear", schedule="trigonometric", diffusion="optimal", reference=reference, steps=2, last="step"
    )
    z, n = (standard_normal(k, range(2), 0, (3,), dtype=DOUBLE) for k in (0, 1))
    keeps = torch.stack([torch.as_tensor(s.keep, dtype=DOUBLE).expand(3) for s in made.stages])

    def run(z: Tensor, p: Tensor, n: Tensor, keeps: Tensor) -> Tensor:
        stages = [symsi.Stage(**{**vars(s), "keep": k}) for s, k in zip(made.stages, keeps, strict=True)]
        plan = symsi.Plan(stages, made.grid, made.times, made.scales, made.beta, made.start, reference, spans=())
        state = symsi.init(plan, z)
        for _ in plan.stages:
            state = symsi.step(plan, state, p * torch.sin(symsi.model_input(plan, state)[0]), n)
        return symsi.observe(plan, state)

    given = tuple(v.clone().requires_grad_() for v in (z, torch.ones(2, 3, dtype=DOUBLE), n, keeps))
    assert torch.autograd.gradcheck(run, given)


@pytest.mark.parametrize("rank", [1, 2])
def test_a_density_is_the_gaussian_that_a_step_draws_from(three_modes: Mixture, rank: int) -> None:
    """Against torch's normal law, and in the modes of a low-rank reference against that of the full covariance."""
    model = three_modes.model()
    plan = symsi.plan(model, schedule="trigonometric", diffusion="alpha", steps=3, last="step")
    state = symsi.init(plan, standard_normal(0, range(4), 0, (3,), dtype=DOUBLE))
    prediction = model(*symsi.model_input(plan, state))
    mean = symsi.step(plan, state, prediction, torch.zeros(4, 3)).z
    after = symsi.step(plan, state, prediction, standard_normal(0, range(4), 1, (3,), dtype=DOUBLE))
    law = torch.distributions.Normal(mean, torch.tensor(plan.stages[0].noise, dtype=DOUBLE))
    torch.testing.assert_close(symsi.density(plan, state, prediction, after), law.log_prob(after.z).sum(1))

    reference = estimate(
        torch.randn(50, 3, generator=torch.Generator().manual_seed(5)) * torch.tensor([1.0, 2, 4]), "pca", rank=rank
    )
    plan = symsi.plan(model, schedule="trigonometric", diffusion="optimal", steps=3, last="step", reference=reference)
    state = symsi.init(plan, standard_normal(0, range(4), 0, (3,), dtype=DOUBLE))
    prediction = model(*symsi.model_input(plan, state))
    drawn = symsi.step(plan, state, prediction, standard_normal(0, range(4), 1, (3,), dtype=DOUBLE))
    still = symsi.step(plan, state, prediction, torch.zeros(4, 3))
    assert reference.basis is not None
    spread = torch.as_tensor(plan.stages[0].noise, dtype=DOUBLE).expand(3 + rank)
    rest = torch.eye(3, dtype=DOUBLE) - reference.basis @ reference.basis.T
    covariance = reference.basis * spread[:rank] ** 2 @ reference.basis.T + spread[-1] ** 2 * rest
    scale = plan.scales[1]
    mean, point = (symsi.observe(plan, s) / scale for s in (still, drawn))
    law = torch.distributions.MultivariateNormal(mean, covariance)
    torch.testing.assert_close(symsi.density(plan, state, prediction, drawn), law.log_prob(point))


def test_two_predictions_of_a_stage_are_two_columns() -> None:
    """Guidance as a plan: g = 3 P_1 - 2 P_0."""
    guided = symsi.Plan(
        [symsi.Stage(1, 0.0, [1.0], gains=[-2.0, 3.0], asks=["unconditional", "conditional"])], [0, 1], spans=()
    )
    state = symsi.init(guided, torch.ones(2, 3))
    found = symsi.step(guided, state, [torch.full((2, 3), 5.0), torch.full((2, 3), 7.0)])
    torch.testing.assert_close(found.z, torch.full((2, 3), 1 - 2 * 5.0 + 3 * 7.0))
    with pytest.raises(symsi.PlanError, match=r"asks for 2 predictions \(unconditional, conditional\); got 1"):
        symsi.step(guided, state, torch.ones(2, 3))


def test_what_does_not_fit_a_step_is_refused(three_modes: Mixture) -> None:
    plan = symsi.plan(three_modes.model(), schedule="lazy(kappa=1)", diffusion="optimal", steps=2)
    state = symsi.init(plan, torch.zeros(4, 3))
    good = torch.zeros(4, 3)
    for prediction, noise, message in [
        (good, None, r"row 0 adds noise; give step\(..., noise\) of shape \(4, 3\)"),
        (good, torch.zeros(4, 2), r"noise must be a tensor of shape \(4, 3\); got \(4, 2\)"),
        (None, good, "prediction must be a tensor .* got NoneType"),
        (torch.zeros(3, 3), good, r"prediction must be a tensor of shape \(4, 3\); got \(3, 3\)"),
    ]:
        with pytest.raises(symsi.PlanError, match=message):
            symsi.step(plan, state, prediction, noise)
    for wrong in ((good, plan), (plan, None), (plan, torch.zeros(()))):
        with pytest.raises(symsi.PlanError, match=r"init takes a symsi\.Plan and noise"):
            symsi.init(*wrong)
    last = symsi.step(plan, state, good, good)
    for after in (state, last[:1]):
        with pytest.raises(symsi.PlanError, match="after must be a state of these 4 samples after evaluation 1"):
            symsi.density(plan, state, good, after)
    with pytest.raises(symsi.PlanError, match="adds no noise and has no density"):
        symsi.density(plan, last, good, last)
    done = symsi.step(plan, last, good)
    with pytest.raises(symsi.PlanError, match="all 2 evaluations"):
        symsi.model_input(plan, done)
    two_times = symsi.Plan([symsi.Stage(1, 0.0, [1.0], until=1.0)], [0, 1])
    with pytest.raises(symsi.PlanError, match="two times"):
        symsi.model_input(two_times, symsi.init(two_times, good))


def test_a_16_bit_start_is_stepped_in_float32() -> None:
    plan = symsi.plan("linear", steps=1)
    state = symsi.init(plan, torch.ones(1, 2, dtype=torch.bfloat16))
    assert state.z.dtype == torch.float32
    assert math.isclose(float(symsi.step(plan, state, torch.ones(1, 2, dtype=torch.bfloat16)).z[0, 0]), 2)
