"""The words beside a datum that say what it is, in English, German, French, Spanish, Italian, Dutch and Polish."""

import re

NUMBER_WORD = (
    r"(?:\s*[-:]?\s*(?:numbers?|no|nr|num|nummer|n[°ºo]|n\.\s?[°º]|num[eé]ro|n[uú]mero|numer|n)\b[.:]?|\s*(?:n[°º]|#))"
)
"""What turns "case" into "case no.", in all of them."""
MAX_GAP = 40
"""Characters between a cue and its datum, none of them a digit or the end of a sentence."""

LOGIN = (
    r"(?:\w+_)?passwords?|passphrase|passcode|passwd|pwd|passwort|kennwort|mot de passe|mdp"
    r"|contraseñas?|contrasena|clave|parola d'ordine|wachtwoord|has[łl]o"
)
USER = r"user(?:name)?|login|log ?in|benutzer(?:name)?|utilisateur|identifiant|usuario|utente|gebruiker|użytkownik"
"""What stands before a name and, after a stroke, its password."""
NETWORK = r"wi-?fi|wlan|guest network|gäste?netz|gastennetwerk|gastenwifi"
LOCK = (
    r"alarm\w*|allarme|alarme|alarma|safe|tresor|kluis|cassaforte|caja fuerte|coffre(?:-fort)?|sejf\w*|combination|lock"
)
CODE = (
    r"pin(?:[- ]?(?:code|nummer))?|pincode|code pin|(?:door|gate|alarm|access|entry|safe|security)[ -]?code"
    r"|(?:tür|tor|alarm|zugangs|sicherheits)code"
    r"|code (?:de |d')(?:la |l')?(?:porte|alarme|entrée|accès|coffre|portail)"
    r"|código de (?:la |el )?(?:puerta|alarma|entrada|acceso)"
    r"|codice (?:della |del |dell')(?:porta|allarme|cancello|cassaforte)"
    r"|(?:deur|alarm|toegangs|poort)code|kod (?:do|alarmu)"
)
KEY = (
    r"api[- ]?(?:key|token|secret)|api[- ]?schlüssel|clé d?'?\s?api|clave (?:de )?(?:la )?api|chiave api|api-?sleutel"
    r"|klucz(?:a)? api|access[- ]?(?:key|token)|secret(?:[- ]?key)?|token|jeton|bearer|credentials?"
)
BORN = (
    r"born(?: on)?|birthday|date of birth|birth ?date|dob|d\.o\.b\.|geboren(?: am| op)?|geb\.|geburtsdatum|geburtstag"
    r"|née? le|née? un|date de naissance|anniversaire|nacid[oa](?: el)?|nació(?: el)?|fecha de nacimiento"
    r"|nat[oa](?: il| nel)?|data di nascita|geboortedatum|urodzon[ya](?: w dniu)?|urodził[a]? się|data urodzenia|ur\."
)
PHONE = (
    r"phone|call|ring|dial|tel|telephone|mobile|cell|text|sms|whatsapp|fax|telefon\w*|handy|mobil\w*|ruf|anrufen"
    r"|durchwahl|téléphon\w*|portable|appel\w*|joindre|teléfono|móvil|llám\w*|llamar|celular|cellulare|chiam\w*"
    r"|telefono|mobiel\w*|bel|bellen|telefoon\w*|dzwo[nń]\w*|zadzwo[nń]\w*|komórk\w*"
)
PERSON = (
    r"patient(?:in|e)?|patiënte?|paciente|paziente|pacjent(?:ka)?|client|cliente|cliënte?|klient(?:ka)?|mandant(?:in)?"
)
RECORD = (
    rf"mrn|(?:medical record|patient|chart|hospital)(?:{NUMBER_WORD})"
    r"|(?:patienten|fall|akten)(?:nummer|-nr\.?)|num[eé]ro de (?:dossier|patient)(?: médical)?"
    rf"|dossier(?: médical)?{NUMBER_WORD}|(?:n[uú]mero de )?historia clínica(?:{NUMBER_WORD})?"
    rf"|cartella(?: clinica)?{NUMBER_WORD}|numero di cartella(?: clinica)?|dossiernummer|patiënt(?:en)?nummer"
    r"|numer (?:kartoteki|pacjenta|dokumentacji)"
)
DOCKET = r"verfahren|affaire|autos|rg|r\.g\.|zaak|sprawa|causa|procedimiento"
"""What a number with a stroke in it is a case's after, without any word for number."""
CASE = (
    rf"(?:case|docket|claim|matter){NUMBER_WORD}|aktenzeichen|az\.|gesch[.]?-?z(?:eichen)?\.?|rg{NUMBER_WORD}"
    rf"|num[eé]ro de rôle|procedimiento(?: \w+)?{NUMBER_WORD}|expediente{NUMBER_WORD}|autos{NUMBER_WORD}"
    rf"|(?:procedimento )?r\.\s?g\.{NUMBER_WORD}|causa{NUMBER_WORD}|zaaknummer|zaak{NUMBER_WORD}"
    r"|sygnatura(?: akt)?|sygn\.(?: akt)?"
)
ACCOUNT = (
    rf"(?:account|acct|routing|sort code){NUMBER_WORD}?|konto(?:nummer|-nr\.?)|num[eé]ro de compte|compte{NUMBER_WORD}"
    rf"|n[uú]mero de cuenta|cuenta{NUMBER_WORD}|numero di conto|conto{NUMBER_WORD}|rekening(?:nummer|{NUMBER_WORD})"
    r"|numer (?:konta|rachunku)|nr konta"
)


def cued(cue: str, datum: str, between: str = "") -> re.Pattern[str]:
    """Match a datum (group `datum`) after a cue; only marks and `between`, a pattern of words, may stand between."""
    return re.compile(
        rf"(?<!\w)(?:{cue})(?!\w)[\s:=.,#'\"«\u201e\u201c(]*(?:(?:{between})[\s:='\"«\u201e\u201c]+)?(?P<datum>{datum})",
        re.IGNORECASE,
    )


def cue_before(cue: str) -> re.Pattern[str]:
    """Match, at the end of what stands before a datum, a cue with at most MAX_GAP characters after it."""
    return re.compile(rf"(?<!\w)(?:{cue})(?!\w)[^\d!?\n]{{0,{MAX_GAP}}}$", re.IGNORECASE)
