"""Configurations as short as can be, and files that hold them."""

import yaml

from paretohqd.runs.config import Config, load_settings

ONE = {"name": "one", "scorer": "embedded:harmless"}


def minimal(**more):
    objectives = [{"name": n, "scorer": f"embedded:{n}"} for n in ("harmless", "relevance")]
    plain = {"run": "out", "data": {"source": "embedded:conversations"}, "objectives": objectives}
    return {**plain, **more}


def write(tmp_path, mapping):
    path = tmp_path / "run.yaml"
    path.write_text(yaml.safe_dump(mapping))
    return path


def load(path, overrides=None):
    return load_settings(Config, path, overrides)
