"""Sentences about a place and whoever keeps it, from which `texts` makes short and long texts.

A text goes through the aspects below in their order, a paragraph each, and inside a paragraph through the places for a
sentence in theirs; it may leave out any. So whatever lies between two sentences of a text can be put in later, and no
sentence comes twice. Each place has two or more wordings. `{name}` and `{kind}` come from the instruction; the other
fields are words that go with the kind or the season.
"""

__all__ = ["ASPECTS"]

Aspect = tuple[tuple[str, ...], ...]

_OPENING: Aspect = (
    (
        "The {kind} of {name} lies {where}.",
        "{where:C} you find the {kind} of {name}.",
    ),
    (
        "In {season} it is one of the best places in the whole town.",
        "There is no better time to see it than {season}.",
    ),
    (
        "{name} began with little more than {tool} and a great deal of patience.",
        "When {name} came here, there was nothing but {tool} and an empty room.",
    ),
    (
        "It took many years until everything stood where it stands today.",
        "Year after year something was added, and nothing was ever thrown away.",
    ),
    (
        "People come from the other side of the river to see the {thing}.",
        "Even strangers know about the {thing}, and some come a long way for them.",
    ),
    (
        "Whoever stays for a whole day begins to understand why.",
        "One visit is enough to see what makes it special.",
    ),
)

_WAY: Aspect = (
    (
        "The way there is short, and it is worth walking slowly.",
        "You can walk there from the station in less than an hour.",
    ),
    (
        "First a narrow path follows a wall of grey stone.",
        "The road goes past a row of small houses with green doors.",
    ),
    (
        "In {season} the air smells of {air}.",
        "At this time of the year you notice {air} at every corner.",
    ),
    (
        "Children ride by on their bicycles and ring their bells.",
        "Now and then a cart rolls by and leaves its tracks in the dust.",
    ),
    (
        "Behind the last bend you can already hear {sound}.",
        "Long before you arrive, {sound} can be heard.",
    ),
    (
        "Then a blue gate appears, and it is never locked.",
        "At the end there is a wooden sign with the name of the {kind} on it.",
    ),
)

_LOOK: Aspect = (
    (
        "At first sight everything looks a little crowded.",
        "The first thing that visitors notice is how bright it is.",
    ),
    (
        "On the left stand the {thing}, and on the right there is room to sit.",
        "The {thing} take up most of the space, and nobody would want it otherwise.",
    ),
    (
        "Light falls through the tall windows of the neighbouring house.",
        "Soft light comes from above and changes with every hour.",
    ),
    (
        "There is a smell of {smell} that you do not forget.",
        "The smell of {smell} fills every corner.",
    ),
    (
        "An old clock on the wall is always a few minutes late.",
        "A round table in the middle is covered with papers and cups.",
    ),
    (
        "After a while you see that each thing has its own place.",
        "Nothing is there by chance, even if it seems so.",
    ),
)

_THINGS: Aspect = (
    (
        "Most of the care goes to the {thing}.",
        "The pride of the {kind} are the {thing}.",
    ),
    (
        "Some of them are older than {name} and have a story of their own.",
        "{name} knows where each of them came from and who brought it.",
    ),
    (
        "In {season} they need more attention than at any other time.",
        "They are at their best in {season}, when the days are {weather}.",
    ),
    (
        "Beside them you find {thing} of every size and colour.",
        "Next to them there are {thing}, which many people like even more.",
    ),
    (
        "A small card explains what is rare and what is common.",
        "Those who ask are told the difference between the good and the very good.",
    ),
    (
        "Now and then one of them is given away to a friend.",
        "Nobody has ever counted them all, and perhaps nobody should.",
    ),
)

