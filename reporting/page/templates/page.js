"use strict";
(() => {
  const root = document.documentElement;
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  root.classList.add("js");

  // Light and dark: the system's choice until the button is used.
  const theme = document.getElementById("theme");
  const system = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : system.matches);
  const showTheme = () => theme.setAttribute("aria-pressed", String(isDark()));
  theme.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    showTheme();
  });
  system.addEventListener("change", showTheme);
  showTheme();

  // Tables: a click on a column's name sorts by it, another click the other way; what is missing stays last.
  const value = (row, column) => {
    const cell = row.cells[column];
    const stored = cell.dataset.v;
    return stored === undefined ? cell.textContent.trim() : Number.parseFloat(stored);
  };
  const compare = (a, b) => (typeof a === "string" ? a.localeCompare(b) : a - b);
  for (const button of all("table.sortable thead button")) {
    button.addEventListener("click", () => {
      const head = button.closest("th");
      const first = head.classList.contains("num") ? "descending" : "ascending";
      const other = first === "ascending" ? "descending" : "ascending";
      const order = head.getAttribute("aria-sort") === first ? other : first;
      for (const each of head.parentElement.cells) if (each.hasAttribute("aria-sort")) each.setAttribute("aria-sort", "none");
      head.setAttribute("aria-sort", order);
      const body = head.closest("table").tBodies[0];
      const keyed = [...body.rows].map((row) => [value(row, head.cellIndex), row]);
      const missing = (key) => typeof key === "number" && Number.isNaN(key);
      keyed.sort(([a], [b]) => {
        if (missing(a) || missing(b)) return Number(missing(a)) - Number(missing(b));
        return order === "ascending" ? compare(a, b) : compare(b, a);
      });
      body.append(...keyed.map(([, row]) => row));
    });
  }

  // Curves: one attack and one manipulation at a time; a legend entry brings one explanation to the front.
  const attack = document.getElementById("pick-attack");
  const family = document.getElementById("pick-family");
  const showPanels = () => {
    for (const panel of all(".panel")) {
      panel.hidden = panel.dataset.attack !== attack.value || panel.dataset.family !== family.value;
    }
  };
  attack.addEventListener("change", showPanels);
  family.addEventListener("change", showPanels);
  showPanels();
  const legend = all(".legend button");
  for (const button of legend) {
    button.addEventListener("click", () => {
      const on = button.getAttribute("aria-pressed") !== "true";
      for (const each of legend) each.setAttribute("aria-pressed", String(on && each === button));
      document.body.classList.toggle("emphasis", on);
      for (const series of all(".series")) series.classList.toggle("on", on && series.dataset.series === button.dataset.series);
    });
  }

  // Gallery: a frame's pictures are unpacked when it comes near the screen.
  const unpack = (card) => {
    const text = atob(card.querySelector("script").textContent);
    const bytes = Uint8Array.from(text, (letter) => letter.charCodeAt(0));
    const address = URL.createObjectURL(new Blob([bytes], { type: "image/webp" }));
    for (const picture of all("img", card)) picture.src = address;
  };
  const cards = all(".card");
  const near = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (entry.isIntersecting) {
        near.unobserve(entry.target);
        unpack(entry.target);
      }
    }
  }, { rootMargin: "800px" });
  for (const card of cards) near.observe(card);

  const filters = document.getElementById("filters");
  if (!filters) return;
  const shown = document.getElementById("shown");
  const names = cards.map((card) => card.querySelector("h3").textContent.toLowerCase());
  const fits = (card, wanted) => {
    if (wanted.family && card.dataset.family !== wanted.family) return false;
    if (!wanted.outcome) return true;
    const own = wanted.method && (wanted.outcome === "flipped" || wanted.outcome === "stood");
    if (!own) return card.dataset.outcome === wanted.outcome;
    if (!["flipped", "stood"].includes(card.dataset.outcome)) return false;
    return card.dataset.flipped.split(" ").includes(wanted.method) === (wanted.outcome === "flipped");
  };
  const filter = () => {
    const wanted = Object.fromEntries(new FormData(filters));
    const part = wanted.name.toLowerCase();
    let count = 0;
    cards.forEach((card, place) => {
      card.hidden = !(fits(card, wanted) && names[place].includes(part));
      count += !card.hidden;
      for (const figure of all("figure[data-m]", card)) figure.hidden = wanted.method !== "" && figure.dataset.m !== wanted.method;
    });
    shown.textContent = `${count} of ${cards.length} frames`;
  };
  filters.addEventListener("input", filter);
  filters.addEventListener("submit", (event) => event.preventDefault());
  filter();
})();
