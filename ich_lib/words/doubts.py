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
        "chest": "Thorax",
        "abdomen": "Abdomen",
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
        "contrast": "Laut Header wurde Kontrastmittel gegeben. Kontrastmittel sieht wie Blut aus; das Modell wurde nur "
        "mit Scans ohne Kontrastmittel trainiert.",
        "other part": "Laut Header ist die untersuchte Region: {part}. Auf den Schichten ist kein Kopf deutlich zu "
        "erkennen.",
        "other part, but a head": "Laut Header ist die untersuchte Region: {part}. Auf den Schichten ist aber ein "
        "Kopf zu erkennen.",
        "wide field": "Das Sichtfeld (FOV) ist {mm} mm breit; der Kopf ist darin klein, und Details gehen verloren.",
        "sharp kernel": "Die Schichten wurden mit einem scharfen Kernel rekonstruiert, wie er für Knochen verwendet "
        "wird; das Rauschen kann wie Blut aussehen.",
        "no skull": "Keine Schicht zeigt ein Gehirn in einem Schädel. Wahrscheinlich ist dies kein Kopf-CT, oder die "
        "Werte sind keine Hounsfield-Einheiten.",
        "no whole skull": "Der Körper ist am Bildrand abgeschnitten, und keine Schicht zeigt einen vollständigen "
        "Schädel.",
        "small cavity": "Das Schädelvolumen beträgt {ml} mL; üblich sind 700 bis 2200 mL. Dies ist ein Teil eines "
        "Kopfes, ein kleines Kind oder ein offener Schädel.",
        "tiny cavity": "Die Struktur, die wie ein Schädel aussieht, fasst nur {ml} mL; üblich sind 700 bis 2200 mL.",
        "large cavity": "Das Schädelvolumen beträgt {ml} mL; üblich sind 700 bis 2200 mL. Möglicherweise stimmen die "
        "Abstände nicht.",
        "huge cavity": "Die Struktur, die wie ein Schädel aussieht, fasst {ml} mL; üblich sind 700 bis 2200 mL. Die "
        "Abstände stimmen nicht, oder dies ist kein Kopf.",
        "few slices of a head": "Nur {head} von {count} Schichten zeigen ein Gehirn in einem Schädel. Laden Sie "
        "nur die Schichten des Kopfes hoch.",
        "many slices of no head": "Nur {head} von {count} Schichten zeigen ein Gehirn in einem Schädel; mit den "
        "anderen wurde das Modell nicht trainiert.",
        "cut off": "Der Kopf ist am Bildrand abgeschnitten; Blut außerhalb des Bildes ist nicht zu sehen.",
        "upside down": "Das Gesicht zeigt nach unten: Der Kopf steht im Bild auf dem Kopf.",
        "on its side": "Das Gesicht zeigt zur Seite: Der Kopf liegt im Bild auf der Seite.",
        "feet first": "Die Nase liegt oberhalb des Gehirns: Die Schichten verlaufen vom Kopf zu den Füßen, oder der "
        "Kopf steht auf dem Kopf. Rechts und links können vertauscht sein.",
        "shuffled": "Der Schädel wird von Schicht zu Schicht abwechselnd größer und kleiner: Die Schichten sind "
        "nicht in der richtigen Reihenfolge.",
        "unlike picture": "Das Bild weicht zu stark von einer CT-Schicht ab (Out-of-Distribution-Score {value}, "
        "Grenzwert {limit}). Laden Sie das ursprüngliche CT hoch oder das Bild einer Schicht ohne Rahmen und "
        "Markierungen.",
        "unlike": "Dieser Scan weicht von den Kopf-CTs ab, mit denen das Modell trainiert wurde "
        "(Out-of-Distribution-Score {value}, Grenzwert {limit}).",
    },
    "es": {
        "no CT": "Según la cabecera, esto no es una TC.",
        "no HU": "Según la cabecera, los valores no son unidades Hounsfield.",
        "contrast": "Según la cabecera, se administró contraste. El contraste parece sangre; el modelo se entrenó "
        "solo con estudios sin contraste.",
        "other part": "Según la cabecera, la región explorada es: {part}. Los cortes no muestran claramente una "
        "cabeza.",
        "other part, but a head": "Según la cabecera, la región explorada es: {part}. Sin embargo, los cortes "
        "muestran una cabeza.",
        "wide field": "El campo de visión mide {mm} mm de ancho, así que la cabeza se ve pequeña y se pierden "
        "detalles.",
        "sharp kernel": "Los cortes se reconstruyeron con un kernel duro, como el de hueso; su ruido puede parecer "
        "sangre.",
        "no skull": "Ningún corte muestra cerebro dentro de un cráneo. Probablemente no sea una TC craneal o sus "
        "valores no sean unidades Hounsfield.",
        "no whole skull": "El cuerpo está cortado por el borde de la imagen, y ningún corte muestra un cráneo "
        "completo.",
        "small cavity": "El volumen del cráneo es de {ml} mL; lo habitual es de 700 a 2200 mL. Es parte de una "
        "cabeza, un niño pequeño o un cráneo abierto.",
        "tiny cavity": "Lo que parece un cráneo tiene solo {ml} mL; lo habitual es de 700 a 2200 mL.",
        "large cavity": "El volumen del cráneo es de {ml} mL; lo habitual es de 700 a 2200 mL. Es posible que las "
        "distancias no sean correctas.",
        "huge cavity": "Lo que parece un cráneo tiene {ml} mL; lo habitual es de 700 a 2200 mL. Las distancias son "
        "incorrectas, o no es una cabeza.",
        "few slices of a head": "Solo {head} de {count} cortes muestran cerebro dentro de un cráneo. Suba solo "
        "los cortes de la cabeza.",
        "many slices of no head": "Solo {head} de {count} cortes muestran cerebro dentro de un cráneo; el modelo no "
        "se entrenó con los demás.",
        "cut off": "La cabeza está cortada por el borde de la imagen; la sangre fuera de la imagen no se ve.",
        "upside down": "La cara mira hacia abajo: la cabeza está invertida en la imagen.",
        "on its side": "La cara mira hacia un lado: la cabeza está de lado en la imagen.",
        "feet first": "La nariz está por encima del cerebro: los cortes van de la cabeza a los pies, o la cabeza está "
        "invertida. La derecha y la izquierda pueden estar cambiadas.",
        "shuffled": "El cráneo aumenta y disminuye de un corte a otro: los cortes no están en orden.",
        "unlike picture": "La imagen difiere demasiado de un corte de TC (puntuación fuera de distribución {value}, "
        "límite {limit}). Suba la TC original, o la imagen de un corte sin marco ni marcas.",
        "unlike": "Este estudio difiere de las TC craneales con las que se entrenó el modelo (puntuación fuera de "
        "distribución {value}, límite {limit}).",
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
