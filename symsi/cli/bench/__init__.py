"""`symsi bench`: measured, never asserted by the clock; one file a benchmark."""

from __future__ import annotations

import click

from symsi.cli.bench.advice import advice
from symsi.cli.bench.certificate import certificate
from symsi.cli.bench.fitted import fitted
from symsi.cli.bench.flow_map import flow_map
from symsi.cli.bench.gpu import gpu
from symsi.cli.bench.kernels import kernels
from symsi.cli.bench.many import many
from symsi.cli.bench.nfe import nfe
from symsi.cli.bench.objectives import objectives
from symsi.cli.bench.quality import quality
from symsi.cli.bench.restore import restore
from symsi.cli.bench.sampler import sampler
from symsi.cli.bench.schedulers import pipelines
from symsi.cli.bench.steering import steering

__all__ = ["command"]


@click.group("bench")
def command() -> None:
    """Measure accuracy and speed on this machine.

    \b
    Examples:
      symsi bench advice --model fashion28-noise
      symsi bench certificate --quick
      symsi bench certificate --bridges --json > bridges.json
      symsi bench certificate --json --plot certificate.png > certificate.json
      symsi bench kernels --size 100000 --size 10000000
      symsi bench nfe --model digits28 --nfe 2,4,8 --plot nfe.png
      symsi bench fitted --steps 3
      symsi bench many --ranks 1,8,1000 --failures 0,0.1
      symsi bench map digits28-map.safetensors
      symsi bench objectives --data checkerboard
      symsi bench gpu --json
      symsi bench quality out/
      symsi bench restore --nfe 3,10
      symsi bench sampler
      symsi bench steering --runs 20
    """


for benchmark in (
    advice,
    certificate,
    gpu,
    kernels,
    many,
    nfe,
    fitted,
    flow_map,
    objectives,
    quality,
    restore,
    sampler,
    steering,
    pipelines,
):
    command.add_command(benchmark)
