"""T24: tables fitted by least squares."""

from collections.abc import Mapping, Sequence

from sympy import Expr, Integer, Matrix, Poly, Symbol, diff, eye, sqrt, symbols

from symsi.algebra.proof import Derivation, Proof
from symsi.interpolants.rows import Pair
from symsi.proofs import run_script
from symsi.theory.fields import PREDICTIONS, predict
from symsi.theory.gaussian import flow_map, gaussian_field, hidden
from symsi.theory.regression import best_row, least_error, moments_of_modes, ridge_row, squared_error

ZERO, ONE = Integer(0), Integer(1)


def prove() -> Proof:
    """Prove what the best table is, that it is the only one, and what it is on Gaussian data."""
    d = Derivation(
        "T24",
        "Tables fitted by least squares",
        "Let a solver without noise make N evaluations P_0, ..., P_{N-1} from the state z, each at a state that it has "
        "by then, and let y be where the ODE takes z. A row r stands for the state sum_i r_i c_i of the columns "
        "c = (z, P_0, P_1, ...); G = E[c c'], b = E[c y], s = E[y^2].",
        "derived for symsi; the normal equations are Gauss's (1809)",
    )
    d.claim("a", "Every such solver is a lower-triangular table: x_{k+1} = A_k z + sum_{j <= k} B_kj P_j.")
    d.claim(
        "b",
        "Such a table is a solver that keeps its state, where A does not vanish: x_{k+1} = q x_k + "
        "sum_j (B_kj - q B_{k-1,j}) P_j with q = A_k/A_{k-1}.",
    )
    d.claim("c", "For given times and inner rows E|r.c - y|^2 = s - 2 r.b + r.Gr, least only where G r = b.")
    d.claim("d", "Where G is positive definite r* = G^-1 b is the only minimum: r exceeds it by (r - r*).G(r - r*).")
    d.claim("e", "What is left there is s - b.G^-1 b.")
    d.claim("f", "For any number of columns: a further one c keeps the minimum unique iff its rest S = E[e^2] > 0.")
    d.claim("g", "A ridge towards a row r0 has the one minimum (G + lambda R)(r - r0) = b - G r0, whatever G is.")
    d.claim(
        "h", "On N(m, U diag(mu) U') each mode is a factor of z and one of m: P = p z + (...) m, y = sqrt(mu) z + m."
    )
    d.claim("i", "So G, b and s are sums over the modes, of closed forms in mu.")
    d.claim("j", "At alpha = 1, beta = 0 and m = 0 all modes have one p, and P_0 is a multiple of z: G is singular.")
    d.claim("k", "One mode: a row without evaluations is exact, and every r with r_0 + r_1 p_0 = sqrt(mu).")
    d.claim("l", "Two modes and m = 0: one evaluation at beta > 0 is exact.")
    d.claim(
        "m",
        "From noise, m = 0: states and predictions are combinations of 1 and 1/(1 + rho_j^2 mu), j = 1, ..., N-1, in "
        "every mode, so that the last row approximates sqrt(mu) by a rational function, a pole each later time.",
    )
    d.claim(
        "n", "So, where the inner rows keep each pole, N evaluations from noise are exact for N modes: N = 2, N = 3."
    )
    d.claim("o", "So they are for every N.")
    _tables(d)
    _normal(d)
    _one_more(d)
    _ridge(d)
    _modes(d)
    _exact(d)
    return d.proof()


def _tables(d: Derivation) -> None:
    """A state that is kept and a field that is added leave a combination of z and the predictions."""
    keep, a, weight, state, gain = (d.real(n) for n in ("keep", "A", "w", "state", "gain"))
    z, made, now, then, before = (d.real(n) for n in ("z", "S_P", "P_k", "a_F", "S_F"))
    d.say("By induction: let x_k = A z + S_P and the weighted earlier fields be a_F z + S_F, both of P_0 to P_{k-1}.")
    x = a * z + made
    after = keep * x + weight * (state * x + gain * now) + then * z + before
    d.equal(
        "Then so is x_{k+1}, of P_0 to P_k; x_0 = z.",
        after,
        ((keep + weight * state) * a + then) * z + ((keep + weight * state) * made + before) + weight * gain * now,
        "linear",
        "a",
    )
    field = state * x + gain * now
    d.equal("And so is its field.", field, state * a * z + state * made + gain * now, "linear", "a")
    c, old, new, q = d.symbol("A_k"), d.real("B_old"), d.real("B_new"), d.symbol("A_p")
    d.equal(
        "A row from the one before it.",
        c / q * (q * z + old * made) + (new - c / q * old) * made + gain * now,
        c * z + new * made + gain * now,
        "A_p does not vanish",
        "b",
    )


