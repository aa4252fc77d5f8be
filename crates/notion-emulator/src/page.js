"use strict";
// Shows databases as tables and writes cells as a person. Content from the workspace is only ever text.

const byId = (id) => document.getElementById(id);
const PAGE = 50;
const state = { source: null, offset: 0, total: 0, columns: [], seen: new Map(), editing: false, busy: false };

async function call(method, path, body) {
  const answer = await fetch("/_emulator/" + path, {
    method, headers: { "content-type": "application/json" }, body: body === undefined ? undefined : JSON.stringify(body),
  });
  const json = await answer.json();
  if (!answer.ok) throw new Error(json.message || "That did not work.");
  return json;
}

function say(text, bad) {
  byId("state").textContent = text;
  byId("state").className = bad ? "bad" : "";
}

function element(tag, attributes, ...children) {
  const made = document.createElement(tag);
  for (const [key, value] of Object.entries(attributes || {})) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (value !== false && value !== null && value !== undefined) made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== null));
  return made;
}

async function loadWorkspace() {
  const workspace = await call("GET", "workspace");
  const people = byId("user");
  if (people.options.length === 0) {
    for (const user of workspace.users.filter((user) => user.kind !== "bot")) {
      people.append(element("option", { value: user.id }, user.name));
    }
  }
  const list = byId("databases");
  const sources = [];
  for (const database of workspace.databases.filter((database) => !database.in_trash)) {
    for (const source of database.data_sources.filter((source) => !source.in_trash)) {
      sources.push({ id: source.id, rows: source.rows, title: source.title || database.title || "Untitled" });
    }
  }
  const signature = JSON.stringify([sources, state.source]);
  if (list.dataset.signature !== signature) {
    list.dataset.signature = signature;
    list.replaceChildren(...sources.map((source) => element("li", {},
      element("button", { type: "button", "aria-current": String(source.id === state.source), onclick: () => choose(source.id) },
        element("span", {}, source.title), element("small", {}, String(source.rows))))));
  }
  if (!sources.some((source) => source.id === state.source)) {
    if (sources.length > 0) await choose(sources[0].id);
  }
}

async function choose(id) {
  state.source = id;
  state.offset = 0;
  state.seen = new Map();
  state.editing = false;
  await loadRows(true);
  await loadWorkspace();
}

async function loadRows(anew) {
  if (!state.source || (state.editing && !anew)) return;
  const source = state.source;
  const trash = byId("trash").checked;
  const data = await call("GET", `data_sources/${source}/rows?offset=${state.offset}&limit=${PAGE}&trash=${trash}`);
  if (source !== state.source || (state.editing && !anew)) return;
  const signature = JSON.stringify(data);
  if (!anew && signature === state.signature) return;
  state.signature = signature;
  state.columns = data.columns;
  state.total = data.total;
  byId("title").textContent = data.title || "Untitled";
  byId("hint").hidden = true;
  byId("add").disabled = trash;
  const focused = document.activeElement && document.activeElement.dataset ? document.activeElement.dataset.at : null;
  const head = element("tr", {}, ...data.columns.map((column) => element("th", { scope: "col" }, column.name + " ", element("small", {}, column.type.replaceAll("_", " ")))),
    element("th", { scope: "col" }, element("span", {}, "Edited")), element("th", { scope: "col" }, ""));
  const body = data.rows.map((row) => rowOf(row, trash));
  byId("rows").replaceChildren(data.rows.length === 0
    ? element("p", {}, trash ? "The trash is empty." : "No rows yet.")
    : element("table", {}, element("thead", {}, head), element("tbody", {}, ...body)));
  for (const row of data.rows) state.seen.set(row.id, JSON.stringify(row.values));
  if (focused) {
    const again = [...byId("rows").querySelectorAll("[data-at]")].find((cell) => cell.dataset.at === focused);
    if (again) again.focus();
  }
  byId("pager").hidden = state.total <= PAGE;
  byId("previous").disabled = state.offset === 0;
  byId("next").disabled = state.offset + PAGE >= state.total;
  byId("range").textContent = `${state.offset + 1}–${Math.min(state.offset + PAGE, state.total)} of ${state.total}`;
}

function rowOf(row, trash) {
  const before = state.seen.get(row.id);
  const fresh = state.seen.size > 0 && before !== JSON.stringify(row.values);
  const cells = state.columns.map((column) => cellOf(row, column, trash));
  const edited = element("td", { class: "fixed" }, element("span", { class: "cell", title: row.edited_time }, `${row.edited_by || ""} ${row.edited_time.slice(0, 16).replace("T", " ")}`));
  const tools = trash
    ? [element("button", { type: "button", onclick: () => act(row, "restore") }, "Restore")]
    : [element("button", { type: "button", onclick: () => act(row, "duplicate") }, "Duplicate"),
       element("button", { type: "button", onclick: () => act(row, "trash") }, "Trash")];
  return element("tr", { class: fresh ? "fresh" : null }, ...cells, edited, element("td", { class: "tools" }, ...tools));
}

