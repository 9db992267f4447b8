"""A line that says what runs and how far it is, instead of dots: in a terminal always, else now and then."""

import time
from collections.abc import Generator, Sequence

import pytest

# seconds between two lines where there is no terminal
_APART = 30


class Progress:
    """A plugin of pytest's, for it alone or for the process that rules the workers of pytest-xdist."""

    def __init__(self, reporter: pytest.TerminalReporter) -> None:
        self._reporter = reporter
        self._began = self._told = time.monotonic()
        self._total = self._done = self._failed = 0

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self._total = len(session.items)

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: Sequence[str]) -> None:
        self._total = len(ids)

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        if self._reporter.isatty or time.monotonic() - self._told >= _APART:
            self._tell(nodeid)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._done += report.when == "teardown"
        if report.failed:
            self._failed += 1
            self._reporter.ensure_newline()
            self._reporter.write_line(f"FAILED {report.nodeid}", red=True)

    @pytest.hookimpl(wrapper=True)
    def pytest_report_teststatus(self) -> Generator[None, tuple[str, str, object], tuple[str, str, object]]:
        """Leave the dots out."""
        category, _, word = yield
        return category, "", word

    def pytest_sessionfinish(self) -> None:
        if self._reporter.isatty:
            self._reporter.rewrite("", erase=True)

    def _tell(self, test: str) -> None:
        self._told = time.monotonic()
        minutes, seconds = divmod(int(self._told - self._began), 60)
        failed = f", {self._failed} failed" if self._failed else ""
        line = f"{self._done:,} of {self._total:,} tests{failed}, {minutes}:{seconds:02}  {test}"
        if self._reporter.isatty:
            width = self._reporter._tw.fullwidth
            self._reporter.rewrite(line[: width - 1], erase=True)
        else:
            self._reporter.write_line(line)
