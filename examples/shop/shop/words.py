"""What names are made of."""

from typing import Final

FIRST_NAMES: Final = (
    "Ada", "Amir", "Anika", "Bo", "Carla", "Chidi", "Dara", "Elif", "Emil", "Fatou", "Freya", "Grace", "Hana", "Ines",
    "Ivo", "Jana", "Jonas", "Kenji", "Lena", "Leo", "Luz", "Mara", "Mei", "Milo", "Nadia", "Noor", "Olu", "Pia", "Ravi",
    "Rosa", "Sana", "Sofia", "Tariq", "Tess", "Uma", "Vera", "Wim", "Yara", "Yuki", "Zoe",
)  # fmt: skip
LAST_NAMES: Final = (
    "Abara", "Bauer", "Costa", "Demir", "Eriksen", "Fischer", "Garcia", "Haddad", "Ito", "Jansen", "Kaya", "Laurent",
    "Moreau", "Nakamura", "Okafor", "Petrov", "Quist", "Rossi", "Silva", "Tanaka", "Ueda", "Varga", "Weber", "Xu",
    "Yilmaz", "Zeman",
)  # fmt: skip
CITIES: Final = (
    "Accra", "Athens", "Bergen", "Bogotá", "Busan", "Cusco", "Dakar", "Dublin", "Ghent", "Hanoi", "Izmir", "Kraków",
    "Leeds", "Lima", "Lisbon", "Lyon", "Oslo", "Perth", "Porto", "Quito", "Riga", "Split", "Tartu", "Turin", "Utrecht",
)  # fmt: skip
GOODS: Final = {
    "Coffee": ("Espresso Beans", "Filter Roast", "Moka Pot", "Hand Grinder", "Paper Filters", "Milk Jug"),
    "Tea": ("Green Tea", "Chai", "Oolong", "Teapot", "Tea Strainer", "Matcha Whisk"),
    "Books": ("Cookbook", "Atlas", "Novel", "Field Guide", "Poems", "Notebook"),
    "Garden": ("Tomato Seeds", "Watering Can", "Pruning Shears", "Herb Pot", "Gloves", "Bird Feeder"),
    "Kitchen": ("Chef's Knife", "Cast Iron Pan", "Cutting Board", "Scale", "Mixing Bowl", "Apron"),
    "Music": ("Kalimba", "Ukulele", "Tambourine", "Guitar Strings", "Music Stand", "Harmonica"),
    "Outdoors": ("Headlamp", "Tent", "Camp Stove", "Map Case", "Thermos", "Rope"),
    "Games": ("Chess Set", "Card Deck", "Puzzle", "Dice", "Go Board", "Domino"),
}
KINDS: Final = ("Classic", "Travel", "Studio", "Nordic", "Little", "Grand", "Vintage", "Everyday")
