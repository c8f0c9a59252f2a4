"""Stories about money: paying, earning, saving."""

from tiny_model.story import Story, share, then

__all__ = ["CHANGE", "DISCOUNT", "PRICE", "SAVINGS", "TICKETS", "WAGES"]

CHANGE = Story(
    "change",
    {"a": (30, 99), "b": (2, 9), "c": (2, 9)},
    ("pens", "books", "cups", "candles"),
    (
        "{name} has {a} dollars and buys {b} {thing} at {c} dollars each.",
        "{name} goes to a shop with {a} dollars and pays for {b} {thing} that cost {c} dollars each.",
    ),
    ("How many dollars are left?", "How much money does {name} have now?"),
    (("The {thing} cost [t=b*c] dollars.", "There remain [r=a-t] dollars."),),
    (
        share("{Part} of the rest goes into a bank.", "How many dollars go into the bank?", "Into the bank:"),
        then(
            "With the rest {name} takes a bus that goes {p} kilometres for a dollar.",
            "How many kilometres can {name} go?",
            "By bus: [x=r*p].",
        ),
        then(
            "If a buyer has a card, the shop gives back {k} dollars; {name} has a card.",
            "How many dollars are left?",
            "With the card: [x=r+k].",
        ),
        then(
            "{friend} has {k} dollars less than {name} has after this.",
            "How many dollars does {friend} have?",
            "{friend} has [x=r-k].",
        ),
    ),
)

DISCOUNT = Story(
    "discount",
    {"a": (10, 200)},
    ("coat", "lamp", "bag", "chair"),
    (
        "A {thing} costs {a} dollars. In a sale the price is {percent} lower.",
        "The price of a {thing} is {a} dollars, and {name} gets {percent} off.",
    ),
    ("What is the new price?", "How many dollars must be paid for the {thing}?"),
    (
        ("The price falls by [t=a/s] dollars.", "The new price is [r=a-t] dollars."),
        ("The price falls by [t=a*sf] dollars.", "The new price is [r=a-t] dollars."),
    ),
    (
        share("{Part} of the new price is paid today.", "How many dollars are paid today?", "Today:"),
        then("{name} buys {p} of them.", "How many dollars does {name} pay?", "To pay: [x=r*p]."),
        then(
            "If it is sent by post, that costs {k} dollars extra; it is sent by post.",
            "How many dollars must be paid?",
            "With the post: [x=r+k].",
        ),
        then(
            "{friend} knows a shop where it is {k} dollars cheaper still.",
            "What is the price there?",
            "There: [x=r-k].",
        ),
    ),
)

PRICE = Story(
    "price",
    {"a": (2, 9), "b": (6, 72), "c": (2, 12)},
    ("apples", "lemons", "melons", "pears"),
    (
        "{a} {thing} cost {b} dollars. {name} buys {c} {thing}.",
        "A shop sells {a} {thing} for {b} dollars, and {name} wants {c} {thing}.",
    ),
    ("How many dollars does {name} pay?", "What do they cost?"),
    (("One costs [t=b/a] dollars.", "{name} pays [r=t*c] dollars."),),
    (
        share("{Part} of the price is a tax.", "How many dollars is the tax?", "Tax:"),
        then("It is the same every week for {p} weeks.", "How many dollars is that?", "Weeks: [x=r*p]."),
        then(
            "If one pays in cash, the price falls by {k} dollars; {name} pays in cash.",
            "How many dollars does {name} pay?",
            "In cash: [x=r-k].",
        ),
        then(
            "{friend} buys bread for {k} dollars too.",
            "How many dollars do they pay together?",
            "Together: [x=r+k].",
        ),
    ),
)

SAVINGS = Story(
    "savings",
    {"a": (5, 60), "b": (3, 15), "c": (3, 9)},
    ("bike", "phone", "guitar", "tent"),
    (
        "{name} has {a} dollars for a {thing} and saves {b} dollars a week for {c} weeks.",
        "To buy a {thing}, {name} saves {b} dollars in each of {c} weeks and adds {a} dollars from a gift.",
    ),
    ("How many dollars does {name} have then?", "How much money is there for the {thing}?"),
    (("In the weeks {name} saves [t=b*c] dollars.", "In all there are [r=a+t] dollars."),),
    (
        share("{Part} of the money is from a gift.", "How many dollars are a gift?", "Gift:"),
        then("The {thing} costs {p} times as much.", "How many dollars does it cost?", "Cost: [x=r*p]."),
        then(
            "If the plan is kept, the bank adds {k} dollars; it is kept.",
            "How many dollars are there then?",
            "With the bank: [x=r+k].",
        ),
        then(
            "{friend} saves {k} dollars less than {name} has then.",
            "How many dollars does {friend} save?",
            "{friend} saves [x=r-k].",
        ),
    ),
)

WAGES = Story(
    "wages",
    {"a": (6, 20), "b": (4, 8), "c": (2, 5), "e": (8, 25)},
    ("cook", "driver", "guard", "painter"),
    (
        "{name} works as a {thing} for {a} dollars an hour. If an hour is overtime, it pays {e} dollars. "
        "{name} works {b} normal hours and {c} hours of overtime.",
        "A {thing} gets {a} dollars an hour, or {e} dollars if the hour is overtime. "
        "There are {b} normal hours and {c} hours of overtime.",
    ),
    ("How many dollars is the pay?", "How much money does the {thing} get?"),
    (
        ("The normal hours pay [t=a*b] dollars.", "Overtime pays [u=c*e] dollars.", "In all: [r=t+u] dollars."),
        ("Overtime pays [u=c*e] dollars.", "The normal hours pay [t=a*b] dollars.", "In all: [r=t+u] dollars."),
    ),
    (
        share("{Part} of the pay goes to rent.", "How many dollars go to rent?", "Rent:"),
        then("It is the same on {p} days.", "How many dollars is that?", "Days: [x=r*p]."),
        then(
            "If the work is done early, there are {k} dollars extra; it is done early.",
            "How many dollars is the pay?",
            "With the extra: [x=r+k].",
        ),
        then("Of this, {k} dollars are spent on lunch.", "How many dollars are left?", "After lunch: [x=r-k]."),
    ),
)

TICKETS = Story(
    "tickets",
    {"a": (2, 6), "b": (2, 9), "c": (6, 15), "e": (3, 8)},
    ("zoo", "museum", "circus", "cinema"),
    (
        "At the {thing} an adult pays {c} dollars and a child pays {e} dollars. {a} adults and {b} children go in.",
        "{name} takes {a} adults and {b} children to the {thing}. "
        "It costs {c} dollars for an adult and {e} for a child.",
    ),
    ("How many dollars do they pay?", "What is the price for all of them?"),
    (
        ("The adults pay [t=a*c] dollars.", "The children pay [u=b*e] dollars.", "In all: [r=t+u] dollars."),
        ("The children pay [u=b*e] dollars.", "The adults pay [t=a*c] dollars.", "In all: [r=t+u] dollars."),
    ),
    (
        share("A club pays {part} of the price.", "How many dollars does the club pay?", "Club:"),
        then("They go there {p} times.", "How many dollars do they pay?", "Times: [x=r*p]."),
        then(
            "If it is Monday, the group pays {k} dollars less; it is Monday.",
            "How many dollars do they pay?",
            "On Monday: [x=r-k].",
        ),
        then("They buy a map for {k} dollars too.", "How many dollars do they pay?", "With the map: [x=r+k]."),
    ),
)
