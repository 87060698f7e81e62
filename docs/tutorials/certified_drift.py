# %% [markdown]
# # Your logits → certified drift
#
# You have logits of a dense and of a compressed model, from any framework. How far apart are the two models at each
# position, and which statements about it are *certain*? No language model is needed here: a few lines of synthetic
# logits stand for yours.

# %%
import torch

from theory import best_interval, catalogue, check, enclose, measure

torch.manual_seed(0)
dense = 3 * torch.randn(6, 1000, dtype=torch.float64)  # six positions, a vocabulary of 1000
pruned = dense + 0.3 * torch.randn(6, 1000, dtype=torch.float64)

# %% [markdown]
# ## Measure
#
# `measure` returns one column per distance and statistic, each of the leading shape (here six numbers). Divergences are
# in nats, the dense model comes first.

# %%
drift = measure(dense, pruned)
drift.frame()[["kl", "tv", "cosdist_p", "oscillation", "margin", "top1_agree"]].round(4)

# %% [markdown]
# A shift that is common to all logits changes nothing that the softmax can see:

# %%
shifted = measure(dense, pruned + 100.0)
float((shifted.kl - drift.kl).abs().max())

# %% [markdown]
# ## Three kinds of statement
#
# An *estimate* is close and guarantees nothing. A *bound* is proved for the exact statistics. A *certified interval*
# contains the true real number although everything was computed with rounding.

# %%
estimate = catalogue["T3"].approximate(drift)  # the paper's: KL is about Var_p(change)/2
certified = best_interval(enclose(dense, pruned), "kl")
for row in range(3):
    print(
        f"KL {drift.kl[row]:.5f}   estimate {estimate[row]:.5f}   "
        f"certified [{certified.lower[row]:.5f}, {certified.upper[row]:.5f}]"
    )

# %% [markdown]
# ## Hold the drift against every theorem
#
# `check` tries each proved claim whose symbols are columns of the drift. A violation beyond rounding would be an error in
# this package; tightness says how much of its bound a quantity uses.

# %%
checks = check(drift)
print(len(checks), "claims,", sum(bool(one.violated.any()) for one in checks.values()), "violated")
print("KL uses", f"{float(checks['B5'].tightness.max()):.1%}", "of what its oscillation would allow (B5)")

# %% [markdown]
# ## When can greedy decoding change?
#
# Never where the margin of the top logit exceeds the oscillation of the change (theorem G10). That is a certificate for
# single tokens, and the first position without it is the earliest at which greedy text can depart.

# %%
safe = drift.margin > drift.oscillation
print("certain to keep the top token:", int(safe.sum()), "of", len(safe))
print("kept it in fact:", int(drift.top1_agree.sum()), "of", len(safe))
assert bool(drift.top1_agree[safe].all())
