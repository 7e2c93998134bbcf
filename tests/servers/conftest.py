"""The servers, once for all tests of this folder."""

from collections.abc import Iterator

import pytest

from local_servers import Bucket, Postgres, postgresql, s3_bucket


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A running PostgreSQL."""
    with postgresql() as server:
        yield server


@pytest.fixture(scope="session")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bucket]:
    """A bucket of a running S3 store."""
    with s3_bucket(tmp_path_factory.mktemp("s3")) as found:
        yield found
