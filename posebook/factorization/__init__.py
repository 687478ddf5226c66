"""Chapter 4: a pose as a canonical body, from a dictionary, and a viewpoint."""

from posebook.factorization import (
    evaluate,
    examples,
    learn_dictionary,
    losses,
    network,
    pictures,
    prepare,
    rows,
    run,
    train,
)
