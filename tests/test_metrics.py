import mpmath
import pytest
import torch
from torch import Tensor

from symsi.errors import SymsiError
from symsi.metrics import (
    Floor,
    MetricError,
    Moments,
    accuracy,
    energy_distance,
    frechet_distance,
    recall,
    rmse,
    sampling_floor,
    sliced_wasserstein,
)

NAN, INF = float("nan"), float("inf")
DISTANCES = [frechet_distance, energy_distance, sliced_wasserstein]


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def with_moments(count: int, mean: Tensor, root: Tensor, seed: int) -> Tensor:
    """Samples whose mean is `mean` and whose covariance is root^T root, both to rounding."""
    x = normal(count, len(root), seed=seed)
    white = torch.linalg.qr(x - x.mean(0)).Q * (count - 1) ** 0.5
    return mean + white @ root


def frechet_by_mpmath(mx: Tensor, cx: Tensor, my: Tensor, cy: Tensor) -> float:
    with mpmath.workdps(40):
        a, b = mpmath.matrix(cx.tolist()), mpmath.matrix(cy.tolist())
        root = mpmath.sqrtm(a)
        middle = mpmath.sqrtm(root * b * root)
        trace = sum(a[i, i] + b[i, i] - 2 * mpmath.re(middle[i, i]) for i in range(a.rows))
        return float(trace) + (mx - my).square().sum().item()


def test_the_frechet_distance_of_commuting_covariances_is_that_of_the_standard_deviations() -> None:
    sx, sy = torch.tensor([1.0, 2.0, 0.5]).double(), torch.tensor([3.0, 2.0, 0.1]).double()
    mx, my = torch.tensor([1.0, 0.0, -2.0]).double(), torch.tensor([0.0, 0.0, 5.0]).double()
    x, y = with_moments(40, mx, sx.diag(), 1), with_moments(23, my, sy.diag(), 2)
    expected = (mx - my).square().sum() + (sx - sy).square().sum()  # 50 + 4 + 0.16
    assert frechet_distance(x, y) == pytest.approx(expected.item(), rel=1e-12)


def test_the_frechet_distance_of_covariances_that_do_not_commute_is_the_closed_form() -> None:
    roots = normal(2, 5, 5, seed=3)
    cx, cy = (root.T @ root for root in roots)
    assert not torch.allclose(cx @ cy, cy @ cx)
    mx, my = normal(2, 5, seed=4)
    x, y = with_moments(60, mx, roots[0], 5), with_moments(31, my, roots[1], 6)
    expected = frechet_by_mpmath(mx, cx, my, cy)
    assert frechet_distance(x, y) == pytest.approx(expected, rel=1e-11)
    assert frechet_distance(y, x) == pytest.approx(expected, rel=1e-11)


def test_the_frechet_distance_in_two_dimensions_is_the_formula_by_trace_and_determinant() -> None:
    x, y = normal(9, 2, seed=1), normal(7, 2, seed=2) @ torch.tensor([[2.0, 1.0], [0.0, 0.3]]).double()
    cx, cy = x.T.cov(), y.T.cov()
    # The eigenvalues of C_x C_y are a, b, and (sqrt(a) + sqrt(b))^2 = trace + 2 sqrt(determinant).
    cross = ((cx @ cy).trace() + 2 * (cx.det() * cy.det()).sqrt()).sqrt()
    expected = (x.mean(0) - y.mean(0)).square().sum() + cx.trace() + cy.trace() - 2 * cross
    assert frechet_distance(x, y) == pytest.approx(expected.item(), rel=1e-12)


def test_the_frechet_distance_of_singular_covariances_is_exact() -> None:
    # Rank one each: C = a a^T and b b^T, whose cross term has the trace |a.b|.
    a, b = normal(2, 30, seed=7)
    steps = torch.tensor([-1.0, 0.0, 1.0]).double()[:, None]
    expected = (a @ a + b @ b - 2 * (a @ b).abs()).item()
    assert frechet_distance(steps * a, steps * b) == pytest.approx(expected, rel=1e-12)
    assert frechet_distance(steps * a, 0 * steps * a) == pytest.approx((a @ a).item(), rel=1e-12)


