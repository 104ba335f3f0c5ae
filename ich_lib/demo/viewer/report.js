// ---- beside the picture: text goes in as text, never as markup -----------------------------------------------------

function made(tag, text, className) {
  const node = document.createElement(tag);
  if (text !== undefined) node.textContent = text;
  if (className) node.className = className;
  return node;
}

const say = (name, values = {}) => wordIn(state.language, name, values);
const percent = (share) => Math.round(100 * share) + " %";
// A score in percent that never seems to reach a threshold it stays under.
const scored = (share, cut) => (share < cut && percent(share) === percent(cut) ? "<" : "") + percent(share);
const decimal = (number, digits) => number.toLocaleString(state.language, { minimumFractionDigits: digits, maximumFractionDigits: digits, useGrouping: false });
const milliliters = (ml) => decimal(ml, 1) + " mL";

// Pixels as mL, each slice's by its slab; their plain number while no mL are measurable: two sentences must not
// contradict each other.
const amount = (slabs, pixels) => (state.scan.pixel_ml && state.measurable ? milliliters(slabs * state.scan.pixel_ml) : say("pixels", { n: pixels }));
const range = (figure) => decimal(figure.value, 2) + " (" + decimal(figure.low, 2) + "-" + decimal(figure.high, 2) + ")";
const cutOf = (level) => decimal(level / 255, 2);

// All that hangs on the language and the scan; what hangs on the slice or the threshold comes after.
function fillWords() {
  root.lang = state.language;
  for (const node of element.querySelectorAll("[data-words]")) node.textContent = say(node.dataset.words);
  for (const node of element.querySelectorAll("[data-label]")) node.setAttribute("aria-label", say(node.dataset.label));
  for (const node of element.querySelectorAll("[data-title]")) node.title = say(node.dataset.title);
  at(".hint").textContent = say(state.scan && !state.scan.hu_known ? "hint_gray" : "hint", { keys: "\u2191\u2193" });
  const keys = Object.keys(WORDS[state.language]).filter((name) => name.startsWith("key_")).map((name) => say(name).split("|"));
  at(".legend-of-keys dl").replaceChildren(...keys.flatMap(([key, does]) => [made("dt", key), made("dd", does)]));
  if (!state.scan) return;
  fillWindows();
  fillPlanes();
  fillReport(state.scan.report);
  fillWorth();
  fillSolid();
}

function fillReport(report) {
  for (const name of ["sentence", "volume", "doubts"]) at("." + name).textContent = answered() ? report[name][state.language] : "";
  at(".scores").hidden = !state.scan.blood;
  at(".models").hidden = !answered();
  if (!answered()) at(".sentence").textContent = say("unfound");
  const { slices, ...shown } = report.shown, file = report.more ? say("files_more", { file: report.file, n: report.more }) : report.file;
  const mine = (slices > 1 ? "your_scan" : "your_slice") + (file ? "_file" : "");
  at(".origin").textContent = report.origin?.[state.language] ?? say(mine, { n: slices, file, ...shown });
  at(".credit").textContent = report.credit ?? "";
  at(".models").textContent = say("model") + ": " + report.models.join(", ");
  at(".strip-cut").textContent = say("strip_cut", { cut: percent(report.score_threshold) });
  at(".with-doubt").hidden = !report.unsure.length;
  fillScores(report);
  fillReasons(report);
  fillAbout(report.about);
  fillAmounts(report.ml);
  at(".apart").textContent = state.scan.slice_mm ? say("spacing", { mm: decimal(state.scan.slice_mm, 1) }) : "";
  const read = report.warnings.map((note) => Object.assign(made("li"), noteIn(state.language, note)));
  const small = report.shown.shrunk ? [made("li", say("shrunk", { ...shown, to_rows: state.scan.rows, to_columns: state.scan.columns }))] : [];
  at(".warnings ul").replaceChildren(...read, ...small);
  at(".warnings").hidden = !at(".warnings ul").children.length;
  at(".report").hidden = false;
}

function fillAmounts(rows) {
  at(".amounts tbody").replaceChildren(...rows.map(([name, ml]) => {
    const row = made("tr"), head = made("th", say("ml_" + name));
    head.scope = "row";
    if (name === "abc2") head.title = say("glossary/abc2");
    row.append(head, made("td", typeof ml === "number" ? milliliters(ml) : ml));
    return row;
  }));
  at(".amounts").hidden = !rows.length;
}

