// The map: each module as an area as large as what it holds, the largest ones opened first.
"use strict";
const AREAS = 400; // more of them are too small to be seen
const PALETTE = ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#b8a800"];
const GREY = "#9aa0a6"; // of what has nothing that is asked for
const STATUS_COLORS = {
  trainable: "#0072b2", frozen: "#8fb8d0", buffer: "#009e73", attribute: "#cc79a7", hidden: "#d55e00", unknown: "#e69f00",
  empty: "#7f7f7f", mixed: "#7f7f7f",
};
const SCALE = ["#fde725", "#5ec962", "#21918c", "#3b528b", "#440154"];

const SIZES = { elements: "elements", bytes: "bytes" };
const COLORS = { status: "status", dtype: "dtype" };
if (slots.device.values.length > 1) COLORS.device = "device";
if (data.stepped) COLORS.groups = "optimizer group";
if (slots.reached) COLORS.reached = "reached by the loss";
if (slots.grad && data.kind !== "graph") COLORS.norm = "gradient norm";
if (data.kind === "step") COLORS.update = "update / weight";
if (modules.flops) {
  COLORS.flops = "FLOPs";
  COLORS.kept = "kept for backward";
  SIZES.flops = "FLOPs";
  SIZES.kept = "kept for backward";
}
if (slots.cost) {
  SIZES.cost = "bytes of training";
  COLORS.cost = "bytes of training";
}
if (slots.change) COLORS.change = "change";
const FIGURES = new Set(["norm", "update", "cost", "flops", "kept"]);
const OF_MODULES = new Set(["flops", "kept"]);
const SHORT = { elements: short, bytes, flops, kept: bytes, cost: bytes };
const UNITS = { elements: count, bytes, flops, kept: bytes, cost: bytes };

// What each slot weighs, each tensor once; and each module with all that is in it.
const weights = new Map();
function weightsOf(size) {
  if (weights.has(size)) return weights.get(size);
  const of = { slot: new Float64Array(SLOTS), module: new Float64Array(MODULES) };
  if (OF_MODULES.has(size)) {
    for (let module = MODULES - 1; module >= 0; module -= 1) {
      const inside = CHILDREN[module].reduce((sum, each) => sum + of.module[each], 0);
      // A list of modules is not called itself; a module that has two paths ran once.
      of.module[module] = modules.calls[module] ? modules.first[module] * modules[size].at(module) : inside;
    }
  } else {
    for (let slot = 0; slot < SLOTS; slot += 1) {
      of.slot[slot] = slots.first[slot] ? (slots[size].at(slot) ?? 0) : 0;
      of.module[slots.module[slot]] += of.slot[slot];
    }
    addUp(of.module, 1);
  }
  weights.set(size, of);
  return of;
}

// Adds to each module what is in those below it. width: figures of each.
function addUp(of, width) {
  for (let module = MODULES - 1; module >= 0; module -= 1) {
    const parent = parentOf(module);
    if (parent >= 0) for (let at = 0; at < width; at += 1) of[parent * width + at] += of[module * width + at];
  }
}

// Of each module how much of it is of each category.
const shares = new Map();
function sharesOf(size, color) {
  const key = `${size} ${color}`;
  if (shares.has(key)) return shares.get(key);
  const { slot: weight } = weightsOf(size);
  const kinds = slots[color].values.length;
  const of = new Float64Array(MODULES * kinds);
  for (let slot = 0; slot < SLOTS; slot += 1) of[slots.module[slot] * kinds + slots[color].codes[slot]] += weight[slot];
  addUp(of, kinds);
  shares.set(key, of);
  return of;
}

function figureOf(color, slot) {
  if (OF_MODULES.has(color)) return weightsOf(color).module[slots.module[slot]];
  return color === "cost" ? slots.cost.at(slot) : slots[color][slot];
}

// The figure of an area that is not opened, the largest of what it holds.
function figureIn(area, color) {
  if (area.slot !== undefined) return figureOf(color, area.slot);
  if (OF_MODULES.has(color)) return weightsOf(color).module[area.module];
  let most = 0;
  for (const slot of slotsBelow(area.module)) most = Math.max(most, figureOf(color, slot) || 0);
  return most;
}

// The ends of the scale of what is drawn, as logarithms.
let ends = [0, 0];
function endsIn(tree, color) {
  let [low, high] = [Infinity, -Infinity];
  const go = (area) => {
    if (area.children) return area.children.forEach(go);
    const figure = figureIn(area, color);
    if (figure > 0 && figure < Infinity) [low, high] = [Math.min(low, Math.log10(figure)), Math.max(high, Math.log10(figure))];
  };
  go(tree);
  return low <= high ? [low, high] : [0, 0];
}

