"""Noise compiled by Numba: NumPy's bits, when it takes over, and what happens where Numba doesn't work."""

import subprocess
import sys

import numpy as np
import pytest
import torch

import symsi
from symsi.sampling import noise
from symsi.sampling.box_muller import box_muller
from symsi.sampling.noise import compile_noise, standard_normals

compiled = pytest.importorskip("symsi.sampling.compiled", reason="needs numba")
SEED = 2**64 - 3
SAMPLES = [3, 2**32 + 3, 2**33 - 1, 2**64 - 1, 0]


@pytest.fixture(autouse=True)
def _new_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is drawn yet, and NumPy draws."""
    monkeypatch.setattr(noise, "_drawn", 0)
    monkeypatch.setattr(noise, "_chosen", None)


def by_numpy(seed: int, samples: list[int], steps: list[int], size: int) -> np.ndarray:
    found = np.empty((len(steps), len(samples), size), np.float32)
    noise._fill(np.uint64(seed), np.array(steps, np.uint64), np.array(samples, np.uint64), found)
    return found


def test_numbers_of_any_words_are_those_of_numpy() -> None:
    random = np.random.default_rng(0).integers(0, 1 << 32, (4, 4000), np.uint32)
    edges = np.array([0, 1, 2**31 - 1, 2**31, 2**31 + 1, 2**32 - 1, 0x5A827999, 0x5A82799A, 1 << 30], np.uint32)
    w, turn = (side.ravel() for side in np.meshgrid(edges, edges))
    given = np.concatenate([random, np.stack([w, turn, turn, w])], axis=1)
    found = np.empty(given.shape, np.float32)
    compiled.normals(given, found, given.shape[1])
    pairs = (given[::2].astype(np.uint64) << np.uint64(32)) | given[1::2]
    out = np.empty((1, 1, given.shape[1], 2, 2), np.float32)
    box_muller(pairs[:, None, None, :], out)
    assert np.array_equal(out.reshape(-1, 4).T.view(np.int32), found.view(np.int32))


@pytest.mark.parametrize(
    "shape", [(1, 1, 1), (1, 3, 2), (3, 5, 7), (2, 0, 4), (0, 2, 4), (2, 3, 0), (1, 2, 2051), (3, 700, 4)]
)
def test_noise_has_the_bits_of_numpy(shape: tuple[int, int, int]) -> None:
    steps, samples, size = shape
    numbers = [(k * 2**33 + 3 * k) % 2**64 for k in range(1, samples + 1)]
    times = [k * (2**30 - 1) for k in range(steps)]
    for seed in (0, SEED):
        found = np.full(shape, np.nan, np.float32)
        compiled.fill(np.uint64(seed), np.array(times, np.uint64), np.array(numbers, np.uint64), found)
        assert np.array_equal(found.view(np.int32), by_numpy(seed, numbers, times, size).view(np.int32))


def test_a_process_that_draws_much_compiles_and_goes_on_with_the_same_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(noise, "_WORTH", 100)
    expected = torch.from_numpy(by_numpy(SEED, SAMPLES, [1], 10))
    for drawn_by in (None, None, compiled.fill, compiled.fill):
        assert torch.equal(standard_normals(SEED, SAMPLES, [1], (10,)), expected)
        assert noise._chosen is drawn_by


def test_noise_compiled_at_once() -> None:
    compile_noise()
    assert noise._filling(1) is compiled.fill
    assert np.array_equal(standard_normals(SEED, SAMPLES, [1], (10,)).numpy(), by_numpy(SEED, SAMPLES, [1], 10))


def test_without_numba_numpy_goes_on_and_compiling_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "numba", None)
    monkeypatch.delitem(sys.modules, "symsi.sampling.compiled")
    monkeypatch.setattr(noise, "_WORTH", 0)
    assert np.array_equal(standard_normals(SEED, SAMPLES, [1], (10,)).numpy(), by_numpy(SEED, SAMPLES, [1], 10))
    assert noise._chosen is noise._fill
    with pytest.raises(symsi.MissingPackageError, match=r'needs numba; pip install "symsi\[fast\]"'):
        compile_noise()


@pytest.mark.parametrize("error", [ImportError("Numba needs NumPy 2.1 or less"), OSError("no libllvmlite.so")], ids=str)
def test_where_numba_fails_numpy_goes_on_and_the_reason_is_told(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(*given: object) -> None:
        raise error

    monkeypatch.setattr(compiled, "fill", fail)
    monkeypatch.setattr(noise, "_WORTH", 0)
    assert np.array_equal(standard_normals(SEED, SAMPLES, [1], (10,)).numpy(), by_numpy(SEED, SAMPLES, [1], 10))
    with pytest.raises(symsi.MissingPackageError, match=f"numba is installed and can't compile noise here: {error}"):
        compile_noise()


def test_short_runs_do_not_load_numba() -> None:
    run = (
        "import sys, symsi; symsi.sample(symsi.models.load('digits8'), shape=2, steps=2, diffusion='optimal', "
        "progress=False); print('numba' in sys.modules)"
    )
    found = subprocess.run([sys.executable, "-c", run], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "False"
