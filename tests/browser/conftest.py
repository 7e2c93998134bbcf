"""A real browser: the Chromium of this machine, driven by Playwright."""

from collections.abc import Iterator

import pytest
from opened import MISSING, chromium, where
from playwright.sync_api import Browser


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium without a window; where there is none, the test is skipped and says what to install."""
    path = where()
    if path is None:
        pytest.skip(MISSING)
    with chromium(path) as found:
        yield found
