"""The places that the embedded model writes about, and the words that go with each and with the seasons."""

from dataclasses import dataclass

__all__ = ["ANIMALS", "FOODS", "PLACES", "SEASONS", "SITES", "Place", "Season"]

SITES = (
    "behind the old mill", "at the edge of the town", "by the river", "on a low hill", "next to the church",
    "at the end of a quiet lane",
)  # fmt: skip
FOODS = ("bean soup", "potatoes with cheese", "rice with mushrooms", "noodles with nuts", "a stew of lentils")
ANIMALS = ("grey cat", "blackbird", "small dog", "tame crow", "fat pigeon")


@dataclass(frozen=True)
class Season:
    """What the days are like, and what is in the air."""

    weather: tuple[str, ...]
    air: tuple[str, ...]


@dataclass(frozen=True)
class Place:
    """Plural `things`, `tools` with their article, `work` that goes on, what is smelt and what is heard."""

    things: tuple[str, ...]
    tools: tuple[str, ...]
    work: tuple[str, ...]
    smells: tuple[str, ...]
    sounds: tuple[str, ...]


SEASONS = {
    "spring": Season(("mild and windy", "fresh and bright"), ("young leaves", "wet grass")),
    "summer": Season(("hot and dry", "long and golden"), ("hay", "warm stone")),
    "autumn": Season(("cool and misty", "short and colourful"), ("fallen leaves", "ripe apples")),
    "winter": Season(("cold and clear", "dark and still"), ("snow", "wood smoke")),
}

PLACES = {
    "garden": Place(
        ("roses", "apple trees", "tall beans", "herbs"),
        ("a rake", "a spade", "a green watering can"),
        ("planting", "pulling weeds", "watering the beds"),
        ("wet soil", "mint"),
        ("the humming of bees", "water dripping into a barrel"),
    ),
    "workshop": Place(
        ("chairs", "wooden boxes", "shelves", "toy horses"),
        ("a plane", "a small saw", "a hammer"),
        ("sawing boards", "polishing the wood", "mixing glue"),
        ("fresh wood", "varnish"),
        ("the beat of a hammer", "the song of a saw"),
    ),
    "kitchen": Place(
        ("copper pans", "jars of jam", "clay pots", "bowls"),
        ("a wooden spoon", "a sharp knife", "a black kettle"),
        ("peeling vegetables", "stirring the soup", "washing the dishes"),
        ("onions", "fresh coffee"),
        ("the hiss of a kettle", "the clatter of plates"),
    ),
    "bakery": Place(
        ("loaves", "sweet rolls", "cherry pies", "biscuits"),
        ("a rolling pin", "a long shovel", "a brass scale"),
        ("kneading the dough", "heating the oven", "sifting flour"),
        ("warm bread", "cinnamon"),
        ("the crackle of the oven", "a bell above the door"),
    ),
    "library": Place(
        ("books", "old maps", "letters", "picture books"),
        ("a ladder", "a rubber stamp", "a soft brush"),
        ("sorting the shelves", "mending torn pages", "writing labels"),
        ("old paper", "leather"),
        ("the rustle of pages", "soft steps on the stairs"),
    ),
    "market": Place(
        ("melons", "baskets", "carpets", "fish"),
        ("a pair of scales", "a hand cart", "a striped umbrella"),
        ("setting up the stalls", "weighing fruit", "calling out prices"),
        ("oranges", "spices"),
        ("the voices of the sellers", "the rattle of carts"),
    ),
    "harbour": Place(
        ("boats", "nets", "coils of rope", "lamps"),
        ("a long oar", "a bucket of tar", "an iron hook"),
        ("mending nets", "painting the boats", "tying knots"),
        ("salt", "tar"),
        ("the cry of gulls", "waves against the wall"),
    ),
    "farm": Place(
        ("cows", "pumpkins", "geese", "sheep"),
        ("a pitchfork", "a tin bucket", "an old tractor"),
        ("feeding the animals", "mending fences", "bringing in the hay"),
        ("straw", "warm milk"),
        ("the call of a rooster", "a tractor in the distance"),
    ),
    "museum": Place(
        ("paintings", "old coins", "masks", "stone figures"),
        ("a magnifying glass", "a feather duster", "a bunch of keys"),
        ("dusting the frames", "hanging pictures", "leading the tours"),
        ("floor wax", "old silk"),
        ("the echo of steps", "the ticking of a clock"),
    ),
    "school": Place(
        ("drawings", "globes", "exercise books", "paper stars"),
        ("a piece of chalk", "a long ruler", "a wet sponge"),
        ("reading stories", "checking homework", "cleaning the board"),
        ("chalk", "new pencils"),
        ("the noise of the playground", "a choir on the upper floor"),
    ),
    "station": Place(
        ("trains", "suitcases", "timetables", "signals"),
        ("a red flag", "a silver whistle", "an oil can"),
        ("selling tickets", "cleaning the platforms", "oiling the switches"),
        ("hot iron", "machine oil"),
        ("the whistle of a train", "a voice from the loudspeaker"),
    ),
    "theatre": Place(
        ("costumes", "painted walls", "puppets", "lamps"),
        ("a sewing machine", "a pot of paint", "a long ladder"),
        ("sewing costumes", "learning lines", "moving the lights"),
        ("dust", "face powder"),
        ("the tuning of violins", "laughter behind the curtain"),
    ),
}
