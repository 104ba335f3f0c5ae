// ---- start --------------------------------------------------------------------------------------------------------

function listen() {
  stage.addEventListener("wheel", onWheel, { passive: false });
  stage.addEventListener("pointerdown", onDown);
  stage.addEventListener("pointermove", onMove);
  for (const name of ["pointerup", "pointercancel"]) stage.addEventListener(name, (event) => state.fingers.delete(event.pointerId));
  stage.addEventListener("pointerleave", (event) => event.pointerType !== "touch" && ((state.probe = null), tellPoint()));
  stage.addEventListener("dblclick", onDouble);
  position.addEventListener("input", () => go(position.value - 1));
  at(".strip").addEventListener("pointerdown", (event) => state.scan && onStrip(event));
  at(".strip").addEventListener("pointermove", (event) => state.scan && event.buttons && onStrip(event));
  for (const name of ["outline", "fill", "heat", "truth"]) box(name).addEventListener("change", redraw);
  box("opacity").addEventListener("input", () => setOpacity(box("opacity").value));
  at("input[name=threshold]").addEventListener("input", (event) => setThreshold(event.target.valueAsNumber));
  at(".shipped").addEventListener("click", () => state.scan && setThreshold(state.scan.threshold));
  for (const name of ["level", "width"]) {
    at("input[name=" + name + "]").addEventListener("change", () => lookAt(at("input[name=level]").valueAsNumber, at("input[name=width]").valueAsNumber));
  }
  at("input[name=prevalence]").addEventListener("input", () => state.scan && fillWorth());
  for (const button of element.querySelectorAll("button[data-plane]")) button.addEventListener("click", () => show(button.dataset.plane));
  for (const button of element.querySelectorAll("button[data-drag]")) button.addEventListener("click", () => setDrag(button.dataset.drag));
  at(".most").addEventListener("click", montage);
  at(".neuro").addEventListener("click", () => setFlipped(!state.flipped));
  at(".full").addEventListener("click", fullscreen);
  at(".dark-switch").addEventListener("click", () => setDark(!document.body.classList.contains("dark")));
  at(".ask").addEventListener("click", help);
  const keys = at(".legend-of-keys"); // the focus is back where it was once it is closed
  keys.addEventListener("close", () => keys.returnValue === "tour" && window.dispatchEvent(new CustomEvent("ich-tour")));
  at(".cross").addEventListener("click", () => setCrosshair(!state.crosshair));
  at(".slab").addEventListener("change", (event) => setSlab(event.target.value));
  panel.addEventListener("toggle", askInputs);
  at(".title .other").addEventListener("click", showOther);
  listenSolid();
  at(".next-blood").addEventListener("click", () => goBlood(1));
  at(".zoom-in").addEventListener("click", () => setZoom(state.zoom * 1.25));
  at(".zoom-out").addEventListener("click", () => setZoom(state.zoom / 1.25));
  at(".zoom-reset").addEventListener("click", resetZoom);
  at(".language").append(...Object.entries(NAMES).map(([tag, name]) => option(name, tag)));
  at(".language").addEventListener("change", (event) => setLanguage(event.target.value));
  window.addEventListener(LANGUAGE, (event) => speak(event.detail));
  window.addEventListener(VIEW, (event) => (fillTitle(), state.scan && follow(event.detail)));
  window.addEventListener("ich-drawn", fillTitle); // the viewer beside may have got its scan
  document.addEventListener("keydown", onKey);
  new ResizeObserver(() => state.scan && state.frame && (fillTitle(), drawStrip(), draw())).observe(picture);
}

function option(name, tag) {
  const made = new Option(tag.toUpperCase(), tag, false, tag === state.language);
  made.ariaLabel = made.title = name;
  return made;
}

const plain = (value) => JSON.parse(JSON.stringify(value)); // Gradio's is a proxy, slow to read

// A scan of its own, or what was found in the one that is shown; for one that is not shown any more it comes too late.
function take(value) {
  if (value?.slices) open(plain(value));
  else if (value?.to && value.to === state.scan?.id) received(plain(value));
}

function received(more) {
  if (more.inputs) takeInputs(more.inputs);
  else if (more.solid) takeSolid(more);
  else add(more);
}

function speak(tag) {
  state.language = at(".language").value = tag;
  fillWords();
  if (state.scan) go(index()), fillCounts(), fillTitle(), tellMeasure();
}

function open(payload) {
  if (state.scan && stage.getBoundingClientRect().bottom < 0) root.scrollIntoView(); // on a phone one may have scrolled past it
  state.scan = { ...UNFOUND, ...payload, report: { ...UNFOUND.report, ...payload.report } };
  state.ct = [];
  state.frame = state.probe = state.measured = null;
  state.measuring = false;
  state.plane = "axial";
  state.threshold = state.scan.threshold;
  state.place = { axial: state.scan.start, coronal: state.scan.start_row, sagittal: state.scan.start_column };
  root.dataset.ready = "no";
  root.dataset.alone = state.scan.slices.length === 1;
  at(".badge").hidden = state.scan.hu_known;
  at(".wait").hidden = at(".montage").hidden = true;
  position.max = state.scan.slices.length;
  setWindow(state.scan.windows[0].level, state.scan.windows[0].width, state.scan.windows[0].name);
  resetZoom();
  obeyAddress();
  state.sent = isFirst() ? "" : JSON.stringify(view()); // who opens beside another follows, and does not lead
  renew();
  join();
}

// Where the person looks stays, unless nobody moved: then the slice with most blood comes.
function add(more) {
  const still = state.plane === "axial" && state.place.axial === state.scan.start && isFirst(), found = more.blood && !state.scan.blood;
  const turned = { coronal: state.scan.start_row, sagittal: state.scan.start_column };
  state.scan = { ...state.scan, ...more, solid: null, report: { ...state.scan.report, ...more.report } };
  state.solidRequest = "";
  if (more.blood) state.threshold = state.scan.threshold;
  if (found && still) state.place.axial = state.scan.start;
  if (found && state.place.coronal === turned.coronal && state.plane !== "coronal") state.place.coronal = state.scan.start_row;
  if (found && state.place.sagittal === turned.sagittal && state.plane !== "sagittal") state.place.sagittal = state.scan.start_column;
  renew();
}

function renew() {
  state.slices = [];
  state.ready = [];
  root.dataset.decoded = "some";
  root.dataset.found = answered() ? "yes" : "no";
  for (const part of element.querySelectorAll(".with-truth")) part.hidden = !state.scan.truth;
  for (const part of element.querySelectorAll(".with-mask")) part.hidden = Boolean(state.scan.blood) && !hasMask(state.scan);
  fillWords();
  fillCounts();
  position.value = index() + 1;
  state.all = decodeAll(); // before a drawing of another plane waits for them
  drawStrip();
  fillSlice();
  draw();
  if (!at(".montage").hidden) drawMontage();
  fillTitle();
  askInputs();
  askSolid();
}

viewers.add({ root, state, view, say, sizes, marked, turnable });
listen();
if (kept(DARK)) setDark(kept(DARK) === "yes");
fillWords();
watch("value", () => take(props.value));
take(props.value);
