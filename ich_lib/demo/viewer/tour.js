// ---- the guided first minute: five steps beside what they speak of; offered, never forced, and the choice is remembered

const TOUR = "ich-tour"; // what the browser keeps: that somebody took it, or would not
// Of a scan without a truth there is no such switch, and the row stands for it.
const SWITCH = ".layers > .with-truth:not([hidden]), .layers:not(:has(> .with-truth:not([hidden])))";
const STEPS = [["slices", ".stage"], ["finding", ".report .sentence"], ["truth", SWITCH], ["sees", ".sees"], ["own", "#files"]];
const tour = { step: -1, card: null, ring: null };

const tourTarget = () => {
  const [, place] = STEPS[tour.step], viewer = firstViewer()?.root;
  return place.startsWith("#") ? document.querySelector(place) : viewer?.querySelector(place);
};

function tourPart(tag, className, text = "") {
  return Object.assign(document.createElement(tag), { className, textContent: text });
}

function buildTour() {
  const card = tourPart("div", "tour-card"), words = tourPart("div", "tour-words"), buttons = tourPart("div", "tour-buttons");
  Object.assign(card, { role: "dialog", tabIndex: -1 });
  words.setAttribute("aria-live", "polite");
  words.append(tourPart("p", "tour-count"), tourPart("h2", ""), tourPart("p", "tour-text"));
  for (const [name, act] of [["skip", () => endTour()], ["back", () => tourStep(-1)], ["next", () => tourStep(1)]]) {
    const button = tourPart("button", "tour-" + name);
    button.type = "button";
    button.addEventListener("click", act);
    buttons.append(button);
  }
  card.append(words, buttons);
  card.addEventListener("keydown", (event) => event.key === "Escape" && (event.stopPropagation(), endTour()));
  Object.assign(tour, { card, ring: tourPart("div", "tour-ring") });
  tour.ring.setAttribute("aria-hidden", "true");
  document.body.append(tour.ring, card);
}

function startTour() {
  if (!firstViewer() || tour.step >= 0) return;
  buildTour();
  document.querySelector("#tour-offer").hidden = true;
  tour.step = 0;
  showStep();
  tour.card.querySelector(".tour-next").focus({ preventScroll: true });
}

function tourStep(way) {
  if (tour.step + way >= STEPS.length) return endTour();
  tour.step = Math.max(tour.step + way, 0);
  showStep();
}

function endTour() {
  tour.card?.remove();
  tour.ring?.remove();
  tour.step = -1;
  decline();
}

// Whoever chose is not asked again; the list of keys can start the tour.
function decline() {
  keep(TOUR, "done");
  offerTour();
  document.querySelector("#viewers .stage")?.focus({ preventScroll: true });
}

const offered = () => document.querySelectorAll("#tour-offer button");

function offerTour() {
  document.querySelector("#tour-offer").hidden = kept(TOUR) === "done" || tour.step >= 0;
  const [, no] = offered();
  no.ariaLabel = no.title = say("tour_no");
}

function showStep() {
  const target = tourTarget();
  if (!target) return endTour();
  speakTour();
  target.scrollIntoView({ block: "center" });
  placeTour();
}

function speakTour() {
  if (tour.step < 0) return;
  const { card, step } = tour, [name] = STEPS[step], [title, text] = say("tour_step/" + name).split("|"), last = step === STEPS.length - 1;
  const fill = (place, text) => (card.querySelector(place).textContent = text);
  fill(".tour-count", say("tour_count", { k: step + 1, n: STEPS.length }));
  fill("h2", title);
  fill(".tour-text", text);
  fill(".tour-skip", say("tour_skip"));
  fill(".tour-back", say("tour_back"));
  fill(".tour-next", say(last ? "tour_done" : "tour_next"));
  card.querySelector(".tour-back").disabled = step === 0;
  card.querySelector(".tour-skip").hidden = last;
  card.ariaLabel = say("tour");
}

// Beside its target where there is room, else above or below; on a narrow screen at the end that the target leaves free.
function placeTour() {
  if (tour.step < 0) return;
  const target = tourTarget();
  if (!target) return endTour();
  const { card, ring } = tour, box = target.getBoundingClientRect(), gap = 14, [wide, tall] = [innerWidth, innerHeight];
  const edge = Math.max(box.left - 4, 2);
  Object.assign(ring.style, { left: edge + "px", top: box.top - 4 + "px", width: Math.min(box.right + 4, wide - 2) - edge + "px", height: box.height + 8 + "px" });
  const { offsetWidth: width, offsetHeight: height } = card, inside = (value, most) => Math.min(Math.max(value, 8), Math.max(most - 8, 8));
  const across = inside(box.left, wide - width), down = inside(box.top, tall - height);
  const places = [[box.right + gap, down], [box.left - gap - width, down], [across, box.bottom + gap], [across, box.top - gap - height]];
  const fits = ([x, y]) => x >= 8 && y >= 8 && x + width <= wide - 8 && y + height <= tall - 8;
  const [left, top] = places.find(fits) ?? [wide - width - 8, box.top + box.height / 2 < tall / 2 ? tall - height - 8 : 8];
  Object.assign(card.style, { left: left + "px", top: top + "px" });
}

document.addEventListener("click", ({ target }) => {
  const [yes, no] = offered();
  if (target === yes) startTour();
  if (target === no) decline();
});
window.addEventListener("ich-tour", startTour);
for (const name of ["scroll", "resize"]) window.addEventListener(name, placeTour, { passive: true, capture: true });
window.addEventListener(LANGUAGE, () => (offerTour(), speakTour(), placeTour()));
window.addEventListener("ich-drawn", placeTour);