// At another threshold than the model's own: the headline, the volume and the table of mL follow, by the rule of
// `Result.volume_ml`; what cannot follow says at which threshold it is.
function fillMoved(called, slabs) {
  const { report, pixel_ml: pixel, threshold: own } = state.scan, there = report.at_threshold?.[state.language];
  const moved = state.threshold !== own && there?.headline !== undefined;
  at(".moved").textContent = moved ? say("cut_moved", { cut: cutOf(state.threshold), own: cutOf(own) }) : "";
  const full = slabs * (pixel ?? NaN), ml = report.cavity_ml ? Math.min(full, report.cavity_ml) : full, bleeding = report.finding === "bleeding";
  state.measurable = moved ? Boolean(pixel) && bleeding && full >= report.floor_ml : report.measurable;
  if (!there?.headline) return;
  const given = state.measurable && ml > 0, put = (text) => text.replace("{ml}", decimal(ml, text === there.about && ml >= 10 ? 0 : 1));
  at(".sentence").textContent = moved ? there.headline.replace("{about}", given ? put(there.about) : "") : report.sentence[state.language];
  at(".volume").textContent = !moved ? report.volume[state.language] : !pixel ? there.no_ml : !called ? there.no_voxel
    : !given ? there[bleeding ? "not_measurable" : "not_supported"] : put(there.marked);
  const others = report.ml.filter(([name]) => name !== "mask").map(([name, value]) => [name, name === "abc2" ? say("ml_not_here", { own: cutOf(own) }) : value]);
  fillAmounts(!moved ? report.ml : given ? [["mask", ml], ...others] : []);
}

function fillScores(report) {
  const cut = percent(report.score_threshold);
  at(".scores caption").textContent = say(report.calibrated ? "scores_caption" : "scores_caption_raw", { cut });
  at(".scores tbody").replaceChildren(...report.scores.map((score) => {
    const row = made("tr"), head = made("th", WORDS[state.language].scores[score.name]), cell = made("td", undefined, "bars");
    const track = made("div", undefined, "track"), bar = made("i", undefined, "value"), line = made("i", undefined, "cut-line");
    head.scope = "row";
    if (score.word) head.append(made("small", WORDS[state.language].sure[score.word]));
    bar.style.width = 100 * score.scan + "%";
    bar.style.background = score.color;
    line.style.left = 100 * report.score_threshold + "%";
    track.append(bar, line);
    track.role = "img";
    track.ariaLabel = say(score.scan >= report.score_threshold ? "above" : "below");
    cell.append(track);
    row.append(head, cell, made("td", scored(score.scan, report.score_threshold), "of-scan"), made("td", "", "of-slice"));
    return row;
  }));
}

// Whose design another model than the shipped one is, its figures by patient, and what it is not for.
function fillAbout(about) {
  at(".about").hidden = !about;
  if (!about) return;
  const { name, source, dice, auc, height, folds, published } = about;
  const figure = (key, { value, low, high, n_patients: n }) => say(key, { value: decimal(value, 2), low: decimal(low, 2), high: decimal(high, 2), n });
  const lines = [
    dice && figure("about_dice", dice),
    auc && figure("about_auc", auc) + (height === null ? "" : " " + say("about_height", { height: decimal(height, 2) })),
    folds && say("about_folds", { k: folds[0], n: folds[1] }),
  ].filter(Boolean);
  at(".about h3").textContent = say("about", { name });
  const design = Object.assign(made("span", source), { lang: "en" }); // as its card has it
  at(".about-design").replaceChildren(...(source ? [say("about_design") + " ", design] : [say("about_own")]));
  at(".about ul").replaceChildren(...(dice || auc ? lines : [say("about_unmeasured")]).map((text) => made("li", text)));
  at(".about-use").textContent = say(published ? "about_rebuilt" : "about_made");
}

// Why this may be no native head CT, and below it the button that shows the finding of one's own scan anyway; then
// whether the model knows its like.
function fillReasons(report) {
  const belief = report.belief[state.language], reasons = report.reasons[state.language] ?? [], found = report.strangeness;
  const ask = Object.assign(made("button", say("believe"), "believe"), { type: "button" });
  ask.addEventListener("click", () => trigger?.("submit"));
  const offered = report.withheld && !report.origin ? [ask] : [];
  at(".strange").replaceChildren(...[belief, ...reasons].filter(Boolean).map((text) => made("p", text)), ...offered);
  at(".strange").hidden = !belief && !reasons.length;
  at(".strange").classList.toggle("refused", report.withheld || Boolean(belief));
  at(".usual").textContent = found && !report.withheld ? say("usual", { value: decimal(found.value, 1), limit: decimal(found.limit, 1) }) : "";
}

