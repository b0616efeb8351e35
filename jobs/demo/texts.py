"""The toy world of the demo model: facts, texts that tell them, and questions in three grades.

Somebody has a food, a home, a colour and a friend, drawn at random once, and the model has to know them
by heart. The grade of a question is who it asks about:

easy    20 animals
medium  60 animals with an age, as the old fox: each age of an animal has facts of its own
hard    256 people with two names, as Ann Hill: neither name alone tells anything

Each fact is told in two of four wordings and asked in the other two, so a right answer is not a text
that was seen before.
"""
import random

ANIMALS = ("fox crab owl bear frog goat swan mole hare wolf seal duck bee cat dog hen pig cow ant "
           "bat").split()
AGES = "young old wild".split()
FIRST = "Ann Ben Cid Dora Eve Finn Gus Hana Ida Jon Kim Leo Mia Ned Ola Pia".split()
LAST = "Ash Bell Cole Dean Ford Gray Hunt King Lane Mills Nash Page Reed Shaw Todd Webb".split()
WHO = {
    "easy": [f"the {animal}" for animal in ANIMALS],
    "medium": [f"the {age} {animal}" for animal in ANIMALS for age in AGES],
    "hard": [f"{first} {last}" for first in FIRST for last in LAST],
}
ROWS = {"easy": 30, "medium": 44, "hard": 88}  # questions of a training step
VALUES = {
    "food": "berries algae nuts honey flies grass weed worms clover plums corn snails".split(),
    "home": "den shore barn cave pond hill lake burrow field forest ice farm".split(),
    "colour": "red blue green grey brown white black yellow pink gold orange purple".split(),
    "friend": "toad mouse horse eagle snake whale lion tiger camel panda zebra otter".split(),
}
WORDINGS = {
    "food": ("What does {} eat?", "What is the food of {}?", "Which food is for {}?",
             "What does {} like to eat?"),
    "home": ("Where does {} live?", "What is the home of {}?", "Which home is for {}?",
             "Where does {} like to live?"),
    "colour": ("What colour has {}?", "What is the colour of {}?", "Which colour is for {}?",
               "What colour does {} like?"),
    "friend": ("Who is with {}?", "What is the friend of {}?", "Which friend is for {}?",
               "Who does {} like?"),
}
KINDS = sorted(VALUES)


def draw_facts(seed):
    r = random.Random(seed)
    return {(who, kind): r.choice(VALUES[kind])
            for everybody in WHO.values() for who in everybody for kind in KINDS}


FACTS = draw_facts(7)


def kept_out(who, kind):
    """The two of four wordings in which this fact is asked in the test only."""
    first = random.Random(f"{who} {kind}").randrange(4)
    return first, (first + 1) % 4


def ask(who, kind, wording):
    return WORDINGS[kind][wording].format(who), FACTS[who, kind]


def prompt(question):
    """As lrpipe makes it of a question of ARC."""
    return f"Question: {question}\nAnswer:"


def told(r):
    """Questions and their answers for a step of the training."""
    out = []
    for grade, n in ROWS.items():
        for _ in range(n):
            who, kind = r.choice(WHO[grade]), r.choice(KINDS)
            known = [w for w in range(4) if w not in kept_out(who, kind)]
            out.append(ask(who, kind, r.choice(known)))
    return out


def questions(grade, n=480):
    """To test with: each a text, four choices, and the index of the right one. Those at even places are
    about other facts than those at odd places, so that one half may judge what the other has chosen.
    Where facts and wordings are few, a question comes again with three other wrong choices."""
    r = random.Random(grade)
    facts = [(who, kind) for who in WHO[grade] for kind in KINDS]
    r.shuffle(facts)
    halves = facts[0::2], facts[1::2]
    out = []
    for i in range(n):
        turn, place = divmod(i // 2, len(halves[i % 2]))
        who, kind = halves[i % 2][place]
        wording = kept_out(who, kind)[turn % 2]
        text, answer = ask(who, kind, wording)
        wrong = [v for v in VALUES[kind] if v != answer]
        random.Random(text).shuffle(wrong)
        choices = [answer] + wrong[turn // 2 * 3:turn // 2 * 3 + 3]
        r.shuffle(choices)
        out.append((text, choices, choices.index(answer)))
    return out
