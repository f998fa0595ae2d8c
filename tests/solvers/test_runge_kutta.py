"""Tableaus as fractions, and the rows that they make against what a step says of itself."""

from fractions import Fraction

import pytest

from symsi.solvers.nodes import Nodes
from symsi.solvers.runge_kutta import DOPRI5, RK4, Tableau, runge_kutta

HEUN = Tableau(2, ("1", "1/2 1/2"))


@pytest.mark.parametrize(("tableau", "evaluations"), [(RK4, 4), (DOPRI5, 6)])
def test_a_tableau_fulfils_the_quadrature_conditions_of_its_order(tableau: Tableau, evaluations: int) -> None:
    """sum b c^(q-1) = 1/q for q up to the order (Butcher), as fractions."""
    b, c = tableau.a[-1], tableau.c[:-1]
    assert len(b) == len(c) == evaluations
    for q in range(1, tableau.order + 1):
        assert sum(x * y ** (q - 1) for x, y in zip(b, c, strict=True)) * q == 1
    assert sum(x * y**tableau.order for x, y in zip(b, c, strict=True)) * (tableau.order + 1) != 1


def test_a_tableau_is_read_from_its_words() -> None:
    found = Tableau(3, ("1/2", "-1 2", "1/6 2/3 1/6"))
    assert found.a == ((Fraction(1, 2),), (-1, 2), (Fraction(1, 6), Fraction(2, 3), Fraction(1, 6)))
    assert found.c == (0, Fraction(1, 2), 1, 1)
    assert found.points == (0, Fraction(1, 2), 1)


@pytest.mark.parametrize("method", [HEUN, RK4, DOPRI5])
@pytest.mark.parametrize("times", [(0.75, 1.0), (1.0,), (0.25, 0.0)])
def test_a_step_integrates_polynomials_below_its_order_as_its_span_says(
    method: Tableau, times: tuple[float, ...]
) -> None:
    """z = y/C with C = 1 + u^2, from u = 1/2, whose fields are u^q for q < order: y moves by their integral."""
    points = [0.5]
    for end in times:
        begin = points[-1]
        points += [begin + (end - begin) * float(c) for c in method.points[1:]]
    scales = tuple(1 + u * u for u in points)
    nothing = (0.0,) * len(points)
    for q in range(method.order):
        field = (nothing, tuple(u**q for u in points))
        nodes = Nodes(tuple(points), tuple(points), scales, field, ((), ()), (), (), nothing, 1.0)
        stages, spans = runge_kutta(nodes, method)
        assert [stage.step for stage in stages] == [k + 1 for k in range(len(times)) for _ in method.a]
        begin = 0.5
        for k, (end, span) in enumerate(zip(times, spans, strict=True)):
            z, fields = 3.0, []
            for stage in stages[k * len(method.a) : (k + 1) * len(method.a)]:
                fields.insert(0, stage.state * z + stage.gain)
                z = stage.keep * z + sum(w * f for w, f in zip(stage.weights, fields, strict=True))
            exact = ((1 + begin**2) * 3.0 + (end ** (q + 1) - begin ** (q + 1)) / (q + 1)) / (1 + end**2)
            assert z == pytest.approx(exact, rel=1e-14)
            if q == 0:
                assert span.keep * 3.0 + span.length == pytest.approx(exact, rel=1e-14)
                assert span.keep == pytest.approx((1 + begin**2) / (1 + end**2), rel=1e-15)
                assert span.order == method.order
            begin = end
