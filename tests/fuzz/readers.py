"""Each reader of a file or of words: what it is given, how it reads, and what must hold of a value that it accepts."""

from __future__ import annotations

import ast
import dataclasses
import hashlib
import io
import json
import os
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any
from unittest import mock

import mpmath
import numpy as np
import torch
from hypothesis import strategies as st
from safetensors import safe_open
from torch import Tensor, nn

import symsi
from symsi.cli import figures as manifest
from symsi.cli.options import read_counts, read_grid, read_parameters
from symsi.coefficients import cache as disk
from symsi.errors import SymsiError
from symsi.models import features, mixer, pretrained, pretrained_bridge, pretrained_map, reference
from symsi.models.restoring import Restorer
from symsi.models.rewards import reward
from symsi.models.two_sided import BridgeModel
from symsi.models.unet import Config, UNet
from symsi.sampling.arrays import read_samples
from symsi.sampling.moves import moves
from symsi.solvers import plan_file, planning
from symsi.solvers.table import choose
from symsi.solvers.triangle import Triangle
from symsi.steering import saving
from symsi.theory.diffusion import as_diffusion
from symsi.training import checkpoint, trajectories
from tests.fuzz.changes import changed_bytes, changed_data, changed_metadata, changed_tensors, packed, values

FOLDER = Path(tempfile.mkdtemp(prefix="symsi-fuzz-"))
SMALL = Config(width=8, multipliers=(1, 2), classes=3, heads=2)


@dataclasses.dataclass(frozen=True)
class Reader:
    """`cases` are what it is given, bytes of a file with `suffix` or words; `check` is of an accepted value."""

    cases: Callable[[], st.SearchStrategy[Any]]
    read: Callable[[Any], Any]
    check: Callable[[Any], None] = lambda found: None
    suffix: str | None = ".safetensors"

    def __call__(self, case: Any) -> None:
        """Read a case, and check what was accepted."""
        given = case
        if self.suffix is not None:
            given = FOLDER / f"case{self.suffix}"
            given.unlink(missing_ok=True)
            given.write_bytes(case)
        self.check(self.read(given))


def _tensor_file(valid: Callable[[], bytes], again: Callable[..., dict[str, str]] = lambda held, words: words) -> Any:
    """Cases of a safetensors format; `again` makes its hash right after a change, so that more than the hash is met."""

    def cases() -> st.SearchStrategy[bytes]:
        content = valid()
        path = FOLDER / "valid.safetensors"
        path.write_bytes(content)
        with safe_open(path, "pt") as file:
            words, held = dict(file.metadata()), {n: file.get_tensor(n).clone() for n in file.keys()}  # noqa: SIM118

        def whole(tensors: Mapping[str, Tensor], metadata: dict[str, str]) -> bytes:
            return packed(tensors, again(tensors, metadata))

        return st.one_of(
            st.binary(max_size=200),
            changed_bytes(content),
            changed_metadata(words).map(lambda changed: packed(held, changed)),
            changed_tensors(held).map(lambda changed: whole(changed, words)),
            st.tuples(changed_tensors(held), changed_metadata(words)).map(lambda both: whole(*both)),
        )

    return cache(cases)


def _json_file(valid: Callable[[], bytes], again: Callable[[Any], Any] = lambda data: data) -> Any:
    def cases() -> st.SearchStrategy[bytes]:
        content = valid()
        data = json.loads(content)
        written = (changed_data(data) | changed_data(data).flatmap(changed_data)).map(again).map(json.dumps)
        deep = st.integers(1, 10**5).map(lambda n: b"[" * n)
        return st.one_of(st.binary(max_size=200), changed_bytes(content), written.map(str.encode), deep)

    return cache(cases)


def _written(write: Callable[[Path], object], suffix: str = ".safetensors") -> bytes:
    path = FOLDER / f"made{suffix}"
    path.unlink(missing_ok=True)
    write(path)
    return path.read_bytes()


# --- weights


def _redigested(tensors: Mapping[str, Tensor], words: dict[str, str]) -> dict[str, str]:
    try:
        return {**words, "hash": pretrained.digest(tensors)}
    except (RuntimeError, TypeError):
        return words


def _filled(net: nn.Module) -> dict[str, Tensor]:
    torch.manual_seed(0)
    return {name: 0.1 * torch.randn_like(weight) for name, weight in net.state_dict().items()}


