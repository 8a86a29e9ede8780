"""Text: TF-IDF of words and pairs of words.

Salton, G. and Buckley, C.: Term-weighting approaches in automatic text retrieval, Information Processing & Management
24(5), 1988, doi:10.1016/0306-4573(88)90021-0.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from aggregation.learners.base import Arrays, Encoder, Floats, Payloads, array_text, field_value, text_array

MAX_TERMS = 50_000


@dataclass(frozen=True, eq=False)
class TextEncoder:
    """Terms in column order, and their inverse document frequencies f8[D]. No terms: one column of zeros."""

    fields: tuple[str, ...]
    terms: tuple[str, ...]
    idf: Floats

    def features(self, payloads: Payloads) -> Any:
        from scipy.sparse import csr_matrix

        texts = _texts(payloads, self.fields)
        if not self.terms:
            return csr_matrix((len(texts), 1))
        vectorizer = _vectorizer(vocabulary={term: column for column, term in enumerate(self.terms)})
        vectorizer.idf_ = self.idf
        return vectorizer.transform(texts).tocsr()

    def arrays(self) -> Arrays:
        return {"terms": text_array(json.dumps(self.terms)), "idf": self.idf}


class TextLearner:
    def fit_encoder(self, payloads: Payloads, fields: Sequence[str]) -> Encoder:
        """The MAX_TERMS most frequent terms of all the fields together; empty texts have none."""
        texts = _texts(payloads, tuple(fields))
        vectorizer = _vectorizer(max_features=MAX_TERMS)
        analyze = vectorizer.build_analyzer()
        if not any(analyze(text) for text in texts):  # scikit-learn refuses an empty vocabulary
            return TextEncoder(tuple(fields), (), np.empty(0))
        vectorizer.fit(texts)
        return TextEncoder(tuple(fields), tuple(vectorizer.get_feature_names_out()), vectorizer.idf_.copy())

    def restore_encoder(self, fields: Sequence[str], arrays: Arrays) -> Encoder:
        return TextEncoder(tuple(fields), tuple(json.loads(array_text(arrays["terms"]))), arrays["idf"])


LEARNER = TextLearner()


def _texts(payloads: Payloads, fields: tuple[str, ...]) -> list[str]:
    return ["\n".join(_text(payload, row, field) for field in fields) for row, payload in enumerate(payloads)]


def _text(payload: Any, row: int, field: str) -> str:
    value = field_value(payload, row, field)
    if not isinstance(value, str):
        raise ValueError(f"row {row}, field {field!r}: not a text")
    return value


def _vectorizer(**options: Any) -> Any:
    from sklearn.feature_extraction.text import TfidfVectorizer

    return TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, **options)
