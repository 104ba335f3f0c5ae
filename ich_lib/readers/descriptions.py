"""The parts of a description that may be shown: words of protocols, numbers and codes of kernels, but never a name.

Technicians type descriptions, and some include the patient's name. It is not possible to list all words that name a
person, but it is possible to list the words of protocols. So only those are shown (PS3.15 E.3.5, Clean Descriptors).
"""

import re

from ich_lib.readers.protocol import plain

_MOST_LETTERS = 60
_NUMBER = re.compile(r"\d{1,3}([.,]\d{1,4})?(x\d{1,3}([.,]\d{1,4})?)*(mm|cm|kv|kvp|mas|ma|s|sec|d|deg|keh|kev)?")
_CODE = re.compile(r"[a-z]{1,2}\d{1,2}[a-z]{0,2}")  # H31s, FC21, Hr40, J40s
_SIGNS = re.compile(r"[\w.+*/&()\[\]:#%-]+")
_DATE = re.compile(r"\d{1,4}([/.-]\d{1,4}){2}")
_WORDS = (  # noqa: SIM905 - in the words of scanners and of six languages, without accents
    # contents of the picture
    "head brain skull neuro cranial cranium crane cranio craneo cerebral cerebrum cerebro cerveau kopf schadel "
    "schaedel hirn hoofd hersenen testa tete cabeza encefalo encephale cct ccth ct tc tdm tac scan scanner computed "
    "tomography neck hals cou cuello collo spine cspine cervical c t l thoracic lumbar chest thorax torax lung "
    "lungs abdomen abd pelvis becken face facial midface orbit orbits orbita sinus sinuses nnh temporal petrous "
    "mastoid felsenbein iac iacs ear mandible maxilla maxillofacial dental posterior fossa base skullbase vertex "
    "basis tissue parenchyma parenchym aorta arch carotid carotids carotis vessel vessels willis cow headneck whole "
    "body trauma stroke bleed hemorrhage "
    # contrast and phase
    "native nativ nativo ncct nect ncect noncon noncontrast unenhanced plain contrast kontrast contraste contrasto "
    "contrastmittel kontrastmittel con km mdc ce cect cemct enhanced enh iv ev civ spc apc injection injected inj "
    "pre post precon postcon precontrast postcontrast without with w wo o s m non no ohne mit nach sans avec sin "
    "senza sem com zonder met angio angiography angiographie angiografia cta ctv ctp ctangio venography venogram "
    "arterial arteriell arterielle venous venos venose delayed delay late early phase perfusion perf vpct bolus "
    "test testbolus monitoring premonitoring tracker tracking smartprep dynamic multiphase dual energy de mono "
    "monoenergetic vnc virtual iodine "
    # kind of reconstruction
    "axial ax axials transverse trans tra coronal cor koronar sagittal sag oblique obl mpr mip minip mips vr vrt "
    "ssd 3d 4d 2d recon recons reconstruction reformat reformats reformatted refmt curved thin thins thick slice "
    "slices slab volume vol helical helix spiral spirale sequence sequential seq axiales std stnd standard smooth "
    "soft weich bone bones knochen os osso hueso sharp edge boneplus ultra detail hires hr high res resolution "
    "kernel window fenster fov large small medium full partial asir safire admire idose imr aidr aice mbir veo fbp "
    "iterative hd mar smar omar omaron metal artifact reduction tilt tilted gantry straight corrected derived "
    "original axialbrain cbf cbv mtt ttp tmax tmip map maps ua ub uc ya yb yc yd br hr hc qr bv hv bf avg mean mm "
    "cm kv mas "
    # other contents of a disc
    "topogram scout localizer surview planning plan dose report protocol summary screen save capture series image "
    "images routine adult child pediatric paed baby infant emergency er ed icu portable mobile follow up control "
    "kontrolle repeat rpt motion stereo stealth navigation nav brainlab cut cuts for and und et y e of the in to "
    "from all new old left right li re top bottom upper lower first second part a b i ii x "
).split()
_KNOWN_WORDS = frozenset(_WORDS)


def printable_words(description: str) -> str:
    """The words of a description that cannot be a name; "" if none of them helps to distinguish it.

    >>> printable_words("Head 5.0 H31s"), printable_words("DOE^JANE Brain w/o 5mm"), printable_words("4711 Smith")
    ('Head 5.0 H31s', 'Brain w/o 5mm', '')
    """
    protocol_words = " ".join(word for word in re.split(r"[\s_;^=,]+", description) if _is_protocol(word))
    return protocol_words[:_MOST_LETTERS] if re.search(r"[a-zA-Z]", protocol_words) else ""


def printable_code(text: str) -> str:
    """The same for a kernel or a part of the body: its first word or two."""
    return " ".join(printable_words(text.replace("\\", " ")).split()[:2])


def _is_protocol(word: str) -> bool:
    parts = [part for part in re.split(r"[^a-z0-9.]+", plain(word)) if part.strip(".")]
    if not parts or not _SIGNS.fullmatch(word) or _DATE.fullmatch(word):
        return False
    return all(part.strip(".") in _KNOWN_WORDS or _NUMBER.fullmatch(part) or _CODE.fullmatch(part) for part in parts)
