"""What a reviewer of a dbt project would look for, over dbt's own manifest."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from annals.settings import load_settings
from loaders import dbt_project, parsed_project
from loaders.dbt_project import PROJECT_FOLDER

LAYERS = {
    "staging": "bronze",
    "intermediate": "silver",
    "marts": "gold",
    "reading": "reading",
}
PREFIXES = {
    "staging": ("stg_",),
    "intermediate": ("int_",),
    "marts": ("dim_", "fct_", "agg_"),
    "reading": ("reading_",),
}
GOLD = {
    "fct_api_responses",
    "fct_tool_calls",
    "fct_vendor_costs",
    "dim_sessions",
    "dim_projects",
    "dim_models",
    "dim_dates",
    "agg_usage_daily",
}
KEYLESS = {"stg_annals__touched_days", "stg_annals__model_prices", "stg_annals__price_factors"}
"""Models that pass on what the loader wrote and have no key of their own."""


def layer_of(model: Any) -> str:
    """Return the folder below models/ that a model lies in."""
    return str(model.fqn[1])


def attached_tests(manifest: Any, model: Any) -> list[Any]:
    """Return the data tests attached to a model."""
    return [
        node
        for node in manifest.nodes.values()
        if node.resource_type == "test" and node.attached_node == model.unique_id
    ]


def test_every_model_and_column_is_described(models: dict[str, Any]) -> None:
    """No model and no column without a sentence about it."""
    bare = [name for name, model in models.items() if not model.description.strip()]
    bare += [
        f"{name}.{column.name}"
        for name, model in models.items()
        for column in model.columns.values()
        if not column.description.strip()
    ]
    assert bare == []


def test_every_column_of_a_model_is_documented(models: dict[str, Any]) -> None:
    """The YAML names the columns that the last select gives, where these are spelled out."""
    missing = []
    for name, model in models.items():
        final = re.search(r"final as \(\s*select\b(.*?)\n\)", model.raw_code, re.DOTALL)
        if final is None:
            continue
        plain = re.findall(r"\bas\s+([a-z_0-9]+)\s*(?:,|\n\s+from\b)", final[1])
        missing += [f"{name}.{column}" for column in plain if column not in model.columns]
    assert missing == []


def test_every_model_has_a_key_test(manifest: Any, models: dict[str, Any]) -> None:
    """Every model says what a row is, and dbt checks it."""
    untested = [
        name
        for name, model in models.items()
        if name not in KEYLESS
        and not {"unique", "unique_combination", "never_null", "not_null"}
        & {test.test_metadata.name for test in attached_tests(manifest, model)}
    ]
    assert untested == []


def test_keys_of_tables_are_unique(manifest: Any, models: dict[str, Any]) -> None:
    """Whatever is materialised has a test that its key occurs once."""
    loose = [
        name
        for name, model in models.items()
        if model.config.materialized != "ephemeral"
        and not {"unique", "unique_combination"}
        & {test.test_metadata.name for test in attached_tests(manifest, model)}
    ]
    assert loose == []


def test_models_are_named_for_their_layer(models: dict[str, Any]) -> None:
    """The prefix tells the layer, and the layer is the schema."""
    for name, model in models.items():
        layer = layer_of(model)
        assert name.startswith(PREFIXES[layer]), name
        assert model.schema == LAYERS[layer], name
        if layer == "staging":
            assert re.fullmatch(r"stg_[a-z_]+__[a-z_]+", name), name


def test_gold_is_exactly_what_is_published(models: dict[str, Any]) -> None:
    """The tables that readers know are there, and no other."""
    assert {name for name, model in models.items() if layer_of(model) == "marts"} == GOLD


def test_gold_has_contracts_and_flat_columns(models: dict[str, Any]) -> None:
    """Every gold column has a type, and none is nested."""
    for name in GOLD:
        model = models[name]
        assert model.config.contract.enforced, name
        for column in model.columns.values():
            assert column.data_type, f"{name}.{column.name}"
            assert not re.search(r"\[\]|struct|map|list", column.data_type), f"{name}.{column.name}"


def test_gold_is_exposed(manifest: Any, models: dict[str, Any]) -> None:
    """Every gold table says who reads it."""
    read = {
        parent for exposure in manifest.exposures.values() for parent in exposure.depends_on.nodes
    }
    assert [name for name in sorted(GOLD) if models[name].unique_id not in read] == []


def test_only_staging_reads_sources_and_each_model_one_system(models: dict[str, Any]) -> None:
    """The outside is read in one place: a staging model, of one source system at most."""
    for name, model in models.items():
        systems = {source[0] for source in model.sources}
        if layer_of(model) == "staging":
            assert len(systems) + len(model.refs) == 1, name
        else:
            read = re.sub(r"\{\{ config\(.*?\) \}\}", "", model.raw_code, count=1, flags=re.DOTALL)
            assert "source(" not in read, name


def test_layers_depend_downwards(manifest: Any, models: dict[str, Any]) -> None:
    """Staging never reads silver or gold, silver never reads gold."""
    order = list(LAYERS)
    by_id = {model.unique_id: model for model in models.values()}
    upward = [
        f"{name} reads {by_id[parent].name}"
        for name, model in models.items()
        for parent in model.depends_on.nodes
        if parent in by_id and order.index(layer_of(by_id[parent])) > order.index(layer_of(model))
    ]
    assert upward == []


def test_tricky_models_have_unit_tests(manifest: Any) -> None:
    """Identity, folding, pairing and pricing are each shown on a handful of rows."""
    tested = {test.model for test in manifest.unit_tests.values()}
    assert tested >= {
        "stg_claude_code__entries",
        "int_response_rows",
        "int_api_responses",
        "int_tool_calls",
        "int_tool_copies",
        "int_messages",
        "int_model_prices",
        "fct_api_responses",
        "agg_usage_daily",
    }


def test_macros_come_in_pairs(manifest: Any) -> None:
    """What one engine spells in its own way has a body for any other engine too."""
    names = {macro.name for macro in manifest.macros.values() if macro.package_name == "annals"}
    for prefix, other in (("duckdb__", "default__"), ("default__", "duckdb__")):
        alone = [
            name
            for name in names
            if name.startswith(prefix) and other + name.removeprefix(prefix) not in names
        ]
        assert alone == []


@pytest.mark.parametrize(
    "function",
    [
        "json_extract",
        "json_transform",
        "json_valid",
        "regexp_",
        "md5(",
        "strftime",
        "timezone(",
        "epoch_",
        "dayname(",
        "list_filter",
        "list_transform",
        "struct_pack",
        "unnest(",
        "arg_min",
        "arg_max",
    ],
)
def test_engine_functions_stay_in_macros(models: dict[str, Any], function: str) -> None:
    """No model calls a function that only one engine has."""
    assert [name for name, model in models.items() if function in model.raw_code] == []


def test_models_are_short_and_end_alike(models: dict[str, Any]) -> None:
    """A model has at most 120 lines of at most 100 characters and ends with its last CTE."""
    for name, model in models.items():
        lines = model.raw_code.splitlines()
        assert len(lines) <= 120, name
        assert max(map(len, lines)) <= 100, name
        if "with " in model.raw_code:
            assert lines[-1] == "select * from final", name


def test_sql_is_lower_case(sql_files: list[Path]) -> None:
    """Keywords and names are lower case; what is quoted keeps its case."""
    shouting = re.compile(r"\b(SELECT|FROM|WHERE|JOIN|GROUP|ORDER|WITH|CASE|WHEN|AND|OR|NOT)\b")
    for path in sql_files:
        text = re.sub(r"'[^']*'|\{#.*?#\}|--.*", "", path.read_text(), flags=re.DOTALL)
        assert not shouting.search(text), path.name


def test_the_project_is_no_python_package() -> None:
    """Where its folder is a package, dbt breaks."""
    assert list(PROJECT_FOLDER.rglob("__init__.py")) == []


def test_the_program_parses_what_dbt_parses(manifest: Any, tmp_path: Path) -> None:
    """What the program leaves out of dbt's parsing changes no node, macro or dependence."""
    settings = load_settings(annals_home=tmp_path, timezone="Europe/Berlin", dbt_target="dev")
    dbt_project.prepare(settings)
    parsed = parsed_project.parsed_before(dbt_project._parse_key(settings, PROJECT_FOLDER))
    assert parsed is not manifest
    for kind in ("nodes", "macros", "unit_tests"):
        ours, theirs = getattr(parsed, kind), getattr(manifest, kind)
        assert list(ours) == list(theirs)
        for name, one in ours.items():
            assert one.depends_on == theirs[name].depends_on, name
    assert len(parsed.macros) > 100
