from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from paretohqd.compare.config import Comparison
from paretohqd.compare.plan import check_together, plan
from paretohqd.runs.config import load_settings
from paretohqd.runs.config_reader import from_mapping, to_mapping

ROOT = Path(__file__).parents[2]
EXAMPLES = [
    *sorted((ROOT / "examples").glob("compare*.yaml")),
    *sorted(ROOT.glob("benches/*.yaml")),
]

OWN = {"method": "sft", "against": "paretohqd", "budgets": ["own"]}


def comparison(**more: Any) -> Comparison:
    objectives = [{"name": n, "scorer": f"embedded:{n}"} for n in ("harmless", "relevance")]
    plain = {"run": "out", "data": {"source": "embedded:conversations"}, "objectives": objectives}
    return from_mapping(Comparison, {**plain, "methods": ["base"], **more})


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_the_examples_can_be_planned(path: Path) -> None:
    settings = load_settings(Comparison, path)
    follow = set(settings.budgets) != {"own"}  # what ParetoHqD takes is the others' budget
    assert next(plan(settings)).entry.method == ("paretohqd" if follow else "base")
    assert from_mapping(Comparison, to_mapping(settings)) == settings


def test_the_method_that_budgets_come_from_is_first_for_every_seed() -> None:
    settings = comparison(
        methods=["base", {"method": "sft", "seeds": [1]}, "paretohqd"],
        seeds=[0, 1],
        budgets=["matched", "own"],
    )
    jobs = [(job.seed, job.entry.title, job.budget) for job in plan(settings)]
    assert jobs == [
        (0, "paretohqd", "matched"),
        (0, "paretohqd", "own"),
        (0, "base", "matched"),
        (0, "base", "own"),
        (1, "paretohqd", "matched"),
        (1, "paretohqd", "own"),
        (1, "base", "matched"),
        (1, "base", "own"),
        (1, "sft", "matched"),
        (1, "sft", "own"),
    ]


