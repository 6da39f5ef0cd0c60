"""What a base model's files say of it."""

import json
from pathlib import Path

import pytest

from learning.model_files import NOT_STATED, ModelFilesError, licence_of, read_model_files
from tests.learning.tiny import make_tiny_base


@pytest.mark.parametrize(
    ("files", "licence"),
    [
        ({}, NOT_STATED),
        ({"README.md": "---\nlicense: apache-2.0\ntags: [chat]\n---\n# Model"}, "apache-2.0"),
        ({"README.md": "---\nlicense: other\nlicense_name: acme-research\n---\n"}, "acme-research"),
        ({"README.md": "---\nlicense:\n- mit\n- apache-2.0\n---\n"}, "mit, apache-2.0"),
        ({"README.md": "# A model\nlicense: mit"}, NOT_STATED),
        ({"README.md": "---\nlicense: [unclosed\n---\n"}, NOT_STATED),
        ({"README.md": "---\ntags: [chat]\n---\n", "config.json": '{"license": "bsd-3-clause"}'}, "bsd-3-clause"),
        ({"LICENSE": "\n   MIT License\n\nCopyright"}, "LICENSE: MIT License"),
        ({"README.md": "---\nlicense: gpl-3.0\n---\n", "LICENSE.txt": "MIT License"}, "gpl-3.0"),
    ],
)
def test_the_licence_is_what_card_configuration_or_licence_file_say(
    tmp_path: Path, files: dict[str, str], licence: str
) -> None:
    (tmp_path / "config.json").write_text("{}")
    for name, text in files.items():
        (tmp_path / name).write_text(text)

    assert licence_of(tmp_path) == licence


def test_size_context_and_chat_template_are_read_without_loading_the_model(tmp_path: Path) -> None:
    folder = make_tiny_base(tmp_path).path

    found = read_model_files(folder)

    assert (found.context_length, found.chat_template, found.licence) == (2048, True, NOT_STATED)
    assert 50_000 < found.parameters < 500_000


def test_a_chat_template_may_also_stand_in_the_tokenizer_s_configuration(tmp_path: Path) -> None:
    folder = make_tiny_base(tmp_path).path
    (folder / "chat_template.jinja").unlink()
    assert not read_model_files(folder).chat_template

    path = folder / "tokenizer_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "chat_template": "{{ messages }}"}))
    assert read_model_files(folder).chat_template


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_damaged_file_is_named(tmp_path: Path, name: str) -> None:
    folder = make_tiny_base(tmp_path).path
    (folder / name).write_bytes(b"{")

    with pytest.raises(ModelFilesError, match=rf"{name} is damaged.*Fetch or save the model again"):
        read_model_files(folder)
