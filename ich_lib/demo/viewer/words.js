// WORDS is ich_lib/words/page.toml: language to every word of the page. Here is how the scripts speak it.

const NAMES = { en: "English", de: "Deutsch", es: "Español" };

const LANGUAGE = "ich-language"; // what the browser keeps, and the event that tells every part of the page

function kept(name = LANGUAGE) {
  try {
    return localStorage.getItem(name) ?? "";
  } catch {
    return ""; // no storage, or none for this page
  }
}

// The language chosen before, else the browser's, else English.
const preferred = () => [kept(), ...(navigator.languages ?? [navigator.language])].map((tag) => tag.slice(0, 2)).find((tag) => WORDS[tag]) ?? "en";

// A word by its key, or "group/key" in a group, with its places filled in.
function wordIn(language, key, values = {}) {
  return key.split("/").reduce((words, part) => words[part], WORDS[language]).replace(/\{(\w+)\}/g, (_, name) => values[name]);
}

// A note on a scan, as what its element says: in the language, else in English, and marked as such.
const noteIn = (language, note) => ({ textContent: note[language] ?? note.en, lang: note[language] ? language : "en" });

function keep(name, value) {
  try {
    localStorage.setItem(name, value);
  } catch {} // then the next visit starts as this one did
}

function setLanguage(tag) {
  keep(LANGUAGE, tag);
  window.dispatchEvent(new CustomEvent(LANGUAGE, { detail: tag }));
}
