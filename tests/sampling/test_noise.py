"""Noise: published words of Philox, the same bits however they are drawn, and the law that they should have."""

import math
from collections.abc import Sequence
from itertools import combinations

import mpmath
import numpy as np
import pytest
import torch
from torch import Tensor

import symsi
from symsi.sampling.box_muller import box_muller, radius
from symsi.sampling.noise import check_seed, rademacher, standard_normal, standard_normals
from symsi.sampling.philox import philox

DOUBLE = torch.float64


def words(key: int, *counter: int) -> list[int]:
    """The four words of one counter."""
    pairs = philox(key, *(np.full((1, 1), word, np.uint64) for word in counter)).ravel().tolist()
    return [half for pair in pairs for half in (pair >> 32, pair & 0xFFFFFFFF)]


@pytest.mark.parametrize(
    ("counter", "key", "found"),
    [
        ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
        ((0xFFFFFFFF,) * 4, (0xFFFFFFFF,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
        (
            (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
            (0xA4093822, 0x299F31D0),
            (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
        ),
    ],
    ids=["zeros", "ones", "pi"],
)
def test_philox_gives_the_known_answers_of_random123(
    counter: tuple[int, ...], key: tuple[int, int], found: tuple[int, ...]
) -> None:
    """Rows `philox4x32 10` of its kat_vectors."""
    assert words(key[0] + (key[1] << 32), *counter) == list(found)


def plain(key: int, counter: Sequence[int]) -> list[int]:
    """Philox as the paper writes it, a counter at a time."""
    low, (a, b, c, d), (k, q) = 0xFFFFFFFF, counter, (key & 0xFFFFFFFF, key >> 32)
    for _ in range(10):
        p, r = a * 0xD2511F53, c * 0xCD9E8D57
        a, b, c, d = (r >> 32) ^ b ^ k, r & low, (p >> 32) ^ d ^ q, p & low
        k, q = (k + 0x9E3779B9) & low, (q + 0xBB67AE85) & low
    return [a, b, c, d]


def exact(w: int, turn: int) -> tuple[mpmath.mpf, mpmath.mpf, mpmath.mpf]:
    """The two numbers of two words, and r, by the docstring's formula in 30 digits."""
    with mpmath.workdps(30):
        r = mpmath.sqrt(-2 * mpmath.log((w % (1 << 31) + mpmath.mpf(1) / 2) / (1 << 31)))
        y = mpmath.mpf(turn - (turn >> 31 << 32)) / (1 << 31)
        side = -1 if w >> 31 else 1
        return side * r * mpmath.cospi(y / 2), r * mpmath.sinpi(y / 2), r


def test_numbers_are_those_of_the_formula_to_the_bound_that_it_states() -> None:
    seed, sample, step = 0x0123456789ABCDEF, (7 << 32) + 5, 3
    found = standard_normal(seed, [sample], step, (2000,)).double().flatten().tolist()
    for block in range(500):
        a, b, c, d = plain(seed, (block, 5, 7, step))
        for k, pair in enumerate(((a, b), (c, d))):
            cosine, sine, r = exact(*pair)
            bound = 2**-22 * r + 2**-25 / r
            assert abs(found[4 * block + 2 * k] - cosine) < bound
            assert abs(found[4 * block + 2 * k + 1] - sine) < bound


def test_the_tails_and_the_middle_are_those_of_the_formula() -> None:
    """Words that noise meets once in 10^9 draws: the largest radius, the smallest, and where pieces of log meet."""
    edge = round(2**31 * math.sqrt(0.5))
    radii = [0, 1, 2, 100, *(((edge >> k) + d) for k in (0, 1, 7, 20) for d in (-200, 0, 200)), 2**31 - 40000]
    turns = [0, 1, 2**30, 2**31 - 1, 2**31, 2**31 + 1, 3 * 2**30, 2**32 - 1]
    pairs = [(w + side, turn) for w in radii for side in (0, 1 << 31) for turn in turns]
    given = np.array([w << 32 | turn for w, turn in pairs], np.uint64)[:, None, None, None]
    for (w, turn), one in zip(pairs, given, strict=True):
        out = np.empty((1, 1, 1, 2, 2), np.float32)
        box_muller(np.broadcast_to(one, (2, 1, 1, 1)).copy(), out)
        cosine, sine, r = exact(w, turn)
        bound = 2**-22 * r + 2**-25 / r
        assert abs(float(out[0, 0, 0, 0, 0]) - cosine) < bound
        assert abs(float(out[0, 0, 0, 1, 1]) - sine) < bound
    largest = standard_radius(0)
    assert 6.66 < largest < 6.67
    assert standard_radius(2**31 - 1) == 0  # u rounds to 1, in one draw of 2^25


def standard_radius(w: int) -> float:
    return float(radius(np.array([w], np.int32))[0])


GOLDEN = [
    [[0x3F1FF636, 0xBE7C1FE5, 0xBECC49A1], [0x3F147C76, 0xBE234856, 0x3EE5CC41]],
    [[0x3FB262D9, 0x3EAC176D, 0xBDB84253], [0x3F7155DF, 0xBE8CD22E, 0x3F051A82]],
]
GOLDEN_SIGNS = [1, 1, -1, 1, 1, 1, -1, 1, 1, -1, 1, 1, -1, -1, 1, 1]
SEED = 2**64 - 3
SAMPLES = [3, 2**32 + 3, 2**33 - 1, 2**64 - 1, 0]


@pytest.mark.parametrize("size", [1, 2, 3, 4, 7, 784])
def test_bits_are_the_same_for_any_batch_order_and_steps_together(size: int) -> None:
    whole = standard_normals(SEED, SAMPLES, [0, 5, 2**31 - 1], (size,))
    assert whole.shape == (3, 5, size)
    for k, step in enumerate((0, 5, 2**31 - 1)):
        for order in ([4, 2], [0], [1, 1, 3]):
            part = standard_normal(SEED, [SAMPLES[i] for i in order], step, (size,))
            assert torch.equal(part, whole[k, order])
    assert torch.equal(standard_normals(SEED, SAMPLES, [5], (size + 1,))[..., :size], whole[1:2])


def test_bits_are_the_same_in_tiles_of_any_size(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = standard_normals(1, range(5), range(3), (50,))
    signs = rademacher(1, range(5), 2, 3, (300,))
    for tile in (1, 4, 13, 26, 40, 65, 100):
        monkeypatch.setattr("symsi.sampling.noise._TILE", tile)
        assert torch.equal(standard_normals(1, range(5), range(3), (50,)), whole)
    assert torch.equal(rademacher(1, [4, 2], 2, 3, (300,)), signs[[4, 2]])


def test_large_draws_are_those_of_their_rows_and_blocks() -> None:
    long = standard_normal(1, [6], 2, (70_001,))
    assert torch.equal(standard_normal(1, range(9), 2, (70_001,))[6:7], long)
    many = standard_normal(1, range(40_000), 2, (2,))
    assert torch.equal(standard_normal(1, range(39_998, 40_000), 2, (2,)), many[39_998:])
    assert torch.equal(standard_normal(1, range(1, 40_000, 3), 2, (2,)), many[1::3])


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16], ids=str)
def test_other_dtypes_are_the_float32_numbers_cast(dtype: torch.dtype) -> None:
    drawn = standard_normal(1, range(3), 2, (4, 5))
    assert torch.equal(standard_normal(1, range(3), 2, (4, 5), dtype=dtype), drawn.to(dtype))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_bits_are_the_same_on_a_gpu() -> None:
    drawn = standard_normal(1, range(3), 2, (4, 5), "cuda")
    assert torch.equal(drawn.cpu(), standard_normal(1, range(3), 2, (4, 5)))


def test_bits_are_those_of_every_machine() -> None:
    found = standard_normals(0, [0, 1], [0, 1], (3,)).numpy().view(np.uint32).tolist()
    assert found == GOLDEN
    assert [int(s) for s in rademacher(0, [0], 0, 0, (16,))[0]] == GOLDEN_SIGNS


def test_nothing_is_drawn_of_no_samples_or_no_numbers() -> None:
    assert standard_normal(0, [], 0, (3,)).shape == (0, 3)
    assert standard_normal(0, [1, 2], 0, (0,)).shape == (2, 0)
    assert standard_normal(0, range(2), 0, ()).shape == (2,)


def test_noise_is_standard_normal() -> None:
    n = standard_normal(0, range(1000), 0, (1000,)).double()
    count = n.numel()
    for power, (mean, variance) in enumerate([(0, 1), (1, 2), (0, 15), (3, 96), (0, 945), (15, 10170)], 1):
        assert abs(float((n**power).mean()) - mean) < 5 * math.sqrt(variance / count)
    ordered = n.flatten().sort().values
    cumulative = torch.special.ndtr(ordered)
    ranks = torch.arange(count + 1, dtype=DOUBLE) / count
    off = torch.maximum((ranks[1:] - cumulative).max(), (cumulative - ranks[:-1]).max())
    assert float(off) < 2.23 / math.sqrt(count)  # Kolmogorov-Smirnov: p = 10^-4
    for level in (3.0, 4.0):
        expected = count * math.erfc(level / math.sqrt(2))
        assert abs(int((n.abs() > level).sum()) - expected) < 5 * math.sqrt(expected)


def test_noises_of_other_seeds_samples_steps_and_places_are_independent() -> None:
    first = standard_normal(1, range(500), 1, (400,)).double()
    others = {
        "seed": standard_normal(2, range(500), 1, (400,)),
        "seed's high word": standard_normal(1 + 2**32, range(500), 1, (400,)),
        "sample": standard_normal(1, range(1, 501), 1, (400,)),
        "sample's high word": standard_normal(1, range(2**32, 2**32 + 500), 1, (400,)),
        "step": standard_normal(1, range(500), 2, (400,)),
        "sample for seed": standard_normal(0, range(1, 501), 1, (400,)),
        **{f"{k} places on": first.roll(k, 1) for k in (1, 2, 3, 4, 5)},
    }
    for name, other in others.items():
        other = other.double()
        for f, g in ((first, other), (first**2 - 1, other**2 - 1), (first, other**2 - 1), (first**2 - 1, other)):
            scale = float(f.square().mean().sqrt() * g.square().mean().sqrt())
            assert abs(float((f * g).mean())) < 5 * scale / math.sqrt(f.numel()), name


def test_signs_are_the_bits_of_a_domain_of_their_own() -> None:
    seed, (probe, evaluation), sample = 2**40 + 9, (2, 5), 2**32 + 3
    found = rademacher(seed, [8, sample], probe, evaluation, (150,))[1]
    bits = "".join(f"{w:032b}" for b in (4, 5) for w in plain(seed, (b, 3, 1, 2**31 + evaluation)))
    assert found.tolist() == [2.0 * int(bit) - 1 for bit in bits[:150]]


def test_signs_are_fair_and_independent() -> None:
    drawn: dict[str, Tensor] = {
        "first": rademacher(0, range(300), 0, 0, (200,)),
        "seed": rademacher(1, range(300), 0, 0, (200,)),
        "sample": rademacher(0, range(1, 301), 0, 0, (200,)),
        "probe": rademacher(0, range(300), 1, 0, (200,)),
        "evaluation": rademacher(0, range(300), 0, 1, (200,)),
        "normals": standard_normal(0, range(300), 0, (200,)).sign(),
    }
    drawn["neighbour"] = drawn["first"].roll(1, 1)
    for one in drawn.values():
        assert set(one.unique().tolist()) == {-1.0, 1.0}
        assert abs(float(one.mean())) < 5 / math.sqrt(one.numel())
    for one, other in combinations(drawn.values(), 2):
        assert abs(float((one * other).mean())) < 5 / math.sqrt(one.numel())


@pytest.mark.parametrize("seed", [-1, 2**64, 1.5, "0", True, None])
def test_a_seed_that_is_none_is_refused(seed: object) -> None:
    with pytest.raises(symsi.SymsiError, match="seed must be an integer from 0"):
        check_seed(seed)  # type: ignore[arg-type]
