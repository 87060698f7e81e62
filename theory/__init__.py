"""What is true of a logit perturbation: measured, bounded, certified."""

from theory.checking import Check as Check
from theory.checking import check as check
from theory.confidence import Band as Band
from theory.confidence import dkw_band as dkw_band
from theory.confidence import empirical_bernstein_band as empirical_bernstein_band
from theory.confidence import hoeffding_band as hoeffding_band
from theory.confidence import survival_indicators as survival_indicators
from theory.drift import Drift as Drift
from theory.drift import VectorDrift as VectorDrift
from theory.families import Catalogue as Catalogue
from theory.families import catalogue as catalogue
from theory.measure import measure as measure
from theory.sequences import coupled_divergence_times as coupled_divergence_times
from theory.sequences import first_divergence as first_divergence
from theory.sequences import kl_terms as kl_terms
from theory.sequences import survival_weights as survival_weights
from theory.sequences import survival_weights_given_tv as survival_weights_given_tv
from theory.sequences import tv_terms as tv_terms
from theory.theorem import Bound as Bound
from theory.theorem import CertifiedBound as CertifiedBound
from theory.theorem import Estimate as Estimate
from theory.theorem import Status as Status
from theory.theorem import Theorem as Theorem
from theory.tokens import gumbel_flip as gumbel_flip
from theory.tokens import token_log_probs as token_log_probs
from theory.vectors import measure_vectors as measure_vectors
