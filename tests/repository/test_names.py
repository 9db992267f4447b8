from fashionboard.repository import names


def test_a_name_holds_nothing_that_a_terminal_or_a_page_acts_on() -> None:
    marks = "\x00\x1b\x1f\x7f\x80\x9b\u061c\u200e\u200f\u2028\u2029\u202a\u202e\u2066\u2069\ufeff"
    assert names.clean(f"a{marks}b/c") == f"a{'-' * len(marks)}b/c"
    joined = "می\u200cخواهم क\u200dष 1\u00a0000"
    assert names.clean(joined) == joined
