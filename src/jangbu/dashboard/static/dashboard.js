// What pages do by themselves: draw charts, copy tables, remember choices. Without it everything is there as tables.

const root = document.documentElement;
const chartsAddress = document.currentScript?.dataset.charts ?? document.querySelector("script[data-charts]").dataset.charts;
const drawn = new Map();
let drawing;

function remember(name, value) {
  document.cookie = `${name}=${value}; path=/dashboard; max-age=31536000; samesite=lax`;
}

function colour(name) {
  return getComputedStyle(root).getPropertyValue(name).trim();
}

function option(data) {
  const text = colour("--text");
  const quiet = colour("--quiet");
  const line = colour("--line");
  const isNamed = data.series.length > 1 || Boolean(data.band);
  return {
    animation: false,
    backgroundColor: "transparent",
    color: [1, 2, 3, 4, 5, 6].map((number) => colour(`--series-${number}`)),
    // Patterns are a part of what says aloud what is drawn; the page itself has a sentence for that.
    aria: { enabled: true, label: { enabled: false }, decal: { show: data.series.length > 1 } },
    textStyle: { fontFamily: getComputedStyle(document.body).fontFamily, color: text },
    grid: { left: 8, right: 8, top: isNamed ? 36 : 12, bottom: 8, containLabel: true },
    legend: { show: isNamed, data: data.band && [data.series[0].name, { name: data.band.name, icon: "roundRect", itemStyle: { opacity: 0.3 } }], type: "scroll", top: 0, left: 0, textStyle: { color: text }, pageTextStyle: { color: text } },
    tooltip: {
      trigger: "axis", renderMode: "richText", axisPointer: { type: "shadow" }, confine: true,
      formatter: data.said && (([{ dataIndex }]) => data.said[dataIndex]),
      backgroundColor: colour("--panel"), borderColor: line, textStyle: { color: text },
    },
    xAxis: { type: "category", data: data.buckets, axisLabel: { color: quiet, hideOverlap: true }, axisLine: { lineStyle: { color: line } } },
    // Tokens and calls are whole: an axis of few, or of none, has no parts of one.
    yAxis: { type: "value", minInterval: data.money ? 0 : 1, axisLabel: { color: quiet, formatter: shortened(data) }, splitLine: { lineStyle: { color: line } } },
    series: data.kind === "line" ? trend(data) : data.series.map((each, place) => ({
      name: each.name, type: data.kind, stack: "all", data: hatching(each.values, data, place), barMaxWidth: 28,
      emphasis: { focus: "series" },
    })),
  };
}

// A bucket that has not ended yet is hatched, with an edge of dashes: it is still filling.
function hatching(values, data, place) {
  if (data.running === null) return values;
  const fill = colour(`--series-${place + 1}`);
  const decal = { symbol: "rect", symbolSize: 1, color: colour("--panel"), dashArrayX: [1, 0], dashArrayY: [4, 4], rotation: -Math.PI / 4 };
  const itemStyle = { color: fill, decal, borderColor: fill, borderWidth: 1, borderType: [4, 2] };
  return values.map((value, at) => (at === data.running && Number(value) ? { value, itemStyle } : value));
}

// A line, and beneath it the band of what is usual: how high it begins, which is not drawn, and how wide it is. What lies
// outside has a mark of another form, too. Where there is nothing, there is a gap.
function trend(data) {
  const { name, low, high } = data.band;
  const edge = { name, type: "line", stack: "band", silent: true, symbol: "none", lineStyle: { opacity: 0 }, color: colour("--series-1") };
  return [
    ...data.series.map((each) => ({ name: each.name, type: "line", z: 3, symbol: "circle", symbolSize: 5, color: colour("--series-1"), data: marked(each.values, data) })),
    { ...edge, data: low },
    { ...edge, data: low.map((from, place) => (from === null ? null : high[place] - from)), areaStyle: { opacity: 0.18 } },
  ];
}

// The bucket that has not ended yet has a hollow mark.
function marked(values, data) {
  return values.map((value, place) => {
    const isOutside = data.outside[place], isRunning = place === data.running;
    if (value === null || !(isOutside || isRunning)) return value;
    const form = isOutside ? "Diamond" : "Circle", itemStyle = isOutside ? { color: colour("--bad") } : {};
    return { value, symbol: isRunning ? `empty${form}` : form.toLowerCase(), symbolSize: isOutside ? 13 : 9, itemStyle };
  });
}

function shortened(data) {
  const style = data.money ? { style: "currency", currency: "USD", notation: "compact" } : { notation: "compact" };
  const format = new Intl.NumberFormat(root.lang, style);
  // Korean shortens from 만 on: nobody writes thousands as 천.
  const whole = root.lang === "ko" && !data.money ? new Intl.NumberFormat(root.lang) : format;
  return (value) => (Math.abs(value) < 10000 ? whole : format).format(value);
}

