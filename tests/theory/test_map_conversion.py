"""The formulas of T21 for named schedules: against kernels and exact maps, proved, and refuted when changed."""

import pytest
import torch
from sympy import Integer, Symbol, lambdify, sympify

import symsi
from symsi.coefficients.flow_map import map_coefficients
from symsi.theory.map_conversion import MapConversion, convert_map, map_record

PAIRS = [("linear", "trigonometric"), ("linear", "shifted(shift=3)")]
LETTERS = {name: Symbol(name) for name in ("s", "t", "tau_s", "tau_t", "c_s", "c_t", "rate_s", "rate_t")}


def letters(m: MapConversion, s: float, t: float) -> dict[Symbol, float]:
    found = {"s": s, "t": t}
    for name, time in (("s", s), ("t", t)):
        values = m.conversion.evaluate_all(time, ["time", "scale", "time_rate"])
        found |= {f"{k}_{name}": float(v) for k, v in zip(("tau", "c", "rate"), values.values(), strict=True)}
    return {LETTERS[name]: value for name, value in found.items()}


@pytest.mark.parametrize(("base", "target"), PAIRS)
def test_formulas_are_the_numbers_of_a_converted_map(base: str, target: str) -> None:
    m = convert_map(base, target)
    kernel = map_coefficients(symsi.schedule(base), symsi.schedule(target))
    s, t = torch.tensor([0.2, 0.3], dtype=torch.float64), torch.tensor([0.9, 0.55], dtype=torch.float64)
    found = kernel(s, t)
    for k in range(2):
        at = letters(m, float(s[k]), float(t[k]))
        for name, wanted in (("state", found.state), ("prediction", found.prediction)):
            assert float(m.formulas[name].subs(at)) == pytest.approx(float(wanted[k]), rel=1e-11)


@pytest.mark.parametrize("pair", PAIRS)
def test_averages_are_state_times_x_and_prediction_times_u(pair: tuple[str, str]) -> None:
    m = convert_map(*pair)
    x, u, f = Symbol("x"), Symbol("u"), m.formulas
    assert (m.average - f["state"] * x - f["prediction"] * u).expand() == 0
    assert (m.diagonal - f["diagonal_state"] * x - f["diagonal_prediction"] * u).expand() == 0


def test_residuals_convert_by_their_factors() -> None:
    m = convert_map("linear", "trigonometric")
    s, t, shift = 0.2, 0.7, 1e-5
    at = letters(m, s, t)

    def off(s: float, t: float) -> float:
        """X_bar(0) - 0 for the map of the base that is off by sin(tau_s) tau_t where the exact one is the identity."""
        at = letters(m, s, t)
        return at[LETTERS["c_t"]] * float(torch.sin(torch.tensor(at[LETTERS["tau_s"]]).double())) * at[LETTERS["tau_t"]]

    slope = (off(s, t + shift) - off(s, t - shift)) / (2 * shift)
    scale = lambdify(Symbol("t"), m.conversion.scale.diff(Symbol("t")) / m.conversion.scale, "math")(t)
    residual = slope - scale * off(s, t)  # v_bar = (c'/c) x, as the base does not move
    of_base = float(torch.sin(torch.tensor(at[LETTERS["tau_s"]]).double()))
    assert residual == pytest.approx(float(m.formulas["lagrangian"].subs(at)) * of_base, rel=1e-8)


@pytest.mark.parametrize(("base", "target"), PAIRS)
def test_they_are_proved(base: str, target: str) -> None:
    assert convert_map(base, target).proof().proved


def test_a_changed_formula_is_refuted() -> None:
    m = convert_map("linear", "trigonometric")
    m.formulas["prediction"] *= 2  # type: ignore[index]
    assert not m.proof().proved


def test_the_same_schedule_is_the_same_map() -> None:
    m = convert_map("linear", "linear")
    assert (m.formulas["state"], m.formulas["prediction"]) == (Integer(0), Integer(1))
    assert m.proof().proved


def test_records_parse_back() -> None:
    m = convert_map("linear", "shifted(shift=3)")
    data = map_record(m)
    assert all(sympify(data["coefficients"][name]) == formula for name, formula in m.formulas.items())


def test_what_has_no_map_is_refused() -> None:
    with pytest.raises(symsi.ScheduleError, match="start from one point"):
        convert_map("linear", "lazy(kappa=1)")
    with pytest.raises(symsi.ScheduleError, match="is a letter of flow maps"):
        convert_map("linear", symsi.Schedule("1-t**s", "t**s", parameters={"s": None}))
