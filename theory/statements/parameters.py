"""Symbols of families G and J: numbers about sequences of tokens, which no single pair p, q defines.

P and Q are the laws of the first n tokens under the dense and the perturbed model.
"""

from __future__ import annotations

from theory.formulas.symbols import parameter

steps = parameter("steps", "n", "number of generated tokens")
survival = parameter(
    "survival",
    "S_n",
    "sum over sequences of the product of min(p_t, q_t): coupled runs still agree after n tokens",
)
identical_tokens = parameter(
    "identical_tokens",
    r"\mathbb{E}N",
    "expected length of the identical prefix of coupled runs, counted up to n",
)
half_life = parameter(
    "half_life", "n_{1/2}", "number of tokens after which half of the coupled runs have diverged"
)
sequence_tv = parameter("sequence_tv", r"\mathrm{TV}(P,Q)", "total variation of the laws of n tokens")
sequence_kl = parameter(
    "sequence_kl", r"\mathrm{KL}(P\|Q)", "KL divergence of the laws of n tokens, dense first"
)
sequence_chi2 = parameter("sequence_chi2", r"\chi^2(Q\|P)", "chi-squared divergence of the laws of n tokens")
sequence_affinity = parameter("sequence_affinity", r"\mathrm{BC}(P,Q)", "sum over sequences of sqrt(PQ)")
two_token_tv = parameter("two_token_tv", r"\mathrm{TV}(P_2,Q_2)", "total variation of the laws of two tokens")
tv_total = parameter(
    "tv_total",
    r"\sum_t\mathbb{E}_P\mathrm{TV}_t",
    "sum over steps of the teacher-forced mean of TV(p_t, q_t)",
)
kl_total = parameter(
    "kl_total",
    r"\sum_t\mathbb{E}_P\mathrm{KL}_t",
    "sum over steps of the teacher-forced mean of KL(p_t||q_t)",
)
step_tv = parameter("step_tv", r"\varepsilon", "supremum over prefixes of the total variation of one step")
contraction = parameter(
    "contraction", r"\kappa'", "min(kappa, 1 - epsilon), kappa the Dobrushin coefficient of either kernel"
)
marginal_tv = parameter("marginal_tv", r"\mathrm{TV}_n", "total variation of the two laws of token n")
survival_rate = parameter("survival_rate", r"\rho(M)", "Perron root of M = min(P, Q), entrywise")
chernoff_rate = parameter(
    "chernoff_rate", r"e^{-C}", "least Perron root of P^(1-s) Q^s, entrywise, over s in [0, 1]"
)
row_distance = parameter(
    "row_distance", r"\Delta", "largest Hilbert projective distance of two rows of a kernel"
)
row_tv = parameter(
    "row_tv", r"\kappa", "Dobrushin coefficient: largest total variation of two rows of a kernel"
)
exact_match = parameter("exact_match", "Q(y)", "perturbed probability of an answer y of n tokens")
exact_match_change = parameter(
    "exact_match_change", "|P(y)-Q(y)|", "change of the probability of an exact match"
)
token_probability = parameter(
    "token_probability", "p_y", "least dense probability of a token of the answer y"
)
acceptance_rate = parameter("acceptance_rate", "a", "chance that one drafted token is accepted")
block = parameter("block", r"\gamma", "number of drafted tokens per call of the large model")
tokens_per_call = parameter(
    "tokens_per_call", r"\mathbb{E}L", "expected number of tokens per call of the large model"
)
gumbel_flip = parameter("gumbel_flip", r"P(x\ne y)", "chance that one Gumbel noise draws different tokens")
uniform_flip = parameter(
    "uniform_flip",
    r"P_U(x\ne y)",
    "chance that one uniform, looked up in both cumulative sums, draws different tokens",
)
draft_spread = parameter(
    "draft_spread", r"\mathrm{osc}(D)", "max D - min D of the change of logits, before division by T"
)
epsilon = parameter("epsilon", r"\epsilon", "privacy loss allowed, between 0 and R")
privacy_delta = parameter("privacy_delta", r"\delta(\epsilon)", "max over events of Q(A) - e^epsilon P(A)")
core_mass = parameter("core_mass", "p(C)", "dense probability of the core C")
core_mass_perturbed = parameter("core_mass_perturbed", "q(C)", "perturbed probability of the core C")
core_oscillation = parameter("core_oscillation", "R_C", "oscillation of delta on the core C")
tail_oscillation = parameter("tail_oscillation", "R_{C^c}", "oscillation of delta outside the core")
tail_mass = parameter("tail_mass", "p(C^c)", "dense probability outside the core")
tail_mass_perturbed = parameter("tail_mass_perturbed", "q(C^c)", "perturbed probability outside the core")
first_budget = parameter("first_budget", "R_1", "supremum of the oscillation of the first token's step")
second_budget = parameter(
    "second_budget", "R_2", "supremum over prefixes of the oscillation of the second step"
)


noise = parameter("noise", r"\tau", "standard deviation of every entry of delta = D/T")


perturbed_score = parameter("perturbed_score", r"\mathbb{E}_Q f", "mean score of the perturbed model's texts")
kept_right = parameter("kept_right", r"\mathbb{E}_P\min(1,w)f", "right mass that both models share")
kept_wrong = parameter("kept_wrong", r"\mathbb{E}_P\min(1,w)(1-f)", "wrong mass that both models share")
cap = parameter("cap", "M", "cap on the weight w = Q/P of a text")
excess_mass = parameter("excess_mass", "H_M", "hockey-stick divergence: sum over texts of (Q - M P)_+")
won_mass = parameter("won_mass", r"\sum_s Q(s)\,lo_s", "perturbed mass of prefixes that are right")
dead_mass = parameter("dead_mass", r"\sum_s Q(s)(1-hi_s)", "perturbed mass of prefixes that are wrong")
clean_limit = parameter("clean_limit", "U", "upper limit of the loss when nothing has moved on any prompt")
prompts = parameter("prompts", "m", "number of prompts")
error_rate = parameter("error_rate", r"\alpha", "probability of a wrong limit, one-sided")
sample_share = parameter("sample_share", r"\mathrm{ESS}/N", "effective share of a sample with weights Q/P")
lecam_texts = parameter("lecam_texts", r"\mathrm{LC}(P,Q)", "Vincze-Le Cam divergence of the laws of texts")
greedy_score = parameter("greedy_score", r"\bar f_{\mathrm{pruned}}", "share of right pruned greedy texts")
right_and_kept = parameter(
    "right_and_kept",
    r"\Pr(\mathrm{right},\mathrm{kept})",
    "share of greedy texts that are right and kept",
)
kept_share = parameter("kept_share", r"\kappa", "share of greedy texts kept up to the deciding token")
logit_noise = parameter("logit_noise", "s", "standard deviation of the noise on each logit")
margin_density = parameter("margin_density", "g(0)", "density at 0 of the margin of the two largest logits")
greedy_hazard = parameter("greedy_hazard", r"h_{\mathrm{greedy}}", "chance per token that the argmax changes")
gini_mean = parameter("gini_mean", r"\mathbb{E}(1-\|p\|^2)", "mean of 1 minus the sum of p squared")
shared_hazard = parameter("shared_hazard", r"h_{\mathrm{shared}}", "chance per token that the draws differ")
option_tv = parameter("option_tv", r"\mathrm{TV}(p_S,q_S)", "total variation of the two laws of the options")
first_average = parameter("first_average", r"\bar R_a", "largest average oscillation per token of an option")
second_average = parameter("second_average", r"\bar R_b", "second largest such average")