def test_the_frechet_distance_of_a_set_to_itself_is_zero_and_to_a_shifted_copy_the_squared_shift() -> None:
    for count in (3, 400):  # singular, regular
        x, shift = normal(count, 8, seed=8), normal(8, seed=9)
        assert frechet_distance(x, x.flip(0)) == pytest.approx(0, abs=1e-12)
        assert frechet_distance(x, x + shift) == pytest.approx((shift @ shift).item(), rel=1e-12)


def test_the_energy_distance_is_the_sum_over_all_pairs() -> None:
    x, y = normal(7, 3, seed=1), normal(5, 3, seed=2) + 1
    between = sum((a - b).norm() for a in x for b in y) / 35
    within_x = sum((a - b).norm() for i, a in enumerate(x) for j, b in enumerate(x) if i != j) / 42
    within_y = sum((a - b).norm() for i, a in enumerate(y) for j, b in enumerate(y) if i != j) / 20
    assert energy_distance(x, y) == pytest.approx(float(2 * between - within_x - within_y), rel=1e-13)


def test_the_energy_distance_of_two_pairs_of_points_on_the_line_is_known() -> None:
    x, y = torch.tensor([[0.0], [1.0]]), torch.tensor([[4.0], [7.0]])
    assert energy_distance(x, y) == 2 * (4 + 7 + 3 + 6) / 4 - 1 - 3
    assert energy_distance(x, x) == 2 * (0 + 1 + 1 + 0) / 4 - 1 - 1  # unbiased, so not zero: -1


def test_the_energy_distance_on_the_line_is_twice_the_squared_difference_of_the_distribution_functions() -> None:
    x, y = normal(50, 1, seed=3), 2 * normal(80, 1, seed=4) - 1
    points = torch.cat([x, y]).flatten().sort().values
    fx, fy = ((s[None, :, 0] <= points[:-1, None]).double().mean(1) for s in (x, y))
    biased = 2 * ((fx - fy).square() * points.diff()).sum().item()
    # The V-statistic counts the zero distance of a sample to itself: mean over n^2 in place of n (n - 1) pairs.
    within = sum((s - s.T).abs().sum().item() * (1 / (n * (n - 1)) - 1 / n**2) for s, n in ((x, 50), (y, 80)))
    assert energy_distance(x, y) == pytest.approx(biased - within, rel=1e-12)


def test_the_energy_distance_of_laws_that_agree_is_zero_on_average_and_sometimes_negative() -> None:
    values = torch.tensor([energy_distance(normal(20, 2, seed=i), normal(30, 2, seed=1000 + i)) for i in range(200)])
    assert values.min() < 0
    assert abs(values.mean()) < 4 * values.std() / 200**0.5


def test_the_energy_distance_does_not_depend_on_the_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = normal(23, 4, seed=1), normal(17, 4, seed=2)
    whole = energy_distance(x, y)
    monkeypatch.setattr("symsi.metrics._CHUNK", 5)
    assert energy_distance(x, y) == pytest.approx(whole, rel=1e-13)


def test_the_sliced_distance_of_a_shift_is_the_root_mean_square_of_the_projected_shift() -> None:
    x, shift, seed, count = normal(40, 6, seed=1), normal(6, seed=2), 11, 100
    units = normal(count, 6, seed=seed)
    units /= units.norm(dim=1, keepdim=True)
    expected = (units @ shift).square().mean().sqrt().item()
    assert sliced_wasserstein(x, x + shift, count, seed) == pytest.approx(expected, rel=1e-12)
    many = sliced_wasserstein(x, x + shift, directions=20_000)
    assert many == pytest.approx((shift.norm() / 6**0.5).item(), rel=0.03)  # E (u.v)^2 = |v|^2 / D