def test_what_else_a_section_says_are_the_methods_options() -> None:
    settings = comparison(methods=[{"method": "ric", "name": "two rounds", "rounds": 2}])
    (entry,) = settings.entries()
    assert (entry.title, dict(entry.options)) == ("two rounds", {"rounds": 2})


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"methods": []}, "methods: name at least one"),
        ({"methods": ["moddpo", "paretohqd"]}, r"methods\[0\]\.moddpo: did you mean modpo\?"),
        ({"methods": [{"name": "x"}]}, r"missing key methods\[0\]\.method"),
        ({"methods": [{"method": "ric", "round": 2}]}, "did you mean rounds"),
        ({"methods": [{"method": "stage1", "upt": 2}]}, "did you mean upto"),
        ({"methods": ["sft", "sft"]}, "two are called 'sft'"),
        (
            {
                "generation": {
                    "endpoint": {"url": "http://localhost/v1", "model": "m", "lora": "names"}
                }
            },
            r"generation\.endpoint\.lora: names is for runs",
        ),
        ({"methods": ["sft"]}, "name paretohqd without options and with seed 0"),
        ({"methods": [{"method": "sft", "budgets": ["mine"]}]}, "expected one of own, matched"),
        ({"methods": [{"method": "sft", "budgets": []}]}, r"methods\[0\]\.budgets: must differ"),
        ({"methods": [{"method": "sft", "seeds": [1, 1]}]}, r"methods\[0\]\.seeds: must differ"),
        ({"methods": ["paretohqd", {"method": "sft", "seeds": [7]}]}, "with seed 7"),
        ({"reference": "sft"}, "no method is called 'sft'"),
        (
            {"methods": [{"method": "paretohqd", "against": "sft"}]},
            r"methods\[0\]\.against: no method is called 'sft'",
        ),
        (
            {"methods": [{"method": "soups", "corners": "RL"}]},
            "expected one of sft, dpo, rl, got 'RL'",
        ),
        ({"methods": [{"method": "stage1", "rank": "rays"}]}, "one of ray, linear, ideal"),
        ({"methods": [{"method": "stage1", "bounds": "al"}]}, "one of pool, all, got 'al'"),
        ({"methods": [{"method": "linear", "k": 0}]}, "k: expected a whole number from 1 on"),
        ({"methods": [{"method": "stage1", "upto": "5"}]}, "upto: expected a whole number"),
        ({"methods": [{"method": "rcs", "beta": 0}]}, "beta: expected a number above 0, got 0"),
        ({"methods": [{"method": "ric", "quantile": 1.5}]}, "expected a number from 0 to 1, got 1"),
        ({"methods": [{"method": "ric", "rounds": 7}]}, "a whole number from 0 to 6, got 7"),
        (
            {"methods": [{"method": "ric", "low": 0.99}]},
            "low must be below high, got 0.99 and",
        ),
        ({"methods": [{"method": "ham", "count": 13}]}, "a whole number from 1 to 12, got 13"),
        (
            {"methods": [{"method": "stage1", "distinct": 5}]},
            "distinct: expected text, got 5: put it in q",
        ),
        (
            {"methods": [{"method": "stage1", "upto": 2, "at_least": 9}]},
            r"methods\[0\]: give upto or at_least, and not both",
        ),
        (
            {
                "methods": [
                    "paretohqd",
                    {"method": "sft", "against": "paretohqd", "budgets": ["own"]},
                ]
            },
            r"methods\[1\]\.against: sft has budgets own, and paretohqd matched: with none",
        ),
        (
            {
                "seeds": [0, 1],
                "methods": [
                    "paretohqd",
                    {"method": "sft", "seeds": [0]},
                    {"method": "base", "against": "sft", "seeds": [1]},
                ],
            },
            "base has seeds 1, and sft 0: with none in common nothing is compared",
        ),
        (
            {"methods": [{"method": "sft", "name": n} for n in ("é", "e\u0301")]},
            "two are called 'é'",
        ),
        *(
            ({"methods": ["sft", {"method": "soups", "name": name}]}, r"methods\[1\]\.name: expect")
            for name in ("", " ", "x ", "two\nlines", "-x", "=1+1", "@x", "+kl")
        ),
        ({"train": {"packing": True}}, r"train\.packing: a comparison puts rows in order"),
        (
            {"train_stage2": {"train_sampling_strategy": "random"}},
            r"train_stage2\.train_sampling_strategy: a comparison puts rows in order",
        ),
        ({"train": {"max_steps": -1}}, "train.max_steps: .* whole number from 1 on, got -1"),
        (
            {"train_stage2": {"num_train_epochs": 2}},
            "train_stage2.num_train_epochs: .* counts",
        ),
        (
            {"pairs": {"per_device_train_batch_size": 0}},
            "pairs.per_device_train_batch_size: a",
        ),
        (
            {"objectives": [{"name": n, "scorer": "embedded:harmless"} for n in ("a", "seed")]},
            r"objectives\[1\]\.name: 'seed' is a column of the comparison's own",
        ),
        (
            {"methods": ["paretohqd", {"method": "ric", "steps": 9}]},
            r"methods\[1\]\.steps: under a matched budget .* set budgets: \[own\]",
        ),
        ({"seeds": [-1]}, "seeds: from 0 to 2147483647, got -1"),
        ({"methods": [{"method": "sft", "seeds": [2**31]}]}, r"methods\[0\]\.seeds: from 0 to"),
        ({"seeds": []}, "seeds: must differ"),
        ({"seeds": [1, 1]}, "seeds: must differ"),
        ({"budgets": []}, "budgets: must differ"),
        ({"sample_pairs": 1}, "a pair needs 2 answers"),
        ({"sample_pairs": -1}, "sample_pairs: must be at least 0"),
        ({"validation": -1}, "validation: must be at least 0"),
        ({"validation": 64}, "validation: 64 of 64 held-out prompts leave none to test"),
        ({"validation": 9, "evaluation": {"prompts": 9}}, "evaluation.prompts: with validation"),
        ({"method": ["sft"]}, "did you mean methods"),
    ],
)
def test_bad_settings(more: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        list(plan(comparison(**more)))


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"lora": {"use_dora": True}}, r"lora\.use_dora: soups add adapters up"),
        ({"lora": {"use_rslora": True}}, r"lora\.use_rslora: soups add adapters up"),
        ({"pairs": {"label_smoothing": 0.1}}, r"pairs\.label_smoothing is not followed"),
        ({"reinforcement": {"use_vllm": True}}, r"reinforcement\.use_vllm is not followed"),
        ({"train": {"optim": "sgd"}}, r"train\.optim is not followed \(training several"),
        ({"reinforcement": {"learning_rat": 1}}, "did you mean learning_rate"),
        ({"pairs": {"learning_rat": 1}}, "did you mean learning_rate"),
        (
            {"reinforcement": {"lr_scheduler_type": "linear"}},
            r"reinforcement\.lr_scheduler_type: linear needs to know the number of steps",
        ),
        (
            {"reinforcement": {"lr_scheduler_type": "constant_with_warmup", "warmup_steps": 0.1}},
            r"reinforcement\.warmup_steps: 0\.1 needs to know the number of steps",
        ),
    ],
)
def test_settings_that_a_method_cannot_work_with(more: dict[str, Any], message: str) -> None:
    settings = comparison(methods=["paretohqd", "morlhf", "soups", "ham"], **more)
    with pytest.raises(ValueError, match=message):
        check_together(settings, list(plan(settings)))
    if "reinforcement" in more and "lr_scheduler_type" in more["reinforcement"]:
        steps = comparison(methods=["morlhf"], budgets=["own"], **more)
        check_together(steps, list(plan(steps)))


@pytest.mark.parametrize("options", [{}, {"heads": True}])
def test_heads_of_ham_are_sums_of_adapters(options: dict[str, Any]) -> None:
    settings = comparison(
        methods=[{"method": "ham", **options}], budgets=["own"], lora={"use_rslora": True}
    )
    if options:
        with pytest.raises(ValueError, match=r"lora\.use_rslora: ham add adapters up"):
            check_together(settings, list(plan(settings)))
    else:
        check_together(settings, list(plan(settings)))


def test_a_quantile_may_be_0() -> None:
    assert list(plan(comparison(methods=[{"method": "ric", "low": 0}], budgets=["own"])))


def test_a_budget_of_ones_own_needs_no_reference() -> None:
    assert len(list(plan(comparison(methods=["sft"], budgets=["own"])))) == 1
    assert len(list(plan(comparison(methods=["base"])))) == 1, "it spends nothing"


def test_who_is_never_beside_the_reference_is_named() -> None:
    entries = ["base", {"method": "paretohqd", "budgets": ["own"]}, "soups", "sft"]
    assert comparison(methods=entries, budgets=["one"]).uncompared() == ["soups", "sft"]
    assert comparison(methods=entries, budgets=["one", "own"]).uncompared() == []
    assert comparison(methods=["base", "soups", "sft"], budgets=["own"]).uncompared() == []
    against = [*entries[:3], {"method": "sft", "against": "soups"}]
    assert comparison(methods=against, budgets=["one"]).uncompared() == ["soups"]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_configurations_compare_with_their_reference(path: Path) -> None:
    settings = load_settings(Comparison, path)
    assert settings.uncompared() == []
