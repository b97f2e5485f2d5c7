"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const M = data.objectives.length;
const at = (id) => document.getElementById(id);
const dark = matchMedia("(prefers-color-scheme: dark)");
const state = { family: 0, w: Array(M).fill(1 / M), prompt: 0, found: null, across: 0, up: Math.min(1, M - 1), asked: 0 };
const family = () => data.families[state.family];

// ── numbers ────────────────────────────────────────────────────────────────────────────────
const minus = "\u2212";
const shown = (x, sign) => {
  if (x === null || !isFinite(x)) return "\u2013";
  const rounded = Number(x.toFixed(3)) + 0; // adding zero turns -0 into 0
  return ((sign && rounded >= 0 ? "+" : "") + rounded.toFixed(3)).replace("-", minus);
};
const percent = (x) => (100 * x).toFixed(0) + " %";
const asWeights = (w) => "(" + w.map((x) => String(Math.round(1000 * x) / 1000)).join(", ") + ")";
function meanAndError(values) {
  const n = values.length;
  const mean = values.reduce((sum, x) => sum + x, 0) / n;
  const square = values.reduce((sum, x) => sum + (x - mean) ** 2, 0);
  return [mean, n > 1 ? Math.sqrt(square / (n - 1) / n) : null];
}
// The numbers that solve a small linear system; null where it has no single solution.
function solve(rows, right) {
  const n = right.length;
  const a = rows.map((row, i) => [...row, right[i]]);
  for (let i = 0; i < n; i++) {
    let pivot = i;
    for (let j = i + 1; j < n; j++) if (Math.abs(a[j][i]) > Math.abs(a[pivot][i])) pivot = j;
    if (Math.abs(a[pivot][i]) < 1e-12) return null;
    [a[i], a[pivot]] = [a[pivot], a[i]];
    for (let j = 0; j < n; j++) {
      if (j === i) continue;
      const factor = a[j][i] / a[i][i];
      for (let k = i; k <= n; k++) a[j][k] -= factor * a[i][k];
    }
  }
  return a.map((row, i) => row[n] / row[i]);
}
// [[model, share], ...] that stand for w: a trained model, the corners of its cell, or, where nothing was
// trained around it, the nearest model.
function partsOf(w) {
  const trained = family().weights;
  const apart = trained.map((own) => own.reduce((sum, x, m) => sum + (x - w[m]) ** 2, 0));
  const nearest = apart.indexOf(Math.min(...apart));
  if (apart[nearest] < 1e-10) return [[nearest, 1]];
  let best = null, least = -1e-9;
  for (const cell of family().cells) {
    const matrix = [...Array(M).keys()].map((m) => cell.map((i) => trained[i][m]));
    const shares = solve(matrix, w);
    if (shares && Math.min(...shares) > least) { best = cell.map((i, k) => [i, shares[k]]); least = Math.min(...shares); }
  }
  return best ? best.filter(([, share]) => share > 1e-6) : [[nearest, 1]];
}

// ── drawing ────────────────────────────────────────────────────────────────────────────────
function make(tag, attributes = {}, text) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  if (text !== undefined) element.textContent = text;
  return element;
}
function draw(svg, tag, attributes, text) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  if (text !== undefined) element.textContent = text;
  svg.append(element);
  return element;
}
const hue = (model) => family().colours[dark.matches ? "dark" : "light"][model];
function clear(svg, title) {
  for (const child of [...svg.children]) if (child.tagName !== "title") child.remove();
  svg.querySelector("title").textContent = title;
}
// Axes of an SVG whose view is 440 x 320; returns functions from values to places.
function axes(svg, xs, ys) {
  const range = (values) => {
    const low = Math.min(...values), high = Math.max(...values), pad = (high - low || 1) * 0.08;
    return [low - pad, high + pad];
  };
  const [x0, x1] = range(xs), [y0, y1] = range(ys);
  const x = (v) => 72 + ((v - x0) / (x1 - x0)) * 356, y = (v) => 276 - ((v - y0) / (y1 - y0)) * 260;
  draw(svg, "line", { class: "axis", x1: 72, x2: 428, y1: 276, y2: 276 });
  draw(svg, "line", { class: "axis", x1: 72, x2: 72, y1: 16, y2: 276 });
  for (const share of [0, 0.5, 1]) {
    const v = x0 + share * (x1 - x0), u = y0 + share * (y1 - y0);
    draw(svg, "text", { x: x(v), y: 292, "text-anchor": share === 0 ? "start" : share === 1 ? "end" : "middle" }, shown(v));
    draw(svg, "text", { x: 66, y: y(u) + 4, "text-anchor": "end" }, shown(u));
  }
  draw(svg, "text", { x: 250, y: 312, "text-anchor": "middle" }, data.objectives[state.across] + " \u2192");
  draw(svg, "text", { x: 14, y: 146, "text-anchor": "middle", transform: "rotate(-90 14 146)" }, data.objectives[state.up] + " \u2192");
  return [x, y];
}
const meansOf = (model) => data.objectives.map((_, m) => meanAndError(model.rewards.map((row) => row[m])));

