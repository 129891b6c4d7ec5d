"""The sentence patterns, by domain; `{slot}` names are defined in slots.py."""


def _lines(text: str) -> tuple[str, ...]:
    return tuple(line.strip() for line in text.strip().splitlines())


PATTERNS: dict[str, tuple[str, ...]] = {
    "one_word": _lines(
        """ja
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
        {one_animal}"""
    ),
    "digits": _lines(
        """{digit_row}
        {digit_row}
        koden är {code}
        pinkoden är {code}
        mitt nummer är {phone}
        ring {phone}
        telefonnumret är {phone}
        slå {code} för att komma in
        kundnumret är {code}
        ange koden {code} och tryck på fyrkant
        har du skrivit {code}?"""
    ),
    "numbers": _lines(
        """{number}
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
        är det {number} eller {number}?"""
    ),
    "prices": _lines(
        """det kostar {price}
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
        vi har {price} kvar"""
    ),
    "percentages": _lines(
        """{percent}
        räntan är {percent}
        {percent} av eleverna var {where}
        priset ökade med {percent}
        rabatten är {percent}
        batteriet är laddat till {percent}
        partiet fick {percent} av rösterna
        luftfuktigheten är {percent}"""
    ),
    "clock": _lines(
        """klockan är {clock}
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
        timern är ställd på {many_span}"""
    ),
    "dates": _lines(
        """i dag är det {date}
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
        sista dagen är {date}"""
    ),
    "weekdays": _lines(
        """i dag är det {weekday}
        i morgon är det {weekday}
        vi ses {on_day}
        {on_day} ska jag {do}
        på {weekday}ar {does} {family}
        {family} kommer {on_day}
        i {month} ska vi resa till {country}
        det brukar vara {weather_like} i {month}
        {weekday}, {weekday} och {weekday}"""
    ),
    "weather": _lines(
        """det är {weather_like} i {town}
        i morgon blir det {weather} i {region}
        i {region} väntas {weather}
        {weather} och {degrees} i {town}
        det blir {degrees} varmt {when}
        det är {degrees} kallt i {town}
        {wind} vind och {weather}
        vädret i {region} är {weather_like}
        {when} blir det {weather_like}
        det var {weather_like} {when_past}
        blir det {weather} {when}?
        hur blir vädret i {town} {when}?
        temperaturen stiger till {degrees}
        under {season} var det {weather_like} och {weather_like}
        varning för {weather} i {region}"""
    ),
    "towns": _lines(
        """jag bor i {town}
        {name} kommer från {town}
        hur långt är det till {town}?
        {town} ligger i {region}
        vi flyttade från {town} till {town} {when_past}
        nästa station är {town}
        {family} bor utanför {town}
        {vehicle} till {town} är försenat
        mellan {town} och {town} finns {a_fine_place}"""
    ),
    "family": _lines(
        """{family} {does}
        {family} är {mood}
        {name} är gift med {name}
        jag ringer {family} {when}
        {family} kommer hit {when}
        {family} har {a_fine_animal}
        {family} och {family} {does} {where}
        hur mår {family}?
        barnen {does} {where}
        {name} och {name} har {many_animal}
        {family} arbetar som {one_job}"""
    ),
    "food": _lines(
        """jag vill ha {a_food} och {drink}
        vi äter {some_food} med {staple}
        köp {many_food}
        köp {staple}, {staple} och {staple}
        tycker du om {some_food}?
        {the_food} smakar gott
        kan jag få {drink}?
        ta {amount} {staple}
        det finns {staple} {where}
        {person} åt {a_food} till frukost
        vi behöver {amount} {staple} och {many_food}
        {the_food} är för {weather_like}
        en kopp {drink}, tack
        jag är allergisk mot {staple}
        vad kostar {the_food}?
        blanda {staple} med {staple}"""
    ),
    "home": _lines(
        """{the_thing} är {where}
        {the_thing} står {where}
        jag har tappat {the_thing} {where}
        var är {the_thing}?
        lägg {the_thing} {where}
        det ligger {a_fine_thing} {where}
        tänd lampan {where}
        släck lampan {where}
        {the_thing} är trasig
        vi måste {do} {when}
        {person} {did} {the_thing} {when_past}
        {the_animal} sover {where}
        vi har {a_fine_thing} och {a_fine_thing} {where}
        stäng fönstret, det är {weather_like}"""
    ),
    "travel": _lines(
        """vi ska resa till {country} {when}
        {vehicle} till {town} är sen
        jag vill boka en resa till {town} {on_day}
        {vehicle} går från spår {small}
        hur kommer jag till {the_place}?
        {the_place} ligger till höger om {the_place}
        sväng vänster vid {the_place}
        gå rakt fram till {the_place}
        vi bodde på {a_fine_place} i {country}
        passet ligger {where}
        {person} var i {country} {when_past}
        en biljett till {town}, tack
        två biljetter till {town}, tack"""
    ),
    "errands": _lines(
        """jag ska till {the_place} {when}
        kan du gå till {the_place}?
        glöm inte att {do} {when}
        jag måste {do} {when}
        påminn mig om att {do} {when}
        lägg till {staple} på listan
        {the_place} öppnar klockan {time}
        paketet finns att hämta {date}
        {person} ska hämta {the_thing} {on_day}"""
    ),
    "health": _lines(
        """jag har {illness}
        jag har ont i {body}
        {name} har {illness} och {illness}
        hur länge har du haft {illness}?
        ta {small} tabletter om dagen
        jag vill boka tid hos läkaren {on_day}
        {person} är {mood}
        du har tid hos tandläkaren {date} klockan {time}
        har du {illness}?
        {family} har brutit {body}"""
    ),
    "office": _lines(
        """{office} är klar {when}
        kan du skicka {office} {when}?
        mötet om {office} börjar klockan {time}
        {full_name} är {one_job}
        chefen vill se {office} {when}
        vi måste prata om {office}
        {name} arbetar med {office}
        skicka {office} till {full_name}
        jag har möte med {name} {on_day}
        {office} kostade {price}
        {the_job} läste {office} {when_past}"""
    ),
    "school": _lines(
        """{name} läser {subject}
        provet i {subject} är {date}
        {subject} är {neuter_adjective}
        läxan i {subject} ska vara klar {on_day}
        {the_job} {does} {where}
        vi har {subject} klockan {time}"""
    ),
    "questions": _lines(
        """vad gör {family} {when}?
        vad heter du?
        hur gammal är {name}?
        var bor {full_name}?
        vem {did} {the_thing}?
        varför är {family} {mood}?
        när börjar {season}?
        vill du {do} {when}?
        har du sett {the_thing}?
        kan {name} {do}?
        vilken färg har {the_thing}?
        hur många {some_thing} har du?
        finns det {a_place} här?
        ska vi {do} {when}?"""
    ),
    "requests": _lines(
        """kan du {do}?
        ring {name}
        ring till {full_name} {when}
        spela musik {where}
        skriv ett brev till {family}
        var snäll och {do}
        hjälp mig att {do}
        visa vägen till {the_place}
        sluta {do}!
        kom hit, {name}!
        hämta {the_thing}, tack
        vänta {small} minuter
        ställ in en timer på {many_span}"""
    ),
    "greetings": _lines(
        """{greeting}
        {greeting}!
        {greeting}, {name}!
        hej, jag heter {full_name}
        hej {name}, hur mår du?
        {greeting} och {greeting}
        god morgon, {family}
        tack, {name}, det var {neuter_adjective}"""
    ),
    "everyday": _lines(
        """{person} {does} {where}
        {person} {does} {when}
        {person} vill {do} {when}
        {person} ska {do} {when}
        {person} {did} {a_fine_thing} {when_past}
        {person} {did} {some_thing} och {some_food} {when_past}
        {the_animal} är {where}
        {a_fine_animal} sprang över {the_place}
        det finns {many_animal} {where}
        {the_job} {did} {the_thing}
        {some_animal} och {some_animal}
        {person} kan inte {do} {when}
        jag tycker att {the_thing} är {color}
        {plural_adjective} {some_thing} och {plural_adjective} {some_thing}
        {a_fine_place} med {many_thing}
        om {many_span} ska {person} {do}"""
    ),
}