def test_the_sliced_distance_on_the_line_pairs_the_sorted_samples() -> None:
    x, y = normal(60, 1, seed=1), 3 * normal(60, 1, seed=2) + 1
    expected = (x.sort(0).values - y.sort(0).values).square().mean().sqrt().item()
    assert sliced_wasserstein(x, y) == pytest.approx(expected, rel=1e-13)


def test_the_sliced_distance_of_different_counts_is_that_of_copies_up_to_the_common_multiple() -> None:
    x, y = normal(6, 4, seed=1), normal(10, 4, seed=2)
    expected = sliced_wasserstein(x.repeat(5, 1), y.repeat(3, 1))
    assert sliced_wasserstein(x, y) == pytest.approx(expected, rel=1e-12)
    assert sliced_wasserstein(y, x) == pytest.approx(expected, rel=1e-12)
    assert sliced_wasserstein(x, x.repeat(3, 1)) == pytest.approx(0, abs=1e-12)


def test_the_sliced_distance_of_two_points_to_three_is_known() -> None:
    # Quantile steps at 1/3, 1/2, 2/3: the differences are 0, 3, 1, 6 - 4.
    x, y = torch.tensor([[4.0], [0.0]]), torch.tensor([[6.0], [0.0], [3.0]])
    assert sliced_wasserstein(x, y) == pytest.approx((0 / 3 + 9 / 6 + 1 / 6 + 4 / 3) ** 0.5, rel=1e-14)


def test_the_sliced_distance_repeats_with_its_seed_and_leaves_the_global_generator_alone() -> None:
    x, y = normal(20, 5, seed=1), normal(20, 5, seed=2)
    state = torch.get_rng_state()
    assert sliced_wasserstein(x, y, seed=3) == sliced_wasserstein(x, y, seed=3) != sliced_wasserstein(x, y, seed=4)
    assert torch.equal(torch.get_rng_state(), state)


def test_rmse_and_accuracy_are_what_they_say() -> None:
    assert rmse(torch.tensor([[0.0, 3.0]]), torch.tensor([[4.0, 3.0]])) == pytest.approx(8**0.5, rel=1e-15)
    assert rmse(torch.ones(2, 3, 4), torch.ones(2, 3, 4)) == 0
    logits = torch.tensor([[1.0, 2.0], [5.0, -1.0], [0.0, 3.0], [0.0, 1.0]])
    assert accuracy(logits, torch.tensor([1, 0, 0, 1])) == 0.75


def test_metrics_take_half_precision_and_compute_in_double() -> None:
    x, y = normal(30, 4, seed=1).half(), normal(20, 4, seed=2).half()
    for metric in DISTANCES:
        assert metric(x, y) == metric(x.double(), y.double())


def test_the_floor_is_the_mean_and_standard_deviation_over_disjoint_halves_of_all_the_data() -> None:
    real, seen = torch.arange(20.0)[:, None], []

    def metric(x: Tensor, y: Tensor) -> float:
        assert (len(x), len(y)) == (7, 13)
        assert sorted([*x.flatten().tolist(), *y.flatten().tolist()]) == list(range(20))
        seen.append(x.mean().item())
        return seen[-1]

    floor = sampling_floor(metric, real, 7, repeats=6)
    assert len(set(seen)) > 1
    values = torch.tensor(seen, dtype=torch.float64)
    assert floor.mean == pytest.approx(values.mean().item())
    assert floor.spread == pytest.approx(values.std().item())


def test_the_floor_repeats_with_its_seed() -> None:
    real = normal(50, 3)
    first = sampling_floor(frechet_distance, real, 20, seed=1)
    assert isinstance(first, Floor)
    assert first == sampling_floor(frechet_distance, real, 20, seed=1) != sampling_floor(frechet_distance, real, 20)