function drawFront(here) {
  const svg = at("front"), means = family().models.map(meansOf), base = meansOf(data.base);
  const points = [...means, base, here];
  clear(svg, "Mean rewards: trained models, the base, and what is expected where you are");
  const [x, y] = axes(svg, points.flatMap((p) => [p[state.across][0] - (p[state.across][1] || 0), p[state.across][0] + (p[state.across][1] || 0)]),
    points.flatMap((p) => [p[state.up][0] - (p[state.up][1] || 0), p[state.up][0] + (p[state.up][1] || 0)]));
  const cross = (p) => {
    const [mx, ex] = p[state.across], [my, ey] = p[state.up];
    if (ex) draw(svg, "line", { class: "error", x1: x(mx - ex), x2: x(mx + ex), y1: y(my), y2: y(my) });
    if (ey) draw(svg, "line", { class: "error", x1: x(mx), x2: x(mx), y1: y(my - ey), y2: y(my + ey) });
  };
  means.forEach((p, i) => {
    cross(p);
    const dot = draw(svg, "circle", { cx: x(p[state.across][0]), cy: y(p[state.up][0]), r: 6 });
    dot.style.fill = hue(i);
    draw(dot, "title", {}, family().labels[i]);
  });
  cross(base);
  const bx = x(base[state.across][0]), by = y(base[state.up][0]);
  draw(draw(svg, "path", { class: "base", d: `M${bx} ${by - 7}l7 7l-7 7l-7 -7z` }), "title", {}, "base");
  draw(svg, "text", { x: bx + 10, y: by + 4 }, "base");
  cross(here);
  draw(svg, "circle", { class: "here", cx: x(here[state.across][0]), cy: y(here[state.up][0]), r: 11 });
}
function drawRows(parts) {
  if (!data.pool.length) return;
  at("pool-section").hidden = false;
  const svg = at("rows"), chosen = parts.flatMap(([i]) => family().chosen[i] || []);
  clear(svg, "Scored answers, and those that trained " + parts.map(([i]) => family().labels[i]).join(" and "));
  const all = [...data.pool, ...chosen];
  const [x, y] = axes(svg, all.map((row) => row[state.across]), all.map((row) => row[state.up]));
  for (const row of data.pool) draw(svg, "circle", { class: "rest", cx: x(row[state.across]), cy: y(row[state.up]), r: 1.6 });
  for (const [i] of parts) for (const row of family().chosen[i] || []) {
    draw(svg, "circle", { cx: x(row[state.across]), cy: y(row[state.up]), r: 3.5 }).style.fill = hue(i);
  }
}

