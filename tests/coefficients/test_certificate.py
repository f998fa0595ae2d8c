"""The certificate of bridges: it holds, it counts all, and it sees what is off."""

import pytest
import torch

from symsi import SymsiError, bridge, bridge_kernels
from symsi.coefficients.certificate import BRIDGES, certify_bridges
from symsi.coefficients.measured import Subject, measure, summary
from symsi.coefficients.textbook import bridge_definitions


def test_the_certificate_of_bridges_holds_for_a_sample_and_counts_every_coefficient() -> None:
    names = ("linear(gamma=quadratic)", "encoding-decoding(gamma=brownian)")
    rows = [row for found, _ in certify_bridges(names, 20) for row in found]
    total = summary(rows, "bridges")
    assert len(BRIDGES) == 12
    assert total["worst_kernel_ulp"] <= 0.5 + 1e-6
    assert total["worst_table_ulp"] <= 0.5
    assert total["nonfinite"] == 0
    of_rows = {name: [r for r in rows if r.pair.startswith(name)] for name in names}
    assert len(of_rows[names[0]]) == 7 + 3 + 4 * 6 * 3 + 4 * 2 * 3 * 3
    assert {r.diffusion for r in of_rows[names[0]]} == {"0", "t*(1 - t)", "1/2"}
    assert {r.coefficient for r in of_rows[names[0]]} >= {"gamma_rate", "x0_velocity", "x1_score", "forward_ends"}
    assert not any(r.coefficient.startswith(("x0", "x1")) for r in of_rows[names[1]])
    assert total["handwritten"]["nonfinite"] > 0


def test_the_certificate_sees_a_coefficient_that_is_off_or_infinite() -> None:
    b = bridge("linear(gamma=brownian)", "gamma")
    known, right = bridge_definitions(b), bridge_kernels(b)
    textbook = {name: known[name] for name in ("x1_latent", "backward_latent")}

    def off(points: torch.Tensor) -> dict[str, torch.Tensor]:
        found = right.coefficients(points)
        return {
            "x1_latent": torch.where(points == 0.5, torch.nan, found["x1_latent"]),
            "backward_latent": found["backward_latent"] * (1 + 1e-6),
        }

    def worst(subject: Subject) -> list[tuple[bool, int]]:
        return [(row.ulp > 0.51, row.nonfinite) for row in measure(subject, 20, 0)[0]]

    assert worst(Subject(b.functions, textbook, right.coefficients, "right", "")) == [(False, 0), (False, 0)]
    assert worst(Subject(b.functions, textbook, off, "off", "")) == [(True, 1), (True, 0)]


def test_textbook_forms_of_other_predictions_are_refused() -> None:
    with pytest.raises(SymsiError, match="velocity or ends with latent or score; this bridge has x0 and latent"):
        bridge_definitions(bridge("linear", given=("x0", "latent")))
