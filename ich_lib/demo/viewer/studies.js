// The table of several studies: a row for each as it is scored, a button that opens it in the viewer, and all rows as CSV.

const at = (selector) => element.querySelector(selector);
const memory = { language: preferred(), value: null, opened: null, link: "" };
const say = (key, values) => wordIn(memory.language, key, values);
const decimal = (number, digits) => number.toLocaleString(memory.language, { minimumFractionDigits: digits, maximumFractionDigits: digits });

function made(tag, text, className = "") {
  return Object.assign(document.createElement(tag), { textContent: text ?? "", className });
}

const COLUMNS = ["study", "open", "finding", "any", "ml", "warnings", "time"];

function fill() {
  const { value, language } = memory;
  at(".studies").hidden = !value?.names;
  if (!value?.names) return;
  const { names, rows } = value;
  at("h2").textContent = at(".wide").ariaLabel = say("studies", { n: names.length });
  at(".so-far").textContent = rows.length < names.length ? say("studies_so_far", { k: rows.length, n: names.length }) : "";
  at("thead tr").replaceChildren(...COLUMNS.map((name) => Object.assign(made("th", say("studies_column/" + name), ["any", "ml", "time"].includes(name) ? "number" : ""), { scope: "col" })));
  at("tbody").replaceChildren(...names.map((name, k) => row(name, rows[k], k)));
  URL.revokeObjectURL(memory.link);
  memory.link = URL.createObjectURL(new Blob([value.csv], { type: "text/csv" }));
  at(".csv").href = memory.link;
  at(".csv").textContent = say("studies_csv");
  at(".csv").hidden = !rows.length;
  element.lang = language;
}

function row(name, study, k) {
  const line = made("tr"), number = (value, text) => made("td", value === null || value === undefined ? "\u2013" : text(value), "number");
  line.append(Object.assign(made("th", name), { scope: "row" }));
  if (!study) {
    line.append(...COLUMNS.slice(1).map(() => made("td", "")));
    return line;
  }
  const open = made("button", say("studies_open")), cell = made("td");
  Object.assign(open, { type: "button", ariaLabel: say("studies_open") + ": " + name, ariaCurrent: String(memory.opened === k) });
  open.dataset.number = k;
  open.addEventListener("click", () => show(k));
  if (!study.failed) cell.append(open);
  line.append(
    cell, made("td", study.sentences[memory.language], "finding"),
    number(study.any, (share) => Math.round(100 * share) + " %"), number(study.volume_ml, (ml) => decimal(ml, 1)), warnings(study.warnings),
    number(study.seconds, (seconds) => decimal(seconds, 1) + " s"),
  );
  return line;
}

function warnings(all) {
  const cell = made("td");
  if (!all.length) return cell;
  const details = made("details"), list = made("ul");
  list.append(...all.map((note) => Object.assign(made("li"), noteIn(memory.language, note))));
  details.append(made("summary", all.length), list);
  cell.append(details);
  return cell;
}

function show(k) {
  memory.opened = window.ichStudy = k;
  for (const button of element.querySelectorAll("button")) button.ariaCurrent = String(Number(button.dataset.number) === k);
  trigger("select");
  document.querySelector("#viewers")?.scrollIntoView({ block: "nearest" });
}

function take(value) {
  if (value?.names?.join() !== memory.value?.names?.join() || !value?.rows?.length) memory.opened = null;
  memory.value = value;
  fill();
}

window.addEventListener(LANGUAGE, (event) => ((memory.language = event.detail), fill()));
watch("value", () => take(props.value && JSON.parse(JSON.stringify(props.value))));
take(props.value);
