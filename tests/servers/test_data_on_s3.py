"""A DVC remote on S3: what one clone pushes, another pulls, byte for byte."""

import subprocess
from pathlib import Path

import pytest

from local_servers import ACCESS_KEY, SECRET_KEY, SECRETS, Bucket, holding
from small_clone import commit, make_clone, run

pytestmark = pytest.mark.slow

STAGE = "train@mnist-mlp"


@pytest.fixture(scope="module", autouse=True)
def _driver() -> None:
    """DVC finds its way to S3 by this package."""
    pytest.importorskip("dvc_s3", reason="dvc-s3 is not installed: run `make servers`")


@pytest.fixture(scope="module")
def pushed(bucket: Bucket, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone with a trained run, pushed to the bucket."""
    root = tmp_path_factory.mktemp("pushed")
    make_clone(root, tmp_path_factory.mktemp("digits"))
    run(root, "shearbench", "data", "--adopt")
    run(root, "dvc", "repro", STAGE)
    run(root, "dvc", "remote", "add", "--default", "store", f"s3://{bucket.name}/dvc")
    run(root, "dvc", "remote", "modify", "store", "endpointurl", bucket.endpoint)
    run(root, "dvc", "remote", "modify", "store", "verify", "true")
    _log_in(root)
    run(root, "dvc", "push")
    commit(root, "a remote")
    return root


def _log_in(root: Path) -> None:
    """Keep the login in ``.dvc/config.local``, which git ignores."""
    run(root, "dvc", "remote", "modify", "--local", "store", "access_key_id", ACCESS_KEY)
    run(root, "dvc", "remote", "modify", "--local", "store", "secret_access_key", SECRET_KEY)


def _clone(root: Path, folder: Path) -> Path:
    subprocess.run(["git", "clone", "-q", root, folder], check=True)
    _log_in(folder)
    return folder


def _bytes(root: Path) -> dict[Path, bytes]:
    """The files of the data and of what was made, but for what never leaves a clone."""
    made = [path for part in ("data", "build") for path in (root / part).rglob("*") if path.is_file()]
    passing = {".lock", ".mirror"}
    return {path.relative_to(root): path.read_bytes() for path in made if path.name not in passing}


def test_another_clone_has_the_same_bytes_and_nothing_to_do(pushed: Path, bucket: Bucket, tmp_path: Path) -> None:
    assert len(bucket.keys("dvc/")) > 10
    other = _clone(pushed, tmp_path / "other")
    assert not (other / "build" / "runs").exists()
    run(other, "dvc", "pull", "--with-deps", "data.dvc", STAGE)
    assert run(other, "dvc", "repro", STAGE).count("Running stage") == 1, "the one that hashes the code"
    there, here = _bytes(pushed), _bytes(other)
    assert {path for path in here if "runs" in path.parts}
    assert here == {path: there[path] for path in here}


def test_the_login_of_the_store_is_not_in_what_git_keeps(pushed: Path) -> None:
    kept = subprocess.run(["git", "ls-files"], cwd=pushed, capture_output=True, text=True, check=True).stdout
    assert ".dvc/config\n" in kept
    assert holding(pushed, *SECRETS) == [pushed / ".dvc" / "config.local"]
    assert ".dvc/config.local" not in kept


def test_an_object_that_was_changed_in_the_store_is_refused(pushed: Path, bucket: Bucket, tmp_path: Path) -> None:
    weights = (pushed / "build" / "runs" / "mnist" / "mlp" / "fold-0" / "weights.safetensors").read_bytes()
    (key,) = [key for key, size in bucket.keys("dvc/").items() if size == len(weights) and bucket.read(key) == weights]
    bucket.client.put_object(Bucket=bucket.name, Key=key, Body=weights[:-1] + bytes([weights[-1] ^ 1]))
    try:
        other = _clone(pushed, tmp_path / "other")
        assert "Checkout failed" in run(other, "dvc", "pull", STAGE, status=1)
        assert not (other / "build" / "runs" / "mnist" / "mlp" / "fold-0" / "weights.safetensors").exists()
    finally:
        bucket.client.put_object(Bucket=bucket.name, Key=key, Body=weights)
