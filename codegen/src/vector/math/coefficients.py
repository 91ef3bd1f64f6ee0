"""Computes the polynomial coefficients of this folder (needs numpy and mpmath).

Each polynomial minimises the largest weighted error over its interval: Lawson's iteration (reweighted least squares)
on Chebyshev points. The coefficients are rounded to f32 one after the other, from the most important on, and the rest
is fitted again after each rounding.
"""

import numpy as np
from mpmath import asin, atan, chebyfit, erf, erfc, exp, log, mp, mpf, sin, cos, sqrt, tan

mp.dps = 40


def fit(name, f, weight, powers, low, high, points=600):
    nodes = [(low + high) / 2 + (high - low) / 2 * float(np.cos(np.pi * (i + 0.5) / points)) for i in range(points)]
    target = np.array([float(f(mpf(x))) for x in nodes])
    scale = np.array([float(weight(mpf(x))) for x in nodes])
    x = np.array(nodes)
    fixed = {}

    def solve(free):
        rest = (target - sum(c * x**p for p, c in fixed.items())) * scale
        columns = np.stack([x**p * scale for p in free], axis=1)
        norm = np.abs(columns).max(axis=0)
        columns = columns / norm
        w = np.ones(points) / points
        best = None
        for _ in range(400):
            root = np.sqrt(w)[:, None]
            c, *_ = np.linalg.lstsq(columns * root, rest * root[:, 0], rcond=None)
            error = np.abs(columns @ c - rest)
            if best is None or error.max() < best[0]:
                best = (error.max(), c / norm)
            w = w * (error + 1e-30)
            w /= w.sum()
        return best

    free = list(powers)
    while free:
        _, c = solve(free)
        p = free.pop(0)
        fixed[p] = float(np.float32(c[0]))
    error = np.abs((sum(c * x**p for p, c in fixed.items()) - target) * scale).max()
    print(f"// {name}: [{low}, {high}], largest weighted error 2^{np.log2(error):.2f}")
    for p in powers:
        print(f"//   x^{p}: f32 {fixed[p]!r} bits {np.float32(fixed[p]).view(np.uint32):#010x}")


half = float(log(2)) / 2
# exp(x) = 1 + x + x^2 P(x)
fit("exp", lambda x: (exp(x) - 1 - x) / x**2 if x else mpf(0.5), lambda x: x * x / exp(x), range(5), -half, half)
# tanh(x) = x + x^3 P(x^2), x up to 0.625
fit("tanh near zero", lambda t: (mp.tanh(t**0.5) / t**0.5 - 1) / t if t > 1e-12 else -mpf(1) / 3,
    lambda t: t**1.5 / mp.tanh(t**0.5) if t > 1e-20 else t, range(6), 0.0, 0.625**2)
# log(1 + x) = x - x^2/2 + x^3 P(x)
lo, hi = float(mpf(0.5) ** 0.5 - 1), float(mpf(2) ** 0.5 - 1)
fit("log", lambda x: (log(1 + x) - x + x * x / 2) / x**3 if abs(x) > 1e-9 else mpf(1) / 3,
    lambda x: x**3 / log(1 + x) if x else x, range(9), lo, hi)
# erf(x) = x + x P(x^2), x up to 0.9375
fit("erf near zero", lambda t: erf(t**0.5) / t**0.5 - 1 if t > 1e-20 else 2 / mp.sqrt(mp.pi) - 1,
    lambda t: t**0.5 / erf(t**0.5) if t > 1e-20 else mpf(1), range(7), 0.0, 0.9375**2)
# log(erfc(x)) = P(x - 2)
fit("log erfc", lambda x: log(erfc(x + 2)), lambda x: erfc(x + 2) / erf(x + 2), range(8), 0.9375 - 2, 4.0 - 2)
quarter = float(mp.pi / 4)
# sin(x) = x + x^3 P(x^2), cos(x) = 1 - x^2/2 + x^4 P(x^2)
fit("sin", lambda t: (sin(t**0.5) / t**0.5 - 1) / t if t > 1e-12 else -mpf(1) / 6,
    lambda t: t**1.5 / sin(t**0.5) if t > 1e-20 else t, range(4), 0.0, quarter**2)
fit("cos", lambda t: (cos(t**0.5) - 1 + t / 2) / t**2 if t > 1e-8 else mpf(1) / 24,
    lambda t: t**2 / cos(t**0.5), range(4), 0.0, quarter**2)
for name, value, parts in [("ln 2", log(2), [12, 24]), ("pi / 2", mp.pi / 2, [12, 24, 24])]:
    print("//", name)
    rest = value
    for bits in parts:
        e = int(mp.floor(log(abs(rest), 2)))
        unit = mpf(2) ** (e - bits + 1)
        part = mp.nint(rest / unit) * unit
        rest -= part
        print(f"//   {float(part)!r} bits {np.float32(float(part)).view(np.uint32):#010x}")
# f64: atan(t) = t + t^3 P(t^2) up to tan(pi / 8), asin(s) = s + s^3 P(s^2) up to 1/2
near_zero = {"atan": lambda t: -mpf(1) / 3 + t / 5, "asin": lambda t: mpf(1) / 6 + 3 * t / 40}
for name, f, high, terms in [("atan", atan, float(tan(mp.pi / 8)) ** 2 * 1.0001, 11), ("asin", asin, 0.25, 13)]:
    fitted = chebyfit(lambda t: (f(sqrt(t)) / sqrt(t) - 1) / t if t > 1e-16 else near_zero[name](t), [0, high], terms)
    print("//", name, [float(c) for c in reversed(fitted)])
