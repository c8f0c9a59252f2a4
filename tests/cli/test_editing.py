from pathlib import Path

from tests.editing import tell


def test_an_edit_is_carried_through_all_steps_and_asks_only_for_what_is_new(tmp_path: Path) -> None:
    story = tell(tmp_path, rows=60, added=6, edited=3)
    assert story.asked_at_first > 120
    assert 18 <= story.asked_again < 60
    assert story.needless == 0
    assert story.same_bytes
