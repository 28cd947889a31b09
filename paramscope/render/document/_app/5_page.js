// The page: what stands around map and table, and what a change of view draws anew.
"use strict";
let chart;
let drawn = 0; // how often the table was
let ready = Promise.resolve(); // until the table shows what is looked at
const app = document.getElementById("ps-app");
tellAddress("replaceState");
const place = (name) => document.getElementById(`ps-${name}`);

let said_at; // the timer of what is said
function say(words) {
  place("said").textContent = words;
  clearTimeout(said_at);
  said_at = setTimeout(() => (place("said").textContent = ""), 3000);
}

function choice(name, label, options) {
  return h("label", { class: "ps-choice" }, `${label} `,
    h("select", { "data-state": name, onchange: (event) => look({ [name]: event.target.value }) },
      Object.entries(options).map(([value, words]) => h("option", { value, selected: state[name] === value }, words))));
}

function chip(name, value, words = value) {
  return h("button", { type: "button", class: `ps-chip ps-${words}`, "data-chip": name, "data-value": value, "aria-pressed": "false",
    onclick: () => {
      const chosen = new Set(listOf(state[name]));
      chosen.has(value) ? chosen.delete(value) : chosen.add(value);
      look({ [name]: [...chosen].join(",") });
    } }, name === "status" ? h("span", { class: `ps-dot ps-${value}` }, words) : words);
}

function build() {
  const statuses = slots.status.values.filter((_, code) => slots.status.codes.includes(code));
  const dtypes = slots.dtype.values.filter(Boolean);
  const groups = [...new Set(slots.groups.values.flatMap((each) => each.split(BETWEEN)))].filter((each) => each && each !== NOT_STEPPED);
  const has = [slots.change && "changed", data.findings.length && "findings", data.sharing.length && "ties", data.stepped && "not stepped", slots.reached && "not reached"].filter(Boolean);
  app.append(
    h("section", { class: "ps-card ps-map", "aria-label": "map of the model" },
      h("div", { class: "ps-bar" },
        h("nav", { id: "ps-crumbs", "aria-label": "where the map is" }),
        h("span", { class: "ps-grow" }),
        choice("chart", "map", { treemap: "treemap", sunburst: "sunburst", ...(data.sharing.length ? { ties: "ties" } : {}), ...(data.cost ? { cost: "cost" } : {}) }),
        choice("size", "sized by", SIZES), choice("color", "coloured by", COLORS)),
      h("div", { id: "ps-chart", role: "img" }),
      h("div", { id: "ps-legend" }),
      h("div", { id: "ps-largest" })),
    h("aside", { class: "ps-card ps-findings", "aria-label": "findings" }, h("h2", {}, findingsTitle()), h("div", { id: "ps-list" }, data.findings.map(findingBox))),
    h("section", { class: "ps-card ps-slots", "aria-label": "table of the model" },
      h("div", { class: "ps-bar" },
        h("input", { id: "ps-search", type: "search", placeholder: "search: attn, or a glob: *.bias, layers.[0-3]", "aria-label": "search paths", spellcheck: "false", oninput: (event) => look({ q: event.target.value }) }),
        h("span", { class: "ps-chips", role: "group", "aria-label": "filters" },
          statuses.length > 1 ? statuses.map((each) => chip("status", each)) : "",
          dtypes.length > 1 ? dtypes.map((each) => chip("dtype", each)) : "", has.map((each) => chip("has", each))),
        slots.role.values.length > 1 ? choice("role", "role", { "": "all", ...Object.fromEntries(slots.role.values.map((each) => [each, each])) }) : "",
        data.stepped ? choice("group", "group", { "": "all", ...Object.fromEntries([...groups, NO_GROUP].map((each) => [each, each])) }) : "",
        h("button", { type: "button", id: "ps-fold", onclick: () => look({ fold: state.fold === "1" ? "0" : "1", open: "", row: "" }) }),
        h("button", { type: "button", id: "ps-clear", onclick: () => look(Object.fromEntries(FILTERS.map((name) => [name, ""]))) }, "clear"),
        h("span", { id: "ps-found", "aria-live": "polite" })),
      h("div", { id: "ps-table", role: "treegrid", "aria-label": "modules and slots" }),
      h("p", { class: "ps-hint" }, "arrow keys move and open, c copies a path, t goes to the other end of a tie, f to a finding; (…) is counted in an earlier line, +… are buffers and what is not registered; fates: g gets gradients, s is stepped, v is saved, m is moved by .to()", slots.reached ? ", r is reached by the loss" : "", "; - not, ? unknown")),
    h("div", { id: "ps-said", role: "status" }),
  );
  place("theme").append(h("button", { type: "button", id: "ps-light", onclick: () => look({ theme: { "": "dark", dark: "light", light: "" }[state.theme] }) }));
  for (const code of document.querySelectorAll(".ps-section li code, .ps-section td code")) link(code);
}

