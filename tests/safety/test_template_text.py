"""Templates from strangers: what they may be read from, how much they may write, what is kept."""

import json
import sys

import pytest

from helpers.shapes import with_template
from helpers.tiny import CHAT_TEMPLATE
from paretohqd.models import base, chat
from paretohqd.models.chat import _templates
from paretohqd.models.spec import Model
from paretohqd.models.template_files import MOST_BYTES, find_template, read_template, template_text
from paretohqd.rewards.classifier import ClassifierReward
from paretohqd.rewards.inputs import MOST_FIELDS
from safety.hostile import MARK, lay_out


def bomb(size: int) -> str:
    """A template that works, and writes so much besides."""
    return "{{ 'a' * " + str(size) + " }}" + CHAT_TEMPLATE


def test_a_template_may_write_as_much_as_a_system_prompt_and_no_more():
    chat.check_template(with_template(bomb(20_000)))
    for size in (70_000, 30_000_000):
        with pytest.raises(ValueError, match=rf"writes {size // 1000:,},.* characters around") as e:
            chat.check_template(with_template(bomb(size)))
        assert len(str(e.value)) < 300


def test_loading_a_tokenizer_tries_its_template(parts):
    spec = Model(name=str(parts / "model"), chat_template=bomb(3_000_000))
    with pytest.raises(ValueError, match=r"model .*3,000,\d+ characters around a conversation"):
        base.load_tokenizer(spec)


def test_a_template_that_waits_for_a_text_is_stopped_when_it_comes():
    template = (
        "{% if 'tea' in messages[0]['content'] %}{{ 'a' * 1000000 }}{% endif %}" + CHAT_TEMPLATE
    )
    tokenizer = with_template(template)
    chat.check_template(tokenizer)
    assert chat.encode_prompts(tokenizer, ["coffee"])
    with pytest.raises(ValueError, match=r"1,000,\d+ characters around"):
        chat.encode_prompts(tokenizer, ["tea"])


def test_a_long_prompt_is_no_long_template():
    tokenizer = with_template(CHAT_TEMPLATE)
    assert len(_templates.render(tokenizer, chat.messages("x" * 200_000))) > 200_000


@pytest.mark.parametrize(
    "template",
    [
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ cycler.__init__.__globals__.os.system('id') }}",
        "{% set x = messages.append('a') %}",
        "{% include '/etc/passwd' %}",
        "{{ raise_exception('" + "a" * 60_000 + "') }}",
    ],
)
def test_a_template_reaches_nothing_else(template):
    with pytest.raises(ValueError, match="chat template") as refused:
        chat.check_template(with_template(template + CHAT_TEMPLATE))
    assert "uid=" not in str(refused.value)
    assert "root:" not in str(refused.value)
    assert len(str(refused.value)) < 1_000


def test_what_is_kept_of_a_template_is_a_hash(parts, tmp_path):
    file = tmp_path / "mine.jinja"
    file.write_text(CHAT_TEMPLATE)
    found = find_template("mine.jinja", tmp_path)
    in_file, written_out = (
        base.identity(Model(name=str(parts / "model"), chat_template=text))
        for text in (found, CHAT_TEMPLATE)
    )
    assert in_file == written_out
    assert in_file["chat_template"].startswith("sha256:")
    assert len(in_file["chat_template"]) == 71
    assert "im_start" not in json.dumps(in_file)
    file.write_text(CHAT_TEMPLATE + " ")
    assert base.identity(Model(name=str(parts / "model"), chat_template=found)) != in_file
    assert base.load_tokenizer(Model(name=str(parts / "model"), chat_template=found))


def test_a_file_is_looked_at_again_when_it_is_read(tmp_path):
    file = tmp_path / "mine.jinja"
    file.write_text("{{ x }}")
    found = find_template("mine.jinja", tmp_path)
    assert template_text(found) == "{{ x }}"
    file.write_text("x" * (MOST_BYTES + 1))
    with pytest.raises(ValueError, match="more than 64 kB"):
        template_text(found)
    if sys.platform != "win32":
        file.unlink()
        (tmp_path / "secret.txt").write_text(MARK)
        file.symlink_to(tmp_path / "secret.txt")
        with pytest.raises(ValueError, match="cannot be read"):
            template_text(found)
    with pytest.raises(ValueError, match="ends in"):
        read_template(tmp_path / "id_ed25519")


def test_what_is_no_template_is_not_read_from_python_either(tmp_path):
    """A configuration made in Python may name any file, but no other kind of file."""
    lay_out(tmp_path)
    for ending in ("id_ed25519", "notes.txt.key", "folder.jinja", "large.jinja", "bytes.jinja"):
        with pytest.raises(ValueError, match=r"^model\.chat_template: ") as refused:
            template_text(str(tmp_path / "home" / ending))
        assert MARK not in str(refused.value)


@pytest.mark.parametrize(
    "template",
    [
        "{prompt:>1000000000} {response}",
        "{prompt} {response:1000000000}",
        "{prompt:{prompt.__class__}} {response}",
        "{prompt!r} {response}",
        "{prompt!a} {response!s}",
        "{prompt.__class__} {response}",
        "{prompt[0]} {response}",
        "{prompt} {response} {0}",
        "{prompt} {response} {}",
        "{prompt} {response",
        "{prompt} {response}" + "{prompt}" * MOST_FIELDS,
        "{prompt} {response}" + " " * 70_000,
    ],
)
def test_templates_of_reward_models_put_two_texts_in_their_places(template):
    with pytest.raises(ValueError, match=r"^template") as refused:
        ClassifierReward(name="a", model="./b", template=template)
    assert len(str(refused.value)) < 300


def test_templates_of_reward_models_that_are_as_they_should_be():
    for template in (
        "{prompt} {response}",
        "{{x}} {prompt} [SEP] {response}",
        "{response}{prompt}",
    ):
        assert ClassifierReward(name="a", model="./b", template=template).template == template
