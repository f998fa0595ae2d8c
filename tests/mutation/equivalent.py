"""Mutants that no test can kill because they compute the same, each with the reason.

Keyed by module, function, change and source line, so that an entry falls with the code that it speaks of.
"""

__all__ = ["EQUIVALENT"]

_SQUARED = "the residual is squared, so that its sign is nothing"
_RANK = "the modes of what is left have one scale: D + r of them less r are the D - r that are counted"
_SAME = "equality and multiplication do not know an order"
_TOLERANCE = "a tolerance: what is refused is off by 1e-6, what rounds by 1e-15, and the size between is free"
_EARLIER = "nodes before those that an order needs are not read"
_FEW = "both are fewer than the two points that a grid has"
_NOTHING = "a zero, added for its shape"
_UNUSED = "an entry or a buffer that is not read"
_MEMORY = "how many products are held at once, and how long: memory, no number"

# "*" stands for every change of a line.
EQUIVALENT: dict[tuple[str, str, str, str], str] = {
    (
        "sampling/drawing.py",
        "Noise.begin",
        "1 -> 2",
        "self.pool = self.pool or ThreadPoolExecutor(1)",
    ): "each draw is a stream of its own, whoever draws it",
    (
        "sampling/moves.py",
        "log_density",
        "(after - mean) / noise -> -((after - mean) / noise)",
        "r = ((after - mean) / noise).flatten(1)",
    ): _SQUARED,
    (
        "sampling/state.py",
        "density",
        "log_density(move_at(plan, k, state.z), mean, after.z, torch.Size(state.shape).numel()) -> "
        "log_density(move_at(plan, k, state.z), after.z, mean, torch.Size(state.shape).numel())",
        "return log_density(move_at(plan, k, state.z), mean, after.z, torch.Size(state.shape).numel())",
    ): _SQUARED,
    ("sampling/moves.py", "log_density", "r.shape[1] - size -> r.shape[1]", "rank = r.shape[1] - size"): _RANK,
    ("sampling/moves.py", "log_density", "r.shape[1] - size -> size", "rank = r.shape[1] - size"): _RANK,
    (
        "sampling/moves.py",
        "log_density",
        "1 -> 2",
        "volume = scale[:, :rank].sum(1) + (size - rank) * scale[:, -1]",
    ): "the last scale but one is the last: at least two modes are left",
    (
        "sampling/moves.py",
        "_add",
        "z.addcmul_(other, weight) -> z.addcmul_(weight, other)",
        "return z.addcmul_(other, weight)",
    ): _SAME,
    (
        "sampling/moves.py",
        "_sum",
        "torch.addcmul(z, other, weight) -> torch.addcmul(z, weight, other)",
        "return torch.add(z, other, alpha=weight) if isinstance(weight, float) else torch.addcmul(z, other, weight)",
    ): _SAME,
    (
        "sampling/moves.py",
        "advance",
        "1 -> 2",
        "given, last = len(ahead), len(terms) - 1 if memory is Memory.ALL else -1",
    ): "no term has a negative number",
    (
        "sampling/moves.py",
        "move_at",
        "1 -> 2",
        "return next(_moves(plan, range(k, k + 1), like, placed=True))",
    ): "the first alone is made",
    (
        "sampling/adaptive.py",
        "adaptive_run",
        "1 -> 2",
        "begin = plan(model, schedule=schedule, steps=1)",
    ): "any plan starts where this one does",
    ("sampling/noise.py", "check_seed", "1 -> 2", "found = -1"): "any negative number is refused",
    (
        "sampling/noise.py",
        "_fill",
        "4 * words.shape[3] -> 4 / words.shape[3]",
        "if part.shape[2] == 4 * words.shape[3]:",
    ): "the way through a buffer gives the same numbers",
    (
        "sampling/noise.py",
        "_fill",
        "4 * words.shape[3] -> 4",
        "if part.shape[2] == 4 * words.shape[3]:",
    ): "the way through a buffer gives the same numbers",
    (
        "sampling/noise.py",
        "_fill",
        "4 * words.shape[3] -> 2 * (4 * words.shape[3])",
        "if part.shape[2] == 4 * words.shape[3]:",
    ): "the way through a buffer gives the same numbers",
    (
        "sampling/noise.py",
        "_fill",
        "4 * words.shape[3] -> -(4 * words.shape[3])",
        "if part.shape[2] == 4 * words.shape[3]:",
    ): "the way through a buffer gives the same numbers",
    (
        "sampling/noise.py",
        "_fill",
        "4 -> 5",
        "if part.shape[2] == 4 * words.shape[3]:",
    ): "the way through a buffer gives the same numbers",
    (
        "sampling/box_muller.py",
        "_constants",
        "np.array(value, np.float32) -> np.array(np.float32, value)",
        "return [np.array(value, np.float32) for value in values]",
    ): "called where the module is imported, and no more",
    (
        "sampling/noise.py",
        "_fill",
        "1 -> 2",
        "part[:] = found.reshape(*words.shape[1:3], -1)[..., : part.shape[2]]",
    ): "NumPy takes any negative length for the one that is left",
    (
        "sampling/noise.py",
        "rademacher",
        "16 * blocks -> -(16 * blocks)",
        "bits = np.unpackbits(octets.reshape(len(low), 16 * blocks), axis=1, count=size)",
    ): "NumPy takes any negative length for the one that is left",
    (
        "sampling/noise.py",
        "_slices",
        "min(begin + size, count) -> max(begin + size, count)",
        "return [slice(begin, min(begin + size, count)) for begin in range(0, count, size)]",
    ): "a slice ends with what it is taken of",
    (
        "sampling/box_muller.py",
        "box_muller",
        "np.multiply(y, radius(w), out=out.transpose(4, 3, 0, 1, 2)) -> "
        "np.multiply(radius(w), y, out=out.transpose(4, 3, 0, 1, 2))",
        "np.multiply(y, radius(w), out=out.transpose(4, 3, 0, 1, 2))",
    ): "factors and sides of an exclusive or may change places",
    (
        "sampling/philox.py",
        "philox",
        "np.broadcast(a, b) -> np.broadcast(b, a)",
        "x = np.empty((2, *np.broadcast(a, b).shape), np.uint64)",
    ): "two shapes broadcast to the same one in any order",
    (
        "sampling/philox.py",
        "philox",
        "np.bitwise_xor((b >> _HALF) * _M1, a << _HALF, out=x[0]) -> "
        "np.bitwise_xor(a << _HALF, (b >> _HALF) * _M1, out=x[0])",
        "np.bitwise_xor((b >> _HALF) * _M1, a << _HALF, out=x[0])",
    ): "factors and sides of an exclusive or may change places",
    (
        "sampling/philox.py",
        "philox",
        "np.bitwise_xor((a >> _HALF) * _M0, b << _HALF, out=x[1]) -> "
        "np.bitwise_xor(b << _HALF, (a >> _HALF) * _M0, out=x[1])",
        "np.bitwise_xor((a >> _HALF) * _M0, b << _HALF, out=x[1])",
    ): "factors and sides of an exclusive or may change places",
    (
        "sampling/paths.py",
        "convert_path",
        "1 -> 2",
        'alpha = float(tabulate(convert(target, target), times[:1], ("alpha",))["alpha"][0])',
    ): _UNUSED,
    (
        "sampling/sample.py",
        "sample",
        "0 -> 1",
        "whole = torch.empty((count, *form) if size < count else (0,), dtype=kind, device=where)",
    ): _UNUSED,
    (
        "solvers/consistency.py",
        "check_spans",
        "_same(nodes[k], clock[step]) -> _same(clock[step], nodes[k])",
        "share = 1.0 if _same(nodes[k], clock[step]) else _share(nodes[k], clock[step - 1], clock[step])",
    ): _SAME,
    (
        "solvers/consistency.py",
        "check_spans",
        "_same(share, 1.0) -> _same(1.0, share)",
        "if _same(share, 1.0) or _same(span.keep, 1.0):",
    ): _SAME,
    (
        "solvers/consistency.py",
        "check_spans",
        "_same(span.keep, 1.0) -> _same(1.0, span.keep)",
        "if _same(share, 1.0) or _same(span.keep, 1.0):",
    ): _SAME,
    ("solvers/consistency.py", "check_form", "0 -> 1", "points = len(grid) if isinstance(grid, tuple) else 0"): _FEW,
    ("solvers/plan.py", "Plan.__post_init__", "0 -> 1", "points = len(grid) if isinstance(grid, tuple) else 0"): _FEW,
    (
        "solvers/planning.py",
        "_common",
        "1.0 -> 2.0",
        'taus = tuple(min(1.0, max(0.0, v)) for v in table["time"].tolist())',
    ): "times are correctly rounded: none passes 1",
    (
        "solvers/consistency.py",
        "_hold_order",
        "*",
        "sizes = [abs(w) * (1 + abs(places[e]) ** power) for e, w in weights.items()]",
    ): _TOLERANCE,
    (
        "solvers/consistency.py",
        "_close",
        "_TOLERANCE * size -> 2 * (_TOLERANCE * size)",
        "return bool(((a - b).abs() <= _TOLERANCE * size).all())",
    ): _TOLERANCE,
    (
        "solvers/consistency.py",
        "_close",
        "_TOLERANCE * sum(map(abs, sizes)) -> 2 * (_TOLERANCE * sum(map(abs, sizes)))",
        "return bool(abs(a - b) <= _TOLERANCE * sum(map(abs, sizes)))",
    ): _TOLERANCE,
    ("solvers/grids.py", "_log_snr", "0.0 -> 1.0", "return [0.0, *(1 / (1 + r) for r in between), 1.0]"): _UNUSED,
    ("solvers/grids.py", "_log_snr", "1.0 -> 2.0", "return [0.0, *(1 / (1 + r) for r in between), 1.0]"): _UNUSED,
}