function scaleColor(figure) {
  if (!(figure > 0)) return GREY;
  const [low, high] = ends;
  if (figure === Infinity) return SCALE.at(-1);
  const at = high > low ? ((Math.min(Math.log10(figure), high) - low) / (high - low)) * (SCALE.length - 1) : 0;
  return echarts.color.lerp(at / (SCALE.length - 1), SCALE);
}

function categoryColor(color, value) {
  if (color === "status") return STATUS_COLORS[value] ?? GREY;
  if (color === "reached") return { yes: "#0072b2", no: "#d55e00" }[value] ?? GREY;
  if (value === "" || value === "unchanged") return GREY;
  if (color === "groups" && value === NOT_STEPPED) return "#d55e00";
  const at = slots[color].values.filter(Boolean).indexOf(value);
  // Beyond those that everybody tells apart, ever other ones.
  return PALETTE[at] ?? echarts.color.stringify([...echarts.color.parse(`hsl(${(at * 137.5) % 360},55%,${35 + (at % 3) * 15}%)`)], "rgb");
}

const NOTHING = { groups: "in no group", reached: "no gradient", dtype: "none", device: "none", status: "none" };
const categoryName = (color, value) => value.replaceAll(BETWEEN, ", ") || NOTHING[color];

// The areas below a module, largest first, until there are AREAS: what is not opened is split by colour.
function areasOf(root, size, color) {
  const weight = weightsOf(size);
  const tree = { module: root, value: root < 0 ? ROOTS.reduce((sum, each) => sum + weight.module[each], 0) : weight.module[root] };
  let open = [tree];
  let areas = 1;
  while (open.length && areas < AREAS) {
    const most = open.reduce((found, each) => Math.max(found, each.value), 0);
    const alike = open.filter((each) => each.value === most); // all of them, or none
    open = open.filter((each) => each.value !== most);
    const inside = alike.map((area) => {
      const isWhole = area !== tree && !CHILDREN[area.module].length; // a layer and its weight are one area
      return isWhole ? [] : insideOf(area.module, weight, size);
    });
    const more = inside.reduce((sum, each) => sum + each.length, 0);
    if (areas + more > 2 * AREAS) continue;
    alike.forEach((area, at) => {
      if (!inside[at].length) return;
      area.children = inside[at];
      open.push(...inside[at].filter((each) => each.module !== undefined));
    });
    areas += more;
  }
  if (FIGURES.has(color)) ends = endsIn(tree, color);
  paint(tree, size, color);
  return tree;
}

function insideOf(module, weight, size) {
  const found = (module < 0 ? ROOTS : CHILDREN[module]).map((each) => ({ module: each, value: weight.module[each] }));
  if (!OF_MODULES.has(size) && module >= 0) found.push(...OWN[module].map((slot) => ({ slot, value: weight.slot[slot] })));
  return found.filter((each) => each.value > 0).sort((one, other) => other.value - one.value);
}

// A module in which all lies in one other is passed through.
function throughOf(root, size) {
  for (let at = root; ; ) {
    const inside = insideOf(at, weightsOf(size), size);
    if (inside.length !== 1 || inside[0].module === undefined) return at;
    at = inside[0].module;
  }
}

function paint(area, size, color) {
  const { module, slot } = area;
  while (area.children?.length === 1 && area.children[0].children && area.module >= 0 && area.children[0].module !== undefined) {
    const [only] = area.children;
    Object.assign(area, { module: only.module, children: only.children, through: (area.through ?? "") + nameOf(area.module) + "." });
  }
  area.title = (area.through ?? "") + (slot !== undefined ? slots.name.at(slot).replace(/^\./, "") : area.module < 0 ? "all" : nameOf(area.module));
  if (area.children) {
    area.children.forEach((each) => paint(each, size, color));
    area.itemStyle = { color: "transparent" };
    return;
  }
  if (FIGURES.has(color)) {
    const figure = figureIn(area, color);
    area.said = !(figure > 0) && slot === undefined ? "none" : `${slot !== undefined || OF_MODULES.has(color) ? "" : "≤ "}${said(color, figure)}`;
    area.itemStyle = { color: scaleColor(figure) };
    return;
  }
  const parts = slot !== undefined ? [{ value: area.value, name: slots[color].at(slot) }] : partsOf(module, OF_MODULES.has(size) ? "elements" : size, color);
  if (parts.length < 2) {
    const [only] = parts;
    Object.assign(area, { kind: only?.name, said: only ? categoryName(color, only.name) : "no parameters", itemStyle: { color: only ? categoryColor(color, only.name) : GREY } });
    return;
  }
  // What a module computes is told apart as its elements are.
  const whole = parts.reduce((sum, part) => sum + part.value, 0);
  area.itemStyle = { color: "transparent" };
  area.children = parts.map((part) => ({
    module, value: (area.value * part.value) / whole, title: categoryName(color, part.name), isPart: true, said: categoryName(color, part.name), kind: part.name,
    itemStyle: { color: categoryColor(color, part.name) },
  }));
}

