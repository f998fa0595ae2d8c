"""Tables: correctly rounded everywhere on [0, 1], limits included."""

import math

import mpmath
import pytest
import sympy as sp
import torch

from symsi.coefficients.tables import _tabulate, tabulate
from symsi.errors import EndpointError, SymsiError, UnknownNameError
from symsi.interpolants.lazy import lazy_schedule
from symsi.interpolants.schedule import Schedule
from symsi.theory.conversion import convert
from tests.coefficients.made import LATE, made

HARD = [2.0**-40, 2.0**-20, 1e-3, 0.3, 0.5, 0.999, 1 - 2.0**-20, 1 - 2.0**-40]


@pytest.mark.parametrize("target", ["vp", "trigonometric", "lazy(kappa=1)", "lazy(kappa=1/2)"])
@pytest.mark.parametrize("base", ["linear", "cosine"])
def test_values_are_within_one_ulp_of_120_digits(base: str, target: str) -> None:
    conversion = convert(base, target, "optimal")
    table = tabulate(conversion, HARD)
    for name, column in table.items():
        for time, value in zip(HARD, column.tolist(), strict=True):
            truth = conversion.evaluate(name, sp.Rational(time), 120)
            with mpmath.workdps(120):
                assert abs(value - truth) <= max(math.ulp(float(truth)), 1e-45), (name, time)  # some are 0 inside


def test_ends_are_limits_without_nan() -> None:
    names = ["time", "scale", "diffusion", "data_prediction", "noise_prediction", "drift_prediction"]
    table = tabulate(convert("linear", "lazy(kappa=1)", "optimal"), [0.0, 0.5], names)
    assert [table[n][0].item() for n in names] == [0, 0, 0.5, 1, 0, 1]
    end = tabulate(convert("linear", "lazy(kappa=1)", "optimal"), [1.0], ["time", "scale", "data_state", "noise_state"])
    assert [end[n].item() for n in end] == [1, 1, 1, 1]


def test_a_regression_case_of_the_field_cosine_velocity_near_one() -> None:
    """Divided forms in float32 give +0.559 at 0.9999 for CondOT -> cosine; the value is finite and small here."""
    conversion = convert("linear", "trigonometric")
    table = tabulate(conversion, [0.9999, 1.0])
    assert torch.isfinite(table["velocity_state"]).all()
    assert table["velocity_state"][1].item() == pytest.approx(-math.pi / 2, rel=1e-15)


def test_a_missing_limit_names_coefficient_behaviour_and_alternatives() -> None:
    with pytest.raises(EndpointError, match=r"velocity_state .* t = 1: ~ .*noise, data"):
        tabulate(convert("linear", "vp"), [0.0, 1.0], ["velocity_state"])


def test_a_truncated_base_starts_inside() -> None:
    conversion = convert("edm", "linear")
    start = float(conversion.start)
    assert tabulate(conversion, [start, 0.5], ["time"])["time"][0].item() == 0
    with pytest.raises(SymsiError, match="leaves the domain"):
        tabulate(conversion, [0.0, 0.5])


@pytest.mark.parametrize(
    ("grid", "message"),
    [
        ([0.5, 0.5], "increase"),
        ([0.5, 0.2], "increase"),
        ([-0.1, 0.5], "leaves"),
        ([0.5, 1.1], "leaves"),
        ([float("nan")], "leaves"),
        ([], "empty"),
    ],
)
def test_an_unfit_grid_is_refused(grid: list[float], message: str) -> None:
    with pytest.raises(SymsiError, match=message):
        tabulate(convert("linear", "vp"), grid)


def test_an_unknown_coefficient_is_refused_with_the_closest_name() -> None:
    with pytest.raises(UnknownNameError, match="'scale'"):
        tabulate(convert("linear", "vp"), [0.5], ["scael"])
    with pytest.raises(UnknownNameError, match="'time'"):
        _ = tabulate(convert("linear", "vp"), [0.5], ["time"])["tme"]


def test_the_second_build_comes_from_the_cache() -> None:
    first = tabulate(convert("linear", "vp"), (0.25, 0.5))
    before = _tabulate.cache_info().hits
    second = tabulate(convert("linear", "vp"), torch.tensor([0.25, 0.5], dtype=torch.float64))
    assert _tabulate.cache_info().hits == before + 1
    assert torch.equal(first["time"], second["time"])


def test_changing_a_table_changes_no_other() -> None:
    first = tabulate(convert("linear", "vp"), (0.25, 0.5))
    kept = first["time"].clone()
    first["time"].mul_(2)
    assert torch.equal(tabulate(convert("linear", "vp"), (0.25, 0.5))["time"], kept)


