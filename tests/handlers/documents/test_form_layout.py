"""Lines with places as a form: labels, slopes, what stands beside what, rows and columns."""

import pytest

from handlers.documents.form_layout import Form, match_label, slope_of

LABELS = ("名称", "数量", "单价", "单价合计", "（小写）", "开票日期")


def line(text, x, y, height=20):
    """Left and middle -> text and box; 20 pixels a character."""
    return text, (x, y - height / 2, x + 20 * len(text), y + height / 2)


def form(*lines, headers=("名称", "数量", "单价")) -> Form:
    texts, boxes = [text for text, _ in lines], [box for _, box in lines]
    return Form(texts, boxes, LABELS, headers)


def texts(lines) -> list[str]:
    return [line.text for line in lines]


@pytest.mark.parametrize(
    ("text", "label", "rest"),
    [
        ("名称：北京", "名称", "北京"),
        ("名称:北京", "名称", "北京"),
        ("名称：：北京：", "名称", "北京："),
        ("名称：X光", "名称", "X光"),
        ("名称", "名称", ""),
        ("名杯：北京", None, "名杯：北京"),  # a half is not enough
        ("开栗日期3", "开票日期", "3"),  # three of four are
        ("开栗目期3", None, "开栗目期3"),
        ("单价合汁3", "单价", "合汁3"),  # what fits better comes first
        ("单价合计", "单价合计", ""),  # of two that fit, the longer one
        ("单价3", "单价", "3"),
        ("(小写):1.00", "（小写）", "1.00"),
        ("(小写）1.00", "（小写）", "1.00"),
        ("小写", None, "小写"),
        ("名", None, "名"),
        ("", None, ""),
    ],
)
def test_the_label_that_a_text_begins_with(text, label, rest):
    assert match_label(text, LABELS) == (label, rest)


def test_the_slope_is_the_median_of_pairs_that_are_not_steep():
    def at(*middles):
        return [(x - 10, y - 5, x + 10, y + 5) for x, y in middles]

    assert slope_of([]) == 0.0
    assert slope_of(at((0, 0))) == 0.0
    assert slope_of(at((0, 0), (100, 2))) == pytest.approx(0.02)
    assert slope_of(at((100, 2), (0, 0))) == pytest.approx(0.02)
    assert slope_of(at((0, 2), (100, 0))) == pytest.approx(-0.02)
    assert slope_of(at((0, 0), (100, 5))) == 0.0  # one in twenty is too steep
    assert slope_of(at((0, 0), (100, 4.9))) == pytest.approx(0.049)
    assert slope_of(at((5, 0), (5, 9))) == 0.0
    assert slope_of(at((0, 0), (100, 1), (200, 2), (300, 40))) == pytest.approx(0.01)
    assert slope_of([(0, 0, 40, 10), (100, 2, 120, 12)]) == pytest.approx(2 / 90)


def test_lines_are_numbered_and_upright_by_the_slope_of_the_heads():
    made = form(line("名称", 0, 100), line("数量", 200, 104), line("单价：9", 400, 300), line("天气", 300, 106))
    assert [(one.text, one.place, one.label, one.rest) for one in made.lines] == [
        ("名称", 0, "名称", ""),
        ("数量", 1, "数量", ""),
        ("单价：9", 2, "单价", "9"),
        ("天气", 3, None, "天气"),
    ]
    assert [one.x for one in made.lines] == [20, 220, 440, 320]
    assert [one.y for one in made.lines] == pytest.approx([99.6, 99.6, 291.2, 99.6])
    assert made.height == 20
    assert list(made.headers) == ["名称", "数量"]  # behind the third something stands: it is no head


def test_every_text_has_a_box():
    with pytest.raises(ValueError, match="zip"):
        Form(["名称"], [(0, 0, 1, 1)] * 2, LABELS, ())


def test_the_height_of_lines_is_the_median():
    assert form(line("a", 0, 0, 10), line("b", 0, 0, 30), line("c", 0, 0, 100)).height == 30
    assert form().height == 0.0
    assert form().lines == []
    assert form().headers == {}


