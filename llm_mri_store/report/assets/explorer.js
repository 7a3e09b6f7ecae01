"use strict";

/**
 * The linked views: a layer, a label and a cell are chosen in any of them, and all show it.
 *
 * What is chosen stands in the address (#layer=5&label=x&cell=57), so that a view can be shared.
 *
 * @typedef {{layer: number, label: string|null, cell: number, isShare: boolean}} Chosen
 */

const TEXTS_AT_ONCE = 12;
const MOST_FILTERED = 2000;
const MOST_PRINTED_GRID = 12;
const MOST_SVG_POINTS = 3000;

/**
 * Counts by layer and cell, from the columns of the page's data.
 * @returns {Map<number, {total: Float64Array, byLabel: Map<string, Float64Array>}>}
 */
function countCells(data) {
  const size = data.grid * data.grid;
  const counts = new Map();
  for (const layer of data.layers) {
    const byLabel = new Map(data.labels.map((label) => [label, new Float64Array(size)]));
    counts.set(layer, { total: new Float64Array(size), byLabel });
  }
  data.cells.n.forEach((n, row) => {
    const ofLayer = counts.get(data.cells.layer[row]);
    const cell = data.cells.cell[row];
    ofLayer.total[cell] += n;
    ofLayer.byLabel.get(data.labels[data.cells.label[row]])[cell] += n;
  });
  return counts;
}

/** A number as the map prints it, at most five characters. */
function printedNumber(n, share, isShare) {
  if (n === 0) return "";
  if (isShare) {
    const percent = 100 * share;
    if (percent < 0.05) return "<0.1%";
    return percent < 9.95 ? `${percent.toFixed(1)}%` : `${percent.toFixed(0)}%`;
  }
  if (n < 10000) return String(n);
  return n < 1e6 ? `${(n / 1000).toFixed(0)}k` : `${(n / 1e6).toFixed(0)}M`;
}

/**
 * Starts the explorer.
 * @param {object} data the page's data.
 * @param {Object<string, object>} specifications the charts by name: map, strip, scatter, shares.
 * @param {(element: HTMLElement, specification: object, fill: (view: object) => Promise<void>,
 *          options?: object) => void} register draws a chart now and whenever the ground changes.
 * @returns {{chosen: Chosen, views: Object<string, object>, ready: () => Promise<void>}} for tests.
 */