def _normal(d: Derivation) -> None:
    """The normal equations of three columns, and the only minimum."""
    size = 3
    row, best = (Matrix([d.real(f"{n}{i}") for i in range(size)]) for n in ("r", "h"))
    columns, y = symbols("c0:3"), Symbol("y")
    gram, target, square = _moments(d, "G", size), Matrix([d.real(f"b{i}") for i in range(size)]), d.symbol("s")
    known = _products(columns, y, gram, target, square)
    error = squared_error(row, gram, target, square)
    wrong = y - sum((r * c for r, c in zip(row, columns, strict=True)), ZERO)
    d.equal("The square, term by term.", _mean(wrong**2, known), error, "E is linear", "c")
    lower = Matrix([d.real(f"d{i}") for i in range(size)])
    slope = sum((diff(error, r) * l for r, l in zip(row, lower, strict=True)), ZERO)
    d.equal(
        "Its slope in a direction d: none in any iff G r = b.",
        slope,
        2 * lower.dot(gram * row - target),
        "derivative",
        "c",
    )
    d.say("Let a row h solve the normal equations: b = G h.")
    off = row - best
    excess = error - squared_error(best, gram, gram * best, square)
    d.equal(
        "It has the least error.",
        excess.subs(zip(target, gram * best, strict=True)),
        off.dot(gram * off),
        "G is symmetric",
        ("c", "d"),
    )
    d.equal(
        "Its excess is a sum of squares, all positive iff the pivots are: iff G is positive definite.",
        lower.dot(gram * lower),
        sum((p * u.dot(lower) ** 2 for p, u in _pivots(gram)), ZERO),
        "elimination",
        "d",
    )
    two = (gram[:2, :2], Matrix(target[:2]))
    for i in range(2):
        d.equal(
            f"Two columns: the row as coded, equation {i}.",
            two[0].row(i).dot(best_row(*two)),
            target[i],
            "Cramer's rule",
            "d",
        )
    d.equal(
        "Its error as coded.", squared_error(best_row(*two), *two, square), least_error(*two, square), "G r = b", "e"
    )


def _one_more(d: Derivation) -> None:
    """Induction on the number of columns, by what of a further one the others cannot say."""
    d.say(
        "Let e_y and e be what is left of y and of a further column c beside their best rows: by (c) without moment "
        "with any combination u of the others. A row r.c + q c ends q e + u away from y's best one."
    )
    rest, aim, with_y, size, q = d.real("S"), d.real("S_y"), d.real("S_ey"), d.real("U"), d.real("q")
    y, e, u = symbols("e_y e u")
    known = {y * y: aim, e * e: rest, y * e: with_y, u * u: size, y * u: ZERO, e * u: ZERO}
    error = _mean((y - q * e - u) ** 2, known)
    d.equal(
        "Its error, where S is not 0: one q and u = 0 are the least.",
        error,
        rest * (q - with_y / rest) ** 2 + aim - with_y**2 / rest + size,
        "complete the square",
        "f",
    )
    move = d.real("v")
    d.equal(
        "Where S is 0 so is S_ey: with q = v S_ey the square would be negative for some v.",
        error.subs({q: move * with_y, size: ZERO}),
        aim - move * with_y**2 * (2 - move * rest),
        "substitution",
        "f",
    )
    d.equal(
        "Then q changes nothing: there is a line of minima.",
        error - error.subs(q, ZERO),
        q * (q * rest - 2 * with_y),
        "substitution",
        "f",
    )


def _ridge(d: Derivation) -> None:
    """The ridge towards a row."""
    size = 2
    row, prior = (Matrix([d.real(f"{n}{i}") for i in range(size)]) for n in ("r", "g"))
    weights, ridge = [d.symbol(f"R{i}") for i in range(size)], d.symbol("lamda")
    gram, target, square = _moments(d, "G", 3)[:2, :2], Matrix([d.real(f"b{i}") for i in range(size)]), d.symbol("s")
    off = row - prior
    cost = squared_error(row, gram, target, square) + ridge * sum(
        (w * o**2 for w, o in zip(weights, off, strict=True)), ZERO
    )
    found = ridge_row(gram, target, prior, weights, ridge)
    at = dict(zip(row, found, strict=True))
    for i in range(size):
        d.equal(f"The coded row: slope in r{i}.", diff(cost, row[i]).subs(at), 0, "Cramer's rule", "g")
    move, columns = Matrix([d.real(f"d{i}") for i in range(size)]), symbols("c0:2")
    seen = sum((m * c for m, c in zip(move, columns, strict=True)), ZERO)
    known = _products(columns, Symbol("y"), gram, target, square)
    d.equal(
        "Half its second derivative in any direction is a square's mean and a positive sum: no other minimum.",
        sum((diff(cost, row[i], row[j]) * move[i] * move[j] for i in range(size) for j in range(size)), ZERO) / 2,
        _mean(seen**2, known) + ridge * (weights[0] * move[0] ** 2 + weights[1] * move[1] ** 2),
        "E is linear",
        "g",
    )