// How much of a module is of each category.
function partsOf(module, size, color) {
  const of = sharesOf(size, color);
  const kinds = slots[color].values.length;
  return slots[color].values.map((value, kind) => ({ value: of[module * kinds + kind], name: value })).filter((each) => each.value > 0);
}

// The categories that are drawn.
function* kindsIn(area) {
  if (area.kind !== undefined) yield area.kind;
  for (const each of area.children ?? []) yield* kindsIn(each);
}

function said(color, value) {
  return Number.isNaN(value) ? "none" : value === Infinity ? "from zero" : UNITS[color] ? UNITS[color](value) : value.toPrecision(3);
}

function* slotsBelow(module) {
  yield* OWN[module];
  for (const each of CHILDREN[module]) yield* slotsBelow(each);
}

const nameOf = (module) => modules.name.at(module).replace(/^\./, "");
const pathOf = (area) => (area.slot !== undefined ? slotPath(area.slot) : area.module < 0 ? "" : modulePaths[area.module]);

// Two letters of ink that can be read on a colour.
function ink(color) {
  const [r, g, b] = (echarts.color.parse(color) ?? [255, 255, 255]).map((each) => (each / 255 <= 0.04045 ? each / 255 / 12.92 : ((each / 255 + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.179 ? "#111" : "#fff"; // where black and white contrast alike
}

// NOTE: ECharts looks texts that it has measured up in plain objects, where `__proto__` and `constructor` are found: no
// text is one of these behind a space without width.
const drawnName = (name) => `\u200b${name}`;

// The page's colours of today, and what all tooltips look like.
function inks() {
  const style = getComputedStyle(document.documentElement);
  return Object.fromEntries(["text", "edge", "ground", "frame"].map((name) => [name, style.getPropertyValue(`--ps-${name}`).trim()]));
}
const tooltipOf = ({ text, edge, ground }) => ({
  confine: true, extraCssText: TOOLTIP, backgroundColor: ground, borderColor: edge, textStyle: { color: text, fontSize: 12 },
});

const isStill = () => matchMedia("(prefers-reduced-motion: reduce)").matches;
const TOOLTIP = "max-width:26em;white-space:normal;overflow-wrap:anywhere";

function chartOptions(tree, whole, size) {
  const colors = inks();
  const { text, edge, ground, frame } = colors;
  let number = 0;
  const finish = (area) => {
    area.name = `a${(number += 1)}`;
    const color = area.itemStyle.color;
    if (color !== "transparent") area.label = { color: ink(color) };
    area.children?.forEach(finish);
  };
  finish(tree);
  const label = ({ data: area }) => [drawnName(area.title), SHORT[size](area.value), ...(area.said && !area.isPart ? [area.said] : [])].join("\n");
  const tooltip = {
    ...tooltipOf(colors),
    formatter: ({ data: area }) => h("div", {}, h("b", {}, pathOf(area) || data.title), h("br"),
      `${UNITS[size](area.value)} · ${percent(area.value, whole)} of all`, area.said ? h("br") : "", area.said ?? ""),
  };
  const common = { data: tree.children ?? [tree], nodeClick: false, animationDurationUpdate: 250 };
  const series =
    state.chart === "treemap"
      ? {
          type: "treemap", ...common, roam: false, breadcrumb: { show: false }, left: 0, right: 0, top: 0, bottom: 0, visibleMin: 1,
          label: { formatter: label, fontSize: 11, overflow: "truncate", lineOverflow: "truncate", lineHeight: 14, padding: 2 },
          upperLabel: { show: true, height: 17, color: text, fontSize: 11, formatter: ({ data: area }) => `${drawnName(area.title)}  ${SHORT[size](area.value)}` },
          itemStyle: { borderColor: edge, borderWidth: 2, gapWidth: 1 }, sort: false,
          levels: [
            { itemStyle: { borderColor: ground, borderWidth: 0, gapWidth: 3 }, upperLabel: { show: false } },
            { itemStyle: { borderColor: frame, borderWidth: 2, gapWidth: 2 } }, { itemStyle: { borderColor: edge } }, { itemStyle: { borderColor: frame } }, { itemStyle: { borderColor: edge } }, { itemStyle: { borderColor: frame } },
          ],
        }
      : {
          type: "sunburst", ...common, radius: ["12%", "98%"], sort: "desc",
          label: { formatter: ({ data: area }) => drawnName(area.title), minAngle: 6, fontSize: 11, overflow: "truncate", width: 70, color: text },
          itemStyle: { borderColor: ground, borderWidth: 1 }, emphasis: { focus: "none" },
        };
  if (state.chart === "sunburst") {
    const fill = (area) => {
      if (area.itemStyle.color === "transparent") area.itemStyle = { color: edge };
      area.children?.forEach(fill);
    };
    fill(tree);
  }
  return { tooltip, series: [series], animation: !isStill(), aria: { enabled: false } };
}