// ── what a reader moves ────────────────────────────────────────────────────────────────────
function moveTo(w) {
  const total = w.reduce((sum, x) => sum + x, 0);
  state.w = total > 0 ? w.map((x) => x / total) : Array(M).fill(1 / M);
  show();
}
const sliders = [];
function makeSliders() {
  const place = at("weights");
  data.objectives.forEach((name, m) => {
    if (M === 2 && m === 1) return; // one slider says both
    const label = M === 2 ? `weight of ${data.objectives[0]} (the rest is ${data.objectives[1]}'s)` : `weight of ${name}`;
    place.append(make("label", { for: "w" + m }, label));
    const slider = make("input", { type: "range", id: "w" + m, min: 0, max: 100, step: 1 });
    const output = make("output", { for: "w" + m });
    slider.addEventListener("input", () => {
      const value = slider.value / 100, others = state.w.reduce((sum, x, i) => sum + (i === m ? 0 : x), 0);
      moveTo(state.w.map((x, i) => (i === m ? value : others > 0 ? (x / others) * (1 - value) : (1 - value) / (M - 1))));
    });
    place.append(slider, output);
    sliders.push([slider, output, m]);
  });
}
function makePresets() {
  at("presets").replaceChildren(...family().labels.map((label, i) => {
    const button = make("button", { type: "button", "data-model": i }, label);
    button.addEventListener("click", () => moveTo(family().weights[i]));
    return button;
  }));
}
// Three objectives: a triangle to point into; its corners are the objectives alone.
const corners = [[110, 22], [14, 176], [206, 176]];
const inField = (w) => [0, 1].map((k) => w.reduce((sum, x, m) => sum + x * corners[m][k], 0));
let field = null;
function makeField() {
  if (M !== 3) return;
  field = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  for (const [name, value] of Object.entries({ viewBox: "0 0 220 200", class: "field", id: "field", role: "img", "aria-label": "Field of trade-offs; the sliders above say the same" })) field.setAttribute(name, value);
  at("field-place").append(field);
  const point = (event) => {
    const box = field.getBoundingClientRect();
    const p = [((event.clientX - box.left) / box.width) * 220, ((event.clientY - box.top) / box.height) * 200];
    const shares = solve([corners.map((c) => c[0]), corners.map((c) => c[1]), [1, 1, 1]], [...p, 1]);
    moveTo(shares.map((x) => Math.max(0, x)));
  };
  field.addEventListener("pointerdown", (event) => { field.setPointerCapture(event.pointerId); point(event); });
  field.addEventListener("pointermove", (event) => { if (field.hasPointerCapture(event.pointerId)) point(event); });
}
function drawField(parts) {
  if (!field) return;
  field.replaceChildren();
  for (const cell of family().cells) draw(field, "polygon", { class: "cell", points: cell.map((i) => inField(family().weights[i]).join(",")).join(" ") });
  family().weights.forEach((w, i) => {
    const [cx, cy] = inField(w);
    const dot = draw(field, "circle", { cx, cy, r: parts.some(([k]) => k === i) ? 6 : 4 });
    dot.style.fill = hue(i);
    draw(dot, "title", {}, family().labels[i]);
  });
  corners.forEach(([x, y], m) => draw(field, "text", { x, y: m ? y + 17 : y - 11, "text-anchor": m === 1 ? "start" : m === 2 ? "end" : "middle" }, data.objectives[m]));
  const [cx, cy] = inField(state.w);
  draw(field, "circle", { class: "here", cx, cy, r: 8 });
}
function makeChoices() {
  if (data.families.length > 1) {
    at("families").hidden = false;
    data.families.forEach((one, i) => at("family").append(make("option", { value: i }, one.name)));
    at("family").addEventListener("change", () => { state.family = Number(at("family").value); makePresets(); show(); });
  }
  if (M < 3) return;
  at("axes").hidden = false;
  for (const [id, key] of [["across", "across"], ["up", "up"]]) {
    data.objectives.forEach((name, m) => at(id).append(make("option", { value: m }, name)));
    at(id).value = state[key];
    at(id).addEventListener("change", () => { state[key] = Number(at(id).value); show(); });
  }
}

