// The page around the viewers: it speaks the language that the person chose, takes files wherever they are dropped, and
// mends what Gradio's parts in the rail do not tell a keyboard or a screen reader, again after each of its redraws.
// Gradio names each choice of a radio group differently, so that each is a Tab stop and arrows do nothing: under one name
// the browser makes them one stop and lets arrows choose. It says the same words for each upload box.

let language = preferred();
let madeAt = null; // the mask's threshold of the downloads

const say = (key, values) => wordIn(language, key, values);
const decimal = (number) => number.toLocaleString(language, { minimumFractionDigits: 2, maximumFractionDigits: 2 });
const keyOf = new Map(); // English, as Gradio has it, to the key of a word
const isOurs = new WeakMap(); // text node, or part with a label, to that key

function learn(words, path) {
  for (const [name, text] of Object.entries(words)) {
    if (typeof text !== "string") learn(text, path + name + "/");
    else if (!text.includes("{") && !keyOf.has(text)) keyOf.set(text, path + name);
  }
}
for (const group of ["sample", "picture"]) learn(WORDS.en[group], group + "/");
for (const name of ["samples", "own", "truth_box", "series", "picture_window", "level_box", "width_box", "stop", "model", "compare", "no_model", "make", "downloads", "all_files"]) {
  keyOf.set(WORDS.en[name], name);
}

function speakText(node) {
  const key = isOurs.get(node) ?? keyOf.get(node.data.trim());
  if (!key) return;
  isOurs.set(node, key);
  if (node.data.trim() !== say(key)) node.data = node.data.replace(node.data.trim(), say(key));
}

function speakLabel(node) {
  const key = isOurs.get(node) ?? keyOf.get(node.ariaLabel);
  if (!key) return;
  isOurs.set(node, key);
  if (node.ariaLabel !== say(key)) node.ariaLabel = say(key);
}

// Figures come as the server writes them; German and Spanish have a comma in them.
function localized(values) {
  const mark = (0.5).toLocaleString(language)[1], spoken = (value) => (/^\d+\.\d+$/.test(value) ? String(value).replace(".", mark) : value);
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [name, spoken(value)]));
}

// What the server says names its sentence; a refusal of a reader comes in every language.
function speakStatus(part) {
  const { say: key, values, refused } = part.dataset;
  const text = key ? say(key, values ? localized(JSON.parse(values)) : {}) : JSON.parse(refused)[language];
  if (part.textContent !== text) part.textContent = text;
  if (part.matches(".wrong") && !part.wasShown) part.scrollIntoView({ block: "nearest" });
  part.wasShown = true;
}

// "1: Head, 10 slices, 12 mm apart, kernel H31s": the description is the hospital's, the rest is ours.
function speakSeries(text) {
  const parts = [[/^(\d+) slices$/, "slices"], [/^1 slice$/, "slice"], [/^([\d.]+) mm apart$/, "apart"], [/^kernel (.+)$/, "kernel"]];
  return text.split(", ").map((piece) => {
    const [form, name] = parts.find(([form]) => form.test(piece)) ?? [];
    return form ? say("series_part/" + name, { n: piece.match(form)[1] }) : piece;
  }).join(", ");
}

const seriesLines = new WeakMap();

function speakLine(node) {
  const line = seriesLines.get(node) ?? node.data;
  if (!/^\s*\d+: /.test(line)) return;
  seriesLines.set(node, line);
  if (node.data !== speakSeries(line)) node.data = speakSeries(line);
}

function textsOf(root) {
  const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT), found = [];
  while (walker.nextNode()) if (!walker.currentNode.parentElement.closest(".viewer, .folder, .difference, [data-say], [data-refused], .filename")) found.push(walker.currentNode);
  return found;
}

