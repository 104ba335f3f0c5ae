"""The words of a result's sentences in English, German and Spanish. The words of the page are in page.toml."""

from collections.abc import Callable
from typing import TypeVar

_About = TypeVar("_About")
_Text = TypeVar("_Text")

LANGUAGES = {
    "en": {
        "point": ".",
        "none": "No bleeding found by this model, which does miss bleeds.",
        "bleeding": "Bleeding likely {where}{about}, pattern most like {type}.",
        "bleeding_alone": "Bleeding likely {where}{about}.",
        "uncertain_none": "Uncertain: no slice reaches the threshold.",
        "uncertain_one": "Uncertain: 1 of {count} slices reaches the threshold.",
        "uncertain": "Uncertain: {bleeding} of {count} slices reach the threshold.",
        "uncertain_slice": "Uncertain whether this slice shows bleeding.",
        "withheld": "No finding is given: this may be no native head CT.",
        "believed": "Shown on request, although this may be no native head CT: do not rely on it.",
        "here": "on this slice",
        "on": "on {bleeding} of {count} slices",
        "on_none": "although no single slice reaches the threshold",
        "about": ", about {ml} mL",
        "unsure_one": "The model is unsure on slice {slices}: the mirrored slice gets a different score.",
        "unsure": "The model is unsure on slices {slices}: the mirrored slices get different scores.",
        "no_ml": "Volume unknown: the file carries no trusted spacing.",
        "no_outline": "This model scores slices only: it draws no outline and measures no volume.",
        "no_voxel": "No voxel is marked as blood.",
        "not_measurable": "Volume: none measurable. What is marked is no more than in scans without blood.",
        "not_supported": "Volume: none measurable. The probabilities do not support what is marked.",
        "marked": "{ml} mL marked, in voxels of {dx} x {dy} mm, slices {dz} mm apart.",
        "real": "Real head: patient {patient} of CT-ICH. True bleed: {blood}.",
        "blood_slices": "{type} on slices {slices}",
        "verdicts": {
            "found": "Found: the model calls {hit} of {blood} bleeding slices, and {false} of {clean} clean ones.",
            "partly": "Partly found: the model calls {hit} of {blood} bleeding slices, and {false} of {clean} clean "
            "ones.",
            "mostly": "Mostly missed: the model calls {hit} of {blood} bleeding slices, and {false} of {clean} clean "
            "ones.",
            "missed": "Missed: the model calls none of {blood} bleeding slices, and {false} of {clean} clean ones.",
            "unsure": "Undecided: the model calls {hit} of {blood} bleeding slices, and {false} of {clean} clean ones.",
            "clean": "Clean, and the model calls no bleeding.",
            "unsure_clean": "Clean, but the model is uncertain; it calls {false} of {clean} slices.",
            "false_alarm": "False alarm: there is no blood, and the model calls {false} of {clean} slices.",
        },
        "planted": "Synthetic head (phantom). True bleed: {blood}.",
        "no_blood": "none",
        "mislead": " Includes a mimic: {mimics}.",
        "types": {
            "epidural": "epidural",
            "intraparenchymal": "intraparenchymal",
            "intraventricular": "intraventricular",
            "subarachnoid": "subarachnoid",
            "subdural": "subdural",
        },
        "mimics": {
            "choroid calcification": "choroid calcification",
            "pineal calcification": "pineal calcification",
            "falx calcification": "falx calcification",
            "ganglia calcification": "ganglia calcification",
            "dense sinus": "dense sinus",
            "old infarct": "old infarct",
            "streak": "streak artifact",
            "motion": "motion",
        },
    },
    "de": {
        "point": ",",
        "none": "Dieses Modell hat keine Blutung gefunden; es übersieht jedoch manche Blutungen.",
        "bleeding": "Blutung wahrscheinlich {where}{about}, Muster am ehesten {type}.",
        "bleeding_alone": "Blutung wahrscheinlich {where}{about}.",
        "uncertain_none": "Unsicher: Keine Schicht erreicht die Schwelle.",
        "uncertain_one": "Unsicher: 1 von {count} Schichten erreicht die Schwelle.",
        "uncertain": "Unsicher: {bleeding} von {count} Schichten erreichen die Schwelle.",
        "uncertain_slice": "Unsicher, ob diese Schicht eine Blutung zeigt.",
        "withheld": "Kein Befund: Dies ist möglicherweise kein natives Kopf-CT.",
        "believed": "Auf Wunsch angezeigt, obwohl dies möglicherweise kein natives Kopf-CT ist: nicht verlässlich.",
        "here": "auf dieser Schicht",
        "on": "auf {bleeding} von {count} Schichten",
        "on_none": "obwohl keine einzelne Schicht die Schwelle erreicht",
        "about": ", etwa {ml} mL",
        "unsure_one": "Das Modell ist bei Schicht {slices} unsicher: Das Spiegelbild erhält einen anderen Score.",
        "unsure": "Das Modell ist bei den Schichten {slices} unsicher: Die Spiegelbilder erhalten andere Scores.",
        "no_ml": "Volumen unbekannt: Die Datei enthält keine verlässlichen Abstände.",
        "no_outline": "Dieses Modell bewertet nur Schichten: Es zeichnet keine Kontur und misst kein Volumen.",
        "no_voxel": "Kein Voxel ist als Blut markiert.",
        "not_measurable": "Volumen: nicht messbar. Es ist nicht mehr markiert als in Scans ohne Blut.",
        "not_supported": "Volumen: nicht messbar. Die Wahrscheinlichkeiten stützen die Markierung nicht.",
        "marked": "{ml} mL markiert, in Voxeln von {dx} x {dy} mm, Schichtabstand {dz} mm.",
        "real": "Echter Kopf: Patient {patient} aus CT-ICH. Tatsächliche Blutung: {blood}.",
        "blood_slices": "{type} auf den Schichten {slices}",
        "verdicts": {
            "found": "Gefunden: Das Modell meldet {hit} von {blood} Schichten mit Blut und {false} von {clean} ohne "
            "Blut.",
            "partly": "Teilweise gefunden: Das Modell meldet {hit} von {blood} Schichten mit Blut und {false} von "
            "{clean} ohne Blut.",
            "mostly": "Größtenteils übersehen: Das Modell meldet {hit} von {blood} Schichten mit Blut und {false} von "
            "{clean} ohne Blut.",
            "missed": "Übersehen: Das Modell meldet keine von {blood} Schichten mit Blut und {false} von {clean} "
            "ohne Blut.",
            "unsure": "Unentschieden: Das Modell meldet {hit} von {blood} Schichten mit Blut und {false} von "
            "{clean} ohne Blut.",
            "clean": "Kein Blut vorhanden, und das Modell meldet keine Blutung.",
            "unsure_clean": "Kein Blut vorhanden, doch das Modell ist unsicher; es meldet {false} von {clean} "
            "Schichten.",
            "false_alarm": "Fehlalarm: Es ist kein Blut vorhanden, doch das Modell meldet {false} von {clean} "
            "Schichten.",
        },
        "planted": "Synthetischer Kopf (Phantom). Tatsächliche Blutung: {blood}.",
        "no_blood": "keine",
        "mislead": " Enthält einen Befund, der Blut vortäuscht: {mimics}.",
        "types": {
            "epidural": "epidural",
            "intraparenchymal": "intraparenchymatös",
            "intraventricular": "intraventrikulär",
            "subarachnoid": "subarachnoidal",
            "subdural": "subdural",
        },
        "mimics": {
            "choroid calcification": "verkalkter Plexus choroideus",
            "pineal calcification": "verkalkte Zirbeldrüse",
            "falx calcification": "verkalkte Falx",
            "ganglia calcification": "verkalkte Basalganglien",
            "dense sinus": "hyperdenser Sinus",
            "old infarct": "alter Infarkt",
            "streak": "Streifenartefakt",
            "motion": "Bewegungsartefakt",
        },
    },
    "es": {
        "point": ",",
        "none": "Este modelo no encontró ninguna hemorragia, pero no detecta todas.",
        "bleeding": "Hemorragia probable {where}{about}, con un patrón similar al de una hemorragia {type}.",
        "bleeding_alone": "Hemorragia probable {where}{about}.",
        "uncertain_none": "Incierto: ningún corte alcanza el umbral.",
        "uncertain_one": "Incierto: 1 de {count} cortes alcanza el umbral.",
        "uncertain": "Incierto: {bleeding} de {count} cortes alcanzan el umbral.",
        "uncertain_slice": "Incierto: no está claro si este corte muestra una hemorragia.",
        "withheld": "Sin hallazgo: es posible que no sea una TC craneal sin contraste.",
        "believed": "Se muestra a petición, aunque es posible que no sea una TC craneal sin contraste: no es fiable.",
        "here": "en este corte",
        "on": "en {bleeding} de {count} cortes",
        "on_none": "aunque ningún corte alcanza el umbral",
        "about": ", unos {ml} mL",
        "unsure_one": "El modelo no está seguro en el corte {slices}: su imagen especular recibe otra puntuación.",
        "unsure": "El modelo no está seguro en los cortes {slices}: sus imágenes especulares reciben otras "
        "puntuaciones.",
        "no_ml": "Volumen desconocido: el archivo no indica distancias fiables.",
        "no_outline": "Este modelo solo puntúa cortes: no dibuja contornos ni mide volúmenes.",
        "no_voxel": "Ningún vóxel está marcado como sangre.",
        "not_measurable": "Volumen: no medible. No hay más marcado que en estudios sin sangre.",
        "not_supported": "Volumen: no medible. Las probabilidades no respaldan lo que está marcado.",
        "marked": "{ml} mL marcados, en vóxeles de {dx} x {dy} mm, con cortes cada {dz} mm.",
        "real": "Cabeza real: paciente {patient} de CT-ICH. Hemorragia real: {blood}.",
        "blood_slices": "{type} en los cortes {slices}",
        "verdicts": {
            "found": "Encontrada: el modelo señala {hit} de {blood} cortes con sangre y {false} de {clean} sin ella.",
            "partly": "Encontrada en parte: el modelo señala {hit} de {blood} cortes con sangre y {false} de {clean} "
            "sin ella.",
            "mostly": "Pasada por alto en su mayor parte: el modelo señala {hit} de {blood} cortes con sangre y "
            "{false} de {clean} sin ella.",
            "missed": "Pasada por alto: el modelo señala 0 de {blood} cortes con sangre y {false} de {clean} sin ella.",
            "unsure": "Dudosa: el modelo señala {hit} de {blood} cortes con sangre y {false} de {clean} sin ella.",
            "clean": "No hay sangre, y el modelo no señala hemorragia.",
            "unsure_clean": "No hay sangre, pero el modelo no está seguro; señala {false} de {clean} cortes.",
            "false_alarm": "Falsa alarma: no hay sangre, pero el modelo señala {false} de {clean} cortes.",
        },
        "planted": "Cabeza sintética (fantoma). Hemorragia real: {blood}.",
        "no_blood": "ninguna",
        "mislead": " Incluye un hallazgo que simula sangre: {mimics}.",
        "types": {
            "epidural": "epidural",
            "intraparenchymal": "intraparenquimatosa",
            "intraventricular": "intraventricular",
            "subarachnoid": "subaracnoidea",
            "subdural": "subdural",
        },
        "mimics": {
            "choroid calcification": "plexo coroideo calcificado",
            "pineal calcification": "glándula pineal calcificada",
            "falx calcification": "hoz cerebral calcificada",
            "ganglia calcification": "ganglios basales calcificados",
            "dense sinus": "seno venoso hiperdenso",
            "old infarct": "infarto antiguo",
            "streak": "artefacto en banda",
            "motion": "artefacto de movimiento",
        },
    },
}


def words_in(language: str) -> dict:
    """The table of a language.

    Raises:
        ValueError: for an unknown language.
    """
    if language not in LANGUAGES:
        raise ValueError(f"There are no sentences in {language!r}; choose from {', '.join(LANGUAGES)}.")
    return LANGUAGES[language]


def format_number(value: float, digits: int, language: str) -> str:
    """A number in the format of the language: 3.1 in English, 3,1 in German and Spanish."""
    return f"{value:.{digits}f}".replace(".", words_in(language)["point"])


def in_each_language(describe: Callable[[_About, str], _Text], about: _About) -> dict[str, _Text]:
    """Language to the result of `describe(about, language)`."""
    return {language: describe(about, language) for language in LANGUAGES}
