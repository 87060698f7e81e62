from .bounds.best_interval import best_interval as best_interval
from .bounds.check import Check as Check
from .bounds.check import check as check
from .certify.enclosure import Enclosure as Enclosure
from .certify.enclosure import enclose as enclose
from .drift.measure import measure as measure
from .drift.record import Drift as Drift
from .drift.record import VectorDrift as VectorDrift
from .drift.tokens import gumbel_flip as gumbel_flip
from .drift.tokens import token_log_probs as token_log_probs
from .drift.vectors import measure_vectors as measure_vectors
from .formulas.claims import Bound as Bound
from .formulas.claims import CertifiedBound as CertifiedBound
from .formulas.claims import Estimate as Estimate
from .sequences.betting import betting_band as betting_band
from .sequences.betting import lower_limit as lower_limit
from .sequences.confidence import Band as Band
from .sequences.confidence import dkw_band as dkw_band
from .sequences.confidence import empirical_bernstein_band as empirical_bernstein_band
from .sequences.confidence import hoeffding_band as hoeffding_band
from .sequences.confidence import survival_indicators as survival_indicators
from .sequences.scores import ScoredTexts as ScoredTexts
from .sequences.scores import score_band as score_band
from .sequences.survival import coupled_divergence_times as coupled_divergence_times
from .sequences.survival import first_divergence as first_divergence
from .sequences.survival import kl_terms as kl_terms
from .sequences.survival import survival_weights as survival_weights
from .sequences.survival import survival_weights_given_tv as survival_weights_given_tv
from .sequences.survival import tv_terms as tv_terms
from .statements.catalogue import Catalogue as Catalogue
from .statements.catalogue import catalogue as catalogue
from .theorems.theorem import Status as Status
from .theorems.theorem import Theorem as Theorem

__all__ = [
    "Band",
    "Bound",
    "Catalogue",
    "CertifiedBound",
    "Check",
    "Drift",
    "Enclosure",
    "Estimate",
    "ScoredTexts",
    "Status",
    "Theorem",
    "VectorDrift",
    "best_interval",
    "betting_band",
    "catalogue",
    "check",
    "coupled_divergence_times",
    "dkw_band",
    "empirical_bernstein_band",
    "enclose",
    "first_divergence",
    "gumbel_flip",
    "hoeffding_band",
    "kl_terms",
    "lower_limit",
    "measure",
    "measure_vectors",
    "score_band",
    "survival_indicators",
    "survival_weights",
    "survival_weights_given_tv",
    "token_log_probs",
    "tv_terms",
]