// What a figure draws stands in its script; a page that updates itself puts another one there.
async function draw(figure) {
  const place = figure.querySelector(".drawn");
  const script = figure.querySelector("script");
  if (!drawn.has(figure)) {
    drawn.set(figure, null);
    drawing ??= import(chartsAddress);
    const { init } = await drawing;
    if (!place.isConnected) return;
    const chart = init(place, null, { renderer: "svg", locale: root.lang === "ko" ? "KO" : "EN" });
    const resizing = new ResizeObserver(() => chart.resize());
    const made = { chart, resizing, text: "", data: null };
    chart.on("click", (event) => { const link = made.data.links?.[event.dataIndex]; if (link) location.assign(link); });
    drawn.set(figure, made);
    resizing.observe(place);
  }
  const made = drawn.get(figure);
  if (!made || made.text === script.textContent) return;
  made.text = script.textContent;
  made.data = JSON.parse(made.text);
  made.chart.setOption(option(made.data), true);
}

function drawAll() {
  for (const [figure, made] of drawn) {
    if (!figure.isConnected) { made?.resizing.disconnect(); made?.chart.dispose(); drawn.delete(figure); }
  }
  document.querySelectorAll("figure[data-chart]").forEach(draw);
}

// What does nothing without this script is not offered where it does not run.
function offerAll() {
  document.querySelectorAll("[data-scripted][hidden]").forEach((each) => { each.hidden = false; });
}

function redrawAll() {
  for (const made of drawn.values()) {
    made?.chart.resize();
    made?.chart.setOption(option(made.data), true);
  }
}

