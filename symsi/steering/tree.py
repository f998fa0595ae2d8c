"""Diffusion tree sampling (Jain et al. 2025): a tree of the chain's states that comes to sample the tilt.

The soft value of a node is V = log((1/|C|) sum_{children} exp V), and r(x_1)/lambda of a leaf. A walk goes down from
the root, the law of noise, to a child with probability exp V over their sum; a node with fewer children than visits^0.8
gets a new one, from which the chain runs to the data, every state of it a node. A node is evaluated once, whatever the
number of its children. Leaves weigh the product of the probabilities on their way, and log Z is the root's V.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from symsi.errors import BudgetError, SymsiError
from symsi.sampling.state import State
from symsi.steering.chain import Chain, Cloud
from symsi.steering.forms import Form, Forms, check, length, of_samples, whole
from symsi.steering.held import Held
from symsi.steering.resampling import uniforms
from symsi.steering.settings import Settings

__all__ = ["begin", "fit", "forms", "level"]

_WIDENING = 0.8
_WALKS = 16  # between two of what is held
_MOST_WALKS = 1 << 48


def fit(chain: Chain, s: Settings) -> Settings:
    """Return the settings. Raises SymsiError for a budget below one way down, and for multistep plans."""
    if any(len(stage.weights) > 1 for stage in chain.plan.stages):
        raise SymsiError("method 'dts' keeps states alone, and a multistep solver remembers more; use solver='exact'.")
    if chain.account.nfe_left < chain.levels * chain.cost:
        raise BudgetError(
            f"one way down takes {chain.levels * chain.cost} evaluations; the budget is {chain.account.budget}. "
            "Give more, or fewer steps."
        )
    return replace(s, particles=1, children=1)


@dataclass
class _Tree:
    """Nodes in the order in which they were made: parent, level (-1 the root's, N a leaf's), visits, V, states."""

    parent: list[int]
    level: list[int]
    visits: list[int]
    value: list[float]
    z: list[Tensor]
    said: list[Tensor]
    below: dict[int, list[int]] = field(init=False)

    def __post_init__(self) -> None:
        """List the children of each."""
        self.below = {node: [] for node in range(len(self.parent))}
        for node, parent in enumerate(self.parent[1:], 1):
            self.below[parent].append(node)

    def add(self, parent: int, z: Tensor, said: Tensor) -> int:
        """Return a new child of a node."""
        node = len(self.parent)
        for values, value in ((self.parent, parent), (self.level, self.level[parent] + 1), (self.visits, 0)):
            values.append(value)
        self.value.append(0.0)
        self.z.append(z)
        self.said.append(said)
        self.below[node] = []
        self.below[parent].append(node)
        return node

    def back_up(self, node: int) -> None:
        """Visit a leaf and all above it, whose values follow."""
        while node >= 0:
            self.visits[node] += 1
            below = self.below[node]
            if below:
                values = torch.tensor([self.value[i] for i in below], dtype=torch.float64)
                self.value[node] = float(values.logsumexp(0) - torch.tensor(float(len(below))).log())
            node = self.parent[node]


def begin(chain: Chain, s: Settings) -> Held:
    """Return the root, and the first way down."""
    nothing = torch.zeros_like(chain.begin([0]).z)
    tree = _Tree([-1], [-1], [0], [0.0], [nothing], [nothing.new_zeros((1, *chain.form))])
    _descend(chain, s, tree, 0)
    return _held(tree, 1)


def level(chain: Chain, s: Settings, held: Held) -> Held:
    """Some walks; where the budget is spent, the leaves."""
    tree, walks = _tree(held), int(held["walks"])
    for walk in range(walks, walks + _WALKS):
        if chain.account.nfe_left < chain.cost or chain.account.rewards_left < 1:
            return _leaves(chain, s, tree)
        _walk(chain, s, tree, uniforms(chain.seed, walk, chain.levels + 1).tolist())
    return _held(tree, walks + _WALKS)


def forms(chain: Chain, s: Settings, held: Held) -> Forms:
    """Return the forms of the tree, or of its leaves. Raises SymsiError for nodes that make no tree of this chain."""
    if "x" in held:
        leaves = length(held, "x")
        return {**of_samples(chain, leaves), "log_weights": Form((leaves,)), "log_normalizer": Form(())}
    nodes = length(held, "tree.value")
    found = {
        "tree.nodes": whole(3, nodes, least=-1, most=max(nodes, chain.account.budget.nfe, chain.levels)),
        "tree.value": Form((nodes,)),
        "tree.z": Form((nodes, *chain.begin([0]).z.shape[1:]), chain.working),
        "tree.said": Form((nodes, *chain.form), chain.working),
        "walks": whole(most=_MOST_WALKS),
    }
    check(held, found)
    parent, level_of, _ = held["tree.nodes"].tolist()
    rooted = nodes > 1 and (parent[0], level_of[0]) == (-1, -1)
    ordered = rooted and all(0 <= parent[i] < i and level_of[i] == level_of[parent[i]] + 1 for i in range(1, nodes))
    inner = {node for node, at in enumerate(level_of) if at < chain.levels}
    if not ordered or max(level_of) > chain.levels or inner != set(parent[1:]):
        raise SymsiError("its tree.nodes are no tree whose branches all end in samples.")
    return found


def _walk(chain: Chain, s: Settings, tree: _Tree, chance: Sequence[float]) -> None:
    """Down from the root to a new branch, or to a leaf; at last to a branch that costs just what is left."""
    node = 0
    while tree.level[node] < chain.levels:
        affordable = chain.account.nfe_left // chain.cost
        needed = chain.levels - (tree.level[node] + 1)
        below = tree.below[node]
        branches = tree.level[node] < 0 or chain.noisy(tree.level[node])
        scarce = branches and len(below) < (tree.visits[node] + 1) ** _WIDENING
        if (scarce and needed <= affordable) or (needed == affordable and affordable < chain.levels):
            _descend(chain, s, tree, node)
            return
        odds = torch.softmax(torch.tensor([tree.value[i] for i in below], dtype=torch.float64), 0).cumsum(0)
        picked = int((odds <= chance[tree.level[node] + 1]).sum())
        node = below[min(picked, len(below) - 1)]
    tree.back_up(node)


def _descend(chain: Chain, s: Settings, tree: _Tree, node: int) -> None:
    """A new child of a node, and the chain from it to a leaf."""
    while tree.level[node] < chain.levels:
        k, draw = tree.level[node], [len(tree.parent)]
        if k < 0:
            state = chain.begin(draw)
        else:
            above = State(tree.z[node], chain.form, k)
            state = chain.moved(Cloud(above, tree.said[node], tree.said[node]), draw)
        leaf = k + 1 == chain.levels
        node = tree.add(node, state.z, torch.zeros_like(tree.said[0]) if leaf else chain.evaluate(state).said)
        if leaf:
            rewards = chain.rate(chain.finished(state), chain.levels)
            tree.value[node] = float(chain.scaled(rewards, s.temperature))
            chain.account.note(k + 1, rewards)
    tree.back_up(node)


def _leaves(chain: Chain, s: Settings, tree: _Tree) -> Held:
    """All leaves with the logarithm of the probability that a walk ends there."""
    log_chance = [0.0] * len(tree.parent)
    for node in range(1, len(tree.parent)):
        siblings = torch.tensor([tree.value[i] for i in tree.below[tree.parent[node]]], dtype=torch.float64)
        log_chance[node] = log_chance[tree.parent[node]] + tree.value[node] - float(siblings.logsumexp(0))
    found = [node for node, at in enumerate(tree.level) if at == chain.levels]
    x = chain.finished(State(torch.cat([tree.z[node] for node in found]), chain.form, chain.levels))
    rewards = torch.tensor([tree.value[node] for node in found], dtype=torch.float64) * s.temperature
    return {
        "x": x,
        "rewards": rewards,
        "log_weights": torch.tensor([log_chance[node] for node in found], dtype=torch.float64),
        "log_normalizer": torch.tensor(tree.value[0], dtype=torch.float64),
    }


def _held(tree: _Tree, walks: int) -> Held:
    return {
        "tree.nodes": torch.tensor([tree.parent, tree.level, tree.visits]),
        "tree.value": torch.tensor(tree.value, dtype=torch.float64),
        "tree.z": torch.cat(tree.z),
        "tree.said": torch.cat(tree.said),
        "walks": torch.tensor(walks),
    }


def _tree(held: Held) -> _Tree:
    parent, level_of, visits = held["tree.nodes"].tolist()
    z, said = (list(torch.split(held[f"tree.{name}"], 1)) for name in ("z", "said"))
    return _Tree(parent, level_of, visits, held["tree.value"].tolist(), z, said)