// ── what is shown ──────────────────────────────────────────────────────────────────────────
function expected(parts) {
  const rows = data.base.rewards.map((_, n) => data.objectives.map((_, m) => parts.reduce((sum, [i, share]) => sum + share * family().models[i].rewards[n][m], 0)));
  return data.objectives.map((_, m) => {
    const [mean, error] = meanAndError(rows.map((row) => row[m]));
    const gain = meanAndError(rows.map((row, n) => row[m] - data.base.rewards[n][m]));
    return { mean, error, gain };
  });
}
function showRewards(found) {
  const base = meansOf(data.base);
  const cell = ([mean, error], sign) => make("td", {}, shown(mean, sign) + (error === null ? "" : ` (${shown(error)})`));
  at("rewards").replaceChildren(...data.objectives.map((name, m) => {
    const row = make("tr");
    row.append(make("th", { scope: "row" }, name), cell([found[m].mean, found[m].error]), cell(base[m]), cell(found[m].gain, true));
    return row;
  }));
}
function matching() {
  const words = at("search").value.trim().toLowerCase();
  const all = [...data.prompts.keys()];
  return words ? all.filter((i) => data.prompts[i].toLowerCase().includes(words)) : all;
}
function showAnswers(parts) {
  const found = matching();
  for (const id of ["before", "next"]) at(id).disabled = found.length < 2;
  if (!found.length) {
    at("place").textContent = "no prompt has this text";
    at("prompt").textContent = "";
    at("cards").replaceChildren();
    return;
  }
  if (!found.includes(state.prompt)) state.prompt = found[0];
  const n = state.prompt;
  at("place").textContent = `${found.indexOf(n) + 1} of ${found.length}`;
  at("prompt").textContent = data.prompts[n];
  const cards = parts.map(([i, share]) => [family().models[i], (parts.length > 1 ? percent(share) + " of " : "") + family().labels[i], hue(i)]);
  at("cards").replaceChildren(...[...cards, [data.base, "base", ""]].map(([model, label, colour]) => {
    const card = make("article", { class: "card" });
    if (colour) card.style.borderTopColor = colour;
    card.append(make("h3", {}, label), make("p", { class: "answer", dir: "auto" }, model.answers[n]),
      make("p", { class: "note" }, data.objectives.map((name, m) => `${name} ${shown(model.rewards[n][m])}`).join(" \u00b7 ")));
    return card;
  }));
}
function step(by) {
  const found = matching();
  state.prompt = found[(found.indexOf(state.prompt) + by + found.length) % found.length];
  showAnswers(partsOf(state.w));
}
const named = (w) => data.objectives.map((name, m) => JSON.stringify(name) + ": " + String(Math.round(1000 * w[m]) / 1000)).join(", ");
// The weights that are shown: where nothing was trained around w, those of the nearest model.
const shownWeights = (parts) => (parts.length === 1 ? family().weights[parts[0][0]] : state.w);
const quoted = (text) => (/^[\w./-]+$/.test(text) ? text : "'" + text.replaceAll("'", "'\\''") + "'");
function showLines(w) {
  if (data.load === null) return;
  at("load-section").hidden = false;
  const words = w.map((x) => String(Math.round(1000 * x) / 1000)).join(" "), run = JSON.stringify(data.load);
  at("lines").textContent = `import paretohqd as pq\n\npolicy = pq.policy(${run}, {${named(w)}})\nprint(policy.generate("Hello!"))\n\n` +
    `# paretohqd chat ${quoted(data.load)} --weights ${words}\n# paretohqd export ${quoted(data.load)} --weights ${words} -o my-model`;
}
function show() {
  const parts = partsOf(state.w), found = expected(parts);
  for (const [slider, output, m] of sliders) { slider.value = Math.round(100 * state.w[m]); output.textContent = (state.w[m]).toFixed(2); }
  const exact = parts.length === 1, w = shownWeights(parts);
  const outside = exact && w.some((x, m) => Math.abs(x - state.w[m]) > 1e-4);
  for (const button of at("presets").children) {
    const own = Number(button.dataset.model);
    button.setAttribute("aria-pressed", String(exact && !outside && parts[0][0] === own));
  }
  at("said").textContent = `w = ${asWeights(state.w)}: ` + (outside ? `nothing was trained around it; shown is the nearest model, trained for ${family().labels[parts[0][0]]}`
    : exact ? `the model trained for ${family().labels[parts[0][0]]}`
    : "the sum of " + parts.map(([i, share]) => `${percent(share)} of ${family().labels[i]}`).join(" and ")) +
    "; expected " + data.objectives.map((name, m) => `${name} ${shown(found[m].mean)}`).join(", ");
  at("measured").textContent = `${data.base.rewards.length} held-out prompts. ` + (outside ? `Measured for ${family().labels[parts[0][0]]}, the nearest model.` : exact ? "Measured." : "Not measured: the mean of the trained neighbours, prompt by prompt.");
  showRewards(found);
  drawFront(found.map((one) => [one.mean, one.error]));
  drawField(parts);
  showAnswers(parts);
  drawRows(parts);
  showLines(shownWeights(parts));
}
async function ask(event) {
  event.preventDefault();
  const text = at("typed").value.trim(), mine = ++state.asked;
  if (!text) return;
  at("live").textContent = "\u2026";
  try {
    const reply = await fetch("/v1/chat/completions", { method: "POST", headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ model: "w:" + shownWeights(partsOf(state.w)).map((x) => x.toFixed(9)).join(","), messages: [{ role: "user", content: text }] }) });
    const said = await reply.json();
    if (mine === state.asked) at("live").textContent = reply.ok ? said.choices[0].message.content : said.error.message;
  } catch (error) {
    if (mine === state.asked) at("live").textContent = "no answer: " + error.message;
  }
}
makeSliders();
makeField();
makeChoices();
makePresets();
at("search").addEventListener("input", () => showAnswers(partsOf(state.w)));
at("before").addEventListener("click", () => step(-1));
at("next").addEventListener("click", () => step(1));
if (data.live) at("form").addEventListener("submit", ask);
dark.addEventListener("change", show);
show();
