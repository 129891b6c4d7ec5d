"""Common Swedish words by topic: what the sentence patterns are filled with.

Nouns are kept in their four forms, so that a pattern can ask for the one it needs.
"""

from typing import NamedTuple


class Noun(NamedTuple):
    """One noun: `en katt katten katter`."""

    article: str
    singular: str
    definite: str
    plural: str


def _nouns(text: str) -> tuple[Noun, ...]:
    return tuple(Noun(*entry.split()) for entry in text.replace("\n", " ").split(";"))


def _phrases(text: str) -> tuple[str, ...]:
    return tuple(phrase.strip() for phrase in text.replace("\n", " ").split(","))


FOOD = _nouns(
    "en banan bananen bananer; ett äpple äpplet äpplen; ett päron päronet päron; en tomat tomaten "
    "tomater; en gurka gurkan gurkor; en potatis potatisen potatisar; en morot moroten morötter; "
    "en lök löken lökar; en paprika paprikan paprikor; ett ägg ägget ägg; ett bröd brödet bröd; "
    "en limpa limpan limpor; en ost osten ostar; en korv korven korvar; en köttbulle köttbullen "
    "köttbullar; en fisk fisken fiskar; en kyckling kycklingen kycklingar; en tårta tårtan "
    "tårtor; en kaka kakan kakor; en bulle bullen bullar; en glass glassen glassar; en apelsin "
    "apelsinen apelsiner; en citron citronen citroner; en svamp svampen svampar; en soppa soppan "
    "soppor; en sallad salladen sallader; en macka mackan mackor; en pizza pizzan pizzor; en "
    "hamburgare hamburgaren hamburgare; en pannkaka pannkakan pannkakor; en våffla våfflan "
    "våfflor; en räka räkan räkor; en melon melonen meloner; en jordgubbe jordgubben jordgubbar; "
    "ett hallon hallonet hallon; en kanelbulle kanelbullen kanelbullar; en godisbit godisbiten "
    "godisbitar; en chokladkaka chokladkakan chokladkakor"
)
DRINKS = _phrases(
    "kaffe, te, mjölk, vatten, saft, juice, läsk, öl, vin, choklad, mineralvatten, äppeljuice, "
    "kallt vatten, varm choklad, svart kaffe, grönt te, kaffe med mjölk, filmjölk"
)
STAPLES = _phrases(
    "smör, socker, mjöl, salt, peppar, ris, pasta, grädde, yoghurt, sylt, honung, olja, "
    "havregryn, kött, skinka, bacon, lax, sill, torsk, vitlök, spenat, broccoli, kål, ärtor, "
    "bönor, linser, nötter, mandel, vanilj, kanel, kardemumma, senap, ketchup, majonnäs, müsli, "
    "tvål, tandkräm, toalettpapper, hushållspapper, diskmedel, schampo, blöjor, tändstickor, "
    "stearinljus"
)
THINGS = _nouns(
    "en nyckel nyckeln nycklar; en telefon telefonen telefoner; en dator datorn datorer; en bok "
    "boken böcker; en tidning tidningen tidningar; en penna pennan pennor; ett papper papperet "
    "papper; ett brev brevet brev; ett paket paketet paket; en väska väskan väskor; en plånbok "
    "plånboken plånböcker; ett kort kortet kort; en klocka klockan klockor; en lampa lampan "
    "lampor; en stol stolen stolar; ett bord bordet bord; en säng sängen sängar; en soffa soffan "
    "soffor; en matta mattan mattor; en spegel spegeln speglar; ett fönster fönstret fönster; en "
    "dörr dörren dörrar; en gardin gardinen gardiner; en kudde kudden kuddar; en filt filten "
    "filtar; en handduk handduken handdukar; en tallrik tallriken tallrikar; ett glas glaset "
    "glas; en kopp koppen koppar; en kniv kniven knivar; en gaffel gaffeln gafflar; en sked "
    "skeden skedar; en gryta grytan grytor; en stekpanna stekpannan stekpannor; en burk burken "
    "burkar; en flaska flaskan flaskor; en låda lådan lådor; en korg korgen korgar; en hylla "
    "hyllan hyllor; ett skåp skåpet skåp; en radio radion radior; en bild bilden bilder; en tavla "
    "tavlan tavlor; en leksak leksaken leksaker; en boll bollen bollar; en docka dockan dockor; "
    "en cykel cykeln cyklar; en bil bilen bilar; en båt båten båtar; ett paraply paraplyet "
    "paraplyer; en jacka jackan jackor; en tröja tröjan tröjor; en skjorta skjortan skjortor; en "
    "klänning klänningen klänningar; en kjol kjolen kjolar; en sko skon skor; en strumpa strumpan "
    "strumpor; en mössa mössan mössor; en vante vanten vantar; en halsduk halsduken halsdukar; en "
    "ring ringen ringar; en hammare hammaren hammare; en spik spiken spikar; en skruv skruven "
    "skruvar; en såg sågen sågar; en stege stegen stegar; en spade spaden spadar; en hink hinken "
    "hinkar; en borste borsten borstar; en kamera kameran kameror; en skärm skärmen skärmar; ett "
    "tangentbord tangentbordet tangentbord; en sladd sladden sladdar; ett batteri batteriet "
    "batterier; en laddare laddaren laddare"
)
ANIMALS = _nouns(
    "en hund hunden hundar; en katt katten katter; en häst hästen hästar; en ko kon kor; ett får "
    "fåret får; en gris grisen grisar; en höna hönan hönor; en fågel fågeln fåglar; en mus musen "
    "möss; en råtta råttan råttor; en kanin kaninen kaniner; en hare haren harar; en räv räven "
    "rävar; en varg vargen vargar; en björn björnen björnar; en älg älgen älgar; ett rådjur "
    "rådjuret rådjur; en ekorre ekorren ekorrar; en igelkott igelkotten igelkottar; en groda "
    "grodan grodor; en orm ormen ormar; en fjäril fjärilen fjärilar; en geting getingen getingar; "
    "en myra myran myror; en spindel spindeln spindlar; en svan svanen svanar; en uggla ugglan "
    "ugglor; en örn örnen örnar; en säl sälen sälar; en gädda gäddan gäddor"
)
PLACES = _nouns(
    "en affär affären affärer; en skola skolan skolor; ett sjukhus sjukhuset sjukhus; ett apotek "
    "apoteket apotek; ett bibliotek biblioteket bibliotek; en bank banken banker; en restaurang "
    "restaurangen restauranger; ett kafé kaféet kaféer; ett hotell hotellet hotell; en station "
    "stationen stationer; en flygplats flygplatsen flygplatser; en hamn hamnen hamnar; en park "
    "parken parker; en strand stranden stränder; en skog skogen skogar; en sjö sjön sjöar; ett "
    "berg berget berg; en bro bron broar; ett torg torget torg; en kyrka kyrkan kyrkor; ett "
    "museum museet museer; en teater teatern teatrar; en biograf biografen biografer; ett kontor "
    "kontoret kontor; en fabrik fabriken fabriker; en verkstad verkstaden verkstäder; en trädgård "
    "trädgården trädgårdar; ett kök köket kök; en källare källaren källare; en gata gatan gator; "
    "en väg vägen vägar; en hållplats hållplatsen hållplatser; en tandläkare tandläkaren "
    "tandläkare; en frisör frisören frisörer; ett bageri bageriet bagerier; en simhall simhallen "
    "simhallar; en lekplats lekplatsen lekplatser; en by byn byar; en stad staden städer; en ö ön "
    "öar; en gård gården gårdar; ett torp torpet torp"
)
PEOPLE = _nouns(
    "en lärare läraren lärare; en läkare läkaren läkare; en sjuksköterska sjuksköterskan "
    "sjuksköterskor; en polis polisen poliser; en bonde bonden bönder; en kock kocken kockar; en "
    "snickare snickaren snickare; en målare målaren målare; en chaufför chauffören chaufförer; en "
    "elev eleven elever; en student studenten studenter; en granne grannen grannar; en vän vännen "
    "vänner; en kollega kollegan kollegor; en chef chefen chefer; en kund kunden kunder; en gäst "
    "gästen gäster; en kvinna kvinnan kvinnor; en man mannen män; en pojke pojken pojkar; en "
    "flicka flickan flickor; ett barn barnet barn; en turist turisten turister; en journalist "
    "journalisten journalister; en sångare sångaren sångare; en ingenjör ingenjören ingenjörer; "
    "en forskare forskaren forskare; en advokat advokaten advokater; en säljare säljaren säljare; "
    "en tränare tränaren tränare"
)
FAMILY = _phrases(
    "mamma, pappa, min syster, min bror, mormor, morfar, farmor, farfar, min son, min dotter, min "
    "man, min fru, min moster, min faster, min morbror, min farbror, min kusin, min sambo, mina "
    "föräldrar, mina barn, våra grannar, min bästa vän, min svärmor, barnbarnen"
)
NAMES = _phrases(
    "Anna, Erik, Maria, Lars, Karin, Anders, Sara, Johan, Eva, Per, Lena, Karl, Emma, Nils, "
    "Kerstin, Jan, Ingrid, Gustav, Sofia, Mikael, Linda, Oskar, Elsa, Peter, Birgitta, Thomas, "
    "Marie, Fredrik, Hanna, Daniel, Malin, Alexander, Jenny, Magnus, Ulla, Bengt, Astrid, Olof, "
    "Maja, Viktor, Alice, Hugo, Wilma, Axel, Ebba, Filip, Julia, Simon, Ellen, Anton, Klara, "
    "Jonas, Agnes, Martin, Åsa, Björn, Märta, Håkan, Gunilla, Sven, Göran, Siv, Rolf, Britta, "
    "Stefan, Helena, Mattias, Camilla"
)
SURNAMES = _phrases(
    "Andersson, Johansson, Karlsson, Nilsson, Eriksson, Larsson, Olsson, Persson, Svensson, "
    "Gustafsson, Pettersson, Jonsson, Lindberg, Lindström, Berg, Lundgren, Sandberg, Forsberg, "
    "Holm, Sjöberg, Ek, Bergström, Nyström, Åberg, Öberg, Wallin, Hedlund, Söderberg"
)
TOWNS = _phrases(
    "Stockholm, Göteborg, Malmö, Uppsala, Västerås, Örebro, Linköping, Helsingborg, Jönköping, "
    "Norrköping, Lund, Umeå, Gävle, Borås, Södertälje, Eskilstuna, Halmstad, Växjö, Karlstad, "
    "Sundsvall, Trollhättan, Östersund, Kalmar, Falun, Skövde, Kristianstad, Karlskrona, "
    "Skellefteå, Uddevalla, Luleå, Motala, Nyköping, Varberg, Landskrona, Borlänge, Visby, "
    "Kiruna, Ystad, Sandviken, Härnösand, Mora, Strömstad, Lidköping, Katrineholm, Enköping, "
    "Mariestad, Piteå, Boden, Haparanda, Arvika, Köping, Sala, Vadstena, Sigtuna, Marstrand, "
    "Simrishamn"
)
COUNTRIES = _phrases(
    "Sverige, Norge, Danmark, Finland, Island, Tyskland, Frankrike, Spanien, Italien, Grekland, "
    "Polen, England, Skottland, Irland, Holland, Belgien, Österrike, Schweiz, Portugal, Estland, "
    "Lettland, Litauen, Turkiet, Kanada, Japan, Kina, Indien, Egypten, Marocko, Brasilien"
)
# Neuter form follows from the common one only by rule and exception: both are written out.
ADJECTIVES = tuple(
    tuple(entry.split())
    for entry in (
        "stor stort stora; liten litet små; ny nytt nya; gammal gammalt gamla; röd rött röda; "
        "blå blått blå; grön grönt gröna; gul gult gula; svart svart svarta; vit vitt vita; "
        "brun brunt bruna; grå grått grå; fin fint fina; ful fult fula; snygg snyggt snygga; "
        "dyr dyrt dyra; billig billigt billiga; tung tungt tunga; lätt lätt lätta; "
        "lång långt långa; kort kort korta; bred brett breda; smal smalt smala; hög högt höga; "
        "låg lågt låga; varm varmt varma; kall kallt kalla; torr torrt torra; våt vått våta; "
        "ren rent rena; smutsig smutsigt smutsiga; hel helt hela; trasig trasigt trasiga; "
        "tom tomt tomma; full fullt fulla; mjuk mjukt mjuka; hård hårt hårda; ljus ljust ljusa; "
        "mörk mörkt mörka; snabb snabbt snabba; långsam långsamt långsamma; stark starkt starka; "
        "svag svagt svaga; rolig roligt roliga; tråkig tråkigt tråkiga; viktig viktigt viktiga; "
        "vacker vackert vackra; enkel enkelt enkla; svår svårt svåra; vanlig vanligt vanliga; "
        "konstig konstigt konstiga; härlig härligt härliga; egen eget egna; annan annat andra"
    ).split("; ")
)
MOODS = _phrases(
    "glad, trött, hungrig, törstig, ledsen, arg, sjuk, frisk, nöjd, orolig, lugn, stressad, "
    "nervös, förvånad, kär, ensam, pigg, sömnig, förkyld, stolt, besviken, upptagen, ledig, sen, "
    "säker, mätt"
)
VERBS_PRESENT = _phrases(
    "arbetar, läser, skriver, sjunger, dansar, springer, går, cyklar, simmar, sover, vilar, lagar "
    "mat, diskar, städar, tvättar, bakar, handlar, ringer, väntar, lyssnar, pratar, skrattar, "
    "gråter, spelar fotboll, spelar piano, spelar gitarr, tittar på tv, målar, ritar, syr, "
    "stickar, plockar bär, plockar svamp, fiskar, åker skidor, åker skridskor, åker buss, kör "
    "bil, tränar, studerar, leker, dricker kaffe, äter frukost, äter lunch, äter middag, duschar, "
    "badar, snickrar, klipper gräset, vattnar blommorna, bygger ett hus, lär sig svenska, räknar, "
    "drömmer, berättar en saga"
)
VERBS_INFINITIVE = _phrases(
    "arbeta, läsa, skriva, sjunga, dansa, springa, gå hem, cykla, simma, sova, vila, laga mat, "
    "diska, städa, tvätta, baka, handla, ringa, vänta, lyssna, prata, spela fotboll, spela kort, "
    "titta på film, måla, rita, plocka bär, plocka svamp, fiska, åka skidor, åka tåg, åka buss, "
    "köra bil, träna, studera, leka, dricka kaffe, äta frukost, äta lunch, äta middag, duscha, "
    "bada, klippa gräset, betala räkningen, köpa biljetter, beställa mat, boka ett bord, boka "
    "tid, hämta barnen, lämna barnen, skicka ett brev, laga cykeln, flytta, resa, börja, sluta, "
    "öppna fönstret, stänga dörren, hjälpa till, gå på bio, gå ut med hunden, ta en promenad, ta "
    "en paus, lära mig svenska, byta jobb, sälja bilen"
)
VERBS_PAST = _phrases(
    "köpte, sålde, hittade, tappade, glömde, lånade, såg, fick, hämtade, lämnade, tvättade, "
    "målade, flyttade, ville ha, behövde, beställde, betalade, öppnade, stängde, lagade, letade "
    "efter, tittade på, väntade på, tänkte på, frågade efter, visade, bar, gömde, räknade, "
    "skickade"
)
BODY = _phrases(
    "huvudet, ryggen, magen, halsen, foten, handen, armen, benet, knät, axeln, örat, ögat, "
    "tanden, nacken, fingret, tån, bröstet, näsan, höften, armbågen"
)
ILLNESSES = _phrases(
    "feber, hosta, huvudvärk, ont i magen, ont i halsen, förkylning, allergi, yrsel, tandvärk, "
    "snuva, influensa, utslag, högt blodtryck, lågt blodtryck, ont i ryggen, astma, eksem"
)
WEATHER = _phrases(
    "regn, snö, sol, hagel, dimma, åska, moln, blåst, storm, kyla, värme, frost, regnskurar, "
    "snöfall, duggregn, klart väder, mulet väder, hård vind, svag vind, halt väglag, solsken, "
    "snöblandat regn"
)
WEATHER_ADJECTIVES = _phrases(
    "soligt, molnigt, regnigt, blåsigt, kallt, varmt, mulet, klart, dimmigt, halt, fuktigt, "
    "svalt, kyligt, stormigt, fint, vackert, grått, ostadigt, isigt, milt"
)
REGIONS = _phrases(
    "Skåne, Småland, Blekinge, Halland, Öland, Gotland, Östergötland, Västergötland, Bohuslän, "
    "Dalsland, Värmland, Närke, Sörmland, Uppland, Västmanland, Dalarna, Gästrikland, "
    "Hälsingland, Härjedalen, Medelpad, Jämtland, Ångermanland, Västerbotten, Norrbotten, "
    "Lappland, hela landet, norra Norrland, södra Sverige, västra Sverige, östra Svealand, "
    "Götaland, Svealand"
)
WINDS = _phrases("nordlig, sydlig, västlig, östlig, nordvästlig, nordostlig, sydvästlig, sydostlig")
SEASONS = _phrases(
    "våren, sommaren, hösten, vintern, jul, påsk, midsommar, semestern, lovet, helgen"
)
WHEN = _phrases(
    "i dag, i morgon, i kväll, i natt, i övermorgon, nästa vecka, nästa månad, nästa år, på "
    "morgonen, på eftermiddagen, på kvällen, efter jobbet, efter skolan, efter lunch, före "
    "middagen, i helgen, snart, om en timme, om en stund, om en vecka, varje dag, ibland, ofta, "
    "efter frukost, nu, senare"
)
WHEN_PAST = _phrases(
    "i går, i förrgår, förra veckan, förra året, i morse, i somras, i vintras, i våras, i höstas, "
    "för länge sedan, för en stund sedan, för en vecka sedan, nyss, i går kväll, i går morse"
)
WHERE = _phrases(
    "hemma, ute, inne, här, där, på jobbet, i skolan, i köket, i trädgården, på landet, i stan, "
    "på stranden, i skogen, vid sjön, på bussen, på tåget, i bilen, i affären, på torget, på "
    "kontoret, i källaren, på vinden, på balkongen, i sovrummet, i badrummet, i vardagsrummet, "
    "under bordet, på golvet, bakom huset, framför huset, vid fönstret, bredvid sängen, på "
    "hyllan, i lådan, runt hörnet"
)
VEHICLES = _phrases(
    "bussen, tåget, färjan, planet, spårvagnen, tunnelbanan, pendeltåget, nattåget, taxin"
)
RELATIVE_DAYS = _phrases(
    "på måndag, på tisdag, på onsdag, på torsdag, på fredag, på lördag, på söndag"
)
OFFICE = _phrases(
    "mötet, rapporten, budgeten, avtalet, fakturan, projektet, presentationen, ansökan, "
    "beställningen, offerten, schemat, kalendern, protokollet, utbildningen, intervjun, "
    "skrivaren, mejlet, planen, lönen, semesterlistan, kursen, undersökningen, leveransen, "
    "beslutet, förslaget, sammanfattningen"
)
SUBJECTS = _phrases(
    "svenska, engelska, matematik, historia, musik, fysik, kemi, biologi, idrott, slöjd, "
    "geografi, religion, samhällskunskap, teknik, franska, spanska, tyska, bild, politik, "
    "ekonomi, juridik, konst, litteratur"
)
GREETINGS = _phrases(
    "hej, hej då, god morgon, god kväll, god natt, välkommen, tack, tack så mycket, varsågod, "
    "förlåt, ursäkta, grattis, lycka till, skål, adjö, trevlig helg, god jul, gott nytt år, glad "
    "påsk, ha det bra, vi ses, tack för maten, tack för hjälpen, tack för i dag, tack för senast, "
    "ingen orsak, trevlig resa, hejsan, krya på dig, sov gott, hälsa hem, ta hand om dig, det var "
    "så lite, trevligt att träffas"
)
SHORT_ANSWERS = _phrases(
    "ja, nej, kanske, absolut, aldrig, alltid, visst, gärna, inte alls, okej, precis, självklart, "
    "säkert, jaha, jaså, jo, nja, javisst, tyvärr, stopp, vänta, hjälp, kom, fortsätt, sluta, "
    "börja, igen, nästa, tillbaka, upp, ner, höger, vänster, rakt fram, klart, färdig, strax, "
    "snart, nu, i morgon, sedan, det stämmer, det går bra, jag vet inte, jag förstår, jag håller "
    "med, en gång till, inte än"
)
COLORS = _phrases(
    "röd, blå, grön, gul, svart, vit, brun, grå, rosa, lila, orange, turkos, silver, guld, beige, "
    "ljusblå, mörkgrön"
)
MEASURES = _phrases(
    "liter, deciliter, kilo, gram, meter, centimeter, millimeter, kilometer, mil, hekto, ton, "
    "matskedar, teskedar"
)
DURATIONS = _nouns(
    "en sekund sekunden sekunder; en minut minuten minuter; en timme timmen timmar; en dag dagen "
    "dagar; en vecka veckan veckor; en månad månaden månader; ett år året år; en natt natten "
    "nätter"
)