EQUIVALENT["solvers/regression.py", "solve", "1.0 -> 2.0", "scale = torch.where(size > 0, size, 1.0).rsqrt()"] = (
    "a column of zeros moves nothing, whatever its scale"
)

EQUIVALENT[
    "solvers/gaussian.py",
    "gaussian_table",
    "root * size -> -(root * size)",
    "exact = [torch.cat([root * size, b * spectrum.means]) for size, b in zip(sizes, beta, strict=True)]",
] = "noise has no sign"

_NODES = {
    ("solvers/modal.py", "modal"): "nodes.natural[max(0, k + 1 - order) : k + 2].unbind(0), order",
    ("solvers/multistep.py", "multistep"): "nodes.grid[max(0, k + 1 - order) : k + 2], order",
}
EQUIVALENT |= {
    (*place, f"k + 1 -> {changed}", f"weights = adams_bashforth({given})"): _EARLIER
    for place, given in _NODES.items()
    for changed in ("k - 1", "k", "1")
}
EQUIVALENT[
    "solvers/modal.py",
    "as_coefficient",
    "0 -> 1",
    "if isinstance(value, Tensor) and (value.numel() == 1 or bool((value == value.flatten()[0]).all())):",
] = "where all are equal, each is the first"
_EQUATION = ("_settled(simplify(self.base.ratio).subs(t, tau))", "_settled(simplify(self.target.ratio))")
EQUIVALENT[
    "theory/conversion.py",
    "Conversion.time_equation",
    "Eq({0}, {1}, evaluate=False) -> Eq({1}, {0}, evaluate=False)".format(*_EQUATION),
    "return Eq(",
] = "an equation read from the other side"
_LINES = "_sign(order) * Mul(*(lines[i][order[i]] for i in size))"
EQUIVALENT[
    "interpolants/rows.py",
    "_sign",
    "i + 1 -> i",
    "swaps = sum(order[i] > order[j] for i in range(len(order)) for j in range(i + 1, len(order)))",
] = "nothing is greater than itself"
EQUIVALENT[
    "interpolants/rows.py", "_sign", "Integer(-1) ** swaps -> Integer(-1) ** (swaps + 1)", "return Integer(-1) ** swaps"
] = "a factor of both determinants, of which the quotient is taken"
EQUIVALENT |= {
    (
        "interpolants/rows.py",
        "_determinant",
        f"{_LINES} -> {changed}",
        f"return Add(*({_LINES} for order in permutations(size)))",
    ): "a factor of both determinants, of which the quotient is taken"
    for changed in (f"2 * ({_LINES})", f"-({_LINES})")
}
for _function, _text in (
    ("_time_at", "return solve_ratio(conversion.base, evaluate(ratio, {**given, t: time}, 2 * digits), digits, given)"),
    ("solve_ratio", "with mpmath.workdps(2 * digits):"),
):
    EQUIVALENT["theory/conversion_numbers.py", _function, "2 -> 3", _text] = "digits to spare"
