"""Models: what one is, exact ones, a small U-Net with its training, and shipped weights."""

from symsi.models.analytic import empirical, gaussian, mixture
from symsi.models.between import between
from symsi.models.pretrained import load
from symsi.models.protocol import Model

__all__ = ["Model", "between", "empirical", "gaussian", "load", "mixture"]
