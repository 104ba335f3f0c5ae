// ---- start --------------------------------------------------------------------------------------------------------

function listen() {
  stage.addEventListener("wheel", onWheel, { passive: false });
  stage.addEventListener("pointerdown", onDown);
  stage.addEventListener("pointermove", onMove);
  for (const name of ["pointerup", "pointercancel"]) stage.addEventListener(name, (event) => fingers.delete(event.pointerId));
  stage.addEventListener("pointerleave", (event) => event.pointerType !== "touch" && ((probe = null), tellPoint()));
  stage.addEventListener("dblclick", onDouble);
  position.addEventListener("input", () => go(position.value - 1));
  at(".strip").addEventListener("pointerdown", (event) => scan && onStrip(event));
  at(".strip").addEventListener("pointermove", (event) => scan && event.buttons && onStrip(event));
  for (const name of ["outline", "fill", "heat", "truth"]) box(name).addEventListener("change", redraw);
  box("opacity").addEventListener("input", () => setOpacity(box("opacity").value));
  at("input[name=threshold]").addEventListener("input", (event) => setThreshold(event.target.valueAsNumber));
  at(".shipped").addEventListener("click", () => scan && setThreshold(scan.threshold));
  for (const name of ["level", "width"]) {
    at("input[name=" + name + "]").addEventListener("change", () => lookAt(at("input[name=level]").valueAsNumber, at("input[name=width]").valueAsNumber));
  }
  at("input[name=prevalence]").addEventListener("input", () => scan && fillWorth());
  for (const button of element.querySelectorAll("button[data-plane]")) button.addEventListener("click", () => show(button.dataset.plane));
  for (const button of element.querySelectorAll("button[data-drag]")) button.addEventListener("click", () => setDrag(button.dataset.drag));
  at(".most").addEventListener("click", montage);
  at(".neuro").addEventListener("click", () => setFlipped(!flipped));
  at(".full").addEventListener("click", fullscreen);
  at(".ask").addEventListener("click", () => at(".legend-of-keys").showModal());
  at(".zoom-in").addEventListener("click", () => setZoom(zoom * 1.25));
  at(".zoom-out").addEventListener("click", () => setZoom(zoom / 1.25));
  at(".zoom-reset").addEventListener("click", resetZoom);
  at(".language").append(...Object.entries(NAMES).map(([tag, name]) => option(name, tag)));
  at(".language").addEventListener("change", (event) => setLanguage(event.target.value));
  window.addEventListener(LANGUAGE, (event) => speak(event.detail));
  document.addEventListener("keydown", onKey);
  new ResizeObserver(() => scan && frame && (drawStrip(), draw())).observe(picture);
}

function option(name, tag) {
  const made = new Option(tag.toUpperCase(), tag, false, tag === language);
  made.ariaLabel = made.title = name;
  return made;
}

const plain = (value) => JSON.parse(JSON.stringify(value)); // Gradio's is a proxy, slow to read

// A scan of its own, or what was found in the one that is shown; for one that is not shown any more it comes too late.
function take(value) {
  if (value?.slices) open(plain(value));
  else if (value?.to && value.to === scan?.id) add(plain(value));
}

function speak(tag) {
  language = at(".language").value = tag;
  fillWords();
  if (scan) go(index()), fillCounts();
}

function open(payload) {
  if (scan && stage.getBoundingClientRect().bottom < 0) root.scrollIntoView(); // on a phone one may have scrolled past it
  scan = { ...UNFOUND, ...payload, report: { ...UNFOUND.report, ...payload.report } };
  ct = [];
  frame = probe = null;
  plane = "axial";
  threshold = scan.threshold;
  place = { axial: scan.start, coronal: scan.rows >> 1, sagittal: scan.columns >> 1 };
  root.dataset.ready = "no";
  root.dataset.alone = scan.slices.length === 1;
  at(".badge").hidden = scan.hu_known;
  at(".wait").hidden = at(".montage").hidden = true;
  position.max = scan.slices.length;
  setWindow(scan.windows[0].level, scan.windows[0].width, scan.windows[0].name);
  resetZoom();
  renew();
}

// Where the person looks stays, unless nobody moved: then the slice with most blood comes.
function add(more) {
  const still = plane === "axial" && place.axial === scan.start, found = more.blood && !scan.blood;
  scan = { ...scan, ...more, report: { ...scan.report, ...more.report } };
  if (more.blood) threshold = scan.threshold;
  if (found && still) place.axial = scan.start;
  renew();
}

function renew() {
  slices = [];
  ready = [];
  root.dataset.decoded = "some";
  root.dataset.found = scan.blood ? "yes" : "no";
  at(".with-truth").hidden = !scan.truth;
  fillWords();
  fillCounts();
  position.value = index() + 1;
  drawStrip();
  fillSlice();
  draw();
  all = decodeAll();
  if (!at(".montage").hidden) drawMontage();
}

listen();
fillWords();
watch("value", () => take(props.value));
take(props.value);
