"""Final answers of mathematical problems: finding them in a text, and comparing them by value."""
