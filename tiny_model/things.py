"""Stories about things: making, collecting, sharing, measuring them."""

from tiny_model.story import Story, share, then

__all__ = ["AGES", "BAKERY", "COLLECTING", "EATING", "GARDEN", "LIBRARY", "PACKING", "SHARING", "TANK", "TRAVEL"]

BAKERY = Story(
    "bakery",
    {"a": (2, 6), "b": (3, 9), "c": (2, 6)},
    ("buns", "rolls", "pies", "muffins"),
    (
        "{name} bakes {a} trays of {b} {thing} every morning for {c} days.",
        "For {c} days, {name} bakes {a} trays with {b} {thing} on each tray.",
    ),
    ("How many {thing} does {name} bake in all?", "What is the total number of {thing}?"),
    (
        ("One day gives [t=a*b] {thing}.", "All days give [r=t*c] {thing}."),
        ("There are [t=a*c] trays in all.", "They hold [r=t*b] {thing}."),
    ),
    (
        share("{Part} of the {thing} are sold before noon.", "How many {thing} are sold before noon?", "Sold:"),
        then("Each of the {thing} sells for {p} dollars.", "How much money do they bring in?", "Money: [x=r*p]."),
        then(
            "If a day is rainy, {k} {thing} stay unsold; one day is rainy.",
            "How many {thing} are sold?",
            "Sold: [x=r-k].",
        ),
        then(
            "{friend} bakes {k} {thing} more than {name}.",
            "How many {thing} does {friend} bake?",
            "{friend} bakes [x=r+k].",
        ),
    ),
)

SHARING = Story(
    "sharing",
    {"a": (10, 80), "b": (6, 60), "c": (2, 6)},
    ("marbles", "stickers", "cards", "shells"),
    (
        "{name} has {a} {thing}, finds {b} more, and shares all of them equally among {c} children.",
        "{name} puts {a} old and {b} new {thing} together. Then {c} children share them equally.",
    ),
    ("How many {thing} does each child get?", "What is the share of one child?"),
    (("Together there are [t=a+b] {thing}.", "Each child gets [r=t/c] {thing}."),),
    (
        share("One child gives away {part} of its share.", "How many {thing} does that child give away?", "Away:"),
        then(
            "Each of the {thing} is worth {p} cents.",
            "How many cents is the share of one child worth?",
            "Worth: [x=r*p].",
        ),
        then(
            "If a child helped, it gets {k} {thing} extra; one child helped.",
            "How many {thing} does the helper get?",
            "The helper gets [x=r+k].",
        ),
        then(
            "Then {friend} takes {k} {thing} from one child.",
            "How many {thing} does that child keep?",
            "Kept: [x=r-k].",
        ),
    ),
)

COLLECTING = Story(
    "collecting",
    {"a": (3, 15), "b": (3, 15), "c": (2, 7)},
    ("bottles", "stamps", "cans", "leaves"),
    (
        "Every day {name} collects {a} {thing} and {friend} collects {b}. They do this for {c} days.",
        "For {c} days, {name} collects {a} {thing} a day and {friend} collects {b} a day.",
    ),
    ("How many {thing} do they have together?", "How many {thing} is that in all?"),
    (
        ("In one day they collect [t=a+b] {thing}.", "In all days: [r=t*c] {thing}."),
        (
            "{name} collects [t=a*c] {thing}.",
            "{friend} collects [u=b*c] {thing}.",
            "Together: [r=t+u] {thing}.",
        ),
    ),
    (
        share("{Part} of all the {thing} are damaged.", "How many {thing} are damaged?", "Damaged:"),
        then("They sell each of the {thing} for {p} cents.", "How many cents do they get?", "Cents: [x=r*p]."),
        then(
            "If somebody asks for some, they give away {k} {thing}; one person asks.",
            "How many {thing} do they keep?",
            "Kept: [x=r-k].",
        ),
        then("A third child brings {k} {thing}.", "How many {thing} are there in all?", "All: [x=r+k]."),
    ),
)

