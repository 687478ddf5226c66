"""Takes of different people, rigs and lengths, for what is made of them."""

import pytest

from posebook.data.recorded.views import ViewsSize, make_views
from posebook.data.views import collect


@pytest.fixture(scope="module")
def takes():
    train, test = make_views(ViewsSize(1, 6, 1), noise="none")
    return [*train[::10], *test[::6]]


@pytest.fixture(scope="module")
def collected(takes):
    return collect(takes)
