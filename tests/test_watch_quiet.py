from __future__ import annotations

import logging

import pytest

from rigdrop.watch import quiet


@pytest.fixture
def logger():
    own = logging.getLogger("a library that talks")
    yield own
    own.filters.clear()
    own.handlers.clear()
    own.setLevel(logging.NOTSET)


def test_only_news_goes_on(logger, caplog, capsys):
    for _ in range(2):
        quiet.quieten(logger.name, KeyError)
    assert len(logger.filters) == len(logger.handlers) == 1
    with caplog.at_level(logging.INFO):
        logger.info("hello")
        for _ in range(3):
            logger.warning("the %s", "same")
        logger.error("expected", exc_info=KeyError("a"))
        logger.error("not expected", exc_info=ValueError("a"))
    assert [record.getMessage() for record in caplog.records] == ["the same", "not expected"]
    assert capsys.readouterr() == ("", "")


def test_the_same_is_news_again_after_a_while(logger, caplog, monkeypatch):
    now_s = [0.0]
    monkeypatch.setattr(quiet.time, "monotonic", lambda: now_s[0])
    own = quiet.Quiet()
    record = logging.LogRecord("a", logging.WARNING, "", 0, "again", (), None)
    told = []
    for now_s[0] in (0.0, 59.0, 61.0, 100.0, 122.0):
        told.append(own.filter(record))
    assert told == [True, False, True, False, True]
