"""A browser without script over the gateway of these tests."""

import pytest

from tests.support.gateway.browser import Browser
from tests.support.gateway.front_desk import FrontDesk


@pytest.fixture
def browser(front_desk: FrontDesk) -> Browser:
    """A browser that has signed in with a key of the tenant `shop` that may do everything."""
    return Browser(front_desk).signed_in()
