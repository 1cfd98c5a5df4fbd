// The front page: filters, sorting and the plot. The address bar holds the state, after the #, so that the back button
// and a bookmark work on a page opened from disk. Text reaches the page through textContent only.
"use strict";
(() => {
  const PAGE = 100;
  const VERDICTS = ["violation", "needs-review", "clear", "not-judged"];
  const WORDS = { "violation": "violation", "needs-review": "needs review", "clear": "nothing found", "not-judged": "not judged" };
  const GRADES = ["proved", "traced", "suspected", "not-analysable", ""];
  const SVG = "http://www.w3.org/2000/svg";

  const { fields, rules, rows: table } = globalThis.BOARD;
  const rows = table.map((values) => Object.fromEntries(fields.map((name, i) => [name, values[i]])));
  for (const row of rows) {
    row.text = [row.pull === null ? "" : "#" + row.pull, row.name, row.author, row.folder].join("\n").toLowerCase();
    row.rules = row.rules.map((i) => rules[i]);
  }

  const form = document.getElementById("filters");
  const body = document.querySelector("#table tbody");
  const status = document.getElementById("status");
  const before = document.getElementById("before");
  const after = document.getElementById("after");
  const FILTERS = ["q", "verdict", "track", "condition", "grade", "rule", "copies"];

  const KEYS = {
    pull: (row) => row.pull, name: (row) => row.name.toLowerCase(), track: (row) => row.track, bpb: (row) => row.bpb,
    verdict: (row) => VERDICTS.indexOf(row.verdict), grade: (row) => GRADES.indexOf(row.grade), date: (row) => row.date,
    conditions: (row) => row.broken.length * 10 + row.doubted.length,
  };

  function read() {
    const given = new URLSearchParams(location.hash.slice(1));
    const state = { sort: "-pull", page: 1 };
    for (const name of FILTERS) {
      const field = form.elements[name];
      const value = given.get(name) ?? "";
      const known = field.tagName !== "SELECT" || [...field.options].some((option) => option.value === value);
      state[name] = known ? value : "";
    }
    const sort = given.get("sort") ?? "";
    if (Object.hasOwn(KEYS, sort.replace(/^-/, ""))) state.sort = sort;
    const page = Number(given.get("page"));
    if (Number.isInteger(page) && page > 0) state.page = page;
    return state;
  }

  function write(state, replace) {
    const parameters = new URLSearchParams();
    for (const name of FILTERS) if (state[name]) parameters.set(name, state[name]);
    if (state.sort !== "-pull") parameters.set("sort", state.sort);
    if (state.page > 1) parameters.set("page", String(state.page));
    history[replace ? "replaceState" : "pushState"](null, "", "#" + parameters);
    show();
  }

  function matches(row, state) {
    return (!state.verdict || row.verdict === state.verdict)
      && (!state.track || row.track === state.track)
      && (!state.grade || row.grade === state.grade)
      && (!state.condition || row.broken.includes(state.condition) || row.doubted.includes(state.condition))
      && (!state.rule || row.rules.includes(state.rule))
      && (!state.copies || !row.copy)
      && state.q.toLowerCase().split(/\s+/).every((word) => row.text.includes(word));
  }

  function compare(state) {
    const key = KEYS[state.sort.replace(/^-/, "")];
    const sign = state.sort.startsWith("-") ? -1 : 1;
    return (a, b) => {
      const x = key(a), y = key(b);
      if (x === null || y === null) return (x === null) - (y === null);
      return x < y ? -sign : x > y ? sign : (b.pull ?? 0) - (a.pull ?? 0) || (a.page < b.page ? -1 : 1);
    };
  }

  function element(name, className, text) {
    const made = document.createElement(name);
    if (className) made.className = className;
    if (text !== undefined) made.textContent = text;
    return made;
  }

  function line(row) {
    const tr = element("tr");
    const link = element("a", "", row.name);
    link.href = "s/" + row.page + ".html";
    const who = element("td", "who");
    who.append(link);
    if (row.author) who.append(element("span", "by", row.author));
    const bpb = element("td", "number", row.bpb === null ? "" : row.bpb.toFixed(4));
    bpb.dataset.label = "claims";
    const verdict = element("td");
    verdict.append(element("span", "word " + row.verdict, WORDS[row.verdict]));
    const conditions = element("td");
    for (const name of row.broken) conditions.append(element("span", "chip broken", name));
    for (const name of row.doubted) if (!row.broken.includes(name)) conditions.append(element("span", "chip", name + "?"));
    tr.append(element("td", "number", row.pull === null ? "ref" : "#" + row.pull), who, element("td", "", row.track), bpb,
      verdict, conditions, element("td", "", row.grade), element("td", "date", row.date));
    return tr;
  }

  function show() {
    const state = read();
    for (const name of FILTERS) if (form.elements[name].value !== state[name]) form.elements[name].value = state[name];
    const found = rows.filter((row) => matches(row, state)).sort(compare(state));
    const pages = Math.max(1, Math.ceil(found.length / PAGE));
    const page = Math.min(state.page, pages);
    body.replaceChildren(...found.slice((page - 1) * PAGE, page * PAGE).map(line));
    status.textContent = found.length + " of " + rows.length + (found.length === 1 ? " submission" : " submissions");
    document.getElementById("page").textContent = "page " + page + " of " + pages;
    before.disabled = page === 1;
    after.disabled = page === pages;
    for (const button of document.querySelectorAll("[data-sort]")) {
      const header = button.closest("th");
      if (state.sort.replace(/^-/, "") !== button.dataset.sort) header.removeAttribute("aria-sort");
      else header.setAttribute("aria-sort", state.sort.startsWith("-") ? "descending" : "ascending");
    }
    draw(found);
  }

  function shape(name, attributes, text) {
    const made = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    if (text !== undefined) made.textContent = text;
    return made;
  }

  function draw(found) {
    const plot = document.getElementById("plot");
    const width = plot.clientWidth, height = plot.clientHeight;
    const points = found.filter((row) => row.bpb !== null).map((row) => ({ row, x: Date.parse(row.date), y: Math.min(row.bpb, 1.6) }));
    plot.setAttribute("viewBox", "0 0 " + width + " " + height);
    if (!points.length) { plot.replaceChildren(); return; }
    const xs = points.map((point) => point.x), ys = points.map((point) => point.y);
    const x0 = Math.min(...xs) - 43200000, x1 = Math.max(...xs) + 43200000;
    const pad = (Math.max(...ys) - Math.min(...ys)) * 0.05 || 0.05;
    const y0 = Math.max(0, Math.min(...ys) - pad), y1 = Math.max(...ys) + pad;
    const px = (x) => 40 + (x - x0) / (x1 - x0) * (width - 50);
    const py = (y) => height - 20 - (y - y0) / (y1 - y0) * (height - 30);
    const parts = [];
    const step = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5].find((size) => (y1 - y0) / size <= 6) ?? 1;
    for (let y = Math.ceil(y0 / step) * step; y <= y1; y += step) {
      parts.push(shape("line", { class: "grid", x1: 40, x2: width - 10, y1: py(y), y2: py(y) }),
        shape("text", { x: 34, y: py(y) + 4, "text-anchor": "end" }, y.toFixed(2)));
    }
    for (let i = 0; i < 5; i++) {
      const x = x0 + (x1 - x0) * (i + 0.5) / 5;
      parts.push(shape("text", { x: px(x), y: height - 4, "text-anchor": "middle" }, new Date(x).toISOString().slice(5, 10)));
    }
    points.sort((a, b) => VERDICTS.indexOf(b.row.verdict) - VERDICTS.indexOf(a.row.verdict)); // violations on top
    for (const { row, x, y } of points) {
      const link = shape("a", { href: "s/" + row.page + ".html", tabindex: "-1" }); // the table is the way for keyboards
      const dot = shape("circle", { class: row.verdict, cx: px(x).toFixed(1), cy: py(y).toFixed(1), r: 3.5 });
      dot.append(shape("title", {}, (row.pull === null ? "" : "#" + row.pull + " ") + row.bpb.toFixed(4) + " " + row.name));
      link.append(dot);
      parts.push(link);
    }
    plot.replaceChildren(...parts);
  }

  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", (event) => { event.preventDefault(); history.pushState(null, "", "#"); show(); });
  form.addEventListener("input", (event) => {
    const typing = event.target.name === "q";
    write({ ...read(), [event.target.name]: event.target.value, page: 1 }, typing && read().q !== "");
  });
  for (const button of document.querySelectorAll("[data-sort]")) {
    button.addEventListener("click", () => {
      const key = button.dataset.sort, state = read();
      write({ ...state, sort: state.sort === key ? "-" + key : key, page: 1 });
    });
  }
  before.addEventListener("click", () => write({ ...read(), page: read().page - 1 }));
  after.addEventListener("click", () => write({ ...read(), page: read().page + 1 }));
  addEventListener("popstate", show);
  addEventListener("hashchange", show);
  let resizing = 0;
  addEventListener("resize", () => { clearTimeout(resizing); resizing = setTimeout(show, 100); });
  document.addEventListener("keydown", (event) => {
    if (event.key === "/" && !/INPUT|SELECT/.test(document.activeElement.tagName)) { event.preventDefault(); form.elements.q.focus(); }
  });
  show();
})();