def _model() -> bytes:
    return _written(lambda p: pretrained.save(p, _filled(UNet(SMALL)), SMALL, (1, 8, 8)))


def _map() -> bytes:
    teacher = symsi.models.load("digits28")
    net = pretrained_map.MapNet(UNet(SMALL), "linear", "trigonometric")
    model = dataclasses.replace(teacher, shape=(1, 8, 8))
    return _written(lambda p: pretrained_map.save_map(p, _filled(net), SMALL, model, "trigonometric", {}))


def _bridge() -> bytes:
    config = Config(channels=2, width=8, multipliers=(1, 2), classes=0, heads=2)
    net = Restorer(UNet(config))
    model = BridgeModel(net, "linear", shape=(1, 8, 8))
    return _written(lambda p: pretrained_bridge.save_bridge(p, _filled(net), model, {}))


def _samples_of(model: Any) -> None:
    shape = model.shape
    if np.prod(shape) > 10**5:  # sampling says that itself where memory lacks
        return
    given = {"label": torch.zeros(1, dtype=torch.int64)} if model.classes else {}
    found = symsi.sample(model, shape=1, steps=1, conditions=given, progress=False)
    assert found.x.shape == (1, *shape)
    assert found.x.isfinite().all()


def _answers(model: Any) -> None:
    if np.prod(model.shape) <= 10**5:
        x = torch.zeros(1, *model.shape)
        assert all(part.isfinite().all() for part in model(x, torch.zeros(1), start=x))


def _features() -> bytes:
    images = torch.randn(2, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    net = features.Classifier()
    return _written(lambda p: features.save_features(p, net, images, torch.arange(2), note=""))


# --- references and plans


def _reference() -> bytes:
    kept = torch.linalg.qr(torch.randn(6, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))).Q[:, :4]
    numbers = torch.arange(1.0, 6.0, dtype=torch.float64)
    made = symsi.Reference("pca", numbers, torch.zeros(6, dtype=torch.float64), kept.contiguous())
    return _written(lambda p: reference.save(made, p))


