// Shows one payload of ich_lib.demo.viewer. Gradio calls this once, with `element`, `props` and `watch`. The files of SCRIPTS
// are one scope: words, state, frames (what is shown), draw (how), report (beside the picture), hands (who asks), start.
// This one holds every word of the page part in three languages; viewer.html names them in data-words and its kin.

const WORDS = {
  en: {
    language: "Language", desk: "Slices of the scan", result: "Result", tools: "Window and overlays", views: "Views and tools",
    window: "Window", brain: "brain", subdural: "subdural", bone: "bone", stroke: "stroke", file: "of the file", own: "own",
    level: "Level", width: "Width", level_hu: "Window level in HU", width_hu: "Window width in HU",
    window_title: "Level {level} HU, width {width} HU. Key {key}",
    window_off: "HU are unknown in this picture: tell which window it was made with, and it can be shown in others.",
    overlays: "Overlays", outline: "Outline", fill: "Fill", heat: "Heat map", truth: "Truth", opacity: "Opacity of the fill in percent",
    plane: "Plane", axial: "Axial", coronal: "Coronal", sagittal: "Sagittal", montage: "Most blood",
    plane_off: "The file tells no spacing, so this view would have a false shape.", plane_one: "One slice has no other view.",
    drag: "What dragging does", slices: "Slices", move: "Move", zoom_in: "Zoom in", zoom_out: "Zoom out", zoom_reset: "Whole picture",
    neurological: "Neurological", neurological_title: "Patient's right on the right, as neurologists look. Key n",
    fullscreen: "Full screen", keys: "Keys", close: "Close",
    stage: "Slice. Arrow up goes toward the head, arrow down toward the feet. Shift and arrows move the point that is measured.",
    slice: "Slice", slice_of: "Slice {k} of {n}", coronal_of: "Coronal {k} of {n}", sagittal_of: "Sagittal {k} of {n}",
    blood_marked: "blood marked", unsure: "model unsure", unknown_hu: "HU unknown", gray: "gray {gray}, HU unknown",
    reading: "{hu} HU, blood {blood}", shown_neuro: "Neurological: patient's right is on the right",
    rebuilt: "Rebuilt from slices {mm} mm apart", heat_is: "Heat: evidence for bleeding", heat_scale: "0 to 1, one scale for all slices",
    unfound: "No result yet.", wait: "Reading the sample case. The first one takes a few seconds.", feet: "feet", head: "head", front: "front", back: "back", right: "right", left: "left",
    strip: "Each bar: how likely this slice shows blood. Click to go there.", strip_bar: "any bleeding", strip_mask: "blood in the mask",
    strip_unsure: "model unsure", strip_cut: "threshold {cut}", hint: "wheel or {keys} slices, drag for window,", hint_end: "all keys",
    cut: "Mask where the probability reaches", cut_reset: "as shipped", cut_now: "{ml} marked at {cut}", at_shown: "at the resolution shown", pixels: "{n} pixels",
    montage_title: "Slices with most blood in the mask", montage_none: "No slice has blood in the mask: some from bottom to top", montage_slice: "Slice {k}, {ml}",
    your_scan: "Your scan: {n} slices of {columns} x {rows} pixels.", your_slice: "Your scan: 1 slice of {columns} x {rows} pixels.",
    shrunk: "Shown at {to_columns} x {to_rows} of {columns} x {rows} pixels; scores and mL are of the full scan.",
    scores_caption: "Probability, by the model. The line across each bar is the threshold, {cut}.", scores_caption_raw: "Score, by the model; not calibrated, so no probability. The line is the threshold, {cut}.",
    pattern: "Pattern", bar: "Bar", scan: "Scan", above: "at or above the threshold", below: "below the threshold",
    how_much: "How much blood", ml_mask: "voxels of the mask", ml_soft: "every voxel by its probability", ml_abc2: "ABC/2, as by ruler", spacing: "Slices {mm} mm apart.",
    usual: "Looks like the scans the model learned from (out-of-distribution score {value}, limit {limit}).",
    against: "Against the truth", against_note: "Whole scan, at the threshold of the slider, counted in your browser at the resolution shown.",
    dice: "Dice", sensitivity: "Blood that is marked", false_ml: "Marked, but no blood", no_blood: "no blood in truth",
    worth: "What a call is worth", prevalence: "Of 100 scans here, bleed", ppv: "Called bleeding, and bleeds", npv: "Not called, and does not bleed",
    worth_note: "From {patients} patients the models never saw: sensitivity {sensitivity}, specificity {specificity} (95 % intervals). Elsewhere both may be lower.",
    read_too: "Read this too", model: "Model", notice: "Teaching and research only. Not a medical device: never use it to diagnose, treat or triage anyone.",
    key_slices: "wheel, arrow keys, swipe sideways|slice by slice; Page up and down by five; Home, End", key_windows: "1 2 3 4 5|windows: brain, subdural, bone, stroke, the file's own",
    key_layers: "o f h t|outline, fill, heat map, truth", key_fill: "j k|less and more fill", key_cut: ", . 9|lower and raise the threshold; as shipped",
    key_planes: "a c s m|axial, coronal, sagittal, most blood", key_drag: "d|what dragging does: slices, window, move", key_zoom: "+ - 0|zoom in, out, whole picture; also Ctrl and wheel, pinch, double click",
    key_move: "Alt and arrows|move the picture; also Shift and drag", key_point: "Shift and arrows|move the point whose HU are told", key_neuro: "n|neurological sides", key_full: "x|full screen", key_help: "?|this list",
    scores: { "any bleeding": "any bleeding", epidural: "epidural", intraparenchymal: "intraparenchymal", intraventricular: "intraventricular", subarachnoid: "subarachnoid", subdural: "subdural" },
    sure: { "virtually certain": "virtually certain", "very likely": "very likely", likely: "likely", "about as likely as not": "about as likely as not", unlikely: "unlikely", "very unlikely": "very unlikely", "exceptionally unlikely": "exceptionally unlikely" },
  },
  de: {
    language: "Sprache", desk: "Schichten des Scans", result: "Ergebnis", tools: "Fenster und Überlagerungen", views: "Ansichten und Werkzeuge",
    window: "Fenster", brain: "Hirn", subdural: "subdural", bone: "Knochen", stroke: "Infarkt", file: "der Datei", own: "eigenes",
    level: "Mitte", width: "Breite", level_hu: "Fenstermitte in HU", width_hu: "Fensterbreite in HU",
    window_title: "Mitte {level} HU, Breite {width} HU. Taste {key}",
    window_off: "Die HU dieses Bildes sind unbekannt: Mit Angabe seines Fensters kann es auch in anderen gezeigt werden.",
    overlays: "Überlagerungen", outline: "Umriss", fill: "Fläche", heat: "Heatmap", truth: "Wahrheit", opacity: "Deckkraft der Fläche in Prozent",
    plane: "Ebene", axial: "Axial", coronal: "Koronal", sagittal: "Sagittal", montage: "Meistes Blut",
    plane_off: "Die Datei nennt keine Abstände; diese Ansicht hätte eine falsche Form.", plane_one: "Eine einzelne Schicht hat keine andere Ansicht.",
    drag: "Was Ziehen tut", slices: "Schichten", move: "Schieben", zoom_in: "Vergrößern", zoom_out: "Verkleinern", zoom_reset: "Ganzes Bild",
    neurological: "Neurologisch", neurological_title: "Rechte Seite rechts, wie Neurologen blicken. Taste n",
    fullscreen: "Vollbild", keys: "Tasten", close: "Schließen",
    stage: "Schicht. Pfeil hoch führt zum Kopf, Pfeil runter zu den Füßen. Umschalt und Pfeile bewegen den Messpunkt.",
    slice: "Schicht", slice_of: "Schicht {k} von {n}", coronal_of: "Koronal {k} von {n}", sagittal_of: "Sagittal {k} von {n}",
    blood_marked: "Blut markiert", unsure: "Modell unsicher", unknown_hu: "HU unbekannt", gray: "Grauwert {gray}, HU unbekannt",
    reading: "{hu} HU, Blut {blood}", shown_neuro: "Neurologisch: rechte Seite des Patienten ist rechts",
    rebuilt: "Aus Schichten im Abstand von {mm} mm", heat_is: "Heatmap: Hinweise auf Blutung", heat_scale: "0 bis 1, eine Skala für alle Schichten",
    unfound: "Noch kein Ergebnis.", wait: "Der Beispielfall wird gelesen. Der erste braucht einige Sekunden.", feet: "Füße", head: "Kopf", front: "vorn", back: "hinten", right: "rechts", left: "links",
    strip: "Jeder Balken: wie wahrscheinlich diese Schicht Blut zeigt. Ein Klick führt hin.", strip_bar: "irgendeine Blutung", strip_mask: "Blut in der Maske",
    strip_unsure: "Modell unsicher", strip_cut: "Schwelle {cut}", hint: "Rad oder {keys} Schichten, Ziehen für das Fenster,", hint_end: "alle Tasten",
    cut: "Maske ab der Wahrscheinlichkeit", cut_reset: "wie geliefert", cut_now: "{ml} markiert ab {cut}", at_shown: "in der gezeigten Auflösung", pixels: "{n} Pixel",
    montage_title: "Schichten mit dem meisten Blut in der Maske", montage_none: "Keine Schicht hat Blut in der Maske: einige von unten nach oben", montage_slice: "Schicht {k}, {ml}",
    your_scan: "Ihr Scan: {n} Schichten mit {columns} x {rows} Pixeln.", your_slice: "Ihr Scan: 1 Schicht mit {columns} x {rows} Pixeln.",
    shrunk: "Gezeigt mit {to_columns} x {to_rows} von {columns} x {rows} Pixeln; Werte und mL gelten für den ganzen Scan.",
    scores_caption: "Wahrscheinlichkeit laut Modell. Der Strich in jedem Balken ist die Schwelle, {cut}.", scores_caption_raw: "Punktwert des Modells; nicht kalibriert, also keine Wahrscheinlichkeit. Der Strich ist die Schwelle, {cut}.",
    pattern: "Muster", bar: "Balken", scan: "Scan", above: "ab der Schwelle", below: "unter der Schwelle",
    how_much: "Wie viel Blut", ml_mask: "Voxel der Maske", ml_soft: "jedes Voxel nach Wahrscheinlichkeit", ml_abc2: "ABC/2, wie mit dem Lineal", spacing: "Schichtabstand {mm} mm.",
    usual: "Ähnelt den Scans, aus denen das Modell lernte (Fremdheit {value}, Grenze {limit}).",
    against: "Verglichen mit der Wahrheit", against_note: "Ganzer Scan, an der Schwelle des Reglers, in Ihrem Browser in der gezeigten Auflösung gezählt.",
    dice: "Dice", sensitivity: "Blut, das markiert ist", false_ml: "Markiert, aber kein Blut", no_blood: "kein Blut vorhanden",
    worth: "Was eine Meldung wert ist", prevalence: "Von 100 Scans hier bluten", ppv: "Gemeldet, und es blutet", npv: "Nicht gemeldet, und es blutet nicht",
    worth_note: "Aus {patients} Patienten, die die Modelle nie sahen: Sensitivität {sensitivity}, Spezifität {specificity} (95-%-Intervalle). Anderswo kann beides niedriger sein.",
    read_too: "Auch lesen", model: "Modell", notice: "Nur für Lehre und Forschung. Kein Medizinprodukt: niemals zu Diagnose, Behandlung oder Triage verwenden.",
    key_slices: "Rad, Pfeiltasten, seitlich wischen|Schicht um Schicht; Bild auf und ab um fünf; Pos1, Ende", key_windows: "1 2 3 4 5|Fenster: Hirn, subdural, Knochen, Infarkt, das der Datei",
    key_layers: "o f h t|Umriss, Fläche, Heatmap, Wahrheit", key_fill: "j k|weniger und mehr Deckkraft", key_cut: ", . 9|Schwelle senken und heben; wie geliefert",
    key_planes: "a c s m|axial, koronal, sagittal, meistes Blut", key_drag: "d|was Ziehen tut: Schichten, Fenster, Schieben", key_zoom: "+ - 0|vergrößern, verkleinern, ganzes Bild; auch Strg und Rad, zwei Finger, Doppelklick",
    key_move: "Alt und Pfeile|Bild schieben; auch Umschalt und Ziehen", key_point: "Umschalt und Pfeile|Punkt bewegen, dessen HU genannt werden", key_neuro: "n|neurologische Seiten", key_full: "x|Vollbild", key_help: "?|diese Liste",
    scores: { "any bleeding": "irgendeine Blutung", epidural: "epidural", intraparenchymal: "intraparenchymatös", intraventricular: "intraventrikulär", subarachnoid: "subarachnoidal", subdural: "subdural" },
    sure: { "virtually certain": "so gut wie sicher", "very likely": "sehr wahrscheinlich", likely: "wahrscheinlich", "about as likely as not": "etwa so wahrscheinlich wie nicht", unlikely: "unwahrscheinlich", "very unlikely": "sehr unwahrscheinlich", "exceptionally unlikely": "äußerst unwahrscheinlich" },
  },
  es: {
    language: "Idioma", desk: "Cortes del estudio", result: "Resultado", tools: "Ventana y capas", views: "Vistas y herramientas",
    window: "Ventana", brain: "cerebro", subdural: "subdural", bone: "hueso", stroke: "ictus", file: "del archivo", own: "propia",
    level: "Nivel", width: "Ancho", level_hu: "Nivel de ventana en HU", width_hu: "Ancho de ventana en HU",
    window_title: "Nivel {level} HU, ancho {width} HU. Tecla {key}",
    window_off: "No se conocen las HU de esta imagen: indique con qué ventana se hizo y se podrá mostrar en otras.",
    overlays: "Capas", outline: "Contorno", fill: "Relleno", heat: "Mapa de calor", truth: "Verdad", opacity: "Opacidad del relleno en por ciento",
    plane: "Plano", axial: "Axial", coronal: "Coronal", sagittal: "Sagital", montage: "Más sangre",
    plane_off: "El archivo no indica distancias, así que esta vista tendría una forma falsa.", plane_one: "Un solo corte no tiene otra vista.",
    drag: "Qué hace arrastrar", slices: "Cortes", move: "Mover", zoom_in: "Acercar", zoom_out: "Alejar", zoom_reset: "Imagen entera",
    neurological: "Neurológica", neurological_title: "La derecha del paciente a la derecha, como miran los neurólogos. Tecla n",
    fullscreen: "Pantalla completa", keys: "Teclas", close: "Cerrar",
    stage: "Corte. Flecha arriba va hacia la cabeza, flecha abajo hacia los pies. Mayúsculas y flechas mueven el punto medido.",
    slice: "Corte", slice_of: "Corte {k} de {n}", coronal_of: "Coronal {k} de {n}", sagittal_of: "Sagital {k} de {n}",
    blood_marked: "sangre marcada", unsure: "modelo inseguro", unknown_hu: "HU desconocidas", gray: "gris {gray}, HU desconocidas",
    reading: "{hu} HU, sangre {blood}", shown_neuro: "Neurológica: la derecha del paciente está a la derecha",
    rebuilt: "Reconstruida de cortes a {mm} mm", heat_is: "Calor: indicios de hemorragia", heat_scale: "0 a 1, una escala para todos los cortes",
    unfound: "Aún no hay resultado.", wait: "Leyendo el caso de ejemplo. El primero tarda unos segundos.", feet: "pies", head: "cabeza", front: "delante", back: "detrás", right: "derecha", left: "izquierda",
    strip: "Cada barra: la probabilidad de que este corte muestre sangre. Pulse para ir allí.", strip_bar: "alguna hemorragia", strip_mask: "sangre en la máscara",
    strip_unsure: "modelo inseguro", strip_cut: "umbral {cut}", hint: "rueda o {keys} cortes, arrastrar para la ventana,", hint_end: "todas las teclas",
    cut: "Máscara desde la probabilidad", cut_reset: "como viene", cut_now: "{ml} marcados desde {cut}", at_shown: "con la resolución mostrada", pixels: "{n} píxeles",
    montage_title: "Cortes con más sangre en la máscara", montage_none: "Ningún corte tiene sangre en la máscara: algunos de abajo arriba", montage_slice: "Corte {k}, {ml}",
    your_scan: "Su estudio: {n} cortes de {columns} x {rows} píxeles.", your_slice: "Su estudio: 1 corte de {columns} x {rows} píxeles.",
    shrunk: "Se muestra a {to_columns} x {to_rows} de {columns} x {rows} píxeles; los valores y los mL son del estudio entero.",
    scores_caption: "Probabilidad según el modelo. La línea en cada barra es el umbral, {cut}.", scores_caption_raw: "Puntuación del modelo; sin calibrar, así que no es una probabilidad. La línea es el umbral, {cut}.",
    pattern: "Patrón", bar: "Barra", scan: "Estudio", above: "en el umbral o por encima", below: "por debajo del umbral",
    how_much: "Cuánta sangre", ml_mask: "vóxeles de la máscara", ml_soft: "cada vóxel por su probabilidad", ml_abc2: "ABC/2, como con regla", spacing: "Cortes a {mm} mm.",
    usual: "Se parece a los estudios de los que aprendió el modelo (extrañeza {value}, límite {limit}).",
    against: "Frente a la verdad", against_note: "Estudio entero, en el umbral del control, contado en su navegador con la resolución mostrada.",
    dice: "Dice", sensitivity: "Sangre que está marcada", false_ml: "Marcado, pero no es sangre", no_blood: "no hay sangre",
    worth: "Cuánto vale un aviso", prevalence: "De 100 estudios aquí, sangran", ppv: "Con aviso, y sangra", npv: "Sin aviso, y no sangra",
    worth_note: "De {patients} pacientes que los modelos nunca vieron: sensibilidad {sensitivity}, especificidad {specificity} (intervalos del 95 %). En otro lugar ambas pueden ser menores.",
    read_too: "Lea también", model: "Modelo", notice: "Solo para enseñanza e investigación. No es un producto sanitario: nunca lo use para diagnosticar, tratar o priorizar a nadie.",
    key_slices: "rueda, flechas, deslizar a los lados|corte a corte; Re Pág y Av Pág de cinco en cinco; Inicio, Fin", key_windows: "1 2 3 4 5|ventanas: cerebro, subdural, hueso, ictus, la del archivo",
    key_layers: "o f h t|contorno, relleno, calor, verdad", key_fill: "j k|menos y más relleno", key_cut: ", . 9|bajar y subir el umbral; como viene",
    key_planes: "a c s m|axial, coronal, sagital, más sangre", key_drag: "d|qué hace arrastrar: cortes, ventana, mover", key_zoom: "+ - 0|acercar, alejar, imagen entera; también Ctrl y rueda, dos dedos, doble clic",
    key_move: "Alt y flechas|mover la imagen; también Mayúsculas y arrastrar", key_point: "Mayúsculas y flechas|mover el punto cuyas HU se indican", key_neuro: "n|lados neurológicos", key_full: "x|pantalla completa", key_help: "?|esta lista",
    scores: { "any bleeding": "alguna hemorragia", epidural: "epidural", intraparenchymal: "intraparenquimatosa", intraventricular: "intraventricular", subarachnoid: "subaracnoidea", subdural: "subdural" },
    sure: { "virtually certain": "prácticamente segura", "very likely": "muy probable", likely: "probable", "about as likely as not": "tan probable como no", unlikely: "improbable", "very unlikely": "muy improbable", "exceptionally unlikely": "sumamente improbable" },
  },
};
const NAMES = { en: "English", de: "Deutsch", es: "Español" };

const LANGUAGE = "ich-language"; // what the browser keeps, and the event that tells every viewer of the page

function kept() {
  try {
    return localStorage.getItem(LANGUAGE) ?? "";
  } catch {
    return ""; // no storage, or none for this page
  }
}

function setLanguage(tag) {
  try {
    localStorage.setItem(LANGUAGE, tag);
  } catch {} // then the next visit starts as this one did
  window.dispatchEvent(new CustomEvent(LANGUAGE, { detail: tag }));
}

function say(name, values = {}) {
  return WORDS[state.language][name].replace(/\{(\w+)\}/g, (_, key) => values[key]);
}

const percent = (share) => Math.round(100 * share) + " %";
// A score in percent that never seems to reach a threshold it stays under.
const scored = (share, cut) => (share < cut && percent(share) === percent(cut) ? "<" : "") + percent(share);
const decimal = (number, digits) => number.toLocaleString(state.language, { minimumFractionDigits: digits, maximumFractionDigits: digits, useGrouping: false });
const milliliters = (ml) => decimal(ml, 1) + " mL";
