"""Sentence patterns of numbers, prices and times; `{slot}` names are defined in slots.py."""

# One pattern per line.
NUMBER_PATTERNS: dict[str, str] = {
    "one_word": """ja
        nej
        {digit}
        {digit}
        {digit}
        {answer}
        {answer}!
        {weekday}
        {month}
        {greeting}!
        {color}
        {name}?
        {town}
        {tens}
        {one_thing}
        {the_thing}
        {some_thing}
        {the_food}
        {one_animal}""",
    "digits": """{digit_row}
        {digit_row}
        koden är {code}
        pinkoden är {code}
        mitt nummer är {phone}
        ring {phone}
        telefonnumret är {phone}
        slå {code} för att komma in
        kundnumret är {code}
        ange koden {code} och tryck på fyrkant
        har du skrivit {code}?""",
    "numbers": """{number}
        {number}
        {number}
        {number}, {number}, {number}
        {number} och {number}
        talet är {number}
        svaret är {number}
        {number} plus {number} är {number}
        {tens} minus {digit} är {tens}
        {digit} gånger {digit} är {tens}
        {hundreds} delat med {small} är {decimal}
        det kom {number} personer
        jag har {many_thing}
        jag räknade till {number}
        vi såg {many_animal} {where}
        sidan {number}
        rum {number}
        buss nummer {number}
        huset är {number} år gammalt
        det är {number} kilometer till {town}
        {town} har {thousands} invånare
        {name} kom på {ordinal} plats
        hissen stannar på {ordinal} våningen
        resultatet blev {decimal}
        välj ett tal mellan {number} och {number}
        {name} är {age} år gammal
        jag fyller {age} år {when}
        är det {number} eller {number}?""",
    "prices": """det kostar {price}
        det blir {price}
        {price}, tack
        {the_thing} kostar {price}
        {some_food} för {price}
        biljetten till {town} kostar {price}
        jag betalade {price} för {the_thing}
        kan jag få tillbaka {price}?
        hyran är {price} i månaden
        priset sänktes från {price} till {price}
        {name} är skyldig mig {price}
        vi har {price} kvar""",
    "percentages": """{percent}
        räntan är {percent}
        {percent} av eleverna var {where}
        priset ökade med {percent}
        rabatten är {percent}
        batteriet är laddat till {percent}
        partiet fick {percent} av rösterna
        luftfuktigheten är {percent}""",
    "clock": """klockan är {clock}
        klockan är {clock}
        hon är {clock}
        vi ses klockan {time}
        tåget går klockan {clock_24}
        {vehicle} till {town} går {clock_24}
        {vehicle} avgår klockan {time} {on_day}
        mötet börjar {clock} och slutar {clock}
        väck mig klockan {time}
        ställ klockan på {time}
        affären stänger klockan {time}
        är klockan redan {clock}?
        kan du komma {clock}?
        vi äter middag klockan {time}
        jag vaknade {clock} {when_past}
        filmen börjar {clock_24}
        timern är ställd på {many_span}""",
    "dates": """i dag är det {date}
        det är {weekday} {date}
        {weekday} {date}
        {date} {year}
        jag är född {date} {year}
        vi ses {date}
        mötet är flyttat till {date}
        {name} fyller år {date}
        skolan börjar {date}
        {season} börjar i {month}
        kan vi ses {weekday} {date} klockan {time}?
        året var {year}
        huset byggdes {year}
        semestern är från {date} till {date}
        är du ledig {date}?
        sista dagen är {date}""",
    "weekdays": """i dag är det {weekday}
        i morgon är det {weekday}
        vi ses {on_day}
        {on_day} ska jag {do}
        på {weekday}ar {does} {family}
        {family} kommer {on_day}
        i {month} ska vi resa till {country}
        det brukar vara {weather_like} i {month}
        {weekday}, {weekday} och {weekday}""",
}
