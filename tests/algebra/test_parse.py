"""The whitelist parser: what it reads, and that nothing else gets through."""

import contextlib
import time

import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

import symsi
from symsi.algebra.parse import FUNCTIONS, as_expression, parse
from symsi.errors import ParseError

t = sp.Symbol("t")

ATTACKS = """
__import__('os').system('true')
__import__("subprocess").run("true")
open('/etc/passwd').read()
eval('1')
exec('1')
compile('1','','eval')
globals()
locals()
vars()
dir()
getattr(t,'real')
setattr(t,'a',1)
t.real
t.__class__
t.__class__.__mro__
(1).__class__
().__class__.__bases__[0].__subclasses__()
''.join(['a'])
'abc'
b'abc'
"t"
f'{t}'
f"{__import__('os')}"
'{0.__class__}'.format(t)
'%s' % t
t[0]
t[::2]
[t]
[x for x in (1,2)]
{t: 1}
{t}
(t, t)
(x for x in t)
lambda: t
lambda x: x
(lambda: __import__('os'))()
(x := 3)
t if t else 1
t and 1
t or 1
not t
~t
t < 1
t == 1
t in t
t is t
t @ t
t // 2
t % 2
t << 2
t >> 1
t | 1
t & 1
t ^ 2
*t
sin(*t)
sin(x=t)
sin(**t)
sin(t, t)
sin()
sin
await t
yield t
print(t)
input()
exit()
sympify('t')
Symbol('x')
S(1)
Integer(1)
Function('f')(t)
limit(t, t, 0)
integrate(t, t)
factorial(99999)
factorial(t)
gamma(t)
Matrix([1])
Lambda(t, t)
True
None
Ellipsis
...
1j
2j*t
0x10
0b11
0o7
t; t
t = 1
import os
del t
pass
return t
# t
1/0
0**-1
t/0
log(0)
sqrt(-1)
(-1)**0.5
acos(2)
1e400*1e400*1e400*1e400
9**9**9**9
9**9**9
2**(2**(2**(2**2)))
(2**64)**64
t**1000000
10**(10**10)
exp(exp(exp(exp(9))))
exp(10000000)
t**exp(100)
x
tt
n*t
alpha
π*t
ｔ
𝓉
t²
2×t
1−t
t‮
сos(t)
sin\u200b(t)
oo
zoo
nan
I
inf
-oo*t
pi pi
2t
2(t)
t t
1 +
* t
((t)
t)
sin(t
t,
@t
$t
t?
`t`
t!
!t
\\
{}
[]
()
""".strip().splitlines()


@pytest.mark.parametrize("attack", [*ATTACKS, "", "   ", "t\nt", "t\x00", "t\x0b+1", "\ufeff1-t", "t+1\r"])
def test_anything_outside_the_vocabulary_is_refused(attack: str) -> None:
    started = time.perf_counter()
    with pytest.raises(ParseError) as refusal:
        parse(attack)
    assert time.perf_counter() - started < 1
    assert len(str(refusal.value)) < 500
    assert str(refusal.value).isascii()


@pytest.mark.parametrize(
    "bomb", ["t+" * 50_000 + "t", "(" * 1000 + "t" + ")" * 1000, "-" * 3000 + "t", "sin(" * 900 + "t" + ")" * 900]
)
def test_oversized_text_is_refused_within_a_second(bomb: str) -> None:
    started = time.perf_counter()
    with pytest.raises(ParseError):
        parse(bomb)
    assert time.perf_counter() - started < 1


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1-t", 1 - t),
        ("0.1*t", t / 10),
        ("2.5e-3", sp.Rational(1, 400)),
        ("1_000*t", 1000 * t),
        ("+t", t),
        ("-t**2", -(t**2)),
        ("t**-1", 1 / t),
        ("sqrt(1-t**2)", sp.sqrt(1 - t**2)),
        ("cos(pi*t/2)", sp.cos(sp.pi * t / 2)),
        ("expm1(t)", sp.exp(t) - 1),
        ("log1p(t)", sp.log(1 + t)),
        ("ln(E)", sp.Integer(1)),
        ("t*exp(t - 1)", t * sp.exp(t - 1)),
        (" 1 - t ", 1 - t),
    ],
)
def test_formulas_are_read_exactly(text: str, value: sp.Expr) -> None:
    assert parse(text) == value


def test_declared_symbols_are_read_without_assumptions() -> None:
    assert parse("t**n", symbols=("t", "n")) == t ** sp.Symbol("n")


PIECES = "Piecewise((1 - t, t < 1/2), (0, t < 3/4), (t**2, True))"


