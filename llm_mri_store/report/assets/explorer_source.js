"use strict";

/**
 * Where the explorer gets texts, words and points: from the page itself, or from the server that keeps it live.
 *
 * @typedef {{id: number, label: string|null, text: string}} TextRow
 * @typedef {{n: number, n_shown: number, rows: TextRow[]}} TextList
 *   n: the texts of the store; n_shown: those of them that can be listed.
 * @typedef {{x: number[], y: number[], cell: number[], label: (string|null)[], id: number[], text?: string[]}} Points
 * @typedef {{
 *   texts: (layer: number, cell: number, label: string|null, offset: number, limit: number) => Promise<TextList>,
 *   terms: (layer: number, cell: number) => Promise<string[]>,
 *   points: (layer: number) => Promise<Points>,
 * }} Source
 */

/**
 * The source that fits a page's data.
 * @param {object} data what stands in the page.
 * @returns {Source}
 */
function makeSource(data) {
  return data.mode === "live" ? liveSource() : staticSource(data);
}

/**
 * Answers from the page's own data.
 * @returns {Source}
 */
function staticSource(data) {
  const labels = data.texts.label.map((place) => (place < 0 ? null : data.labels[place]));
  const counts = new Map();
  for (let row = 0; row < data.cells.n.length; row += 1) {
    const label = data.labels[data.cells.label[row]] ?? null;
    for (const key of [`${data.cells.layer[row]} ${data.cells.cell[row]}`,
                       `${data.cells.layer[row]} ${data.cells.cell[row]} ${label}`]) {
      counts.set(key, (counts.get(key) ?? 0) + data.cells.n[row]);
    }
  }
  return {
    async texts(layer, cell, label, offset, limit) {
      const cells = data.points[layer]?.cell ?? [];
      const places = [];
      for (let place = 0; place < cells.length; place += 1) {
        if (cells[place] === cell && (label === null || labels[place] === label)) places.push(place);
      }
      const rows = places.slice(offset, offset + limit).map(
        (place) => ({ id: data.texts.id[place], label: labels[place], text: data.texts.text[place] }),
      );
      const key = label === null ? `${layer} ${cell}` : `${layer} ${cell} ${label}`;
      return { n: counts.get(key) ?? 0, n_shown: places.length, rows };
    },
    async terms(layer, cell) {
      return data.terms[layer]?.[cell] ?? [];
    },
    async points(layer) {
      const points = data.points[layer] ?? { x: [], y: [], cell: [] };
      return { ...points, label: labels, id: data.texts.id, text: data.texts.text };
    },
  };
}

/** Most texts that a server gives at once. */
const TEXTS_A_REQUEST = 200;

/**
 * Asks the server, by addresses below the page's own.
 * @returns {Source}
 */
function liveSource() {
  const ask = async (name, parameters) => {
    const given = Object.entries(parameters).filter(([, value]) => value !== null);
    const answer = await fetch(`api/${name}?${new URLSearchParams(given)}`);
    if (!answer.ok) {
      const told = await answer.json().catch(() => ({}));
      throw new Error(told.error ?? `the server answered ${answer.status}`);
    }
    return answer.json();
  };
  return {
    async texts(layer, cell, label, offset, limit) {
      const found = { n: 0, n_shown: 0, rows: [] };
      do {
        const part = await ask("texts", {
          layer, cell, label, offset: offset + found.rows.length,
          limit: Math.min(limit - found.rows.length, TEXTS_A_REQUEST),
        });
        Object.assign(found, { n: part.n, n_shown: part.n_shown });
        found.rows.push(...part.rows);
        if (!part.rows.length) break;
      } while (found.rows.length < Math.min(limit, found.n_shown - offset));
      return found;
    },
    terms: (layer, cell) => ask("terms", { layer, cell }),
    points: (layer) => ask("points", { layer }),
  };
}