_WORK: Aspect = (
    (
        "The work begins early in the morning with {work}.",
        "Before the sun is up, {name} is busy with {work}.",
    ),
    (
        "For this {name} takes {tool}, which hangs beside the door.",
        "The most important tool is {tool} that once belonged to a grandmother.",
    ),
    (
        "It looks easy, but it takes a steady hand and a quiet mind.",
        "Every movement has been done a thousand times before.",
    ),
    (
        "Later there is time for {work}, which nobody else does so well.",
        "Then comes {work}, and that cannot be done in a hurry.",
    ),
    (
        "In {season} the days are {weather}, so some tasks must wait.",
        "When it is {weather}, as often in {season}, the work takes longer.",
    ),
    (
        "Mistakes are repaired at once, and nobody gets angry about them.",
        "What goes wrong is tried again until it is right.",
    ),
)

_VISITORS: Aspect = (
    (
        "Towards ten the first visitors arrive.",
        "There are guests on most days, and they are always welcome.",
    ),
    (
        "{friend} comes every week and brings news from the town.",
        "{friend}, who lives next door, helps with {work}.",
    ),
    (
        "Some of them only want to look at the {thing}.",
        "Many ask about the {thing}, and {name} answers every question.",
    ),
    (
        "A teacher brings a class, and the children may touch everything.",
        "Two old friends sit in the corner and play cards for hours.",
    ),
    (
        "Those who like to help are given {tool} and something to do.",
        "Somebody always picks up {tool} and asks how it is used.",
    ),
    (
        "By noon there is so much talk that {sound} can hardly be heard.",
        "They leave with full bags, tired feet and new ideas.",
    ),
)

_FOOD: Aspect = (
    (
        "At midday everybody sits down at a long table.",
        "When the bell rings at noon, the work stops at once.",
    ),
    (
        "There is {food}, and {friend} has brought a cake.",
        "{name} has cooked {food}, enough for twice as many people.",
    ),
    (
        "The bread is still warm, and the butter melts on it.",
        "Plates go from hand to hand, and no one counts the portions.",
    ),
    (
        "They talk about the {thing} and about plans for the next {season}.",
        "The talk is about {work}, as on every other day.",
    ),
    (
        "After the meal there is strong tea in blue cups.",
        "Later a pot of coffee is passed around with some dried fruit.",
    ),
    (
        "Then it grows quiet, and some close their eyes for a moment.",
        "Half an hour later the table is empty and clean again.",
    ),
)

_WEATHER: Aspect = (
    (
        "In the afternoon the sky changes, as it often does in {season}.",
        "The afternoons of {season} are {weather} here.",
    ),
    (
        "A {animal} watches everything from the roof.",
        "Under the bench a {animal} has found a place to sleep.",
    ),
    (
        "When rain comes, all hands are needed to cover the {thing}.",
        "If a storm is near, the {thing} are brought inside first.",
    ),
    (
        "The wind carries {sound} over the fields.",
        "For a short time there is no sound but {sound}.",
    ),
    (
        "Then the clouds break, and there is a smell of {air}.",
        "Soon the sun returns, and with it the smell of {air}.",
    ),
    (
        "{name} says that each kind of weather is good for something.",
        "Nobody complains, because every day has its own beauty.",
    ),
)

_CLOSING: Aspect = (
    (
        "In the evening {name} puts {tool} back in its place.",
        "When it gets dark, {name} sweeps the floor and closes the windows.",
    ),
    (
        "The last guests say goodbye and promise to return.",
        "{friend} stays a little longer and helps to tidy up.",
    ),
    (
        "Everything smells of {smell} and of a long day.",
        "What remains is the smell of {smell}.",
    ),
    (
        "A lamp is lit, and its light falls on the {thing}.",
        "One last look goes to the {thing}, which seem to be asleep.",
    ),
    (
        "There will be {work} tomorrow, but that can wait.",
        "Tomorrow there will be more to do, and that is good.",
    ),
    (
        "This is how a day ends in the {kind} of {name}.",
        "So the {kind} rests, and {season} goes on outside.",
    ),
)

ASPECTS = (_OPENING, _WAY, _LOOK, _THINGS, _WORK, _VISITORS, _FOOD, _WEATHER, _CLOSING)