def test_heads_are_those_of_one_row_from_the_left_to_the_right():
    made = form(line("单价", 400, 101), line("名称", 0, 100), line("数量", 200, 99), line("名称", 100, 300))
    assert texts(made.headers.values()) == list(made.headers) == ["名称", "数量", "单价"]
    assert made.headers["名称"].place == 1
    only = form(line("单价", 400, 100), line("名称", 0, 100), headers=("名称",))
    assert list(only.headers) == ["名称"]


def test_middles_of_one_row_are_a_good_half_of_a_line_apart():
    made = form(line("a", 0, 0))
    assert made.same_row(100, 111)
    assert made.same_row(111, 100)
    assert not made.same_row(100, 111.1)
    assert not made.same_row(111.1, 100)


def test_the_uppermost_line_with_a_label_between_two_heights():
    made = form(line("名称：b", 0, 200), line("名称：a", 0, 100), line("名称：c", 0, 300), line("数量：1", 0, 50))
    assert made.find_label("名称").rest == "a"
    assert made.find_label("名称", 100).rest == "b"
    assert made.find_label("名称", 99, 100) is None
    assert made.find_label("名称", 99, 101).rest == "a"
    assert made.find_label("名称", high=100) is None
    assert made.find_label("名称", 300) is None
    assert made.find_label("单价") is None


@pytest.mark.parametrize(
    ("others", "found"),
    [
        ([line("值", 60, 100)], "值"),
        ([line("值", 21, 100)], "值"),  # they may overlap, by less than a line is high
        ([line("值", 20, 100)], None),
        ([line("值", 239, 100)], "值"),
        ([line("值", 240, 100)], None),  # ten heights away
        ([line("值", 60, 111)], "值"),
        ([line("值", 60, 112)], None),
        ([line("二", 120, 100), line("一", 60, 100)], "一"),
        ([line("数量", 60, 100), line("值", 120, 100)], None),  # the nearest is a label itself
        ([line("数量", 120, 100), line("值", 60, 100)], "值"),
        ([], None),
    ],
)
def test_the_value_beside_a_label(others, found):
    made = form(line("名称", 0, 100), *others, headers=())
    beside = made.right_of(made.lines[0])
    assert (beside.text if beside else None) == found


def test_a_line_does_not_stand_beside_itself():
    made = form(("值", (0.0, 90.0, 10.0, 110.0)))  # narrower than it is high
    assert made.right_of(made.lines[0]) is None


def test_rows_from_the_top_each_from_the_left():
    made = form(
        line("d", 0, 150),
        line("b", 50, 105),
        line("a", 0, 100),
        line("c", 90, 95),
        line("f", 0, 171),
        line("e", 50, 160),
    )
    assert [texts(row) for row in made.rows(made.lines)] == [["a", "b", "c"], ["d", "e"], ["f"]]
    assert made.rows([]) == []


def test_a_row_is_where_its_lines_are_on_the_mean():
    made = form(line("a", 0, 100), line("b", 50, 110), line("c", 90, 116))  # 16 from the first, 11 from the mean
    assert [texts(row) for row in made.rows(made.lines)] == [["a", "b", "c"]]
    made = form(line("a", 0, 100), line("b", 50, 110), line("c", 90, 117))
    assert [texts(row) for row in made.rows(made.lines)] == [["a", "b"], ["c"]]


def test_columns_part_midway_between_their_heads():
    made = form(line("名称", 0, 100), line("数量", 100, 100), line("单价", 300, 100))  # 0-40, 100-140, 300-340

    def column(middle):
        return made.column(made.__class__(["x"], [(middle - 5.0, 200.0, middle + 5.0, 220.0)], LABELS, ()).lines[0])

    assert [column(x) for x in (-50, 69, 70, 219, 220, 900)] == ["名称", "名称", "数量", "数量", "单价", "单价"]
    assert form(line("x", 0, 0)).column(made.lines[0]) is None