function quoted(text) {
  const safe = /^[=+\-@\t\r＝＋－＠]/.test(text) && !/^-?[\d.,]+$/.test(text) ? `'${text}` : text;
  return /[",\n\r]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

async function copy(button) {
  const table = button.closest("details").querySelector("table");
  const rows = [...table.tHead.rows, ...table.tBodies[0].rows].map((row) => [...row.cells].map((cell) => cell.textContent.trim()));
  const [heads, ...lines] = rows;
  const text = button.dataset.copy === "csv"
    ? rows.map((row) => row.map(quoted).join(",")).join("\r\n")
    : JSON.stringify(lines.map((line) => Object.fromEntries(heads.map((head, place) => [head, line[place]]))), null, 2);
  await copied(button, text);
}

async function copied(button, text) {
  await navigator.clipboard.writeText(text);
  const told = button.parentElement.querySelector("[data-said]");
  told.textContent = told.dataset.said;
}

// Excel writes CP949 in Korea, where a file is not saved as UTF-8; the server reads files that it is given the same way.
function textOf(bytes) {
  const wide = { "255,254": "utf-16le", "254,255": "utf-16be" }[`${bytes[0]},${bytes[1]}`];
  for (const encoding of wide ? [wide] : ["utf-8", "euc-kr"]) {
    try { return new TextDecoder(encoding, { fatal: true }).decode(bytes); } catch { /* the next one may fit */ }
  }
  return new TextDecoder().decode(bytes);
}

// What stood there before must not pass for a file that cannot be read, nor an earlier choice for the latest one.
const chosen = new WeakMap();

async function readInto(field, files) {
  if (!files.length) return;
  const [file] = files;
  chosen.set(field, file);
  field.value = "";
  const bytes = new Uint8Array(await file.arrayBuffer());
  if (chosen.get(field) === file) field.value = textOf(bytes);
}

// The days of a calendar are too many to have a link each in the way of the keyboard: in the table beside it they have.
function ofDay(address, day) {
  const link = new URL(address, location.href);
  link.searchParams.set("from", day);
  link.searchParams.set("to", day);
  link.hash = "calls";
  return link;
}

// Pages that update themselves. Browsers open few connections to a host, so of all that are seen one listens to the
// server, the one that has the lock, and tells the others; a page that nobody sees waits until somebody does.
const UNTOLD_SECONDS = 10;
const SILENT_SECONDS = 45;
const told = new BroadcastChannel("jangbu-live");
let listening;

function livePage() {
  return document.querySelector("#page[data-live]");
}

function listen() {
  if (!livePage() || document.hidden) {
    listening?.abort();
    listening = undefined;
  } else if (!listening) {
    const { signal } = listening = new AbortController();
    const held = () => new Promise((leave) => { signal.addEventListener("abort", leave); stream(signal); });
    navigator.locks.request("jangbu-live", { signal }, held).catch(() => { /* it left before its turn came */ });
  }
}

// The server has something to tell at least each half minute. Where it is silent for longer, or away, pages ask by
// themselves, and say so where they are not answered.
function stream(signal) {
  const source = new EventSource(`/dashboard/live?seen=${livePage()?.dataset.live ?? ""}`);
  let silent, failing;
  const end = () => { clearTimeout(silent); clearTimeout(failing); source.close(); };
  const again = () => { end(); tell(); if (!signal.aborted) stream(signal); };
  const hear = () => { clearTimeout(silent); clearTimeout(failing); failing = undefined; silent = setTimeout(again, SILENT_SECONDS * 1000); };
  source.addEventListener("open", hear);
  source.addEventListener("changed", () => { hear(); tell(); });
  source.addEventListener("error", () => { failing ??= setTimeout(again, UNTOLD_SECONDS * 1000); });
  signal.addEventListener("abort", end);
  hear();
}

function tell() {
  told.postMessage("changed");
  renew();
}

let renewing;

function renew() {
  clearTimeout(renewing);
  const page = livePage();
  if (!page || document.hidden) return;
  if (isWorkedOn(page)) renewing = setTimeout(renew, 1000);
  else page.dispatchEvent(new Event("renew"));
}

// What somebody fills in, or is about to, is left alone: a list may have moved meanwhile, and a form be another's then.
function isWorkedOn(page) {
  return page.querySelector("form:not(.filters):focus-within, details[open] form:not(.filters)") !== null
    || [...page.querySelectorAll("input, select, textarea")].some(isFilledIn);
}

function isFilledIn(field) {
  if (field.type === "checkbox" || field.type === "radio") return field.checked !== field.defaultChecked;
  if (field.options) return field.selectedIndex !== Math.max(0, [...field.options].findIndex((each) => each.defaultSelected));
  return field.type !== "hidden" && field.value !== field.defaultValue;
}

// Looked at once more when the answer is there. One that is no such page, from whomever it came, does not take its place.
function judge(event) {
  const page = event.target;
  if (!page.matches?.("#page[data-live]")) return;
  const { text, response } = event.detail.ctx;
  if (response.headers.has("hx-redirect")) return;
  const isPage = response.status < 500 && text.includes('<main id="page"');
  if (isPage && !isWorkedOn(page)) return;
  event.preventDefault();
  if (isPage) renewing = setTimeout(renew, 1000);
  else sayAway(event);
}

function sayAway({ target }) {
  if (target.matches?.("#page[data-live]")) target.querySelectorAll("[data-away]").forEach((each) => { each.textContent = each.dataset.away; });
}

told.addEventListener("message", renew);
document.addEventListener("visibilitychange", () => { listen(); renew(); });
document.addEventListener("htmx:after:request", judge);
document.addEventListener("htmx:error", sayAway);

// Chosen as if it were picked from the list, so that the form does what it does then.
function chooseHere(select) {
  const here = Intl.DateTimeFormat().resolvedOptions().timeZone;
  if (![...select.options].some((each) => each.value === here)) select.add(new Option(here));
  select.value = here;
  select.dispatchEvent(new Event("change", { bubbles: true }));
}

document.addEventListener("click", (event) => {
  const here = event.target.closest("[data-here]");
  if (here) chooseHere(here.form.elements.zone);
  const button = event.target.closest("[data-copy]");
  if (button) copy(button);
  const single = event.target.closest("[data-copies]");
  if (single) copied(single, document.getElementById(single.dataset.copies).textContent);
  const square = event.target.closest("[data-calendar] [data-day]");
  if (square) location.assign(ofDay(square.closest("[data-calendar]").dataset.calendar, square.dataset.day));
});

document.addEventListener("change", (event) => {
  if (event.target.matches("[data-scheme-choice]")) {
    root.dataset.scheme = event.target.value;
    remember("jangbu-scheme", event.target.value);
    redrawAll();
  } else if (event.target.matches("[data-reads]")) {
    readInto(document.getElementById(event.target.dataset.reads), event.target.files);
  } else if (event.target.form?.matches("form.filters, form[data-waits]")) {
    const { range, from, to } = event.target.form.elements;
    // Days are a period of their own: to enter one chooses that, and whoever chooses that has to enter them yet.
    if (event.target === from || event.target === to) range.value = "custom";
    const isWaiting = event.target.closest("[data-waits]") || (event.target === range && range.value === "custom");
    if (!isWaiting) event.target.form.requestSubmit();
  }
});

// A choice that is left empty, or that another one makes void, has no place in the address, so that what is shared is short and says what it means.
document.addEventListener("formdata", (event) => {
  if (!event.target.matches("form.filters, form[data-waits]")) return;
  const isOfDays = event.formData.get("range") === "custom";
  for (const [name, value] of [...event.formData]) {
    if (value === "" || (!isOfDays && (name === "from" || name === "to"))) event.formData.delete(name);
  }
});

for (const media of ["(prefers-color-scheme: dark)", "print"]) matchMedia(media).addEventListener("change", redrawAll);
new MutationObserver(() => { drawAll(); offerAll(); listen(); }).observe(document.body, { childList: true, subtree: true });
drawAll();
offerAll();
listen();