def _turns(found: symsi.Reference) -> None:
    x = torch.randn(3, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    found.check((6,))
    assert (found.inverse(found.forward(x), (6,)) - x).abs().max() < 1e-4
    assert (found.modal_variances > 0).all()


def _plan() -> bytes:
    made = symsi.plan("linear", schedule="trigonometric", steps=2, reference=reference.isotropic(2.0))
    return made.text().encode()


def _plan_by_channel() -> bytes:
    rows = tuple(torch.linspace(0.5, 1.5, n * 3).double().reshape(n, 3, 1, 1) for n in (3, 4))
    told = {"guidance": "1.0", "shape": "(3, 2, 2)", "parameters": "a"}
    return Triangle((0.0, 0.5), rows, origin=told).plan().text().encode()


def _plan_by_mode() -> bytes:
    law = reference.Reference("channel", torch.tensor([0.5, 1.0, 2.0]).reshape(3, 1, 1), torch.tensor(0.1))
    return symsi.plan("linear", schedule="trigonometric", steps=2, reference=law, shape=(3, 2, 2)).text().encode()


def _followed(path: Path) -> tuple[symsi.Plan, Tensor]:
    """A plan, and where it takes samples of three channels; in a pipeline its numbers are placed at the start."""
    found = symsi.load_plan(path)
    moves(found, torch.empty(0))
    model = symsi.Model(lambda x, t: -x, shape=(3, 2, 2), name="still")
    return found, symsi.sample(model, plan=found, shape=2, progress=False).x


def _same_followed(held: tuple[symsi.Plan, Tensor]) -> None:
    plan, x = held
    _same_plan(plan)
    assert x.shape == (2, 3, 2, 2)
    assert torch.isfinite(x).all()


def _rehashed(data: Any) -> Any:
    try:
        return {**data, "hash": plan_file.digest(data["plan"])}
    except (TypeError, KeyError, ValueError):
        return data


def _same_plan(found: symsi.Plan) -> None:
    assert symsi.load_plan(_kept(found.text())).hash == found.hash


def _kept(text: str) -> Path:
    path = FOLDER / "again.json"
    path.write_text(text)
    return path


# --- what is kept on disk of what was derived


def _asked(folder: Path, steps: int = 2, code: str = "this code") -> symsi.Plan:
    """A plan as another process gets it: from the folder, where it is there."""
    planning._plain_plan.cache_clear()
    with (
        mock.patch.dict(os.environ, SYMSI_CACHE=str(folder)),
        mock.patch.object(disk, "LEAST_SECONDS", 0.0),
        mock.patch.object(disk, "_code", return_value=code),
    ):
        return symsi.plan("linear", schedule="trigonometric", steps=steps)


@cache
def _answered(steps: int = 2, code: str = "this code") -> tuple[str, bytes]:
    """The name and the bytes of the file that keeps it."""
    with tempfile.TemporaryDirectory() as folder:
        _asked(Path(folder), steps, code)
        (path,) = Path(folder).iterdir()
        return path.name, path.read_bytes()


def _answers_on_disk() -> st.SearchStrategy[bytes]:
    swapped = st.sampled_from([_answered(3)[1], _answered(2, "other code")[1]])
    whole, forged = (_json_file(lambda: _answered()[1], again)() for again in (lambda data: data, _signed))
    return whole | forged | swapped


def _signed(data: Any) -> Any:
    """The hashes made right after a change, so that more than they is met."""
    try:
        answer = _rehashed(data["answer"])
        return {**data, "answer": answer, "hash": _digest(answer)}
    except (TypeError, KeyError, ValueError):
        return data


def _digest(data: Any) -> str:
    return hashlib.sha256(json.dumps(data, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _read_from_disk(case: Path) -> tuple[Any, symsi.Plan]:
    """What a file says, and the plan that was read from it; refused where the plan was made again, and kept anew."""
    with tempfile.TemporaryDirectory() as folder:
        name, whole = _answered()
        path = Path(folder) / name
        path.write_bytes(case.read_bytes())
        found = _asked(Path(folder))
        if path.read_bytes() == whole != case.read_bytes():
            assert found.hash == json.loads(whole)["answer"]["hash"]
            raise SymsiError("it is made anew")
    return json.loads(case.read_bytes()), found


def _right_or_signed(found: tuple[Any, symsi.Plan]) -> None:
    """Who can write the folder can write another plan; without its hash nothing but the right one is believed."""
    said, plan = found
    _same_plan(plan)
    whole = json.loads(_answered()[1])
    assert said["asked"] == whole["asked"]
    assert plan.hash == said["answer"]["hash"]
    assert said["answer"] == whole["answer"] or said["hash"] == _digest(said["answer"])


# --- runs


def _net() -> nn.Linear:
    torch.manual_seed(0)
    return nn.Linear(2, 2)


def _trained(net: nn.Module) -> torch.optim.Optimizer:
    optimizer = torch.optim.AdamW(net.parameters())
    net(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    return optimizer


def _checkpoint() -> bytes:
    net = _net()
    weights = dict(net.named_parameters())
    average = {name: weight.detach().clone() for name, weight in weights.items()}
    optimizer = _trained(net)
    words = {"about": "a run", "step": "3"}
    return _written(lambda p: checkpoint.save_checkpoint(p, weights, average, optimizer, words))


def _resumed(path: Path) -> Any:
    net = _net()
    weights, average = dict(net.named_parameters()), {}
    step = checkpoint.resume(path, weights, average, torch.optim.AdamW(net.parameters()), "a run", 10)
    return step, weights, average


def _finite(found: Any) -> None:
    step, *held = found
    assert 0 <= step <= 10
    assert all(value.isfinite().all() for part in held for value in part.values())


_SHAPE = (3, 2, 4)


def _chunk() -> bytes:
    held = {"x": torch.ones(_SHAPE).half(), "velocity": torch.ones(2, 2, 4).half(), "label": torch.zeros(2).long()}
    return packed(held, {"about": "a plan"})


_ABOUT = {"method": "smc", "seed": 3, "shape": [2]}


def _steering() -> bytes:
    held = {"cloud.z": torch.ones(2, 2), "account": torch.tensor([1, 2])}
    return _written(lambda p: saving.save(p, held, _ABOUT))


# --- arrays, records, manifests


def _arrays(suffix: str) -> Any:
    def cases() -> st.SearchStrategy[bytes]:
        held = io.BytesIO()
        numbers = np.arange(6.0).reshape(3, 2)
        (np.save if suffix == ".npy" else np.savez_compressed)(held, numbers)
        content = held.getvalue()
        if suffix == ".npz":
            np.savez_compressed(bomb := io.BytesIO(), samples=np.zeros(10**6))
            return st.one_of(st.binary(max_size=200), changed_bytes(content), st.just(bomb.getvalue()))
        heads = st.fixed_dictionaries(
            {"descr": values | st.sampled_from(["<f8", ">f4", "|O", "<c16", "<f2", "|V8", "<M8[s]", "<U4", "|b1"])},
            optional={"fortran_order": values, "shape": st.lists(values, max_size=3).map(tuple) | values},
        ).map(lambda head: {"fortran_order": False, "shape": (3, 2), **head})
        written = heads.map(repr).map(lambda h: h.encode("latin1", "replace")[:60000])
        return st.one_of(
            st.binary(max_size=200),
            changed_bytes(content),
            written.map(lambda h: b"\x93NUMPY\x01\x00" + len(h).to_bytes(2, "little") + h + bytes(48)),
        )

    return cache(cases)


def _numbers(found: Tensor) -> None:
    assert found.ndim
    assert found.numel()
    assert not found.is_complex()


def _record() -> bytes:
    return _written(lambda p: symsi.export("linear", p), ".json")


def _same_conversion(found: symsi.Conversion) -> None:
    assert found == symsi.convert(found.base, found.target, found.diffusion, found.prediction)


def _record_of_bridge() -> bytes:
    return _written(lambda p: symsi.export(symsi.bridge("encoding-decoding", "alpha*gamma"), p), ".json")


def _same_bridge(found: symsi.Bridge) -> None:
    assert found == symsi.bridge(found.interpolant, found.epsilon, found.given)


def _manifest() -> bytes:
    return json.dumps({"paths.png": {"numbers": {"a": [1.0, 0.1]}, "seed": 0}}).encode()


# --- words

_NAMES = ("t", "t", "t", "1", "2", "0", "0.1", "pi", "E", "n", "1e99", "64", "(1/2)")
_FORMULA = st.recursive(
    st.sampled_from(_NAMES),
    lambda part: st.one_of(
        st.tuples(part, st.sampled_from(["+", "-", "*", "/", "**"]), part).map(lambda p: f"({p[0]}){p[1]}({p[2]})"),
        st.tuples(st.sampled_from(["sqrt", "exp", "log", "sin", "erf", "atanh", "cbrt"]), part).map(
            "{0[0]}({0[1]})".format
        ),
    ),
    max_leaves=12,
)
_TEXT = st.text(st.sampled_from("t1290.,()+-*/^eEpi_ =[]{}:'\"\\\0néα√"), max_size=40) | st.text(max_size=30)


def _words(*known: str) -> Any:
    def changed(text: str) -> st.SearchStrategy[str]:
        return changed_bytes(text.encode()).map(lambda held: held.decode("utf-8", "replace"))

    return lambda: st.one_of(_TEXT, st.sampled_from(known), st.sampled_from(known).flatmap(changed))


def _formulas() -> st.SearchStrategy[str]:
    return st.one_of(
        _FORMULA, _TEXT, _FORMULA.flatmap(lambda f: changed_bytes(f.encode()).map(lambda b: b.decode("latin1")))
    )


def _parsed(text: str) -> Any:
    return text, symsi.parse(text, symbols=("t", "n"))


def _same_value(found: Any) -> None:
    """A formula has at t = 3/8, n = 2 the value that mpmath finds for its text, where it has one there."""
    text, expr = found
    names: dict[str, Any] = {
        name: getattr(mpmath, name) for name in ("sqrt", "exp", "log", "sin", "erf", "atanh", "cbrt", "pi")
    }
    if not set(_identifiers(text)) <= {*names, "E", "t", "n", "e"} or "e" in text.lower().replace("exp", "").replace(
        "erf", ""
    ):
        return
    with mpmath.workdps(40):
        try:
            wanted = _Walk({**names, "t": mpmath.mpf(3) / 8, "n": mpmath.mpf(2)}).value(text)
            got = mpmath.mpmathify(expr.subs({"t": "3/8", "n": 2}).evalf(40, maxn=400))
        except (ZeroDivisionError, ValueError, OverflowError, TypeError, MemoryError):
            return
        if mpmath.isfinite(wanted) and mpmath.isfinite(got) and 1e-20 < abs(wanted) < 1e20:
            assert abs(got - wanted) < 1e-8 * abs(wanted), (text, got, wanted)


def _identifiers(text: str) -> Iterator[str]:
    return iter(re.findall(r"[A-Za-z_]\w*", text))


class _Walk:
    """The value of a formula from its syntax tree, by mpmath alone."""

    def __init__(self, names: Mapping[str, Any]) -> None:
        self.names = names

    def value(self, text: str) -> Any:
        return self._of(ast.parse(text.strip(), mode="eval").body)

    def _of(self, node: Any) -> Any:
        match node:
            case ast.Constant(value=value):
                return mpmath.mpf(str(value))
            case ast.Name(id=name):
                return self.names[name] + 0
            case ast.UnaryOp(op=ast.USub(), operand=a):
                return -self._of(a)
            case ast.UnaryOp(operand=a):
                return self._of(a)
            case ast.Call(func=ast.Name(id=name), args=[a]):
                return self.names[name](self._of(a))
            case ast.BinOp(left=a, op=op, right=b):
                a, b = self._of(a), self._of(b)
                kinds = {ast.Add: "__add__", ast.Sub: "__sub__", ast.Mult: "__mul__", ast.Div: "__truediv__"}
                return a**b if isinstance(op, ast.Pow) else getattr(a, kinds[type(op)])(b)
        raise TypeError


def _name(text: str) -> Any:
    return symsi.schedule(text)


def _reward(text: str) -> Any:
    return None if "python" in text else reward(text)  # that one imports what the user names


READERS: dict[str, Reader] = {
    "weights": Reader(_tensor_file(_model), symsi.models.load, _samples_of),
    "weights of maps": Reader(_tensor_file(_map, _redigested), pretrained_map.load_map, _samples_of),
    "weights of bridges": Reader(_tensor_file(_bridge, _redigested), pretrained_bridge.load_bridge, _answers),
    "features": Reader(_tensor_file(_features), features.load_features),
    "rewards' weights": Reader(_tensor_file(mixer.MIXER.read_bytes, _redigested), mixer.load_mixer),
    "references": Reader(_tensor_file(_reference), reference.load, _turns),
    "plans": Reader(_json_file(_plan, _rehashed), symsi.load_plan, _same_plan, ".json"),
    "plans by channel": Reader(_json_file(_plan_by_channel, _rehashed), _followed, _same_followed, ".json"),
    "plans by mode": Reader(_json_file(_plan_by_mode, _rehashed), _followed, _same_followed, ".json"),
    "plans kept on disk": Reader(cache(_answers_on_disk), _read_from_disk, _right_or_signed, ".json"),
    "checkpoints": Reader(_tensor_file(_checkpoint), _resumed, _finite),
    "trajectories": Reader(_tensor_file(_chunk), lambda p: trajectories._read(p, "a plan", _SHAPE)),
    "steering states": Reader(_tensor_file(_steering), lambda p: saving.load(p, _ABOUT, torch.device("cpu"))),
    "conversions (JSON)": Reader(_json_file(_record), symsi.read_json, _same_conversion, ".json"),
    "bridges (JSON)": Reader(_json_file(_record_of_bridge), symsi.read_json, _same_bridge, ".json"),
    "figures' manifest": Reader(_json_file(_manifest), manifest._read, suffix=".json"),
    "arrays (.npy)": Reader(_arrays(".npy"), read_samples, _numbers, ".npy"),
    "arrays (.npz)": Reader(_arrays(".npz"), read_samples, _numbers, ".npz"),
    "formulas": Reader(_formulas, _parsed, _same_value, None),
    "schedules by name": Reader(
        _words("lazy(kappa=1)", "shifted(shift=3)", "polynomial(n=2)", "linear"), _name, suffix=None
    ),
    "diffusions": Reader(_words("ode", "optimal", "kappa=1", "t*(1-t)", "optimal/2"), as_diffusion, suffix=None),
    "rewards": Reader(_words("class=7 + 0.5*symmetry", "-ink", "2e3*ink"), _reward, suffix=None),
    "solvers by name": Reader(
        _words("ab2", "gaussian(ridge=0.1)"), lambda s: choose(s, as_diffusion("ode")), suffix=None
    ),
    "--grid": Reader(_words("0,0.3,1", "shifted(shift=2)"), read_grid, suffix=None),
    "--steps of several": Reader(_words("2,4,8", "3"), lambda s: read_counts("--steps", s, 1), suffix=None),
    "--parameter": Reader(_words("n=2", "a=1/2"), lambda s: read_parameters((s,)), suffix=None),
}
