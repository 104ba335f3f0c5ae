// Mends what Gradio's parts in the rail do not tell a keyboard or a screen reader, again after each of its redraws.
// It names each choice of a radio group differently, so that each is a Tab stop and arrows do nothing: under one name the
// browser makes them one stop and lets arrows choose. It says no group's label, and the same words for each upload box.

(() => {
  const words = (part) => part.querySelector("[data-testid='block-info'], [data-testid='block-label']").textContent.trim();

  function mend(rail) {
    const samples = rail.querySelector("#samples");
    for (const input of samples.querySelectorAll("input")) if (input.name !== "samples") input.name = "samples";
    samples.role = "radiogroup";
    samples.ariaLabel = words(samples);
    for (const button of rail.querySelectorAll(".upload-container")) button.ariaLabel = words(button.closest(".block"));
  }

  function start() {
    const rail = document.querySelector("#rail:has(#samples input)");
    if (!rail) return;
    page.disconnect();
    mend(rail);
    new MutationObserver(() => mend(rail)).observe(rail, { subtree: true, childList: true, characterData: true, attributeFilter: ["name"] });
  }

  const page = new MutationObserver(start);
  page.observe(document.body, { subtree: true, childList: true });
  start();
})();
