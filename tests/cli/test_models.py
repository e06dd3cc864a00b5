"""``tufa-cli models``: what a weights file says of itself."""

import json

import pytest

from tufa_cli.schemes import builtin_plane

META = {
    "name": "tiny",
    "terms": "For tests only.",
    "training_faces": {"made-up/mtfl5": 12},
    "config": {"steps": 3},
}


@pytest.fixture(scope="module")
def weights_file(save_tiny_weights, tmp_path_factory):
    learned = {"mtfl5": builtin_plane()["mtfl5"] + 0.01}
    return save_tiny_weights(tmp_path_factory.mktemp("models") / "tiny.pt", learned, META)


def test_show_tells_terms_sizes_schemes_plane_and_training(run_cli, weights_file):
    result = run_cli("models", "show", weights_file, "--json")
    assert (result.code, result.stderr) == (0, "")
    entry = json.loads(result.stdout)
    assert entry["name"] == "tiny"
    assert entry["terms"] == "For tests only."
    assert entry["parameters"] > 1000
    assert entry["input_size"] == 32
    assert entry["trained_schemes"] == ["mtfl5"]
    assert entry["schemes"]["ibug68"] == 68
    assert entry["plane"] == builtin_plane().name
    assert entry["window"]["side"] == pytest.approx(builtin_plane().window.side)
    assert entry["model"]["width"] == 16
    assert entry["training"] == {"steps": 3}
    assert entry["training_faces"] == {"made-up/mtfl5": 12}


def test_show_in_words(run_cli, weights_file):
    result = run_cli("models", "show", weights_file)
    assert result.code == 0
    assert "terms: For tests only." in result.stdout
    assert "  ibug68: 68\n" in result.stdout
    assert "  made-up/mtfl5: 12\n" in result.stdout


@pytest.mark.parametrize("content", [None, b"", b"not weights", b"PK\x03\x04broken zip"])
def test_a_bad_file_is_named_in_one_or_two_lines(run_cli, tmp_path, content):
    path = tmp_path / "bad.pt"
    if content is not None:
        path.write_bytes(content)
    result = run_cli("models", "show", path)
    assert (result.code, result.stdout) == (1, "")
    assert result.stderr.startswith(f"Error: {path}: ")
    assert len(result.stderr.splitlines()) <= 2


def test_list_shows_what_the_package_ships(run_cli, checkout):
    shipped = sorted((checkout / "tufa_cli/model/weights").glob("*.pt"))
    result = run_cli("models", "list", "--json")
    assert result.code == 0
    entries = json.loads(result.stdout)
    assert [entry["file"].rsplit("/", 1)[-1] for entry in entries] == [p.name for p in shipped]
    for entry in entries:
        assert entry["terms"] and entry["parameters"]
    assert run_cli("models", "list").code == 0