EATING = Story(
    "eating",
    {"a": (20, 120), "b": (2, 15)},
    ("cookies", "nuts", "grapes", "sweets"),
    (
        "A box holds {a} {thing}. {name} eats {share} of them and {friend} eats {b}.",
        "From a box of {a} {thing}, {name} takes {share} and {friend} takes {b}.",
    ),
    ("How many {thing} are left?", "How many {thing} stay in the box?"),
    (
        ("{name} has [t=a/s] {thing}.", "Then [u=a-t] {thing} remain.", "In the end there are [r=u-b] {thing}."),
        ("{name} has [t=a/s] {thing}.", "Both have [u=t+b] {thing}.", "In the end there are [r=a-u] {thing}."),
    ),
    (
        share("{Part} of the rest are eaten at night.", "How many {thing} are eaten at night?", "At night:"),
        then("Each of the {thing} weighs {p} grams.", "How many grams do the rest weigh?", "Weight: [x=r*p]."),
        then(
            "If the box is shaken, {k} {thing} break; it is shaken.",
            "How many whole {thing} are left?",
            "Whole: [x=r-k].",
        ),
        then("Then somebody puts {k} {thing} into it.", "How many {thing} are in it now?", "Now: [x=r+k]."),
    ),
)

GARDEN = Story(
    "garden",
    {"a": (4, 20), "b": (3, 9), "c": (4, 30)},
    ("roses", "beans", "carrots", "tulips"),
    (
        "A garden is {a} metres long and {b} metres wide. A shed takes {c} square metres, the rest has {thing}.",
        "{name} has a garden of {a} by {b} metres with {thing}, all but {c} square metres for a shed.",
    ),
    ("How many square metres have {thing}?", "How large is the part with {thing}, in square metres?"),
    (("The garden has [t=a*b] square metres.", "The {thing} have [r=t-c] square metres."),),
    (
        share("{Part} of the {thing} get no sun.", "How many square metres of {thing} get no sun?", "No sun:"),
        then("Each square metre needs {p} litres of water.", "How many litres is that?", "Water: [x=r*p]."),
        then(
            "If a bench is set up, it takes {k} square metres more; it is set up.",
            "How many square metres have {thing}?",
            "With the bench: [x=r-k].",
        ),
        then(
            "{friend} has {k} square metres more of {thing} than this.",
            "How many square metres of {thing} does {friend} have?",
            "{friend} has [x=r+k].",
        ),
    ),
)

TRAVEL = Story(
    "travel",
    {"a": (2, 6), "b": (12, 60), "c": (5, 50)},
    ("car", "bus", "train", "van"),
    (
        "{name} goes by {thing} for {a} hours at {b} kilometres an hour, and then {c} kilometres on foot.",
        "A {thing} takes {name} {b} kilometres in every hour. After {a} hours {c} kilometres remain to be walked.",
    ),
    ("How many kilometres long is the trip?", "What is the whole distance in kilometres?"),
    (("By {thing} it is [t=a*b] kilometres.", "The whole trip is [r=t+c] kilometres."),),
    (
        share("{Part} of the trip is in the rain.", "How many kilometres are in the rain?", "In the rain:"),
        then("{name} makes the whole trip {p} times.", "How many kilometres is that in all?", "In all: [x=r*p]."),
        then(
            "If a road is closed, the trip is {k} kilometres longer; it is closed.",
            "How many kilometres long is it?",
            "Longer way: [x=r+k].",
        ),
        then(
            "{friend} lives {k} kilometres nearer.",
            "How many kilometres does {friend} travel?",
            "{friend} travels [x=r-k].",
        ),
    ),
)

