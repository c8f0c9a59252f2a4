"""Scripts that do not separate words by blanks, as ranges for a character class of a regular expression.

The ranges cover letters and the marks used with them, but not digits and punctuation.
"""

__all__ = ["HANGUL", "SPACELESS"]

# Thai, Lao, Burmese, Khmer, kana, Bopomofo, and Han with its extensions: no blanks between words.
SPACELESS = (
    "\u0e01-\u0e3a\u0e40-\u0e4e\u0e81-\u0ec6\u0ec8-\u0ece\u1000-\u103f\u1050-\u108f\u1780-\u17d3"
    "\u3005-\u3007\u3041-\u3096\u309d-\u309f\u30a1-\u30fa\u30fc-\u30ff\u3105-\u312f\u3400-\u4dbf\u4e00-\u9fff"
    "\uf900-\ufaff\U00020000-\U0003134f"
)
# Korean has blanks, but often between words with several endings attached.
HANGUL = "\u1100-\u11ff\uac00-\ud7a3"
