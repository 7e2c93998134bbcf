"""Tests that fail on the present code and are to be mended: file::test -> why. Each still runs and is reported."""

OF: dict[str, str] = {}