// What is named in what is told below the table leads to its row.
function link(code) {
  const words = code.textContent;
  const [slot, module] = [slotAt(words), words ? moduleAt(words) : undefined];
  const folded = slot === undefined && module === undefined && words ? trees["1"].find((each) => each.label === words) : undefined;
  if (slot === undefined && module === undefined && !folded) return;
  const go = folded ? { [folded.kind === 0 ? "module" : "slot"]: folded.members[0] } : slot !== undefined ? { slot } : { module };
  code.classList.add("ps-link");
  code.tabIndex = 0;
  code.setAttribute("role", "link");
  const follow = (event) => {
    if (event.type === "keydown" && event.key !== "Enter") return;
    event.preventDefault();
    event.stopPropagation();
    reveal(go);
  };
  code.addEventListener("click", follow);
  code.addEventListener("keydown", follow);
}

function findingsTitle() {
  const counts = new Map();
  for (const { severity } of data.findings) counts.set(severity, (counts.get(severity) ?? 0) + 1);
  const told = [...counts].map(([severity, number]) => `${number} ${severity}${number > 1 && severity !== "info" ? "s" : ""}`);
  app.classList.toggle("ps-clean", !told.length);
  return told.length ? `Findings: ${told.join(", ")}` : "No findings";
}

const ICONS = { error: "✕", warning: "!", info: "i" };
function findingBox(finding, number) {
  const most = 6;
  const paths = finding.paths.map((path, i) => {
    const [slot, module] = [finding.slots[i], finding.modules[i]];
    if (slot < 0 && module < 0) return h("code", {}, path);
    return h("button", { type: "button", class: "ps-path", onclick: () => reveal(slot >= 0 ? { slot } : { module }) }, path);
  });
  const more = paths.length - most;
  const rest = more > 0 ? h("button", { type: "button", class: "ps-more", onclick: (event) => event.target.replaceWith(...paths.slice(most)) }, `${count(more)} more`) : "";
  return h("article", { class: `ps-finding ps-is-${finding.severity}`, id: `ps-finding-${number}`, tabindex: "-1" },
    h("h3", {}, h("span", { class: "ps-icon", "aria-hidden": "true" }, ICONS[finding.severity]), `${finding.severity} `, h("b", {}, finding.code), ` ${finding.name}`),
    finding.place ? h("div", { class: "ps-place" }, h("code", {}, finding.place)) : "",
    h("p", {}, finding.message), finding.help ? h("p", { class: "ps-help" }, finding.help) : "", h("div", { class: "ps-paths" }, paths.slice(0, most), rest));
}

function showFinding(number) {
  const box = place(`finding-${number}`);
  box.scrollIntoView({ block: "nearest" });
  box.focus({ preventScroll: true });
  box.classList.add("ps-flash");
  setTimeout(() => box.classList.remove("ps-flash"), 1200);
}

function drawMap() {
  const known = state.root ? moduleAt(state.root) : undefined;
  const root = known ?? (ROOTS.length === 1 ? ROOTS[0] : -1);
  const size = Object.hasOwn(SIZES, state.size) ? state.size : "elements";
  const color = Object.hasOwn(COLORS, state.color) ? state.color : "status";
  const shown = throughOf(root, size);
  drawCrumbs(shown);
  const isOfTies = state.chart === "ties" && data.sharing.length > 0;
  const isOfCost = state.chart === "cost" && data.cost;
  const other = isOfTies ? tiesOptions : isOfCost ? costOptions : null;
  for (const each of app.querySelectorAll(".ps-map select:not([data-state=chart])")) each.parentElement.hidden = Boolean(other);
  const tree = other ? null : areasOf(shown, size, color);
  const whole = ROOTS.reduce((sum, each) => sum + weightsOf(size).module[each], 0);
  place("crumbs").hidden = Boolean(other);
  chart ??= makeChart();
  chart.setOption(other ? other() : chartOptions(tree, whole, size), true);
  place("legend").replaceChildren(...(other ? [] : legend(color, tree)));
  if (isOfTies && data.sharing.length > TIES) place("legend").append(`the first ${TIES} of ${count(data.sharing.length)}`);
  const inside = other ? [] : insideOf(shown, weightsOf(size), size);
  place("largest").replaceChildren(...inside.slice(0, shownParts).map((each) => {
    const words = each.slot !== undefined ? slots.name.at(each.slot) : modules.name.at(each.module);
    return h("button", { type: "button", class: "ps-share ps-part", style: { backgroundSize: `${(100 * each.value) / inside[0].value}% 100%` }, title: `${pathOf(each)}: ${UNITS[size](each.value)}`, onclick: () => goInto(each) },
      h("span", {}, words.replace(/^\./, "")), h("span", {}, percent(each.value, whole)));
  }));
  if (inside.length > shownParts) {
    place("largest").append(h("button", { type: "button", onclick: () => ((shownParts *= 4), drawMap()) }, `and ${count(inside.length - shownParts)} more`));
  }
  place("chart").setAttribute("aria-label", isOfTies ? "slots that share memory" : isOfCost ? "bytes that training takes, by module" : `${state.chart} of ${(known !== undefined && state.root) || "the model"} by ${SIZES[size]}; the buttons below it name the largest parts`);
}