function fillSlice() {
  element.querySelectorAll(".of-slice").forEach((cell, row) => {
    cell.textContent = scored(state.scan.report.scores[row].slices[state.place.axial], state.scan.report.score_threshold);
  });
  const words = say({ axial: "slice_of", coronal: "coronal_of", sagittal: "sagittal_of" }[state.plane], { k: index() + 1, n: reach() });
  const more = state.plane !== "axial" ? [] : [
    ...(hasBlood(index()) ? [say("blood_marked")] : []), ...(state.scan.report.unsure.includes(index()) ? [say("unsure")] : []),
  ];
  at(".where").textContent = words;
  const announcement = [words, ...more].join(", ");
  position.setAttribute("aria-valuetext", announcement);
  at(".announcement").textContent = layers.ct.ariaLabel = announcement;
  tellMeasure();
  at(".score").textContent = state.plane === "axial" && state.scan.blood ? [say("strip_bar") + " " + scored(state.scan.report.scores[0].slices[index()], state.scan.report.score_threshold), ...more].join(", ") : "";
  const ends = { axial: ["feet", "head"], coronal: ["front", "back"], sagittal: ["right", "left"] }[state.plane];
  at(".first-end").textContent = say(ends[0]);
  at(".last-end").textContent = say(ends[1]);
}

// What hangs on the threshold: over the whole scan, so once all slices are there.
function fillCounts() {
  if (!state.scan) return;
  at(".strip-key").hidden = !state.scan.blood;
  at(".cutting").hidden = !hasMask(state.scan);
  at("input[name=threshold]").value = state.threshold;
  at(".shipped").disabled = state.threshold === state.scan.threshold;
  at(".shipped").textContent = say("cut_reset", { cut: cutOf(state.scan.threshold) });
  const there = hasMask(state.scan) && root.dataset.decoded === "all", now = there && counted(state.threshold);
  if (there) fillMoved(now.called, now.calledSlabs);
  else state.measurable = state.scan.report.measurable;
  const small = state.scan.report.shown.shrunk ? ", " + say("at_shown") : "";
  const output = there ? say("cut_now", { ml: amount(now.calledSlabs, now.called), cut: cutOf(state.threshold) }) + small : cutOf(state.threshold);
  at(".cutting output").textContent = output;
  at("input[name=threshold]").setAttribute("aria-valuetext", output);
  at(".against").hidden = !state.scan.truth || !there;
  if (!state.scan.truth || !there) return;
  put("dice", now.dice, decimal(now.dice, 3));
  put("sensitivity", now.sensitivity, now.real ? decimal(now.sensitivity, 3) : say("no_blood"));
  put("false-ml", now.falseSlabs * (state.scan.pixel_ml ?? NaN), amount(now.falseSlabs, now.called - now.hit));
}

function put(name, value, text) {
  at("data." + name).value = value;
  at("data." + name).textContent = text;
}

function fillWorth() {
  const calls = state.scan.report.calls, prevalence = at("input[name=prevalence]").valueAsNumber / 100;
  at(".worth").hidden = !calls;
  if (!calls) return;
  const { sensitivity, specificity } = calls;
  at(".worth-note").textContent = say("worth_note", { patients: sensitivity.n_patients, sensitivity: range(sensitivity), specificity: range(specificity) });
  for (const [name, rate] of [["ppv", ppv], ["npv", npv]]) {
    const value = prevalence > 0 && prevalence < 1 ? rate(sensitivity.value, specificity.value, prevalence) : NaN;
    put(name, value, Number.isFinite(value) ? decimal(100 * value, 1) + " %" : "\u2013");
  }
}

function fillWindows() {
  at(".windows").replaceChildren(...state.scan.windows.map(({ name, level, width }, k) => {
    const button = made("button");
    button.type = "button";
    button.dataset.name = name;
    button.append(made("span", say(name)), made("small", Math.round(level) + " / " + Math.round(width)));
    button.title = state.scan.hu_known ? say("window_title", { level, width, key: k + 1 }) : say("window_off");
    button.disabled = !state.scan.hu_known;
    button.setAttribute("aria-pressed", state.look?.name === name);
    button.addEventListener("click", () => choose(k));
    return button;
  }));
  for (const name of ["level", "width"]) at("input[name=" + name + "]").disabled = !state.scan.hu_known;
}

function fillPlanes() {
  const off = flatReason();
  for (const button of element.querySelectorAll("button[data-plane]")) {
    const { plane: which } = button.dataset;
    button.setAttribute("aria-pressed", which === state.plane && at(".montage").hidden);
    button.disabled = which !== "axial" && off !== "";
    button.title = which !== "axial" && off ? off : which[0];
  }
  at(".solid").disabled = off !== "" || !answered();
  at(".solid").title = off || "p";
  const still = at('button[data-drag="window"]');
  still.disabled = !state.scan.hu_known;
  still.title = state.scan.hu_known ? "" : say("drag_no_window");
  at(".most").setAttribute("aria-pressed", !at(".montage").hidden);
  at(".neuro").setAttribute("aria-pressed", state.flipped);
  at(".cross").setAttribute("aria-pressed", state.crosshair);
  at(".slab").hidden = state.plane === "axial";
  for (const choice of at(".slab").querySelectorAll("[value=mean], [value=mip]")) choice.textContent = say("slab_" + choice.value, { mm: SLAB_MM });
  for (const button of element.querySelectorAll("button[data-drag]")) button.setAttribute("aria-pressed", button.dataset.drag === dragging());
}