function speak() {
  document.documentElement.lang = language;
  document.title = say("title");
  for (const part of document.querySelectorAll("#head [data-say], #rail [data-say], #status [data-say], #status [data-refused]")) speakStatus(part);
  for (const root of document.querySelectorAll("#rail, #progress, #stop")) textsOf(root).forEach(speakText);
  for (const node of textsOf(document.querySelector("#series") ?? document.createElement("p"))) speakLine(node);
  for (const part of document.querySelectorAll("#rail input[aria-label], #rail [role=listbox][aria-label]")) speakLabel(part);
  for (const input of document.querySelectorAll("#picture-window input, #series input, #model input, #compare input")) speakInput(input);
}

// A closed menu shows its choice in a field that cannot be typed in.
function speakInput(input) {
  if (input.value !== input.wasShown) input.english = input.value;
  const key = keyOf.get(input.english), text = key ? say(key) : speakSeries(input.english ?? "");
  if (text && input.value !== text) input.value = text;
  input.wasShown = input.title = input.value; // all of it, where the field is too short
}

const words = (part) => part.querySelector("[data-testid='block-info'], [data-testid='block-label']").textContent.trim();

function mend(rail) {
  speak();
  const samples = rail.querySelector("#samples");
  for (const input of samples.querySelectorAll("input")) if (input.name !== "samples") input.name = "samples";
  samples.role = "radiogroup";
  if (samples.ariaLabel !== words(samples)) samples.ariaLabel = words(samples);
  for (const button of rail.querySelectorAll(".upload-container")) button.ariaLabel = words(button.closest(".block"));
  tellStale();
}

// ---- downloads are those of a threshold

const firstViewer = () => [...(window.ichViewers ?? [])].find((one) => one.root.isConnected && one.root.checkVisibility() && one.state.scan);
window.ichThreshold = () => (madeAt = firstViewer()?.state.threshold ?? null);

function tellStale() {
  const note = document.querySelector("#stale"), viewer = firstViewer(), there = document.querySelector("#made a[download]");
  if (!note) return;
  const now = viewer?.state.threshold, isStale = Boolean(there && madeAt !== null && viewer && now !== madeAt);
  const text = isStale ? say("stale_files", { made: decimal(madeAt / 255), now: decimal(now / 255) }) : "";
  if (note.textContent !== text) note.textContent = text;
  if (there && !note.wasShown) there.scrollIntoView({ block: "nearest" });
  note.wasShown = Boolean(there);
}

// ---- a file may be dropped anywhere

const isFile = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");

document.addEventListener("dragover", (event) => {
  if (!isFile(event)) return;
  event.preventDefault(); // else the browser leaves the page and opens the file
  document.documentElement.dataset.dropping = "yes";
  document.documentElement.style.setProperty("--drop-text", JSON.stringify(say("drop_anywhere")));
});
for (const name of ["drop", "dragend"]) document.addEventListener(name, () => delete document.documentElement.dataset.dropping, true);
document.addEventListener("dragleave", (event) => event.relatedTarget === null && delete document.documentElement.dataset.dropping);
document.addEventListener("drop", (event) => isFile(event) && event.preventDefault());

// ---- start

// On a phone the samples scroll sideways, and the one that keys choose comes into view whole.
for (const name of ["focusin", "input"]) {
  document.addEventListener(name, (event) => event.target.closest?.("#samples label")?.scrollIntoView({ block: "nearest", inline: "nearest" }));
}

document.addEventListener("click", (event) => {
  if (!event.target.closest("a.skip")) return;
  event.preventDefault();
  document.querySelector("#viewers .stage")?.focus();
});

function start() {
  const rail = document.querySelector("#rail:has(#samples input)");
  if (!rail) return;
  page.disconnect();
  offerTour();
  mend(rail);
  const changes = { subtree: true, childList: true, characterData: true, attributeFilter: ["name"] };
  const again = new MutationObserver(() => mend(rail));
  for (const part of document.querySelectorAll("#rail, #progress")) again.observe(part, changes);
  new MutationObserver(speak).observe(document.querySelector("#work"), { childList: true, attributes: true, subtree: false });
  window.addEventListener(LANGUAGE, (event) => ((language = event.detail), mend(rail)));
  window.addEventListener("ich-drawn", tellStale);
}

const page = new MutationObserver(start);
page.observe(document.body, { subtree: true, childList: true });
start();
