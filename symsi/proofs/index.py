"""The index of the derivations: `python derivations/index.py > derivations/README.md` writes it anew."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from symsi.algebra.proof import Proof, Status
from symsi.proofs import THEOREMS, prove_all

__all__ = ["index", "rests_on"]

_HEAD = """# Derivations

One script a theorem: claim, symbols, steps, conclusion, in the order in which a reader needs them. Each step is checked
twice: its residual must be rewritten to exactly 0 for undetermined functions, and vanish to 30 digits at random points.
A claim is covered by the steps that name it, or cited from the literature with its source; a step whose two sides are
one expression is shown as a definition, and covers nothing.

```sh
python derivations/t05_paths.py              # claim, steps, verdict
python derivations/t05_paths.py --markdown   # the same as Markdown; with a file name, written there
symsi verify                                 # all of them, as a table
symsi verify --latex > theorems.tex          # all of them, as a document
symsi report                                 # all of them, typeset on one page, with figures
```

In this order each theorem rests on earlier ones only. Claims: how many steps cover, of all; the others are cited."""


def rests_on(proof: Proof) -> tuple[str, ...]:
    """Return the earlier theorems that a proof names."""
    return tuple(name for name in proof.cites if int(name[1:]) < int(proof.id[1:]))


def index(proofs: Iterable[Proof]) -> str:
    """Return the index as Markdown: what each theorem is called, claims and rests on, and the graph of that."""
    found = list(proofs)
    rows = (
        f"| {p.id} | [{p.title}]({THEOREMS[p.id]}.py) | {', '.join(rests_on(p)) or 'the definitions'} "
        f"| {_counted(p)} | {len(p.steps)} |"
        for p in found
    )
    table = ["| | theorem | rests on | claims | steps |", "| --- | --- | --- | --- | --- |", *rows]
    direct = _direct({p.id: rests_on(p) for p in found})
    edges = [f"  {earlier} --> {later}" for later, needed in direct.items() for earlier in needed]
    graph = ["```mermaid", "graph LR", *edges, "```"]
    words = "The same as a graph, without the arrows that others imply:"
    return "\n\n".join([_HEAD, "\n".join(table), words, "\n".join(graph)]) + "\n"


def _counted(p: Proof) -> str:
    """How many claims steps cover, of how many; the rest is cited, or open."""
    covered = sum(claim.status is Status.COVERED for claim in p.claims)
    rest = "" if covered == len(p.claims) else f" of {len(p.claims)}"
    return f"{covered}{rest}"


def _direct(needs: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """Leave out what a theorem needs through another that it needs."""
    reach: dict[str, set[str]] = {}
    for name, needed in needs.items():
        reach[name] = set(needed).union(*(reach[n] for n in needed))
    return {name: [n for n in needed if not any(n in reach[m] for m in needed)] for name, needed in needs.items()}


if __name__ == "__main__":
    print(index(prove_all()), end="")