def test_pieces_are_read_where_they_are_asked_for() -> None:
    t = sp.Symbol("t")
    wanted = sp.Piecewise((1 - t, t < sp.Rational(1, 2)), (0, t < sp.Rational(3, 4)), (t**2, True))
    assert parse(PIECES, pieces=True) == wanted
    assert parse(f"t*{PIECES} + 1", pieces=True) == t * wanted + 1
    assert sp.sstr(wanted).replace(" ", "") == PIECES.replace(" ", "")
    with pytest.raises(ParseError, match="unknown function 'Piecewise'"):
        parse(PIECES)


@pytest.mark.parametrize(
    "pieces",
    [
        "(t, t > 1/2)",
        "(t, t < t)",
        "(t, 1 < t)",
        "(t, t < sqrt(2))",
        "(t, 1)",
        "t, True",
        "(t, t < 1/2 < 1)",
        "(t,)",
        "*t",
    ],
)
def test_pieces_of_another_form_are_refused(pieces: str) -> None:
    with pytest.raises(ParseError, match="a piece is"):
        parse(f"Piecewise({pieces})", pieces=True)


@pytest.mark.parametrize("pieces", ["", "(t, t < 1/2)"])
def test_pieces_end_in_one_for_all_other_times(pieces: str) -> None:
    with pytest.raises(ParseError, match=r"the last piece is \(f, True\)"):
        parse(f"Piecewise({pieces})", pieces=True)


def test_a_piece_that_is_not_finite_is_refused() -> None:
    with pytest.raises(ParseError, match="not finite"):
        parse("1/Piecewise((t, t < 1/2), (0, True))", pieces=True)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("sine(t)", "'sin'"),
        ("t^2", r"use \*\*"),
        ("2t", r"2\*t"),
        ("n*t", "parameters="),
        ("π", "pi"),
        ("cos", r"cos\("),
    ],
)
def test_the_refusal_names_the_nearest_valid_thing(text: str, hint: str) -> None:
    with pytest.raises(ParseError, match=hint):
        parse(text)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), True, None, [1], object()])
def test_only_finite_numbers_strings_and_expressions_are_values(value: object) -> None:
    with pytest.raises(ParseError):
        as_expression(value)


def test_a_float_is_read_by_its_shortest_decimal() -> None:
    assert as_expression(0.1) == sp.Rational(1, 10)


@settings(max_examples=400, deadline=2000)
@given(st.text(max_size=60))
def test_random_text_raises_nothing_but_parse_errors(text: str) -> None:
    with contextlib.suppress(ParseError):
        parse(text)


@settings(max_examples=300, deadline=2000)
@given(st.text(alphabet="t()+-*/. 0123456789sincoexpqrtlgE_,[]", max_size=40))
def test_near_formulas_raise_nothing_but_parse_errors(text: str) -> None:
    with contextlib.suppress(ParseError):
        parse(text)


def trees() -> st.SearchStrategy[sp.Expr]:
    leaves = st.sampled_from([t, sp.pi, sp.E, sp.Integer(2), sp.Rational(3, 7), sp.sqrt(2)])
    smooth = ["exp", "sin", "cos", "atan", "tanh", "sinh", "asinh", "erf"]

    def grow(inner: st.SearchStrategy[sp.Expr]) -> st.SearchStrategy[sp.Expr]:
        return st.one_of(
            st.tuples(inner, inner).map(lambda p: p[0] + p[1]),
            st.tuples(inner, inner).map(lambda p: p[0] * p[1]),
            st.tuples(st.sampled_from(smooth), inner).map(lambda p: FUNCTIONS[p[0]](p[1] / (1 + t**2))),
            inner.map(lambda e: sp.sqrt(1 + e**2)),
        )

    return st.recursive(leaves, grow, max_leaves=6)


@settings(max_examples=150, deadline=None)
@given(trees())
def test_what_sympy_prints_is_read_back_as_sympy_reads_it(tree: sp.Expr) -> None:
    text = sp.sstr(tree)  # SymPy rewrites some forms when it builds them again, exp(1/(2*(t + 1))) among them
    assert parse(text) == sp.sympify(text)


@pytest.mark.parametrize(
    ("text", "degree"),
    [
        ("((1-t)**64)**64", "4096"),
        ("exp((t**2)**64*t)", "129"),
        ("1/(1/(1-t)**64)**3", "192"),
        ("t**64*t**64*sqrt(t)", "128"),
    ],
)
def test_powers_of_powers_count_as_what_they_are(text: str, degree: str) -> None:
    """Of (1 - t)^4096 algebra takes minutes."""
    with pytest.raises(ParseError, match=f"is of degree {degree}.*; at most 128 is taken"):
        parse(text)


def test_a_parameter_does_not_raise_the_degree_above_its_limit() -> None:
    assert symsi.Schedule("1-t**n", "t**n", parameters={"n": 128}).alpha.has(t)
    with pytest.raises(ParseError, match="of degree 129"):
        symsi.Schedule("1-t**n", "t**n", parameters={"n": 129})
    with pytest.raises(ParseError, match=r"of degree 1\.000E\+99"):
        symsi.schedule("polynomial(n=1e99)")
