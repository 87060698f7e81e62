# %% [markdown]
# # Teach error accumulation
#
# Why does a small error per token ruin a text, or not? Four toy chains over four words have everything that a language
# model has (a context, a softmax, sampling) and are small enough that every answer is known exactly. Ask the class first,
# then run the cell. The same lessons with pictures to drag stand in `figures/explorer.html`.

# %%
import numpy as np
import pandas as pd
import torch

from sim.chains import CHAINS, decode, sequence_tv_bracket


def build(name, noise):
    return CHAINS[name](noise, torch.Generator().manual_seed(0))


# %% [markdown]
# **Question 1.** Two models differ a little at every step. After 64 tokens, do their texts agree? Does the *64th token*
# have another distribution?

# %%
rows = []
for name, noise in (("mixing", 0.5), ("slow", 0.5), ("absorbing", 1.0)):
    chain = build(name, noise)
    for n in (1, 8, 64):
        rows.append((name, n, 1 - chain.survival(n)[-1], chain.marginal_tv(n)[-1]))
table = pd.DataFrame(rows, columns=["chain", "n", "texts differ by n", "TV of the n-th token"])
table.pivot(index="chain", columns="n").round(2)

# %% [markdown]
# Texts differ almost surely in all three. But the mixing chain *forgets*: its 64th token is distributed nearly as before.
# The absorbing chain (one wrong step ends it: exact match) never recovers.
#
# **Question 2.** The best possible way to couple the two models' random numbers keeps their texts identical with
# probability S_n. Does a simulation of 4000 pairs agree with the exact S_n?

# %%
chain = build("mixing", 0.5)
runs = decode(chain, "maximal", 4000, 16, np.random.default_rng(0))
exact, seen = chain.survival(16), runs.survival()
for n in (1, 4, 16):
    print(f"texts identical after {n:>2} tokens: exact {exact[n - 1]:.3f}, simulated {seen[n - 1]:.3f}")

# %% [markdown]
# **Question 3.** How far apart are the two models' whole texts? Between the token's TV and the chance that texts differ:

# %%
lower, upper = sequence_tv_bracket(chain, 64)
for n in (1, 8, 64):
    token, differ = chain.marginal_tv(n)[-1], 1 - chain.survival(n)[-1]
    print(
        f"n = {n:>2}: TV of the token {token:.3f} <= TV of the text {lower[n - 1]:.3f} <= texts differ "
        f"{differ:.3f}"
    )
