"""What holds of the pieces of any document."""

from hypothesis import given
from hypothesis import strategies as st

from synth.pipelines.decomposition.cutting import Piece, cut, drawn_bucket, length

BOUNDS = st.tuples(st.integers(1, 10), st.integers(0, 6)).map(lambda pair: (pair[0], pair[0] + pair[1]))
TOKENS = st.integers(0, 300_000)


@given(TOKENS, BOUNDS, st.booleans(), st.none() | st.integers(0, 2**64 - 1))
def test_pieces_lie_end_to_end_from_the_front_and_no_bucket_would_take_what_is_left(
    tokens: int, bounds: tuple[int, int], keep_tail: bool, random: int | None
) -> None:
    smallest, largest = bounds

    def drawn(number: int) -> int:
        return drawn_bucket(hash((random, number)), smallest, largest)

    pieces = list(cut(tokens, smallest, largest, drawn=None if random is None else drawn, keep_tail=keep_tail))
    assert [piece.number for piece in pieces] == list(range(1, len(pieces) + 1))
    end = 0
    for piece in pieces:
        assert piece.start == end
        end += piece.size
    tails = [piece for piece in pieces if piece.bucket is None]
    assert all(piece.size == length(piece.bucket) for piece in pieces if piece.bucket is not None)
    assert all(smallest <= piece.bucket <= largest for piece in pieces if piece.bucket is not None)
    left = tokens - end
    if keep_tail:
        assert left <= 1
        assert all(1 < piece.size < length(smallest) for piece in tails)
    else:
        assert not tails
        assert 0 <= left < length(smallest)


@given(st.integers(0, 2**64 - 1), BOUNDS)
def test_a_drawn_bucket_is_one_of_them(random: int, bounds: tuple[int, int]) -> None:
    smallest, largest = bounds
    assert smallest <= drawn_bucket(random, smallest, largest) <= largest


def test_each_bucket_is_drawn_for_half_as_many_numbers_as_the_one_below() -> None:
    drawn = [drawn_bucket(random, 8, 13) for random in range(63)]
    assert [drawn.count(bucket) for bucket in range(8, 14)] == [32, 16, 8, 4, 2, 1]


def test_only_what_exceeds_the_largest_bucket_is_drawn() -> None:
    drawn = list(cut(9_000, 8, 11, drawn=lambda number: 7 + number))
    assert drawn == [
        Piece(1, 8, 0, 257),
        Piece(2, 9, 257, 513),
        Piece(3, 10, 770, 1025),
        Piece(4, 11, 1795, 2049),
        # 5,156 are left, still more than 4,096.
        Piece(5, 12, 3844, 4097),
        Piece(6, 10, 7941, 1025),
    ]