async function act(row, what) {
  await guarded(async () => {
    await call("POST", `pages/${row.id}/${what}`, { user: byId("user").value });
    say(what === "trash" ? "Moved to the trash." : what === "restore" ? "Restored." : "Duplicated.");
  });
}

async function guarded(work) {
  try {
    await work();
  } catch (error) {
    say(error.message, true);
  }
  await loadRows(true);
  await loadWorkspace();
}

function textOf(value) {
  if (value === null || value === undefined) return "";
  if (Array.isArray(value)) return value.map((item) => typeof item === "object" ? item.title || item.id : item).join(", ");
  return String(value);
}

function colorOf(column, name) {
  const option = (column.options || []).find((option) => option.name === name);
  return option ? `tag c-${option.color}` : "tag";
}

function contentOf(column, value) {
  if (value !== null && ["select", "status", "multi_select", "people", "relation", "files"].includes(column.type)) {
    const items = Array.isArray(value) ? value : [value];
    return items.map((item) => {
      const text = typeof item === "object" ? item.title || item.id : item;
      return element("span", { class: colorOf(column, text) }, text);
    });
  }
  return [document.createTextNode(textOf(value))];
}

function cellOf(row, column, trash) {
  const value = row.values[column.name];
  if (column.type === "checkbox" && !trash) {
    return element("td", {}, element("input", { type: "checkbox", checked: value === true, "aria-label": column.name, "data-at": row.id + column.id,
      onchange: (event) => write(row, column, event.target.checked) }));
  }
  if (!column.writable || trash) {
    return element("td", { class: "fixed" }, element("span", { class: "cell" }, ...contentOf(column, value)));
  }
  const cell = element("td", {});
  const show = element("button", { type: "button", class: "cell", "data-at": row.id + column.id, "aria-label": `${column.name}: ${textOf(value) || "empty"}. Edit` }, ...contentOf(column, value));
  show.addEventListener("click", () => edit(cell, row, column, value));
  cell.append(show);
  return cell;
}

function edit(cell, row, column, value) {
  state.editing = true;
  let done = false;
  const finish = async (changed) => {
    if (done) return;
    done = true;
    state.editing = false;
    if (changed === undefined) await loadRows(true);
    else await write(row, column, changed);
  };
  let field;
  const keys = (event) => {
    if (event.key === "Escape") finish(undefined);
    if (event.key === "Enter" && !(field.tagName === "TEXTAREA" && event.shiftKey)) { event.preventDefault(); finish(read()); }
  };
  let read = () => field.value === textOf(value) ? undefined : field.value;
  if (column.type === "select" || column.type === "status") {
    field = element("select", { "aria-label": column.name });
    if (column.type === "select") field.append(element("option", { value: "" }, "—"));
    for (const option of column.options) field.append(element("option", { value: option.name, selected: option.name === value }, option.name));
    field.addEventListener("change", () => finish(read()));
  } else if (column.type === "number") {
    field = element("input", { type: "text", inputmode: "decimal", value: textOf(value), "aria-label": column.name });
  } else if (column.type === "title" || column.type === "rich_text") {
    field = element("textarea", { rows: "2", "aria-label": column.name });
    field.value = textOf(value);
  } else {
    const hints = { date: "2026-03-01 or 2026-03-01T09:00+01:00", multi_select: "one, two", people: "names, e-mails", relation: "titles or ids", files: "https://…" };
    const text = column.type === "relation" && Array.isArray(value) ? value.map((item) => item.id).join(", ") : textOf(value);
    field = element("input", { type: "text", value: text, placeholder: hints[column.type] || "", "aria-label": column.name });
    read = () => field.value === text ? undefined : field.value;
    if (column.options) {
      const list = element("datalist", { id: "options" }, ...column.options.map((option) => element("option", { value: option.name })));
      field.setAttribute("list", "options");
      cell.replaceChildren(field, list);
    }
  }
  field.addEventListener("keydown", keys);
  field.addEventListener("blur", () => finish(read()));
  if (!field.parentNode) cell.replaceChildren(field);
  field.focus();
}

async function write(row, column, value) {
  await guarded(async () => {
    await call("PATCH", `pages/${row.id}`, { user: byId("user").value, properties: { [column.name]: value === "" ? null : value } });
    say("Saved.");
  });
}

byId("add").addEventListener("click", () => guarded(async () => {
  await call("POST", "pages", { data_source_id: state.source, user: byId("user").value, properties: {} });
  if (state.total >= PAGE) state.offset = Math.floor(state.total / PAGE) * PAGE;
  say("A row was added at the end.");
}));
byId("trash").addEventListener("change", () => { state.offset = 0; loadRows(true).catch((error) => say(error.message, true)); });
byId("previous").addEventListener("click", () => { state.offset = Math.max(0, state.offset - PAGE); loadRows(true); });
byId("next").addEventListener("click", () => { state.offset += PAGE; loadRows(true); });

async function tick() {
  try {
    if (!document.hidden && !state.editing) {
      await loadWorkspace();
      await loadRows(false);
    }
  } catch (error) {
    say("The emulator does not answer.", true);
  }
  setTimeout(tick, 1000);
}
tick();
