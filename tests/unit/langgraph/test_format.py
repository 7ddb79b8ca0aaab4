"""LangGraph's formats are known to `ckptstore/langgraph/format.py`, and to nothing below it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import ckptstore
from ckptstore.langgraph.format import LANGGRAPH
from ckptstore.records import Posting
from ckptstore.tags.encoding import encode_value, postings

PACKAGE = Path(ckptstore.__file__).parent
BELOW = ("store", "maintenance", "writes", "blobs", "reads", "db", "values", "runtime", "tags", "handles.py", "records.py", "errors.py")
WORDS = re.compile(r"__pregel|counters_since|['\"]parents['\"]|__start__|__interrupt__|__resume__|__error__")
# A dictionary for zstd is bytes of typical values: LangGraph's names are content there, not knowledge.
DATA = PACKAGE / "values" / "dictionaries.py"


def modules() -> Iterator[Path]:
    for name in BELOW:
        path = PACKAGE / name
        yield from [path] if path.suffix else (each for each in path.rglob("*.py") if each != DATA)


class WithoutDocstrings(ast.NodeTransformer):
    """Docstrings may explain what the code must not know."""

    def visit_Expr(self, node: ast.Expr) -> ast.AST:
        is_text = isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        return ast.Pass() if is_text else node


def code_of(path: Path) -> str:
    """A module without its comments and docstrings, each expression in one form."""
    return ast.unparse(WithoutDocstrings().visit(ast.parse(path.read_text())))


def test_no_module_below_knows_langgraphs_names() -> None:
    found = {str(path.relative_to(PACKAGE)): WORDS.findall(code_of(path)) for path in modules()}
    assert {path: words for path, words in found.items() if words} == {}


def test_no_module_below_knows_the_number_of_a_format() -> None:
    of_format = re.compile(r"format\w* (?:<|<=|>|>=|==|!=) (?:\d|literal_column\('\d)")
    found = {str(path.relative_to(PACKAGE)): of_format.findall(code_of(path)) for path in modules()}
    assert {path: places for path, places in found.items() if places} == {}


def test_what_langgraphs_metadata_and_namespaces_mean() -> None:
    assert LANGGRAPH.delta_channels('{"counters_since_delta_snapshot":{"d":[1,1]}}') == {"d"}
    assert LANGGRAPH.delta_channels('{"counters_since_delta_snapshot":null}') == frozenset()
    assert LANGGRAPH.delta_channels('{"step":1}') == frozenset()
    assert LANGGRAPH.root_checkpoint_id('{"parents":{"":"1","a":"2"}}') == "1"
    assert LANGGRAPH.root_checkpoint_id('{"parents":{}}') is None
    assert LANGGRAPH.root_checkpoint_id("{}") is None
    assert LANGGRAPH.is_task_namespace("node:1f0")
    assert not LANGGRAPH.is_task_namespace("node")


def test_empty_parents_are_not_indexed() -> None:
    step = {Posting("step", encode_value(1))}
    assert postings({"step": 1, "parents": {}}, unindexed_when_empty=LANGGRAPH.unindexed_when_empty) == step
    assert postings({"step": 1, "parents": {}}) == step | {Posting("parents", "e")}
    assert len(postings({"parents": {"a": "1"}}, unindexed_when_empty=LANGGRAPH.unindexed_when_empty)) == 1
