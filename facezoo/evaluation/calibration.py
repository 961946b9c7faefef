"""From a distance to a probability: logistic regression, as likely to be genuine as not before."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from facezoo.thresholds import LARGEST_DISTANCE

_BINS: Final = 4096
_PRIOR: Final = 0.5


def calibrate(genuine: NDArray, impostor: NDArray) -> dict[str, float]:
    """Fits `probability = 1 / (1 + exp(-(intercept + slope * distance)))`.

    Both kinds of pairs weigh the same in sum, however many there are: the answer holds where half
    of the pairs asked about are genuine, and `facezoo.thresholds.probability` takes it elsewhere.

    Args:
        genuine: float [G], squared L2 distances of unit embeddings.
        impostor: float [I].

    Returns:
        `intercept`, `slope` (not above 0 for a model that has learned anything) and `prior`.

    Numerics:
        Distances are counted in 4,096 bins, so that a billion pairs take no longer than few. The
        slope is regularised as if one more pair of each kind stood at the origin: pairs that a
        threshold parts without error would make it infinite.

    Source:
        J. Platt, "Probabilistic outputs for support vector machines", 1999, section 2.1.
    """
    edges = np.linspace(0.0, LARGEST_DISTANCE, _BINS + 1)
    center = (edges[:-1] + edges[1:]) / 2.0
    counts = [np.histogram(np.clip(one, *edges[[0, -1]]), edges)[0] for one in (impostor, genuine)]
    num_pairs = sum(len(one) for one in (impostor, genuine))
    weight = np.concatenate([one * (num_pairs / 2.0 / one.sum()) for one in counts])
    is_genuine = np.repeat([0, 1], _BINS)
    seen = weight > 0
    model = LogisticRegression(tol=1e-8, max_iter=1000)
    model.fit(np.tile(center, 2)[seen, None], is_genuine[seen], weight[seen])
    return {
        "intercept": float(model.intercept_[0]),
        "slope": float(model.coef_[0, 0]),
        "prior": _PRIOR,
    }


def calibration_errors(
    calibration: dict[str, float], genuine: NDArray, impostor: NDArray
) -> dict[str, Any]:
    """Scores a calibration on other pairs, both kinds weighing the same in sum.

    Args:
        calibration: What `calibrate` returned.
        genuine: float [G], squared L2 distances.
        impostor: float [I].

    Returns:
        `log_loss` in nats (0.69 says nothing) and `brier` (0.25 says nothing).
    """
    logits = [
        calibration["intercept"] + calibration["slope"] * one.astype(np.float64)
        for one in (genuine, impostor)
    ]
    wrong = [np.logaddexp(0.0, -logits[0]), np.logaddexp(0.0, logits[1])]
    missing = [1.0 - np.exp(-one) for one in wrong]
    return {
        "log_loss": float(np.mean([one.mean() for one in wrong])),
        "brier": float(np.mean([np.square(one).mean() for one in missing])),
    }
