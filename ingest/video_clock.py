"""One strictly increasing time out of what a video's stamps say.

Files break their own rules: stamps are missing, equal, step back, begin again where two recordings were joined, or are
damaged and point hours away. A jump is judged by the stamp that follows it: one that does not confirm it shows that a
single picture is out of place, and the pictures after it keep their own times.
"""

from __future__ import annotations

# A step back of more than this is a jump, not two pictures in the wrong order.
_STEP_BACK_S = 0.5
# A step forward of more than this is a jump; up to the second figure one that is confirmed is a hole (a recorder that paused) and stays.
_STEP_FORWARD_S = 5.0
_LONGEST_HOLE_S = 600.0


class Clock:
    """Gives each picture its time, in seconds, from its own stamp and the next picture's.

    A picture without a stamp comes one nominal frame after the one before. A stamp that does not come after the one before
    is placed half a nominal frame after it, so that the next good stamp still finds room. A picture whose stamp jumps, while
    the next does not, is placed halfway to the next. Other jumps back, and jumps forward too long to be a hole, begin a new
    count: that picture comes one frame after the one before, and the rest follow it.
    """

    def __init__(self, period_s: float) -> None:
        self._period_s = period_s
        self._offset_s = 0.0
        self._last_s: float | None = None
        self.repaired = 0
        self.furthest_s = 0.0  # the greatest time seen, as stamped or as given

    def time_of(self, stamp_s: float | None, next_stamp_s: float | None = None) -> float:
        """Return the time of the next picture; ``next_stamp_s`` is the stamp of the one that follows it, where it has one."""
        if self._last_s is None:
            self._last_s = self._first(stamp_s or 0.0, next_stamp_s)
        else:
            self._last_s = self._after(self._last_s, stamp_s, next_stamp_s)
        self.furthest_s = max(self.furthest_s, self._last_s, stamp_s or 0.0)
        return self._last_s

    def _first(self, stamp_s: float, next_stamp_s: float | None) -> float:
        # Nothing begins anew after one picture: what jumps back from the very first shows that this one is wrong.
        if next_stamp_s is None or stamp_s - next_stamp_s <= _STEP_BACK_S:
            return stamp_s
        self.repaired += 1
        return next_stamp_s - self._period_s

    def _after(self, last_s: float, stamp_s: float | None, next_stamp_s: float | None) -> float:
        if stamp_s is None:
            self.repaired += 1
            return last_s + self._period_s
        time_s = stamp_s + self._offset_s
        step_s = time_s - last_s
        if -_STEP_BACK_S <= step_s <= 0:
            self.repaired += 1
            return last_s + self._period_s / 2
        if 0 < step_s <= _STEP_FORWARD_S:
            return time_s
        following_s = None if next_stamp_s is None else next_stamp_s + self._offset_s
        if following_s is not None and abs(following_s - last_s) < abs(following_s - time_s):
            self.repaired += 1
            return (last_s + following_s) / 2 if following_s > last_s else last_s + self._period_s / 2
        if 0 < step_s <= _LONGEST_HOLE_S:
            return time_s
        self.repaired += 1
        self._offset_s += last_s + self._period_s - time_s
        return last_s + self._period_s
