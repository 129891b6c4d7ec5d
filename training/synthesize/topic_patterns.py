"""Sentence patterns of everyday topics; `{slot}` names are defined in slots.py."""

# One pattern per line.
TOPIC_PATTERNS: dict[str, str] = {
    "weather": """det är {weather_like} i {town}
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
        varning för {weather} i {region}""",
    "towns": """jag bor i {town}
        {name} kommer från {town}
        hur långt är det till {town}?
        {town} ligger i {region}
        vi flyttade från {town} till {town} {when_past}
        nästa station är {town}
        {family} bor utanför {town}
        {vehicle} till {town} är försenat
        mellan {town} och {town} finns {a_fine_place}""",
    "family": """{family} {does}
        {family} är {mood}
        {name} är gift med {name}
        jag ringer {family} {when}
        {family} kommer hit {when}
        {family} har {a_fine_animal}
        {family} och {family} {does} {where}
        hur mår {family}?
        barnen {does} {where}
        {name} och {name} har {many_animal}
        {family} arbetar som {one_job}""",
    "food": """jag vill ha {a_food} och {drink}
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
        blanda {staple} med {staple}""",
    "home": """{the_thing} är {where}
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
        stäng fönstret, det är {weather_like}""",
    "travel": """vi ska resa till {country} {when}
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
        två biljetter till {town}, tack""",
    "errands": """jag ska till {the_place} {when}
        kan du gå till {the_place}?
        glöm inte att {do} {when}
        jag måste {do} {when}
        påminn mig om att {do} {when}
        lägg till {staple} på listan
        {the_place} öppnar klockan {time}
        paketet finns att hämta {date}
        {person} ska hämta {the_thing} {on_day}""",
    "health": """jag har {illness}
        jag har ont i {body}
        {name} har {illness} och {illness}
        hur länge har du haft {illness}?
        ta {small} tabletter om dagen
        jag vill boka tid hos läkaren {on_day}
        {person} är {mood}
        du har tid hos tandläkaren {date} klockan {time}
        har du {illness}?
        {family} har brutit {body}""",
    "office": """{office} är klar {when}
        kan du skicka {office} {when}?
        mötet om {office} börjar klockan {time}
        {full_name} är {one_job}
        chefen vill se {office} {when}
        vi måste prata om {office}
        {name} arbetar med {office}
        skicka {office} till {full_name}
        jag har möte med {name} {on_day}
        {office} kostade {price}
        {the_job} läste {office} {when_past}""",
    "school": """{name} läser {subject}
        provet i {subject} är {date}
        {subject} är {neuter_adjective}
        läxan i {subject} ska vara klar {on_day}
        {the_job} {does} {where}
        vi har {subject} klockan {time}""",
    "questions": """vad gör {family} {when}?
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
        ska vi {do} {when}?""",
    "requests": """kan du {do}?
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
        ställ in en timer på {many_span}""",
    "greetings": """{greeting}
        {greeting}!
        {greeting}, {name}!
        hej, jag heter {full_name}
        hej {name}, hur mår du?
        {greeting} och {greeting}
        god morgon, {family}
        tack, {name}, det var {neuter_adjective}""",
    "everyday": """{person} {does} {where}
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
        om {many_span} ska {person} {do}""",
}
