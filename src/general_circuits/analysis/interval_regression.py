"""Regression of times that are known to lie in intervals, with a random intercept for each replica.

Model: log t = a + b x + u + s e. The effect u of a replica is normal with standard deviation τ, and e is standard
normal. The likelihood is an integral over u, by adaptive Gauss–Hermite quadrature (Liu and Pierce 1994). Newton's
method maximises it in (1, a, b, τ) / s. For known effects it is concave in these (Olsen 1978). It is even in τ, so
τ = 0 needs no bound.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_ndtr

Array = NDArray[np.float64]

NODES, WEIGHTS = np.polynomial.hermite.hermgauss(9)
LEAST_RESIDUAL = 0.01
"""Residual of one imagined log time. It keeps s above 0 where all times lie on lines, and moves nothing elsewhere."""
MODE_STEPS, MOST_STEPS = 6, 50
"""Steps of Newton's method for the modes of effects, and the most steps for the maximum of the likelihood."""
PRECISION = 1e-9
"""Gain in log-likelihood below which the maximum counts as found, and by which a step may fall short."""
SHORTEST = 1e-4
"""Part of a Newton step below which no better point is looked for."""
FAR = 1e100
"""Stands for an infinite number of standard deviations, whose product with 0 would be undefined."""


def fit(x: Array, lower: Array, upper: Array) -> Array:
    """Return the maximum-likelihood slope b, for any number of studies at once.

    A level of x at which no time is known from both sides is left out: any slope that is steep enough fits it.

    Args:
        x: (…, replica, observation).
        lower, upper: ends of the interval of each log time, (…, replica, observation). The upper end of a censored
            time is infinite. An observation with two infinite ends tells nothing.

    Returns:
        (…). NaN where fewer than two levels are left.
    """
    shape = x.shape[:-2]
    x, lower, upper = (part.reshape(-1, *part.shape[-2:]) for part in (x, lower, upper))
    known = np.isfinite(lower) & np.isfinite(upper)
    kept = _at_known_levels(x, known)
    lower, upper = np.where(kept, lower, -np.inf), np.where(kept, upper, np.inf)
    has_slope = np.where(known, x, np.inf).min((1, 2)) < np.where(known, x, -np.inf).max((1, 2))
    slope = np.full(len(x), np.nan)
    if has_slope.any():
        slope[has_slope] = _maximise(x[has_slope], lower[has_slope], upper[has_slope])
    return slope.reshape(shape)