let shownParts = 12; // that are named below the map
function goInto(area) {
  if (area.slot !== undefined) reveal({ slot: area.slot });
  else if (area.module >= 0 && (CHILDREN[area.module].length || OWN[area.module].length > 1)) look({ root: modulePaths[area.module], row: "" }, { isStep: true });
  else if (area.module >= 0) reveal({ module: area.module });
}

function makeChart() {
  const made = echarts.init(place("chart"), null, { renderer: "canvas" });
  made.on("click", ({ data: area, dataType }) => {
    if (dataType === "edge" || !(area?.slot >= 0 || area?.module >= 0)) return;
    if (area.slot === undefined && area.module === moduleAt(state.root)) return;
    goInto(area);
  });
  new ResizeObserver(() => made.resize()).observe(place("chart"));
  return made;
}

function drawCrumbs(root) {
  const above = [];
  for (let at = root; at >= 0; at = parentOf(at)) above.unshift(at);
  if (above.length === 0 || modulePaths[above[0]] !== "") above.unshift(-1);
  place("crumbs").replaceChildren(...above.flatMap((each, i) => {
    const words = each < 0 || !modulePaths[each] ? (each < 0 ? "all" : modules.type.at(each)) : modules.name.at(each).replace(/^\./, "");
    const isLast = i === above.length - 1;
    const crumb = h("button", { type: "button", "aria-current": isLast ? "location" : null, onclick: () => look({ root: each < 0 ? "" : modulePaths[each] }, { isStep: true }) }, words);
    return i ? [h("span", { "aria-hidden": "true" }, "›"), crumb] : [crumb];
  }));
}

function legend(color, tree) {
  if (FIGURES.has(color)) {
    const [low, high] = ends.map((each) => said(color, UNITS[color] ? Math.round(10 ** each) : 10 ** each));
    return [h("span", {}, low), h("span", { class: "ps-scale", style: { background: `linear-gradient(90deg,${SCALE.join(",")})` } }), h("span", {}, high), swatch(GREY, "none, or zero")];
  }
  const met = new Set(kindsIn(tree));
  return slots[color].values.filter((value) => met.has(value)).map((value) => swatch(categoryColor(color, value), categoryName(color, value)));
}

const swatch = (color, words) => h("span", { class: "ps-swatch" }, h("i", { style: { background: color } }), words);

const TIES = 60; // that are drawn
function tiesOptions() {
  const colors = inks();
  const { text } = colors;
  const met = new Map();
  const links = [];
  data.sharing.slice(0, TIES).forEach(({ kind, slots: ends, bytes: shared }) => {
    ends.forEach((slot) => met.set(slot, { name: String(slot), slot, value: slotPath(slot), symbolSize: 14, itemStyle: { color: STATUS_COLORS[slots.status.at(slot)] }, label: { formatter: () => drawnName(slotPath(slot)) } }));
    ends.slice(1).forEach((slot, i) => links.push({ source: String(ends[i]), target: String(slot), value: `${kind}, ${bytes(shared)}` }));
  });
  return {
    tooltip: { ...tooltipOf(colors), formatter: ({ data: each }) => h("div", {}, each.value) },
    series: [{
      type: "graph", layout: met.size > 24 ? "circular" : "force", roam: true, data: [...met.values()], links, force: { repulsion: 260, edgeLength: 120, layoutAnimation: !isStill() }, animationDurationUpdate: 0,
      label: { show: true, position: "right", color: text, fontSize: 11, width: 220, overflow: "truncate" },
      edgeLabel: { show: true, fontSize: 10, color: text, formatter: ({ data: each }) => each.value }, lineStyle: { width: 2, color: "#e69f00" },
    }],
  };
}