PACKING = Story(
    "packing",
    {"a": (4, 30), "b": (3, 9), "c": (2, 6)},
    ("eggs", "balls", "toys", "jars"),
    (
        "{name} empties {a} bags of {b} {thing} and packs the {thing} into boxes of {c}.",
        "From {a} bags with {b} {thing} in each, {name} puts {c} {thing} into every box.",
    ),
    ("How many boxes does {name} fill?", "How many boxes are there in the end?"),
    (("There are [t=a*b] {thing} to pack.", "They fill [r=t/c] boxes."),),
    (
        share("{Part} of the boxes are sent away.", "How many boxes are sent away?", "Sent away:"),
        then("Each box weighs {p} kilograms.", "How many kilograms do they weigh?", "Weight: [x=r*p]."),
        then(
            "If boxes get wet, they cannot be used; {k} get wet.",
            "How many boxes can be used?",
            "Dry: [x=r-k].",
        ),
        then("{friend} fills {k} boxes too.", "How many boxes do they fill together?", "Together: [x=r+k]."),
    ),
)

AGES = Story(
    "ages",
    {"a": (4, 20), "b": (2, 5), "c": (2, 15)},
    ("aunt", "uncle", "teacher", "coach"),
    (
        "{name} is {a} years old. {friend} is {b} times as old, and the {thing} is {c} years older than {friend}.",
        "{friend} is {b} times as old as {name}, who is {a}. The {thing} is {c} years older than {friend}.",
    ),
    ("How old is the {thing}?", "What is the age of the {thing}?"),
    (("{friend} is [t=a*b] years old.", "The {thing} is [r=t+c] years old."),),
    (
        share("A tree has {part} of the age of the {thing}.", "How old is the tree?", "Tree:"),
        then("A house is {p} times as old as the {thing}.", "How old is the house?", "House: [x=r*p]."),
        then(
            "If one has a card, one counts as {k} years younger; the {thing} has a card.",
            "How many years is that?",
            "With the card: [x=r-k].",
        ),
        then("A neighbour is {k} years older still.", "How old is the neighbour?", "Neighbour: [x=r+k]."),
    ),
)

TANK = Story(
    "tank",
    {"a": (40, 200), "b": (5, 60), "c": (2, 8)},
    ("tank", "pool", "barrel", "tub"),
    (
        "A {thing} holds {a} litres and has {b} litres of water in it. A tap adds {c} litres a minute.",
        "{name} fills a {thing} of {a} litres. There are {b} litres in it, and {c} litres flow in every minute.",
    ),
    ("How many minutes does it take to fill it?", "After how many minutes is the {thing} full?"),
    (
        ("There is room for [t=a-b] litres.", "That takes [r=t/c] minutes."),
        ("From empty it takes [t=a/c] minutes.", "The water in it saves [u=b/c] minutes.", "So: [r=t-u] minutes."),
    ),
    (
        share("{Part} of the time is over.", "How many minutes are over?", "Over:"),
        then("{name} fills it {p} times.", "How many minutes does it take?", "Times: [x=r*p]."),
        then(
            "If the tap is old, it takes {k} minutes more; the tap is old.",
            "How many minutes does it take?",
            "Old tap: [x=r+k].",
        ),
        then(
            "{friend} has a tap that is {k} minutes faster.",
            "How many minutes does that tap take?",
            "Faster: [x=r-k].",
        ),
    ),
)

LIBRARY = Story(
    "library",
    {"a": (3, 9), "b": (8, 30), "c": (4, 40)},
    ("books", "films", "maps", "games"),
    (
        "A library has {a} shelves with {b} {thing} on each, and {c} {thing} are lent out.",
        "There are {a} shelves of {b} {thing}. Then {name} takes {c} {thing} away.",
    ),
    ("How many {thing} are still there?", "How many {thing} are on the shelves now?"),
    (("The shelves hold [t=a*b] {thing}.", "Still there are [r=t-c] {thing}."),),
    (
        share("{Part} of the {thing} still there are old.", "How many of them are old?", "Old:"),
        then("Each of the {thing} still there costs {p} dollars.", "What do they cost?", "Cost: [x=r*p]."),
        then(
            "If it is a holiday, {k} {thing} come back; it is a holiday.",
            "How many {thing} are there then?",
            "Back: [x=r+k].",
        ),
        then("Then {friend} takes {k} {thing}.", "How many {thing} are left?", "Left: [x=r-k]."),
    ),
)
