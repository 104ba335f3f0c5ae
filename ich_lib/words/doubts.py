"""Why a scan may not be a native head CT in HU, in the languages of the demo. The English text is in
`prediction.gates`."""

from collections.abc import Mapping

from ich_lib.prediction.gates import Doubt
from ich_lib.words.languages import format_number, words_in

PARTS = {  # of the body, as in `scan.Acquisition`
    "de": {
        "face": "Gesicht",
        "neck": "Hals",
        "spine": "Wirbelsäule",
        "chest": "Brust",
        "abdomen": "Bauch",
        "pelvis": "Becken",
        "limb": "Arm oder Bein",
        "whole body": "ganzer Körper",
    },
    "es": {
        "face": "cara",
        "neck": "cuello",
        "spine": "columna",
        "chest": "tórax",
        "abdomen": "abdomen",
        "pelvis": "pelvis",
        "limb": "brazo o pierna",
        "whole body": "cuerpo entero",
    },
}
SENTENCES = {
    "de": {
        "no CT": "Laut Header ist dies kein CT.",
        "no HU": "Laut Header sind die Werte keine Hounsfield-Einheiten.",
        "contrast": "Laut Header wurde Kontrastmittel gegeben. Es sieht wie Blut aus; das Modell kennt nur "
        "Scans ohne Kontrastmittel.",
        "other part": "Laut Header: {part}; und die Schichten zeigen nicht deutlich einen Kopf.",
        "other part, but a head": "Laut Header: {part}; die Schichten zeigen aber einen Kopf.",
        "wide field": "Das Bildfeld ist {mm} mm breit; ein Kopf ist darin klein, und Einzelheiten gehen verloren.",
        "sharp kernel": "Die Schichten wurden mit einem scharfen Kernel wie für Knochen berechnet; sein Rauschen kann "
        "wie Blut aussehen.",
        "no skull": "Keine Schicht zeigt Hirn in einem Schädel. Wahrscheinlich ist dies kein CT eines Kopfes, oder die "
        "Werte sind keine Hounsfield-Einheiten.",
        "no whole skull": "Der Bildrand schneidet durch den Körper, und keine Schicht zeigt einen ganzen Schädel.",
        "small cavity": "Der Schädel fasst {ml} mL; ein Kopf fasst 700 bis 2200 mL. Dies ist ein Teil eines Kopfes, "
        "ein kleines Kind oder ein offener Schädel.",
        "tiny cavity": "Was wie ein Schädel aussieht, fasst nur {ml} mL; ein Kopf fasst 700 bis 2200 mL.",
        "large cavity": "Der Schädel fasst {ml} mL, mehr als die 700 bis 2200 mL eines Kopfes. Vielleicht stimmen die "
        "Abstände nicht.",
        "huge cavity": "Was wie ein Schädel aussieht, fasst {ml} mL; ein Kopf fasst 700 bis 2200 mL. Die Abstände "
        "stimmen nicht, oder dies ist kein Kopf.",
        "few slices of a head": "Nur {head} von {count} Schichten zeigen Hirn in einem Schädel. Geben Sie die "
        "Schichten des Kopfes allein.",
        "many slices of no head": "Nur {head} von {count} Schichten zeigen Hirn in einem Schädel; die anderen kennt "
        "das Modell nicht.",
        "cut off": "Der Bildrand schneidet durch den Kopf; Blut jenseits davon wird nicht gesehen.",
        "upside down": "Das Gesicht blickt nach unten: Der Kopf liegt verkehrt herum im Bild.",
        "on its side": "Das Gesicht blickt zur Seite: Der Kopf liegt auf der Seite im Bild.",
        "feet first": "Die Nase liegt über dem Hirn: Die Schichten laufen vom Kopf zu den Füßen, oder der Kopf steht "
        "kopf. Rechts und links können vertauscht sein.",
        "shuffled": "Der Schädel wächst und schrumpft von Schicht zu Schicht: Die Schichten sind nicht in der "
        "Reihenfolge.",
        "unlike picture": "Das Bild ist zu weit von einer CT-Schicht entfernt (Out-of-distribution-Wert "
        "{value}, Grenze {limit}). Geben Sie das ursprüngliche CT oder das Bild einer Schicht ohne Rahmen und Zeichen.",
        "unlike": "Dies sieht nicht aus wie die CTs von Köpfen, aus denen das Modell lernte (Out-of-distribution-Wert "
        "{value}, Grenze {limit}).",
    },
    "es": {
        "no CT": "La cabecera dice que no es una TC.",
        "no HU": "La cabecera dice que los números no son unidades Hounsfield.",
        "contrast": "La cabecera dice que se administró contraste. Parece sangre; el modelo solo conoce estudios sin "
        "contraste.",
        "other part": "La cabecera dice {part}, y los cortes no muestran claramente una cabeza.",
        "other part, but a head": "La cabecera dice {part}, pero los cortes muestran una cabeza.",
        "wide field": "El campo mide {mm} mm, así que la cabeza se ve pequeña y se pierden detalles.",
        "sharp kernel": "Los cortes se hicieron con un filtro duro, como para hueso; su ruido puede parecer sangre.",
        "no skull": "Ningún corte muestra cerebro dentro de un cráneo. Probablemente no sea una TC craneal, o sus "
        "números no sean unidades Hounsfield.",
        "no whole skull": "El borde de la imagen corta el cuerpo, y ningún corte muestra un cráneo entero.",
        "small cavity": "El cráneo contiene {ml} mL; una cabeza, de 700 a 2200 mL. Es parte de una cabeza, un niño "
        "pequeño o un cráneo abierto.",
        "tiny cavity": "Lo que parece un cráneo contiene solo {ml} mL; una cabeza, de 700 a 2200 mL.",
        "large cavity": "El cráneo contiene {ml} mL, más que los 700 a 2200 mL de una cabeza. Quizá el espaciado no "
        "sea correcto.",
        "huge cavity": "Lo que parece un cráneo contiene {ml} mL; una cabeza, de 700 a 2200 mL. El espaciado es "
        "incorrecto, o no es una cabeza.",
        "few slices of a head": "Solo {head} de {count} cortes muestran cerebro dentro de un cráneo. Dé solo los "
        "cortes de la cabeza.",
        "many slices of no head": "Solo {head} de {count} cortes muestran cerebro dentro de un cráneo; el modelo no "
        "conoce los demás.",
        "cut off": "El borde de la imagen corta la cabeza; la sangre más allá no se ve.",
        "upside down": "La cara mira hacia abajo: la cabeza está al revés en la imagen.",
        "on its side": "La cara mira de lado: la cabeza está de lado en la imagen.",
        "feet first": "La nariz está por encima del cerebro: los cortes van de la cabeza a los pies, o la cabeza está "
        "boca abajo. La derecha y la izquierda pueden estar cambiadas.",
        "shuffled": "El cráneo crece y mengua de corte en corte: los cortes no están en orden.",
        "unlike picture": "La imagen está demasiado lejos de un corte de TC (valor fuera de distribución {value}, "
        "límite {limit}). Dé la TC original, o la imagen de un corte sin marco ni marcas.",
        "unlike": "Esto no se parece a las TC craneales de las que aprendió el modelo (valor fuera de distribución "
        "{value}, límite {limit}).",
    },
}
_DIGITS = {"value": 1, "limit": 1}  # of the numbers in a sentence; 0 for all others


def doubt_sentence(doubt: Doubt, language: str = "en") -> str:
    """A doubt of `find_doubts` in one sentence.

    Raises:
        ValueError: for an unknown language.

    >>> from ich_lib.phantoms.bodies import body
    >>> from ich_lib.prediction.gates import find_doubts
    >>> from ich_lib.prepare.anatomy import measure_head
    >>> chest = body("chest", pixels=64, slices=4)
    >>> doubt_sentence(find_doubts(chest, measure_head(chest), None)[0], "es")[:50]
    'Ningún corte muestra cerebro dentro de un cráneo. '
    """
    words_in(language)
    if language not in SENTENCES:
        return doubt.sentence
    return SENTENCES[language][doubt.code].format(**_in_language(doubt.values, language))


def _in_language(values: Mapping[str, float | str], language: str) -> dict[str, str]:
    """Numbers in the format of the language, and parts of the body in its words."""
    return {
        name: PARTS[language].get(value, value)
        if isinstance(value, str)
        else format_number(value, _DIGITS.get(name, 0), language)
        for name, value in values.items()
    }
