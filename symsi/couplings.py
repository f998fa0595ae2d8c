"""Which sample of one law goes with which of the other, for bridges between them."""

from symsi.training.couplings import ENTRIES, entropic, entropic_plan, gaussian_coupling, independent, optimal, paired

__all__ = ["ENTRIES", "entropic", "entropic_plan", "gaussian_coupling", "independent", "optimal", "paired"]