def test_the_floor_falls_as_the_count_rises_and_a_different_law_lies_above_it() -> None:
    real = normal(2000, 4)
    floors = [sampling_floor(frechet_distance, real, count) for count in (50, 200, 800)]
    assert floors[0].mean > floors[1].mean > floors[2].mean
    other = frechet_distance(1.2 * normal(200, 4, seed=1), real)
    assert other > floors[1].mean + 5 * floors[1].spread


@pytest.mark.parametrize("metric", DISTANCES)
@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (torch.ones(4), torch.ones(4, 2), r"x must have the shape \(N, D\); got \(4,\)"),
        (torch.ones(4, 2), torch.ones(4, 2, 2), r"y must have the shape .* got \(4, 2, 2\).*flatten\(1\)"),
        (torch.ones(4, 2), torch.ones(4, 3), "as many columns; got 2 and 3"),
        (torch.ones(1, 2), torch.ones(4, 2), "x must hold 2 samples or more, one a row; got 1"),
        (torch.ones(4, 2), torch.ones(1, 2), "y must hold 2 samples or more"),
        (torch.ones(0, 2), torch.ones(4, 2), r"x is empty: it has the shape \(0, 2\)"),
        (torch.ones(4, 0), torch.ones(4, 0), "x is empty"),
        (torch.tensor([[1.0], [NAN]]), torch.ones(4, 1), "x must be finite; 1 of its 2 numbers"),
        (torch.ones(4, 1), torch.tensor([[INF], [-INF]]), "y must be finite; 2 of its 2 numbers"),
        (torch.ones(4, 1) * 1j, torch.ones(4, 1), "x must be a tensor of real numbers; got one of torch.complex64"),
        (torch.ones(4, 1), [[1.0], [2.0]], "y must be a tensor of real numbers; got list"),
        (torch.ones(4, 1) > 0, torch.ones(4, 1), "real numbers; got one of torch.bool"),
    ],
)
def test_a_distance_refuses_what_is_no_pair_of_finite_matrices(metric, x, y, message) -> None:
    with pytest.raises(MetricError, match=message):
        metric(x, y)


def test_the_sliced_distance_refuses_no_directions() -> None:
    with pytest.raises(MetricError, match="directions must be 1 or more; got 0"):
        sliced_wasserstein(torch.ones(3, 2), torch.ones(3, 2), directions=0)


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (torch.ones(2), torch.ones(3), r"one shape; got \(2,\) and \(3,\)"),
        (torch.ones(2, 1), torch.ones(2), "one shape"),
        (torch.ones(0), torch.ones(0), "x is empty"),
        (torch.ones(1), torch.tensor([NAN]), "y must be finite"),
    ],
)
def test_rmse_refuses_different_shapes_and_no_numbers(x, y, message) -> None:
    with pytest.raises(MetricError, match=message):
        rmse(x, y)


@pytest.mark.parametrize(
    ("logits", "labels", "message"),
    [
        (torch.ones(3), torch.zeros(3).long(), r"logits must have the shape \(B, K\)"),
        (torch.full((3, 2), NAN), torch.zeros(3).long(), "logits must be finite"),
        (torch.ones(3, 2), torch.zeros(3), "labels must be a tensor of integers; got one of torch.float32"),
        (torch.ones(3, 2), [0, 1, 0], "integers; got list"),
        (torch.ones(3, 2), torch.zeros(2).long(), r"labels must have the shape \(3,\)"),
        (torch.ones(3, 2), torch.tensor([0, 1, 2]), r"lie in 0..1, the columns of logits; got 0..2"),
        (torch.ones(3, 2), torch.tensor([0, 1, -1]), r"got -1..1"),
    ],
)
def test_accuracy_refuses_labels_that_do_not_fit(logits, labels, message) -> None:
    with pytest.raises(MetricError, match=message):
        accuracy(logits, labels)


