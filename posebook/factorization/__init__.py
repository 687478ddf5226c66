"""Chapter 4: a pose as a canonical body, from a dictionary, and a viewpoint."""

from posebook.factorization import (
    canonicalizer,
    dictionary,
    evaluate,
    examples,
    learn_dictionary,
    losses,
    measures,
    mirror,
    network,
    pairs,
    pictures,
    prepare,
    rows,
    run,
    starts,
    train,
)
