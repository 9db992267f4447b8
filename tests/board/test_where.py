import pytest

from fashionboard.base.errors import BoardError
from fashionboard.board.group import Group, State, Value
from fashionboard.board.where import Condition, Filter, condition


def group(name: str, state: State = "experiment", **values: Value) -> Group:
    """Return a group; a parameter's name has a `.` for each `_`, the metrics are `score/...`."""
    metrics = {f"score/{name}": value for name, value in values.items() if name in ("accuracy", "loss")}
    parameters = {
        name.replace("_", "."): each for name, each in values.items() if f"score/{name}" not in metrics
    }
    return Group(
        name, "1234567", state, parameters=parameters, metrics={k: float(v) for k, v in metrics.items()}
    )


GROUPS = [
    group("workspace", "workspace", train_lr=0.5),
    group("main", "commit", train_lr=0.5, accuracy=0.8, data_set="drawn", data_new=True),
    group("a", train_lr=0.1, accuracy=0.9, data_set="real", data_new=False),
    group("b", train_lr=1e-5, accuracy=0.84, data_set="1e-05"),
    group("none"),
    group("now", "running", train_lr=0.1),
    group("broke", "failed", train_lr=0.5),
]


def kept(*conditions: str, named: frozenset[str] = frozenset()) -> list[str]:
    chosen = Filter([condition(each) for each in conditions])
    return [each.name for each in chosen.keep(GROUPS, named)]


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("accuracy>0.84", ["a"]),
        ("accuracy >= 0.84", ["a", "b"]),
        ("score/accuracy<0.84", ["main"]),
        ("accuracy<=84e-2", ["main", "b"]),
        ("accuracy==0.84", ["b"]),
        ("accuracy!=0.84", ["main", "a"]),
        ("data.set==drawn", ["main"]),
        ("data.set=='drawn'", ["main"]),
        ("set!=drawn", ["a", "b"]),
        ("set==1e-5", ["b"]),
        ("new==true", ["main"]),
        ("new==False", ["a"]),
        ("set>0", ["b"]),
    ],
)
def test_what_fulfils_a_condition(asked: str, expected: list[str]) -> None:
    # the workspace has no say; what runs or failed has not got it yet, or never will
    assert kept(asked) == ["workspace", *expected, "now", "broke"]


def test_a_value_that_a_running_experiment_has_counts() -> None:
    assert kept("train.lr<0.2") == ["workspace", "a", "b", "now"]
    assert kept("lr<0.2", "accuracy>0.84") == ["workspace", "a", "now"]


def test_what_was_asked_for_by_name_stays() -> None:
    assert kept("accuracy>0.84", named=frozenset({"main"})) == ["workspace", "main", "a", "now", "broke"]


def test_what_is_left_out_is_known() -> None:
    chosen = Filter([condition("accuracy>0.84")])
    chosen.keep(GROUPS, set())
    assert [each.name for each in chosen.left_out] == ["main", "b", "none"]
    assert [chosen.lacks(each) for each in chosen.left_out] == [False, False, True]
    assert chosen.columns == ["score/accuracy"]


@pytest.mark.parametrize(
    ("sort", "expected"),
    [
        ("accuracy", ["main", "b", "a", "workspace", "none", "now", "broke"]),
        ("-accuracy", ["a", "b", "main", "workspace", "none", "now", "broke"]),
        # numbers, also as texts, before other texts
        ("data.set", ["b", "main", "a", "workspace", "none", "now", "broke"]),
        ("-data.set", ["b", "a", "main", "workspace", "none", "now", "broke"]),
        ("-lr", ["workspace", "main", "broke", "a", "now", "b", "none"]),
    ],
)
def test_the_order(sort: str, expected: list[str]) -> None:
    order = Filter(sort=sort)
    order.keep(GROUPS, set())
    ordered = [each.name for each in order.ordered(GROUPS)]
    assert ordered == expected


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("acuracy", "found 'acuracy'; did you mean score/accuracy?"),
        ("zzz", "found 'zzz'; `dvc exp show` has them"),
        ("deep", "found 'deep', which is several: a.deep, b/deep; name one of these"),
    ],
)
def test_a_name_that_is_nothings_or_several(name: str, said: str) -> None:
    groups = [*GROUPS, Group("x", "", "commit", parameters={"a.deep": 1.0}, metrics={"b/deep": 1.0})]
    for chosen in (Filter([Condition(name, ">", "0")]), Filter(sort=f"-{name}")):
        chosen.keep(groups, set())
        assert chosen.unknown(groups).startswith("expected a metric or parameter") and said in chosen.unknown(
            groups
        )


@pytest.mark.parametrize("text", ["", "accuracy", "a=1", "a>", ">1", "a=>1", "a>==1", "a<b<c", "a>text"])
def test_what_is_no_condition(text: str) -> None:
    with pytest.raises(BoardError, match="expected "):
        condition(text)
