"""Damage to a folder is told by what its description records."""

import json
from pathlib import Path

import pytest

from langue.base.checksums import check_seal, describe_files, sealed, verify_files
from langue.base.errors import LangueError
from langue.base.files import read_json


def test_verification_finds_missing_truncated_and_altered_files(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"12345")
    recorded = describe_files(tmp_path)
    verify_files(tmp_path, recorded)
    path.write_bytes(b"12346")
    verify_files(tmp_path, recorded, hashes=False)
    with pytest.raises(LangueError, match="altered"):
        verify_files(tmp_path, recorded)
    path.write_bytes(b"1234")
    with pytest.raises(LangueError, match="4 bytes, not 5"):
        verify_files(tmp_path, recorded, hashes=False)
    path.unlink()
    with pytest.raises(LangueError, match="missing"):
        verify_files(tmp_path, recorded)


def test_a_seal_tells_what_was_altered_and_not_how_it_is_laid_out(tmp_path: Path) -> None:
    table = sealed({"config": {"order": 3, "x": [1.5, None]}, "name": "é"})
    path = tmp_path / "model.json"
    path.write_text(json.dumps(table, indent=1, sort_keys=True))
    check_seal(read_json(path), path)
    for changed in ({**table, "name": "e"}, {**table, "more": 1}, {**table, "digest": "0" * 64}):
        with pytest.raises(LangueError, match="altered"):
            check_seal(changed, path)
    check_seal({"name": "é"}, path)  # what earlier versions wrote has none


def test_files_of_folders_below_are_described_and_none_above(tmp_path: Path) -> None:
    (tmp_path / "first").mkdir()
    (tmp_path / "first" / "a").write_bytes(b"a")
    described = describe_files(tmp_path, below=True)
    assert list(described) == ["first/a"]
    (tmp_path / "first" / "a").write_bytes(b"b")
    with pytest.raises(LangueError, match="contents of first/a were altered"):
        verify_files(tmp_path, described)
