"""The languages of Whisper: their codes, and their names as OpenAI's API writes them."""

# Source: openai/whisper tokenizer.py, LANGUAGES.
_TABLE = """
en english,zh chinese,de german,es spanish,ru russian,ko korean,fr french,ja japanese,
pt portuguese,tr turkish,pl polish,ca catalan,nl dutch,ar arabic,sv swedish,it italian,
id indonesian,hi hindi,fi finnish,vi vietnamese,he hebrew,uk ukrainian,el greek,ms malay,
cs czech,ro romanian,da danish,hu hungarian,ta tamil,no norwegian,th thai,ur urdu,hr croatian,
bg bulgarian,lt lithuanian,la latin,mi maori,ml malayalam,cy welsh,sk slovak,te telugu,
fa persian,lv latvian,bn bengali,sr serbian,az azerbaijani,sl slovenian,kn kannada,et estonian,
mk macedonian,br breton,eu basque,is icelandic,hy armenian,ne nepali,mn mongolian,bs bosnian,
kk kazakh,sq albanian,sw swahili,gl galician,mr marathi,pa punjabi,si sinhala,km khmer,sn shona,
yo yoruba,so somali,af afrikaans,oc occitan,ka georgian,be belarusian,tg tajik,sd sindhi,
gu gujarati,am amharic,yi yiddish,lo lao,uz uzbek,fo faroese,ht haitian creole,ps pashto,
tk turkmen,nn nynorsk,mt maltese,sa sanskrit,lb luxembourgish,my myanmar,bo tibetan,tl tagalog,
mg malagasy,as assamese,tt tatar,haw hawaiian,ln lingala,ha hausa,ba bashkir,jw javanese,
su sundanese,yue cantonese
"""

NAMES: dict[str, str] = {
    code: name for code, _, name in (e.strip().partition(" ") for e in _TABLE.split(","))
}
_CODES = {name: code for code, name in NAMES.items()}
#: What systems and browsers write (BCP 47, old Java) where Whisper has another code.
_SAME = {"nb": "no", "jv": "jw", "fil": "tl", "iw": "he", "in": "id"}


def name_of(code: str) -> str:
    """Return the English name of a language, or the code itself if it has none here."""
    return NAMES.get(code, code)


def code_of(given: str) -> str | None:
    """Return the code for what a caller wrote: `sv`, `SV`, `sv-SE`, `swedish`; None if unknown."""
    text = given.strip().lower()
    code = text.replace("_", "-").split("-", 1)[0]
    code = _SAME.get(code, code)
    return code if code in NAMES else _CODES.get(text)