EQUIVALENT[
    "theory/conversion_series.py", "end_value", "0 -> 1", "power, value = found.leading if found.terms else (0, None)"
] = "without a value it is 0 at any power"
EQUIVALENT[
    "interpolants/schedule.py",
    "_ends",
    "same(alpha_0, Integer(0)) -> same(Integer(0), alpha_0)",
    "if same(alpha_0, Integer(0)):",
] = _SAME
EQUIVALENT[
    "interpolants/schedule.py", "same", "100 -> 101", 'return bool(abs(evaluate(gap, {}, 100)) < mpf("1e-60"))'
] = "digits to spare"
EQUIVALENT["theory/conversion_series.py", "end_value", "8 -> 9", "for size in (4, 8):"] = "more terms than are needed"
EQUIVALENT[
    "theory/conversion_series.py",
    "_time_at_start",
    "2 * EXACT_DIGITS -> EXACT_DIGITS",
    "wanted = evaluate(conversion.target.start_ratio, {}, 2 * EXACT_DIGITS)",
] = "digits to spare"
EQUIVALENT["theory/conversion.py", "_settled", "3 -> 4", "for _ in range(3):"] = "two rounds settle a form"
EQUIVALENT["theory/conversion_numbers.py", "vanishing", "10 -> 11", "point = _probe(conversion, k, digits + 10)"] = (
    "digits to spare"
)
EQUIVALENT[
    "theory/conversion.py",
    "Conversion.zero",
    "zero_between(self, name, low, high, parameters) -> zero_between(self, name, high, low, parameters)",
    "return zero_between(self, name, low, high, parameters)",
] = "an interval read from the other side"
EQUIVALENT[
    "theory/functions.py",
    "Functions.zero",
    "zero_between(self, name, low, high, parameters) -> zero_between(self, name, high, low, parameters)",
    "return zero_between(self, name, low, high, parameters)",
] = "an interval read from the other side"
EQUIVALENT[
    "sampling/moves.py",
    "_onto",
    "scaled.stride() == z.stride() -> scaled.stride() != z.stride()",
    "total = scaled.add_(z) if scaled.stride() == z.stride() else z + scaled",
] = "the same sum in another layout"
EQUIVALENT |= {
    (
        "solvers/planning.py",
        "_nodes",
        f"len(times) - 1 -> len(times){more}",
        "spread = torch.zeros(len(times) - 1, dtype=torch.float64)",
    ): _UNUSED
    for more in ("", " + 1")
}
EQUIVALENT[
    "coefficients/fused.py",
    "_eager",
    "torch.mul(x, a, out=out) -> torch.mul(a, x, out=out)",
    "torch.mul(x, a, out=out)",
] = _SAME
EQUIVALENT |= {
    (
        "coefficients/compiled.py",
        "compiled",
        "16 -> 17",
        'file = f"symsi_{hashlib.sha256(around.encode()).hexdigest()[:16]}"',
    ): ("so many digits or one more tell texts apart"),
    (
        "coefficients/compiled.py",
        "evaluate_on",
        "0 * value -> -(0 * value)",
        "nothing = sum(0 * value for value in point.values())",
    ): _NOTHING,
    (
        "coefficients/compiled.py",
        "evaluate_on",
        "torch.as_tensor(value, dtype=torch.float64) + nothing -> "
        "torch.as_tensor(value, dtype=torch.float64) - nothing",
        "return {name: torch.as_tensor(value, dtype=torch.float64) + nothing for name, value in found.items()}",
    ): _NOTHING,
    (
        "coefficients/modal.py",
        "_natural_at",
        "20 -> 21",
        "found = float(evaluate(natural_variable(_W, kappa), {_W: w}, 20))",
    ): "digits beyond float64's",
    (
        "coefficients/program.py",
        "End.divergence",
        "0.0 -> 1.0",
        'return f"{name} has no limit that is known" if isnan(self.limits.get(name, 0.0)) else ""',
    ): "any number: it is asked whether it is nan",
    ("coefficients/program.py", "_end", "2.0 -> 3.0", "whole = End(2.0, series)"): "every distance is at most 1",
    (
        "coefficients/program.py",
        "_end",
        "1.0 -> 2.0",
        "chosen, accuracy = best or (End(-1.0, {}, {n: _limit(given, n, end) for n in given.coefficients}), 0.0)",
    ): "every distance is at least 0",
    (
        "coefficients/program.py",
        "_zero",
        "_relative(sum((c * w ** int(p) for p, c in terms)), truth) -> "
        "_relative(truth, sum((c * w ** int(p) for p, c in terms)))",
        "errors.append(_relative(sum(c * w ** int(p) for p, c in terms), truth))",
    ): "relative to the one or the other, errors below 2^-45 are the same",
    (
        "coefficients/program.py",
        "_terms",
        "0 -> 1",
        "return tuple((p, float(mpmath.re(c.values[0]))) for p, c in series.terms)",
    ): "two draws of the parameters: a program has none",
    (
        "coefficients/source.py",
        "coefficients_source",
        "1 + start -> 1",
        'f"    up_to_the_ends = formulas(torch.where(ends, {(1 + start) / 2!r}, t))",',
    ): "any time inside serves where the formula is not read",
    ("coefficients/source.py", "_distance", "0 -> 1", "if program.start == 0:"): "t less 0, and not below 0, is t",
    (
        "coefficients/tables.py",
        "Table.__eq__",
        "torch.equal(self.grid, other.grid) -> torch.equal(other.grid, self.grid)",
        "same = self.keys() == other.keys() and torch.equal(self.grid, other.grid)",
    ): _SAME,
    (
        "coefficients/tables.py",
        "Table.__eq__",
        "torch.equal(column, other[name]) -> torch.equal(other[name], column)",
        "return same and all(torch.equal(column, other[name]) for name, column in self.items())",
    ): _SAME,
    (
        "coefficients/tables.py",
        "_digits",
        "math.ceil -> math.floor",
        "return _DIGITS + 3 * math.ceil(-math.log10(distance))",
    ): "three digits of the thirteen to spare",
    (
        "coefficients/modal.py",
        "_natural",
        "0 -> 1",
        "if kappa in (0, 1):",
    ): "value by value the numbers of kappa = 0 are the same, and come later",
    ("solvers/heun.py", "heun", "0 -> 1", "if k + 1 == len(nodes.field[0]):"): "both columns of a field are as long",
    (
        "sampling/sample.py",
        "sample",
        "*",
        "shown.total = made.evaluations * -(-count // size)",
    ): "how long a bar of progress is",
    ("sampling/divergence.py", "exact_trace", "1 -> 2", "chunk = max(1, _NUMBERS // x.numel())"): _MEMORY,
    **{
        (
            "sampling/divergence.py",
            "exact_trace",
            f"begin + chunk -> {other}",
            "found = _products(prediction, x, weighed, time, last=begin + chunk >= size)",
        ): _MEMORY
        for other in ("begin - chunk", "begin", "chunk")
    },
    **{
        (
            "sampling/divergence.py",
            "probed_traces",
            f"probe + 1 -> {other}",
            "(found,) = _products(prediction, x, weigh(n)[None], time, last=probe + 1 == probes)",
        ): _MEMORY
        for other in ("probe - 1", "probe", "1")
    },
    (
        "sampling/divergence.py",
        "probed_traces",
        "found * n -> found / n",
        "columns.append((found * n).flatten(1).sum(1, dtype=torch.float64))",
    ): "a sign is its own inverse",
    **{
        (
            "sampling/likelihood.py",
            "_flow",
            f"len(each) - size -> {other}",
            "rank = len(each) - size  # of a low-rank basis, "
            "whose last D numbers are what is left in D - rank dimensions",
        ): _RANK
        for other in ("len(each)", "size")
    },
    (
        "sampling/likelihood.py",
        "_rows",
        "1.0 -> 2.0",
        "options = options_of(check_plan(plan, model, options, shape, 1.0))",
    ): "fitted plans alone know a guidance, and are refused",
    **{
        (
            "sampling/likelihood.py",
            "_flow",
            f"max((len(s.weights) for s in rows.stages)) - 1 -> max((len(s.weights) for s in rows.stages)){other}",
            "fields = [field, *fields[: max(len(s.weights) for s in rows.stages) - 1]]",
        ): _UNUSED
        for other in (" + 1", "")
    },
    (
        "sampling/likelihood.py",
        "_flow",
        "_check_finite(nats, z, said, stage.time, begin) -> _check_finite(nats, said, z, stage.time, begin)",
        "_check_finite(nats, z, said, stage.time, begin)",
    ): "where a prediction is not finite, the state after it is not",
    **{
        ("solvers/backward.py", "_plain", what, "spread=(0.0,) * (len(points) - 1),"): _UNUSED
        for what in ("0.0 -> 1.0", "len(points) - 1 -> len(points) + 1", "len(points) - 1 -> len(points)")
    },
    ("solvers/backward.py", "_plain", "1.0 -> 2.0", "start=1.0,"): _UNUSED,
    (
        "solvers/backward.py",
        "_plain",
        "1.0 -> 2.0",
        'taus = [min(1.0, max(0.0, v)) for v in table["time"].tolist()]',
    ): "tables of times end at 1, and no earlier time rounds beyond it",
}
EQUIVALENT |= {
    (
        "solvers/backward.py",
        "_modal",
        "1.0 -> 2.0",
        'taus = [min(1.0, max(0.0, v)) for v in table["time"].tolist()]',
    ): "tables of times end at 1, and no earlier time rounds beyond it",
    (
        "solvers/bridge_planning.py",
        "_times",
        "math.pi * u -> -(math.pi * u)",
        "return tuple((1 - math.cos(math.pi * u)) / 2 for u in even) if cosine else even",
    ): "a cosine has no sign",
    (
        "solvers/bridge_planning.py",
        "_nodes",
        "-1 -> 1",
        "rising = times[0] < times[-1]",
    ): "a grid goes one way: its second point lies where its last does",
    (
        "solvers/bridge_planning.py",
        "_data",
        "-1 -> 1",
        'goal = "x1" if times[0] < times[-1] else "x0"',
    ): "a grid goes one way: its second point lies where its last does",
    ("solvers/bridge_planning.py", "_nodes", "1.0 -> 2.0", "start=1.0,"): _UNUSED,
    (
        "solvers/bridge_planning.py",
        "_data",
        "0.0 -> 1.0",
        "return tuple((0.0,) * len(before) + (float(table[name]),) for name in names)",
    ): _UNUSED,
    (
        "solvers/flow_map.py",
        "map_plan",
        "1 -> 2",
        'table = tabulate(convert(own, own), times[:1], ("alpha", "beta"))',
    ): _UNUSED,
    **{
        (
            "coefficients/flow_map.py",
            "map_coefficients",
            what,
            "later = torch.where(same, start + 1, stop)  # anything else: the other branch is taken there",
        ): "anything but the start will do"
        for what in ("start + 1 -> start - 1", "1 -> 2")
    },
    (
        "theory/two_gaussians.py",
        "gaussian_bridge",
        "bridge_gamma_squared(variance_0, variance_1, sigma) -> bridge_gamma_squared(variance_1, variance_0, sigma)",
        "gamma = sqrt(bridge_gamma_squared(variance_0, variance_1, sigma))",
    ): "gamma^2 knows the product of the variances alone",
    (
        "interpolants/rows.py",
        "_sign",
        "order[i] > order[j] -> order[i] <= order[j]",
        "swaps = sum(order[i] > order[j] for i in range(len(order)) for j in range(i + 1, len(order)))",
    ): "pairs in order are all pairs less the swaps: a factor of both determinants, of which the quotient is taken",
}
