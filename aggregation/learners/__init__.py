"""The learners by name: classifiers retrained on consensus. Adding one is one file and one line here.

Pure functions on arrays, no Django. scikit-learn takes seconds to import, so it is imported inside the functions that
need it. See `base` for the contract.
"""

from __future__ import annotations

from aggregation.learners import numeric, text
from aggregation.learners.base import Encoder, Learned, Learner
from aggregation.learners.logistic import Classifier, out_of_fold, train

LEARNERS: dict[str, Learner] = {
    "numeric": numeric.LEARNER,
    "text": text.LEARNER,
}

__all__ = ["LEARNERS", "Classifier", "Encoder", "Learned", "Learner", "out_of_fold", "train"]
