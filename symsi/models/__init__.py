"""Models: what one is, exact ones and their tilts, a small U-Net, flow maps, rewards, and shipped weights."""

from symsi.models.analytic import empirical, gaussian, mixture
from symsi.models.between import between
from symsi.models.exact_map import exact_map
from symsi.models.flow_map import FlowMap
from symsi.models.pretrained import load
from symsi.models.pretrained_bridge import load_bridge
from symsi.models.pretrained_map import load_map
from symsi.models.protocol import Model
from symsi.models.restoring import degrade
from symsi.models.rewards import reward
from symsi.models.tilted import tilted

__all__ = [
    "FlowMap",
    "Model",
    "between",
    "degrade",
    "empirical",
    "exact_map",
    "gaussian",
    "load",
    "load_bridge",
    "load_map",
    "mixture",
    "reward",
    "tilted",
]