def _at_known_levels(x: Array, known: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return whether any time is known at the x of each observation, (study, replica, observation)."""
    of_study, of_time = x.reshape(len(x), -1, 1), x.reshape(len(x), 1, -1)
    return ((of_study == of_time) & known.reshape(len(x), 1, -1)).any(axis=2).reshape(x.shape)


def _maximise(x: Array, lower: Array, upper: Array) -> Array:
    """Return the slope of the largest likelihood of each study, by Newton's method."""
    theta = _start(x, lower, upper)
    value, gradient, hessian = _likelihood(theta, x, lower, upper)
    length, left = np.ones(len(x)), np.arange(len(x))
    for _ in range(MOST_STEPS):
        step = _uphill(gradient[left], hessian[left])
        candidate = theta[left] + length[left, None] * step
        has_spread = candidate[:, 0] > 0  # 1 / s
        candidate[~has_spread] = theta[left[~has_spread]]
        new = _likelihood(candidate, x[left], lower[left], upper[left])
        is_better = has_spread & (new[0] >= value[left] - PRECISION)
        better = left[is_better]
        theta[better] = candidate[is_better]
        value[better], gradient[better], hessian[better] = (part[is_better] for part in new)
        length[left] = np.where(is_better, 1.0, length[left] / 4)
        gain = (gradient[left] * _uphill(gradient[left], hessian[left])).sum(axis=1)
        left = left[(gain > PRECISION) & (length[left] > SHORTEST)]
        if not len(left):
            break
    return theta[:, 2] / theta[:, 0]


def _start(x: Array, lower: Array, upper: Array) -> Array:
    """Return (1, a, b, τ) / s by least squares, each time at an end of its interval, (study, parameter)."""
    y = np.where(np.isfinite(upper), upper, lower)
    known = np.isfinite(y)
    y = np.where(known, y, 0.0)

    def mean(values: Array, axis: tuple[int, ...] = (1, 2)) -> Array:
        total = np.maximum(known.sum(axis, keepdims=True), 1)
        return (known * values).sum(axis, keepdims=True) / total

    off_x, off_y = x - mean(x), y - mean(y)
    b = mean(off_x * off_y) / mean(off_x**2)
    effects = mean(off_y - b * off_x, (2,))
    s = np.maximum(np.sqrt(mean((off_y - b * off_x - effects) ** 2)), LEAST_RESIDUAL)
    # At τ = 0 the likelihood is stationary, so the start lies above.
    tau = np.maximum(np.sqrt((effects**2).mean((1, 2), keepdims=True)), s)
    return np.concatenate([np.ones_like(s), mean(y) - b * mean(x), b, tau], axis=1)[:, :, 0] / s[:, :, 0]


def _uphill(gradient: Array, hessian: Array) -> Array:
    """Return the Newton step of each study, its curvature taken as if it were concave, (study, parameter)."""
    curvature, axes = np.linalg.eigh(hessian)
    curvature = np.maximum(np.abs(curvature), 1e-9 * np.abs(curvature).max(axis=1, keepdims=True))
    return np.einsum("sij,sj,skj,sk->si", axes, 1 / curvature, axes, gradient, optimize=True)


def _likelihood(theta: Array, x: Array, lower: Array, upper: Array) -> tuple[Array, Array, Array]:
    """Return the log-likelihood of each study, its gradient and its Hessian.

    Derivatives of the integral follow from those for known effects, as means over the effects' posterior (Louis 1982).

    Args:
        theta: (1, a, b, τ) / s, (study, parameter).
        x, lower, upper: (study, replica, observation).
    """
    inverse, a, b, tau = (theta[:, i, None, None] for i in range(4))
    line = a + b * x
    low, high = (np.where(np.isfinite(end), end, 0.0) for end in (lower, upper))
    z_low = np.where(np.isfinite(lower), inverse * low - line, -FAR)
    z_high = np.where(np.isfinite(upper), inverse * high - line, FAR)
    # Effects are τ v, with v standard normal. The nodes lie about the mode of v given the replica's times.
    v = np.zeros((*x.shape[:2], 1))
    for _ in range(MODE_STEPS):
        _, r_low, r_high = _intervals(z_low - tau * v, z_high - tau * v)
        push = r_high - r_low
        bend = (z_low - tau * v) * r_low - (z_high - tau * v) * r_high - push**2
        curvature = 1 - tau**2 * bend.sum(axis=2, keepdims=True)
        v = v - (v + tau * push.sum(axis=2, keepdims=True)) / curvature
    width = np.sqrt(2 / curvature)
    v = (v + width * NODES)[..., None]  # (study, replica, node, 1)
    tau, low, high, x = (part[:, :, None] for part in (tau, low, high, x))
    z_low, z_high = z_low[:, :, None] - tau * v, z_high[:, :, None] - tau * v
    log_p, r_low, r_high = _intervals(z_low, z_high)
    v = v[..., 0]
    terms = log_p.sum(axis=3) - v**2 / 2 + NODES**2 + np.log(WEIGHTS * width / np.sqrt(2 * np.pi))
    most = terms.max(axis=2, keepdims=True)
    total = np.exp(terms - most).sum(axis=2, keepdims=True)
    posterior = np.exp(terms - most) / total  # (study, replica, node)
    value = (most + np.log(total)).sum(axis=(1, 2)) - (LEAST_RESIDUAL * theta[:, 0]) ** 2 / 2

    # Sums over observations of derivatives by 1 / s, and by the line, whose own derivatives are (1, x, v).
    push = r_high - r_low
    score = np.stack([(r_high * high - r_low * low).sum(3), -push.sum(3), -(push * x).sum(3), -v * push.sum(3)], -1)
    of_high, of_low, of_both = -z_high * r_high - r_high**2, z_low * r_low - r_low**2, r_high * r_low
    second = (high**2 * of_high + low**2 * of_low + 2 * high * low * of_both).sum(3)
    mixed = -(high * of_high + low * of_low + (high + low) * of_both)
    bend = of_high + of_low + 2 * of_both
    of_line = [(bend * x**power).sum(3) for power in range(3)]
    by_inverse = [mixed.sum(3), (mixed * x).sum(3), v * mixed.sum(3)]
    rows = [
        [second, *by_inverse],
        [by_inverse[0], of_line[0], of_line[1], v * of_line[0]],
        [by_inverse[1], of_line[1], of_line[2], v * of_line[1]],
        [by_inverse[2], v * of_line[0], v * of_line[1], v**2 * of_line[0]],
    ]
    given = np.stack([np.stack(row, -1) for row in rows], -2) + score[..., :, None] * score[..., None, :]
    mean_score = np.einsum("srn,srni->sri", posterior, score)
    gradient = mean_score.sum(axis=1)
    hessian = np.einsum("srn,srnij->sij", posterior, given) - np.einsum("sri,srj->sij", mean_score, mean_score)
    gradient[:, 0] -= LEAST_RESIDUAL**2 * theta[:, 0]
    hessian[:, 0, 0] -= LEAST_RESIDUAL**2
    return value, gradient, hessian


def _intervals(z_low: Array, z_high: Array) -> tuple[Array, Array, Array]:
    """Return the log-probability of each interval of a standard normal, and the density at its ends over it."""
    # In the upper tail a probability is a difference of numbers near 1, so the interval is mirrored.
    is_upper = z_low > 0
    first, second = np.where(is_upper, -z_high, z_low), np.where(is_upper, -z_low, z_high)
    log_second = log_ndtr(second)
    log_p = log_second + np.log1p(-np.exp(log_ndtr(first) - log_second))
    log_density = -0.5 * np.log(2 * np.pi) - log_p
    return log_p, np.exp(log_density - z_low**2 / 2), np.exp(log_density - z_high**2 / 2)
