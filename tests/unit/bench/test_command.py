"""What `hack/bench` is asked for on its command line."""

from bench.command import FULL, _whole, _wish, order, parser


def test_nothing_said_is_the_whole_run_and_makes_the_page() -> None:
    arguments = parser().parse_args([])
    wish = _wish(arguments)
    assert (wish.parts, wish.pods, wish.crowd, wish.rate) == (FULL.parts, 1000, 10_000, 1000)
    assert _whole(arguments)


def test_anything_less_makes_no_page() -> None:
    for said in (["--quick"], ["--only", "ours"], ["--parts", "crowd"], ["--rounds", "1"], ["--pods", "10"]):
        assert not _whole(parser().parse_args(said)), said


def test_what_is_said_goes_before_what_quick_means() -> None:
    wish = _wish(parser().parse_args(["--quick", "--pods", "20"]))
    assert (wish.pods, wish.rounds) == (20, 1)


def test_who_runs_for_minutes_runs_once() -> None:
    names = ("ours", "stock", "unthrottled")
    assert [name for number in range(3) for name in order(names, number)].count("stock") == 1