def test_extremely_early_times_keep_their_digits() -> None:
    table = tabulate(convert("cosine", "vp", "optimal"), [1e-100, 1e-30])
    assert table["data_state"].tolist() == pytest.approx([1e-100, 1e-30], rel=1e-9)


@pytest.mark.parametrize(
    ("base", "u", "time"),
    [
        (None, "t", 3e-20),
        (None, "(1 - t)", 1 - 2.0**-52),
        (LATE, "(t - 1/11)", 1 / 11 + 2.0**-52),
        (LATE, "(1 - t)", 1 - 2.0**-52),
    ],
)
def test_what_cancels_like_a_cube_of_the_distance_from_an_end_is_right(
    base: Schedule | None, u: str, time: float
) -> None:
    conversion = made(base, value=f"(exp({u}) - 1 - {u} - {u}**2/2)/{u}**3")
    (value,) = tabulate(conversion, [time])["value"].tolist()
    assert value == float(conversion.evaluate("value", sp.Rational(time), 200))
    assert value == pytest.approx(1 / 6)


def test_modes_broadcast() -> None:
    conversion = convert("linear", lazy_schedule(kappa=1, variance=None), "optimal")
    table = tabulate(conversion, [0.0, 0.5, 1.0], ["time", "scale", "diffusion"], {"lamda": [0.25, 1.0, 4.0]})
    assert table["diffusion"].shape == (3, 3)
    assert table["diffusion"][1].tolist() == [0.125, 0.5, 2.0]
    assert table["diffusion"][0].tolist() == [0.125, 0.5, 2.0]
    one = tabulate(conversion, [0.5], ["scale"], {"lamda": 4.0})
    assert one["scale"].tolist() == [table["scale"][1, 2].item()]
    assert tabulate(conversion, [0.5], ["scale"], {"lamda": torch.tensor(4.0)}) == one
    assert tabulate(conversion, [0.5], ["scale"], {"lamda": torch.tensor([4.0])})["scale"].tolist() == [
        one["scale"].tolist()
    ]


@pytest.mark.parametrize("value", ["x", [], -1.0, [[1.0]], [float("nan")], 1j])
def test_unfit_parameters_are_refused(value: object) -> None:
    conversion = convert("linear", lazy_schedule(kappa=1, variance=None))
    with pytest.raises(SymsiError, match="parameter lamda"):
        tabulate(conversion, [0.5], ["time"], {"lamda": value})  # type: ignore[dict-item]
    with pytest.raises(SymsiError, match="lamda"):
        tabulate(conversion, [0.5], ["time"])
    with pytest.raises(UnknownNameError, match="lamda"):
        tabulate(conversion, [0.5], ["time"], {"lambda": 1.0})


@pytest.mark.parametrize("grid", ["abc", 0.5, torch.zeros(2, 2), torch.tensor(0.5), torch.zeros(2) + 1j, [None]])
def test_what_is_no_grid_is_refused(grid: object) -> None:
    with pytest.raises(SymsiError, match="the grid must be a sequence"):
        tabulate(convert("linear", "vp"), grid)  # type: ignore[arg-type]


def test_a_start_that_depends_on_a_symbol_is_refused_by_name() -> None:
    with pytest.raises(SymsiError, match="depends on h"):
        tabulate(convert(Schedule("h*(1-t)", "1", parameters={"h": None}), "linear"), [0.5], ["time"], {"h": 80.0})


def test_a_table_is_a_whole_mapping_that_shows_itself_in_a_line() -> None:
    table = tabulate(convert("linear", "vp"), [0.25, 0.5], ["time", "scale"])
    assert "time" in table
    assert "tme" not in table
    assert (len(table), list(table), dict(table).keys()) == (2, ["time", "scale"], {"time", "scale"})
    assert all(torch.equal(column, table[name]) for name, column in table.items())
    assert table.get("tme") is None
    assert repr(table) == "Table(2 times, time, scale)"
    assert table == tabulate(convert("linear", "vp"), [0.25, 0.5], ["time", "scale"])
    assert table != tabulate(convert("linear", "vp"), [0.25, 0.75], ["time", "scale"])


def test_a_name_that_is_not_in_a_table_is_a_key_error_with_a_readable_message() -> None:
    with pytest.raises(KeyError) as error:
        _ = tabulate(convert("linear", "vp"), [0.5], ["time"])["tme"]
    assert str(error.value) == "unknown coefficient 'tme'. Did you mean 'time'? Known: time."