function startExplorer(data, specifications, register) {
  const at = (name) => document.getElementById(`explorer-${name}`);
  const source = makeSource(data);
  const counts = countCells(data);
  const totals = new Map(data.labels.map((label, place) => [label, data.totals[place]]));
  const grid = data.grid;
  const views = {};
  /** @type {Chosen} */
  const chosen = { layer: 0, label: null, cell: 0, isShare: false };
  let shown = TEXTS_AT_ONCE;
  let work = Promise.resolve();
  let asked = 0;

  const number = (n) => n.toLocaleString("en-US");
  const labelWords = (label) => label ?? "all labels";
  const totalOf = (label) => (label === null ? data.n_texts : totals.get(label));
  const countsOf = (layer, label) =>
    label === null ? counts.get(layer).total : counts.get(layer).byLabel.get(label);
  const placeWords = (cell) => `${Math.floor(cell / grid)}, ${cell % grid}`;

  function fullestCell(layer, label) {
    const ofLayer = countsOf(layer, label);
    return ofLayer.reduce((best, n, cell) => (n > ofLayer[best] ? cell : best), 0);
  }

  /** The largest number of any layer that varies: the end of the scale that all maps share. */
  function largestCount(label) {
    const varying = data.layers.filter((layer) => !data.degenerate.includes(layer));
    const layers = varying.length ? varying : data.layers;
    return Math.max(1, ...layers.map((layer) => Math.max(...countsOf(layer, label))));
  }

  function cellRows(layers) {
    const total = Math.max(totalOf(chosen.label), 1);
    return layers.flatMap((layer) => Array.from(countsOf(layer, chosen.label), (n, cell) => {
      const share = n / total;
      return {
        layer, cell, cell_x: Math.floor(cell / grid), cell_y: cell % grid, place: placeWords(cell), n, share,
        value: chosen.isShare ? share : n,
        printed: grid <= MOST_PRINTED_GRID ? printedNumber(n, share, chosen.isShare) : "",
      };
    }));
  }

  function fillCells(view, layers) {
    const largest = largestCount(chosen.label);
    return view
      .signal("layer", chosen.layer)
      .signal("chosen_cell", chosen.cell)
      .signal("is_share", chosen.isShare)
      .signal("largest", chosen.isShare ? largest / Math.max(totalOf(chosen.label), 1) : largest)
      .data("cells", cellRows(layers))
      .resize()
      .runAsync();
  }

  const fill = {
    map: (view) => fillCells(view, [chosen.layer]),
    async strip(view) {
      await fillCells(view, data.layers);
      const box = at("strip").parentElement;
      const middle = (data.layers.indexOf(chosen.layer) + 0.5) / data.layers.length;
      box.scrollLeft = middle * box.scrollWidth - box.clientWidth / 2;
    },
    async scatter(view) {
      const layer = chosen.layer;
      const points = await source.points(layer);
      if (layer !== chosen.layer) return;
      const rows = points.x.map((x, place) => ({
        x, y: points.y[place], cell: points.cell[place], label: points.label[place],
        text: shortText(points.text?.[place] ?? `sample ${points.id[place]}`),
      }));
      await view
        .signal("chosen_cell", chosen.cell)
        .signal("label", chosen.label ?? "")
        .signal("point_size", Math.max(8, Math.min(34, 20 * Math.sqrt(1000 / Math.max(rows.length, 1)))))
        .data("points", rows)
        .resize()
        .runAsync();
      at("scatter-title").textContent =
        `Layer ${layer}: the points of ${rows.length < data.n_texts ? `${number(rows.length)} of ` : "all "}`
        + `${number(data.n_texts)} texts, by label`;
    },
    shares(view) {
      const ofLayer = counts.get(chosen.layer);
      const total = ofLayer.total[chosen.cell];
      const rows = data.labels.map((label) => {
        const n = ofLayer.byLabel.get(label)[chosen.cell];
        return { label, n, share: total ? n / total : 0, expected: totals.get(label) / Math.max(data.n_texts, 1) };
      });
      rows.sort((one, other) => other.n - one.n || one.label.localeCompare(other.label));
      return view.signal("label", chosen.label ?? "").data("shares", rows.slice(0, 12)).resize().runAsync();
    },
  };

  function shortText(text) {
    const line = text.replace(/\s+/g, " ");
    return line.length > 140 ? `${line.slice(0, 139)}…` : line;
  }

  function writeTitles() {
    const n = totalOf(chosen.label);
    const who = chosen.label === null ? "all labels" : `label “${chosen.label}”`;
    const what = chosen.isShare ? "share of samples per cell" : "samples per cell";
    const flat = data.degenerate.includes(chosen.layer)
      ? " Degenerate: activations do not vary between texts, so all lie in one cell." : "";
    at("strip-title").textContent =
      `Every layer, ${who}: ${what} (n = ${number(n)}), on one scale of colours. Choose a cell in any layer.`;
    at("map-title").textContent = `Layer ${chosen.layer}, ${who}: ${what} (n = ${number(n)}).${flat}`;
    at("layer-name").textContent = String(chosen.layer);
    at("layer").setAttribute("aria-valuetext", `layer ${chosen.layer}`);
    const inCell = countsOf(chosen.layer, chosen.label)[chosen.cell];
    const of = chosen.label === null ? "" : ` of ${labelWords(chosen.label)}`;
    const words = `Layer ${chosen.layer}, cell ${placeWords(chosen.cell)}: ${number(inCell)} of ${number(n)} samples${of}`;
    at("cell-title").textContent = words;
    at("said").textContent = words;
  }

  function writeControls() {
    at("label").value = chosen.label === null ? "" : `=${chosen.label}`;
    at("layer").value = String(data.layers.indexOf(chosen.layer));
    at(chosen.isShare ? "by-share" : "by-n").checked = true;
  }

  function writeAddress() {
    const parts = new URLSearchParams({ layer: chosen.layer });
    if (chosen.label !== null) parts.set("label", chosen.label);
    parts.set("cell", chosen.cell);
    if (chosen.isShare) parts.set("by", "share");
    history.replaceState(null, "", `#${parts}`);
  }

  /** What an address asks for; nothing where it is that of a section. */
  function readAddress() {
    const parts = new URLSearchParams(location.hash.slice(1));
    if (!parts.has("layer")) return false;
    const layer = Number(parts.get("layer"));
    if (!counts.has(layer)) return false;
    const label = parts.get("label");
    const cell = Number(parts.get("cell") ?? Number.NaN);
    chosen.layer = layer;
    chosen.label = label !== null && totals.has(label) ? label : null;
    chosen.isShare = parts.get("by") === "share";
    chosen.cell = Number.isInteger(cell) && cell >= 0 && cell < grid * grid
      ? cell : fullestCell(chosen.layer, chosen.label);
    return true;
  }

  async function writeTexts() {
    const mine = (asked += 1);
    const list = at("texts");
    const words = at("filter").value.trim().toLowerCase();
    const limit = words ? MOST_FILTERED : shown;
    list.setAttribute("aria-busy", "true");
    try {
      const found = await source.texts(chosen.layer, chosen.cell, chosen.label, 0, limit);
      if (mine !== asked) return;
      const rows = words ? found.rows.filter((row) => row.text.toLowerCase().includes(words)) : found.rows;
      const listed = rows.slice(0, shown);
      list.replaceChildren(...listed.map(textItem));
      if (!listed.length) list.append(noText(words));
      const among = words ? rows.length : found.n;
      const kept = found.n_shown < found.n ? `; ${number(found.n_shown)} of them are in this page` : "";
      at("count").textContent = words
        ? `${number(listed.length)} of ${number(among)} that match, among ${number(Math.min(found.n_shown, MOST_FILTERED))}`
        : `${number(listed.length)} of ${number(among)}${kept}`;
      at("more").hidden = listed.length >= (words ? rows.length : found.n_shown);
    } catch (error) {
      if (mine !== asked) return;
      list.replaceChildren();
      at("count").textContent = `cannot be listed: ${error.message}`;
      at("more").hidden = true;
    } finally {
      if (mine === asked) list.removeAttribute("aria-busy");
    }
  }

  function noText(words) {
    const item = document.createElement("li");
    item.className = "none";
    item.textContent = words ? "No text here holds that." : `No text of ${labelWords(chosen.label)} lies here.`;
    return item;
  }

  function textItem(row) {
    const item = document.createElement("li");
    const head = document.createElement("span");
    head.className = "who";
    head.textContent = `${row.label ?? "no label"} · ${row.id}`;
    if (row.label !== null) head.style.setProperty("--dot", `var(--category-${data.labels.indexOf(row.label) % 10})`);
    const text = document.createElement("p");
    text.textContent = row.text;
    item.append(head, text);
    return item;
  }

  async function writeTerms() {
    const { layer, cell } = chosen;
    let terms = [];
    try {
      terms = await source.terms(layer, cell);
    } catch {
      terms = [];
    }
    if (layer !== chosen.layer || cell !== chosen.cell) return;
    const items = (terms.length ? terms : ["none"]).map((term) => {
      const item = document.createElement("li");
      item.textContent = term;
      item.className = terms.length ? "" : "none";
      return item;
    });
    at("terms").replaceChildren(...items);
  }

  /** Work that must be done before the page is still again. */
  function wait(...parts) {
    work = Promise.allSettled([work, ...parts]).then(() => undefined);
    return work;
  }

  /** Shows what is chosen everywhere, one change after the other. */
  function refresh({ address = true } = {}) {
    if (address) writeAddress();
    writeTitles();
    writeControls();
    const drawn = Object.entries(views).map(([name, view]) => fill[name](view));
    return wait(...drawn, writeTexts(), writeTerms());
  }

  function choose(change) {
    const before = { ...chosen };
    Object.assign(chosen, change);
    const isElsewhere = chosen.layer !== before.layer || chosen.label !== before.label;
    if (isElsewhere && change.cell === undefined) {
      const holds = chosen.layer === before.layer && countsOf(chosen.layer, chosen.label)[chosen.cell] > 0;
      if (!holds) chosen.cell = fullestCell(chosen.layer, chosen.label);
    }
    shown = TEXTS_AT_ONCE;
    return refresh();
  }

  function moveByKey(event) {
    const steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
    if (event.key === "Home") {
      event.preventDefault();
      choose({ cell: fullestCell(chosen.layer, chosen.label) });
    } else if (event.key in steps) {
      event.preventDefault();
      const within = (value) => Math.min(grid - 1, Math.max(0, value));
      const [right, up] = steps[event.key];
      const x = within(Math.floor(chosen.cell / grid) + right);
      const y = within((chosen.cell % grid) + up);
      choose({ cell: x * grid + y });
    }
  }

  function onClick(view, take) {
    view.addEventListener("click", (_, item) => {
      if (item?.datum?.cell !== undefined) choose(take(item.datum));
    });
  }

  function buildControls() {
    const choices = [["", "all labels"], ...data.labels.map((label) => [`=${label}`, label])];
    at("label").append(...choices.map(([value, words]) => {
      const option = document.createElement("option");
      option.value = value;
      option.textContent = words;
      return option;
    }));
    at("layer").max = String(data.layers.length - 1);
    at("label").addEventListener("change", (event) => {
      choose({ label: event.target.value === "" ? null : event.target.value.slice(1) });
    });
    at("layer").addEventListener("input", (event) => choose({ layer: data.layers[Number(event.target.value)] }));
    for (const name of ["by-n", "by-share"]) {
      at(name).addEventListener("change", () => choose({ isShare: at("by-share").checked, cell: chosen.cell }));
    }
    at("filter").addEventListener("input", () => {
      shown = TEXTS_AT_ONCE;
      wait(writeTexts());
    });
    at("more").addEventListener("click", () => {
      shown += 4 * TEXTS_AT_ONCE;
      wait(writeTexts());
    });
    at("map").addEventListener("keydown", moveByKey);
    window.addEventListener("hashchange", () => {
      if (!readAddress()) return;
      shown = TEXTS_AT_ONCE;
      refresh({ address: false });
      document.getElementById("explorer").scrollIntoView();
    });
  }

  const varying = data.layers.filter((layer) => !data.degenerate.includes(layer));
  chosen.layer = (varying.length ? varying : data.layers).at(-1);
  chosen.cell = fullestCell(chosen.layer, null);
  const isShared = readAddress();
  buildControls();
  if (isShared) document.getElementById("explorer").scrollIntoView();

  const manyPoints = data.mode === "live" || data.texts.id.length > MOST_SVG_POINTS;
  const manyCells = data.layers.length * grid * grid > 2 * MOST_SVG_POINTS;
  const wanted = {
    map: [{}, (datum) => ({ cell: datum.cell })],
    strip: [{ renderer: manyCells ? "canvas" : "svg", least: 0.55 }, (datum) => ({ layer: datum.layer, cell: datum.cell })],
    scatter: [{ renderer: manyPoints ? "canvas" : "svg" }, (datum) => ({ cell: datum.cell })],
    shares: [{}, null],
  };
  for (const [name, [options, take]] of Object.entries(wanted)) {
    register(at(name), specifications[name], async (view) => {
      views[name] = view;
      if (take) onClick(view, take);
      await fill[name](view);
    }, { ...options, isPlain: true });
  }
  refresh({ address: isShared });
  return { chosen, views, ready: () => work };
}