def _modes(d: Derivation) -> None:
    """A Gaussian's columns by mode."""
    t = d.symbol("t", 0, 1)
    p = Pair.of(d.function("alpha")(t), d.function("beta")(t), t)
    mu, z, m, a, f = d.symbol("mu"), d.real("z"), d.real("m"), d.real("a"), d.real("f")
    noise, end = Pair(ONE, ZERO, d.real("u"), d.real("v")), Pair(ZERO, ONE, ZERO, ZERO)
    x = a * z + f * m
    for kind in PREDICTIONS:
        data = predict(p, "data", kind)
        gain = gaussian_field(p, "data", ONE, ZERO, mu)
        d.equal(
            f"P at x = a z + f m, for a network of {kind}.",
            gaussian_field(p, kind, x, m, mu),
            (data.state + data.prediction * gain) * x + data.prediction * (1 - p.beta * gain) * m,
            "T1, T8",
            "h",
        )
    inner = flow_map(noise, p, z, m, mu)
    d.say("Where the ODE takes z, from alpha = 1 and beta = 0, until t:", inner)
    d.equal("The target, on from there.", flow_map(p, end, inner, m, mu), sqrt(mu) * z + m, "T8", "h")
    half = d.real("q")
    turn = Matrix([[1 - half**2, -2 * half], [2 * half, 1 - half**2]]) / (1 + half**2)
    d.say("Any rotation by its half angle's tangent q, as in T12:", turn)
    first, second = ([d.real(f"{n}{i}") for i in (1, 2)] for n in ("p", "y"))
    seeds = symbols("z1 z2")
    own = {seeds[0] ** 2: ONE, seeds[1] ** 2: ONE, seeds[0] * seeds[1]: ZERO}
    one, other = (turn * Matrix.diag(*g) * turn.T * Matrix(seeds) for g in (first, second))
    (gram, target, square) = moments_of_modes([first], second)
    d.equal(
        "Two modes in any basis: E[c.y], z of unit variance,", _mean(one.dot(other), own), target[0], "E[z z'] = 1", "i"
    )
    d.equal("E[c.c],", _mean(one.dot(one), own), gram[0, 0], "E[z z'] = 1", "i")
    d.equal("E[y.y].", _mean(other.dot(other), own), square, "E[z z'] = 1", "i")
    fixed, spread = [d.real(f"m{i}") for i in (1, 2)], [d.real(f"f{i}") for i in (1, 2)]
    away = one + turn * Matrix([s * c for s, c in zip(spread, fixed, strict=True)])
    shifted, _, _ = moments_of_modes([[*first, *(s * c for s, c in zip(spread, fixed, strict=True))]], [ZERO] * 4)
    d.equal(
        "With a mean: a source more for each mode.",
        _mean(away.dot(away), own | _still(seeds)),
        shifted[0, 0],
        "E[z] = 0",
        "i",
    )
    beta, shares = d.symbol("beta_0"), [d.real(f"a{i}") for i in (1, 2)]
    near = Pair(ONE, beta, noise.alpha_dot, noise.beta_dot)
    values = {"velocity": noise.alpha_dot, "score": -ONE, "noise": ONE, "data": ZERO}
    for kind, value in values.items():
        d.tends(
            f"P_0 of a network of {kind} knows no mu.",
            gaussian_field(near, kind, z, ZERO, mu),
            beta,
            value * z,
            proves="j",
        )
    gram, _, _ = moments_of_modes([shares, [first[0] * a for a in shares]], [ZERO, ZERO])
    d.equal("So z and P_0 have no determinant.", gram[0, 0] * gram[1, 1], gram[0, 1] * gram[1, 0], "the same p", "j")


