"use strict";

/**
 * The page: charts drawn when they come into view, light and dark ground, the contents, tables and copying.
 *
 * @typedef {{element: HTMLElement, specification: object, options: object, view: object|null,
 *            fill: (view: object) => Promise<void>, drawing: Promise<void>|null}} Drawing
 */

/** Vega's level of talk: it has no data yet when it is first drawn, and warns of that. */
const ERRORS = 1;

const readJson = (id) => JSON.parse(document.getElementById(id).textContent);

/**
 * A specification with its rows as Vega-Lite reads them; in the page they stand column by column.
 * @param {*} part a specification or a part of one.
 */
function unfolded(part) {
  if (Array.isArray(part)) return part.map(unfolded);
  if (part === null || typeof part !== "object") return part;
  if (part.$columns) return unfoldedRows(part);
  return Object.fromEntries(Object.entries(part).map(([name, value]) => [name, unfolded(value)]));
}

/** Rows of columns; a column of few words is the words and their places; `{}` is a value that is not there. */
function unfoldedRows({ $columns: columns, $n: n }) {
  const rows = Array.from({ length: n }, () => ({}));
  for (const [name, column] of Object.entries(columns)) {
    const values = Array.isArray(column) ? column : column.at.map((place) => column.of[place]);
    values.forEach((value, place) => {
      if (value === null || typeof value !== "object" || Array.isArray(value)) rows[place][name] = value;
    });
  }
  return rows;
}

const charts = (() => {
  const grounds = readJson("grounds");
  const prefersDark = window.matchMedia("(prefers-color-scheme: dark)");
  const button = document.getElementById("ground");
  /** @type {Drawing[]} */
  const drawings = [];
  let chosenGround = null;
  let isPrinting = false;

  const ground = () => (isPrinting ? "light" : chosenGround ?? (prefersDark.matches ? "dark" : "light"));

  /** Draws a chart, or draws it again on another ground. */
  function draw(drawing) {
    const { element, specification, options, fill } = drawing;
    const name = ground();
    const config = options.isPlain ? { ...grounds[name], padding: 2 } : grounds[name];
    const actions = options.isPlain
      ? false : { export: true, source: false, compiled: false, editor: false };
    drawing.drawing = (async () => {
      const result = await vegaEmbed(element, { ...fitted(drawing, specification), config }, {
        mode: "vega-lite", renderer: options.renderer ?? "svg", actions, tooltip: { theme: name }, logLevel: ERRORS,
      });
      drawing.view?.finalize();
      drawing.view = result.view;
      await fill(result.view);
      setLeastWidth(element, options);
      element.classList.add("drawn");
    })();
    drawing.drawing.catch((error) => {
      element.textContent = `This chart cannot be drawn: ${error.message}`;
    });
    return drawing.drawing;
  }

  /** A chart of the explorer, as large as its place allows. */
  function fitted({ element, options }, specification) {
    const room = element.clientWidth;
    if (!options.isPlain || typeof specification.width !== "number" || !room) return specification;
    const width = Math.max(150, Math.min(specification.width, room - (options.margin ?? 56)));
    const isSquare = specification.width === specification.height;
    return { ...specification, width, ...(isSquare ? { height: width } : {}) };
  }

  /** A drawing shrinks a little to fit; below that it is moved within its own box. */
  function setLeastWidth(element, { least, isPlain }) {
    const drawn = element.querySelector("svg.marks");
    if (!drawn || (isPlain && !least)) return;
    drawn.style.minWidth = `${Math.round((least ?? 0.8) * Number(drawn.getAttribute("width")))}px`;
  }

  function register(element, specification, fill = async () => {}, options = {}) {
    const drawing = { element, specification, fill, options, view: null, drawing: null };
    drawings.push(drawing);
    whenNear.observe(element);
  }

  const whenNear = new IntersectionObserver((entries) => {
    for (const entry of entries.filter((one) => one.isIntersecting)) {
      whenNear.unobserve(entry.target);
      const drawing = drawings.find((one) => one.element === entry.target);
      if (!drawing.drawing) draw(drawing);
    }
  }, { rootMargin: "500px" });

  /** Draws what nobody has looked at yet, so that it can be found and printed. */
  function drawRest() {
    const next = drawings.find((drawing) => !drawing.drawing);
    if (next) draw(next).finally(() => setTimeout(drawRest, 30));
  }

  function drawAll() {
    return Promise.allSettled(drawings.map((drawing) => drawing.drawing ?? draw(drawing)));
  }

  function changeGround() {
    if (chosenGround) document.documentElement.dataset.ground = chosenGround;
    button.setAttribute("aria-pressed", String(ground() === "dark"));
    button.textContent = ground() === "dark" ? "Light" : "Dark";
    button.setAttribute("aria-label", `Switch to ${ground() === "dark" ? "light" : "dark"} ground`);
    return Promise.allSettled(drawings.filter((one) => one.drawing).map(draw));
  }

  function print(begins) {
    const wasDark = ground() === "dark";
    isPrinting = begins;
    if (wasDark !== (ground() === "dark")) changeGround();
    if (begins) drawAll();
  }

  button.addEventListener("click", () => {
    chosenGround = ground() === "dark" ? "light" : "dark";
    changeGround();
  });
  prefersDark.addEventListener("change", changeGround);
  window.addEventListener("beforeprint", () => print(true));
  window.addEventListener("afterprint", () => print(false));
  window.addEventListener("load", () => setTimeout(drawRest, 1200));
  changeGround();
  return { register, drawAll, drawings };
})();

/** Charts of the sections: the specification stands beside its place. */
for (const place of document.querySelectorAll(".chart")) {
  const specification = place.parentElement.querySelector("script.specification");
  charts.register(place, unfolded(JSON.parse(specification.textContent)));
}

/** The section that is being read, in the contents. */
function followContents() {
  const links = new Map([...document.querySelectorAll(".bar a")].map((link) => [link.hash.slice(1), link]));
  const seen = new Set();
  const observer = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) seen[isIntersecting ? "add" : "delete"](target.id);
    const current = [...links.keys()].find((id) => seen.has(id));
    for (const [id, link] of links) {
      if (id === current) link.setAttribute("aria-current", "true");
      else link.removeAttribute("aria-current");
    }
  }, { rootMargin: "-15% 0px -70% 0px" });
  for (const id of links.keys()) observer.observe(document.getElementById(id));
}

/** Buttons that show the rest of a table. */
function openTables() {
  for (const button of document.querySelectorAll("button[data-rest]")) {
    button.addEventListener("click", () => {
      document.getElementById(button.dataset.rest).hidden = false;
      button.remove();
    });
  }
}

/** Buttons that copy the words beside them. */
function copyWords() {
  for (const button of document.querySelectorAll("button[data-copy]")) {
    button.addEventListener("click", async () => {
      const words = document.getElementById(button.dataset.copy);
      try {
        await navigator.clipboard.writeText(words.textContent);
        button.textContent = "Copied";
      } catch {
        window.getSelection().selectAllChildren(words);
        button.textContent = document.execCommand("copy") ? "Copied" : "Selected: press Ctrl+C";
      }
      setTimeout(() => { button.textContent = "Copy"; }, 2500);
    });
  }
}

followContents();
openTables();
copyWords();
const explorer = document.getElementById("explorer-data")
  ? startExplorer(readJson("explorer-data"), readJson("explorer-charts"), charts.register)
  : null;
