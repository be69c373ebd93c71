"""Ranks of values, and what is computed from them. Needs numpy."""

import numpy as np


def ranks(values):
    """From 1 on; equal values share the mean of their places, [5, 2, 2] has [3, 1.5, 1.5]."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[inverse]


def auc(positive, negative):
    """How likely a random positive value is above a random negative one; equal ones count half."""
    n = len(positive)
    of_positive = ranks(np.concatenate([positive, negative]))[:n]
    return (of_positive.sum() - n * (n + 1) / 2) / (n * len(negative))


def rank_correlation(a, b):
    """Spearman's; 0 where all values of one side are equal and so in no order."""
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        return 0.0
    return float(np.corrcoef(ranks(a), ranks(b))[0, 1])
