"""Reference arms: rankings and regions that no explanation made, attacked and stored exactly like a method's.

A flip after attacking a region means something only against what other regions would have given. `rankings` holds
those that need no attack, `contiguous` the random regions of a given area, `oracle` the ceiling that attacks find,
`random_model` the methods run on a detector that has learned nothing.
"""
