"""From a blob URL to a backend."""

from __future__ import annotations

import sys
import traceback
from pathlib import Path

import pytest

from ckptstore.blobs.backends.open import _folder_of, open_backend
from ckptstore.errors import InvalidUrl, MissingDriver
from tests.support.blob_backends import KEY, SECRET, files_in


@pytest.mark.parametrize("url", ["{}", "file://{}", "FILE://{}", "local://{}", "file://localhost{}"])
async def test_a_folder_has_several_spellings(url: str, tmp_path: Path) -> None:
    backend = open_backend(url.format(tmp_path / "blobs"))
    await backend.put(KEY, b"content")
    assert files_in(tmp_path) == [f"blobs/{KEY}"]
    assert backend.url == f"file://{tmp_path}/blobs"


async def test_a_url_made_by_pathlib_is_that_folder(tmp_path: Path) -> None:
    await open_backend((tmp_path / "my blobs").as_uri()).put(KEY, b"content")
    assert files_in(tmp_path) == [f"my blobs/{KEY}"]


async def test_a_relative_folder_stays_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    backend = open_backend("blobs")
    monkeypatch.chdir(tmp_path / "elsewhere")
    await backend.put(KEY, b"content")
    assert files_in(tmp_path) == [f"blobs/{KEY}"]


async def test_a_folder_in_the_home_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    await open_backend("~/blobs").put(KEY, b"content")
    assert files_in(tmp_path) == [f"blobs/{KEY}"]


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("", "empty"),
        ("  ", "empty"),
        ("blobs\0", "NUL"),
        ("file://", "names no folder"),
        ("nonsense://place", "'nonsense'"),
        ("simplecache::s3://bucket/prefix", "chains"),
        ("s3//KEY:hunter2@bucket", "looks like s3://"),
        ("s3///bucket", "looks like s3://"),
        ("s3:/bucket", "looks like s3://"),
        ("s3:bucket/prefix", "looks like s3://"),
        ("S3:/bucket/prefix?endpoint_url=http://host", "looks like s3://"),
        (" s3a:/bucket", "looks like s3a://"),
        ("file:/folder", "looks like file://"),
        ("sftp//host/folder", "looks like sftp://"),
        ("ftp://host:no-port/prefix", "ftp:// URL can't be parsed"),
        ("s3://", "no S3 bucket name"),
        ("s3:///prefix", "no S3 bucket name"),
        ("s3://not a bucket/prefix", "invalid S3 bucket name"),
        ("s3://bucket/prefix?regoin=eu-central-1", "'regoin'; known: addressing_style, anon, endpoint_url, profile, region"),
        ("s3://bucket/prefix?region=", "without a value"),
        ("s3://bucket/prefix?region=a&region=b", "twice"),
        ("s3://bucket/prefix?anon=perhaps", "anon"),
        ("s3://bucket/prefix?addressing_style=mine", "addressing_style"),
        ("s3://bucket/prefix?endpoint_url=localhost:9000", "endpoint_url"),
        ("memory://prefix?ttl=1", "parameters"),
    ],
)
def test_a_url_that_cannot_work_is_refused(url: str, said: str) -> None:
    with pytest.raises(InvalidUrl) as caught:
        open_backend(url)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        f"s3://AKIAKEY:{SECRET}@bucket/prefix",
        f"s3://AKIAKEY:a/{SECRET}@bucket/prefix",
        f"s3://AKIAKEY:a?{SECRET}@bucket/prefix",
        f"s3://AKIAKEY:{SECRET}/bucket",
        f"s3://bucket/prefix?key=AKIAKEY&secret={SECRET}",
        f"s3://bucket/prefix?aws_secret_access_key={SECRET}",
        f"s3://bucket/prefix?region=eu&AWS_SESSION_TOKEN={SECRET}",
        f"s3://bucket/prefix?endpoint_url=http://user:{SECRET}@host:9000",
        f"s3://bucket/prefix?{SECRET}",
        f"memory://user:{SECRET}@host/prefix",
        f"sftp://user:{SECRET}@host/prefix",
        f"ftp://user:{SECRET}",
        f"ftp://user:{SECRET}/prefix",
        f"ftp://[{SECRET}",
        f"ftp://host.\u2100{SECRET}/prefix",
        f"s3://bucket/prefix?endpoint_url=http://[{SECRET}",
        f"s3://bucket/prefix?endpoint_url=http://\u2100{SECRET}",
        f"s3//AKIAKEY:{SECRET}@bucket",
        f"s3:/AKIAKEY:{SECRET}@bucket/prefix",
        f"S3:AKIAKEY:{SECRET}@bucket/prefix",
    ],
)
def test_a_secret_in_a_url_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(InvalidUrl) as caught:
        open_backend(url)
    shown = "".join(traceback.format_exception(caught.value, limit=0))
    assert SECRET not in shown
    assert SECRET.lower() not in shown
    assert "AKIAKEY" not in shown


@pytest.mark.parametrize("url", ["s3://bucket/a:b/me@x", "s3://bucket/a@b:c@d", "memory://prefix/a:b@c"])
def test_a_path_may_hold_what_would_part_a_password(url: str) -> None:
    assert open_backend(url).url == url


@pytest.mark.parametrize("path", ["s3/blobs", "data//blobs", "dir//blobs", "./s3:/blobs", "my-s3//blobs", "c:/blobs"])
async def test_a_folder_that_is_called_like_a_scheme_is_a_folder(path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    await open_backend(path).put(KEY, b"content")
    assert files_in(tmp_path) == [str(Path(path, KEY))]


def test_where_credentials_belong_is_reported() -> None:
    with pytest.raises(InvalidUrl, match="AWS_ACCESS_KEY_ID"):
        open_backend(f"s3://AKIAKEY:{SECRET}@bucket/prefix")
    with pytest.raises(InvalidUrl, match="AWS_ACCESS_KEY_ID"):
        open_backend(f"s3://bucket/prefix?secret={SECRET}")


@pytest.mark.parametrize(
    ("scheme", "module", "command"),
    [("s3", "s3fs", "pip install 'ckptstore[s3]'"), ("abfs", "adlfs", "pip install adlfs")],
)
def test_a_missing_package_is_named(scheme: str, module: str, command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # By its module's name in `sys.modules`: in the package, a mapping of the same name hides it.
    monkeypatch.delitem(sys.modules["fsspec.registry"].__dict__["_registry"], scheme, raising=False)
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingDriver) as caught:
        open_backend(f"{scheme}://bucket/prefix")
    assert command in str(caught.value)


@pytest.mark.parametrize(
    ("rest", "on_windows", "folder"),
    [
        ("/C:/blobs/a%20b", True, "C:/blobs/a b"),
        ("localhost/d:/blobs", True, "d:/blobs"),
        ("/C:/blobs", False, "/C:/blobs"),
        ("/srv/blobs", True, "/srv/blobs"),
        ("relative/blobs", True, "relative/blobs"),
    ],
)
def test_a_file_url_names_a_folder(rest: str, on_windows: bool, folder: str) -> None:
    assert _folder_of(rest, on_windows=on_windows) == folder
