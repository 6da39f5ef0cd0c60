"""Everyday English of organisations, for wordings.py: question frames, polite openers, verbs."""

FRAMES: dict[str, tuple[str, ...]] = {
    "who": (
        "who is responsible for {topic}", "who do I ask about {topic}", "which team handles {topic}",
        "who is in charge of {topic}", "name of the person for {topic}", "who takes care of {topic}",
        "contact for {topic}", "who should I talk to about {topic}", "which person or company does {topic}",
        "I need someone for {topic}, who is it", "who can I call for {topic}", "who runs {topic}",
        "who does {topic}", "which supplier or team do we have for {topic}",
    ),
    "where": (
        "where can I find {topic}", "where is {topic}", "location of {topic}", "what's the address of {topic}",
        "how do I get to {topic}", "{topic} link", "where do I look for {topic}", "I need {topic}, where do I go",
        "what place is {topic} in", "where do I go for {topic}", "where do we keep {topic}",
        "which room or page has {topic}", "where do we send {topic}",
    ),
    "when": (
        "when is {topic}", "what time is {topic}", "what date is {topic}", "{topic} schedule",
        "what day is {topic}", "when does {topic} happen", "date of {topic}", "time of {topic}",
        "when do we do {topic}", "what's the time for {topic}",
    ),
    "amount": (
        "how much is {topic}", "how many {topic}", "how long for {topic}", "what is the limit for {topic}",
        "maximum {topic}", "number of {topic}", "how often {topic}", "{topic} period", "{topic} allowance",
        "how big is {topic}", "how fast {topic}", "what's the number for {topic}", "minimum {topic}",
        "{topic} rate", "what is the interval for {topic}", "how many days or months for {topic}",
        "how much do I get for {topic}", "what's the rule on {topic}", "how much can I spend on {topic}",
        "how high is {topic}",
    ),
    "how": (
        "how do I get {topic}", "how can I do {topic}", "what do I do for {topic}",
        "what's the way to get {topic}", "I need {topic}, what should I do",
        "what command or tool is there for {topic}", "steps for {topic}", "how does one get {topic}",
        "what do I use for {topic}",
    ),
    "what": (
        "what is {topic}", "which {topic}", "name of {topic}", "what's the name of {topic}",
        "tell me about {topic}", "what do we use for {topic}", "what's our {topic}", "which one is our {topic}",
        "what do I need to know about {topic}", "do we have a rule for {topic}", "what is it with {topic}",
        "information on {topic}", "which tool or service is for {topic}", "what {topic} do we have",
        "what should I use for {topic}",
    ),
}  # fmt: skip
"""By what a question asks for; `{topic}` takes phrases of content words."""

OPENERS = (
    "tell me", "can you tell me", "do you know", "I need to know", "please tell me", "could you say", "remind me",
    "I was wondering", "does anyone know", "I'd like to know",
)  # fmt: skip
PREFIXES = (
    "hey, ", "hi, ", "quick question: ", "sorry, ", "hello! ", "one more thing: ", "I forgot: ",
    "at our company, ", "so ",
)  # fmt: skip
SUFFIXES = (
    " please", " again", " here", " these days", " at our company", " for us", " now",
)  # fmt: skip

VERBS = frozenset(
    """
    listen use us own manag approv request keep kept get got run ran stor call nam live liv giv give go goes take
    tak need say sign find found mak make made sent send set put serv hold held work handl book report own lead
    led start end happen pay paid allow deliver leave leav rest refresh replac clean clos open meet met
    """.split()  # noqa: SIM905 - as above
)
"""Stems of verbs that end a noun phrase in a short question or answer."""