const COST_COLORS = ["#0072b2", "#56b4e9", "#e69f00", "#009e73", "#cc79a7"]; // as in the picture of it
// What training takes from the first step on, the module that takes most on top.
function costOptions() {
  const colors = inks();
  const { text, edge } = colors;
  const { parts, modules: names, bytes: taken } = data.cost;
  const sums = taken.map((each) => each.reduce((sum, part) => sum + part, 0));
  const order = sums.map((_, at) => at).sort((one, other) => sums[one] - sums[other]).slice(-30);
  return {
    tooltip: {
      ...tooltipOf(colors), trigger: "axis", axisPointer: { type: "shadow" },
      formatter: ([{ dataIndex }]) => h("div", {}, h("b", {}, names[order[dataIndex]]), ...parts.flatMap((part, i) => (taken[order[dataIndex]][i] ? [h("br"), `${part}: ${bytes(taken[order[dataIndex]][i])}`] : []))),
    },
    legend: { top: 0, textStyle: { color: text } },
    grid: { left: 8, right: 70, top: 34, bottom: 8, containLabel: true },
    xAxis: { type: "value", interval: 2 ** Math.floor(Math.log2(Math.max(4, ...sums) / 4)), axisLabel: { color: text, formatter: bytes }, splitLine: { lineStyle: { color: edge } } },
    yAxis: { type: "category", data: order.map((_, at) => String(at)), axisTick: { show: false }, axisLabel: { color: text, width: 160, overflow: "truncate", formatter: (at) => drawnName(names[order[at]]) } },
    series: parts.map((part, i) => ({
      type: "bar", stack: "all", name: part, barMaxWidth: 34, data: order.map((at) => taken[at][i]), itemStyle: { color: COST_COLORS[i] },
      label: { show: i === parts.length - 1, position: "right", color: text, formatter: ({ dataIndex }) => bytes(sums[order[dataIndex]]) },
    })),
  };
}

function drawTable() {
  const start = performance.now();
  document.documentElement.dataset.psBusy = "1";
  const [found, among] = filter();
  sumUp(linesOf());
  const turn = (drawn += 1);
  ready = fillTable().then(() => {
    if (turn !== drawn) return;
    showOrder();
    document.documentElement.dataset.psTable = (performance.now() - start).toFixed(1);
    delete document.documentElement.dataset.psBusy;
  });
  const left = current.left ? `; ${count(current.left)} more lines: narrow the search` : "";
  place("found").textContent = isFiltered() ? `${count(found)} of ${count(among)} slots${left}` : `${count(among)} slots${left}`;
  place("clear").hidden = !isFiltered();
}

function showOrder() {
  const [sorted, arrow] = [state.sort.replace(/^-/, ""), state.sort.startsWith("-") ? "▾" : "▴"];
  for (const each of app.querySelectorAll("[data-sort]")) {
    each.lastChild.textContent = each.dataset.sort === sorted ? arrow : "";
    each.closest("[role=columnheader]")?.setAttribute("aria-sort", each.dataset.sort !== sorted ? "none" : state.sort.startsWith("-") ? "descending" : "ascending");
  }
}

function showControls() {
  place("fold").textContent = state.fold === "1" ? "a line for each" : "fold what repeats";
  place("light").textContent = { "": "◐ auto", dark: "● dark", light: "○ light" }[state.theme];
  place("light").setAttribute("aria-label", `theme: ${state.theme || "as the system has it"}`);
  if (place("search").value !== state.q) place("search").value = state.q;
  for (const each of app.querySelectorAll("[data-chip]")) each.setAttribute("aria-pressed", listOf(state[each.dataset.chip]).includes(each.dataset.value));
  for (const each of app.querySelectorAll("select[data-state]")) each.value = state[each.dataset.state];
  if (state.theme) document.documentElement.dataset.theme = state.theme;
  else delete document.documentElement.dataset.theme;
}

listeners.push((changed) => {
  showControls();
  const has = (...names) => names.some((name) => changed.has(name));
  if (has("root", "chart", "size", "color", "theme")) drawMap();
  if (has(...FILTERS, "sort", "open", "fold")) drawTable();
  else if (has("row")) markRows();
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawMap);

trees["1"] = foldedLines();
build();
document.documentElement.classList.add("ps-live");
showControls();
drawMap();
makeTable(place("table")).then(() => {
  drawTable();
  return ready;
}).then(() => {
  document.documentElement.dataset.psReady = performance.now().toFixed(0);
  if (!state.row) return;
  requestAnimationFrame(() => requestAnimationFrame(() => {
    place("table").scrollIntoView({ block: "nearest" });
    goTo(state.row, "center");
  }));
});