def _exact(d: Derivation) -> None:
    """Which spectra are exact, and the functions of mu that a table can be."""
    mu, free, p0 = d.symbol("mu"), d.real("r1"), d.real("p0")
    moments = moments_of_modes([[ONE], [p0]], [sqrt(mu)])
    d.equal(
        "Any r_1, or none.", squared_error(Matrix([sqrt(mu) - free * p0, free]), *moments), 0, "y = sqrt(mu) z", "k"
    )

    rho = [d.symbol(f"rho{j}") for j in (1, 2)]
    at = [Pair(ONE, r, ZERO, ONE) for r in rho]
    modes = [d.symbol(f"mu{i}") for i in (1, 2, 3)]
    state, gain, beta = d.real("state"), d.real("gain"), d.symbol("beta_j")
    alpha = d.symbol("alpha_j")
    p = Pair(alpha, beta, ZERO, ONE)
    still = hidden(p, mu)
    d.equal(
        "1/(1 + rho^2 mu) is what of a mode is hidden, as coded.", still, 1 / (1 + p.ratio**2 * mu), "division", "m"
    )
    d.equal(
        "Any prediction, state x + gain eta_X by T1, is affine in it.",
        state + gain * gaussian_field(p, "data", ONE, ZERO, mu),
        state + gain / beta - gain / beta * still,
        "T8",
        ("l", "m"),
    )
    one, two = (hidden(q, mu) for q in at)
    d.equal(
        "A product of two of them, of other times, is a combination: so is P_k of a state that is one.",
        one * two,
        (rho[0] ** 2 * one - rho[1] ** 2 * two) / (rho[0] ** 2 - rho[1] ** 2),
        "partial fractions",
        "m",
    )
    values = [[ONE for _ in modes], *([hidden(q, v) for v in modes] for q in at)]
    gap = Matrix([row[:2] for row in values[:2]]).det()
    d.equal(
        "Two modes: z and P_1 (or P_0 at beta > 0) are independent.",
        gap,
        rho[0] ** 2 * (modes[0] - modes[1]) * values[1][0] * values[1][1],
        "determinant",
        ("l", "n"),
    )
    own = [d.real(f"p{i}") for i in (1, 2)]
    slope = (sqrt(modes[0]) - sqrt(modes[1])) / (own[0] - own[1])
    pair = moments_of_modes([[ONE, ONE], own], [sqrt(v) for v in modes[:2]])
    d.equal(
        "Where p differs, this row is exact.",
        squared_error(Matrix([sqrt(modes[0]) - slope * own[0], slope]), *pair),
        0,
        "two equations",
        ("l", "n"),
    )
    d.equal("It is the coded one.", best_row(*pair[:2])[1], slope, "G r = b", ("l", "n"))
    whole = rho[0] ** 2 * rho[1] ** 2 * (rho[1] ** 2 - rho[0] ** 2)
    for i, j in ((0, 1), (0, 2), (1, 2)):
        whole *= modes[i] - modes[j]
    for row in values[1:]:
        whole *= row[0] * row[1] * row[2]
    d.equal(
        "Three modes: no determinant of three columns vanishes either.",
        Matrix(values).det(),
        whole,
        "Cauchy's determinant",
        "n",
    )
    d.cite("o", "the determinant of the entries 1/(1 + rho_j^2 mu_i) is a product of differences", "Cauchy 1841")


def _moments(d: Derivation, name: str, size: int) -> Matrix:
    """A symmetric matrix of real unknowns."""
    return Matrix(size, size, lambda i, j: d.real(f"{name}{min(i, j)}{max(i, j)}"))


def _products(columns: Sequence[Symbol], y: Symbol, gram: Matrix, target: Matrix, square: Expr) -> dict[Expr, Expr]:
    """What the mean of each product of two columns, and of a column and the target, is called."""
    size = range(len(columns))
    found = {columns[i] * columns[j]: gram[i, j] for i in size for j in size}
    return found | {columns[i] * y: target[i] for i in size} | {y * y: square}


def _still(seeds: Sequence[Symbol]) -> dict[Expr, Expr]:
    return {seeds[0]: ZERO, seeds[1]: ZERO, ONE: ONE}


def _mean(expr: Expr, known: Mapping[Expr, Expr]) -> Expr:
    """E of a polynomial in random variables, term by term, by the means of its monomials."""
    names = sorted({s for product in known for s in product.free_symbols}, key=str)
    terms = Poly(expr, *names).terms()
    return sum((c * known[_monomial(names, powers)] for powers, c in terms), ZERO)


def _monomial(names: Sequence[Symbol], powers: Sequence[int]) -> Expr:
    found: Expr = ONE
    for name, power in zip(names, powers, strict=True):
        found *= name**power
    return found


def _pivots(gram: Matrix) -> list[tuple[Expr, Matrix]]:
    """Elimination of three columns: the pivots, and the row of each."""
    first = gram[0, 0]
    rest = gram[1:, 1:] - gram[1:, :1] * gram[:1, 1:] / first
    second, third = rest[0, 0], rest[1, 1] - rest[0, 1] ** 2 / rest[0, 0]
    ones = eye(3)
    return [
        (first, Matrix([1, gram[0, 1] / first, gram[0, 2] / first])),
        (second, Matrix([0, 1, rest[0, 1] / second])),
        (third, ones.col(2)),
    ]


if __name__ == "__main__":
    run_script(prove)