@pytest.mark.parametrize("count", [-1, 1, 9, 10, 11])
def test_the_floor_refuses_a_count_that_leaves_too_few_samples(count: int) -> None:
    with pytest.raises(MetricError, match=rf"2 to N - 2; got count = {count} of N = 10 real samples"):
        sampling_floor(frechet_distance, torch.ones(10, 2), count)


def test_the_floor_refuses_a_single_repeat_and_real_samples_that_are_not_finite() -> None:
    with pytest.raises(MetricError, match="repeats must be 2 or more"):
        sampling_floor(frechet_distance, torch.ones(10, 2), 5, repeats=1)
    with pytest.raises(MetricError, match="real must be finite"):
        sampling_floor(frechet_distance, torch.full((10, 2), NAN), 5)


def test_a_metric_error_is_a_symsi_error_and_a_value_error() -> None:
    assert issubclass(MetricError, SymsiError)
    assert issubclass(MetricError, ValueError)


def test_recall_is_the_share_of_the_data_within_reach_of_a_sample() -> None:
    x = torch.tensor([[0.0], [1.0], [10.0], [11.0]])  # of one neighbour, each reaches 1 far
    y = torch.tensor([[-1.0], [0.5], [2.5], [9.5], [12.5]])
    assert recall(x, y, neighbours=1) == pytest.approx(3 / 5)
    assert recall(x, y, neighbours=2) == 1.0  # the second is 9 or 10 away


def test_recall_of_samples_that_lack_a_half_of_the_data_is_a_half() -> None:
    generator = torch.Generator().manual_seed(0)
    data = torch.randn(400, 3, generator=generator, dtype=torch.float64)
    data[200:, 0] += 100
    samples = torch.randn(200, 3, generator=generator, dtype=torch.float64)
    assert 0.45 < recall(samples, data) <= 0.5
    assert recall(torch.cat([samples, samples + torch.tensor([100.0, 0, 0])]), data) > 0.9


@pytest.mark.parametrize("neighbours", [0, 4])
def test_recall_refuses_more_neighbours_than_there_are(neighbours: int) -> None:
    with pytest.raises(MetricError, match="1 to N - 1 = 3"):
        recall(torch.zeros(4, 2), torch.zeros(4, 2), neighbours)


@pytest.mark.parametrize("cuts", [[40], [1, 39], [17, 3, 1, 19], [1] * 40])
def test_moments_merge_to_those_of_all_rows(cuts: list[int]) -> None:
    x = normal(40, 5, seed=1) @ normal(5, 5, seed=2) + 1e4
    merged, *others = (Moments.of(part) for part in torch.split(x, cuts))
    for other in others:
        merged = merged.merge(other)
    assert merged.count == 40
    torch.testing.assert_close(merged.mean, x.mean(0), rtol=1e-14, atol=0)
    torch.testing.assert_close(merged.root().T @ merged.root(), torch.cov(x.T), rtol=1e-10, atol=1e-11)
    y = normal(30, 5, seed=3) + 1e4
    assert frechet_distance(merged, Moments.of(y)) == pytest.approx(frechet_distance(x, y), rel=1e-9)


def test_moments_that_do_not_fit_are_refused() -> None:
    with pytest.raises(MetricError, match="as many columns; got 3 and 2"):
        Moments.of(normal(4, 3)).merge(Moments.of(normal(4, 2)))
    with pytest.raises(MetricError, match="as many columns; got 3 and 2"):
        frechet_distance(Moments.of(normal(4, 3)), normal(4, 2))
    with pytest.raises(MetricError, match="2 samples or more; got 1"):
        frechet_distance(Moments.of(normal(1, 3)), normal(4, 3))
    with pytest.raises(MetricError, match="must be finite"):
        Moments.of(torch.full((2, 2), NAN))
    with pytest.raises(MetricError, match=r"shape \(N, D\)"):
        Moments.of(normal(4))
