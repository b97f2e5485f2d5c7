"use strict";
// Vega's own reader of CSV makes a function from text, which the page's policy forbids. Ours are numbers.
function rows(text) {
  const [names, ...lines] = text.trim().split("\n").map((line) => line.split(","));
  return lines.map((line) => Object.fromEntries(names.map((name, i) => [name, line[i] === "" ? null : Number(line[i])])));
}
function read(key, value) {
  if (value?.format?.type === "csv") return { name: value.name };
  if (key !== "datasets") return value;
  return Object.fromEntries(Object.entries(value).map(([name, data]) => [name, typeof data === "string" ? rows(data) : data]));
}
const views = [];
const options = {
  actions: false,
  renderer: "svg",
  ast: true, // expressions are interpreted, not made into functions
  defaultStyle: false,
  tooltip: { disableDefaultStyle: true },
};
for (const host of document.querySelectorAll(".chart")) {
  vegaEmbed(host, JSON.parse(host.nextElementSibling.textContent, read), options)
    .then((result) => views.push(result.view))
    .catch((error) => { host.textContent = "This chart could not be drawn: " + error.message; console.error(error); });
}
const chips = [...document.querySelectorAll("[data-pick]")];
for (const chip of chips) {
  chip.addEventListener("click", () => {
    for (const other of chips) other.setAttribute("aria-pressed", String(other.dataset.pick === chip.dataset.pick));
    for (const view of views) view.signal("pick", Number(chip.dataset.pick)).runAsync();
  });
}
