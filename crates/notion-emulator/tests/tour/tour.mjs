// The official JavaScript client's tour: named checks in both API versions. Prints one line for each.

import assert from "node:assert/strict";
import { createServer } from "node:http";
import {
  APIErrorCode, APIResponseError, Client, collectAllDataSourceRows, collectDataSourceTemplates, collectPaginatedAPI,
  isFullBlock, isFullComment, isFullDataSource, isFullDatabase, isFullPage, isFullUser, isFullView, iteratePaginatedAPI,
  verifyWebhookSignature,
} from "@notionhq/client";

const [baseUrl, token, parentPageId] = process.argv.slice(2);
let passed = 0;
let failed = 0;

async function check(version, name, work) {
  try {
    await work();
    passed += 1;
    console.log(`ok    ${version}  ${name}`);
  } catch (error) {
    failed += 1;
    console.log(`FAIL  ${version}  ${name}\n      ${String(error.message).replaceAll("\n", "\n      ")}`);
  }
}

async function control(method, path, body) {
  const answer = await fetch(`${baseUrl}/_emulator/${path}`, {
    method, headers: { "content-type": "application/json" }, body: body && JSON.stringify(body),
  });
  const json = await answer.json();
  assert.equal(answer.status, 200, JSON.stringify(json));
  return json;
}

const refused = (code, status) => (error) => {
  assert.ok(APIResponseError.isAPIResponseError(error), String(error));
  assert.equal(error.code, code);
  if (status) assert.equal(error.status, status);
  return true;
};
const text = (content) => [{ text: { content } }];
const plain = (items) => items.map((item) => item.plain_text).join("");
const minute = /^\d{4}-\d\d-\d\dT\d\d:\d\d:00\.000Z$/;

async function tour(version) {
  const notion = new Client({ auth: token, baseUrl, notionVersion: version, retry: { maxRetries: 0 } });
  const is = (name, work) => check(version, name, work);
  const newest = version === "2026-03-11";
  let database, source, source_id, page, other, row, block;

  await is("users.me is the bot", async () => {
    const me = await notion.users.me({});
    assert.equal(me.type, "bot");
    assert.ok(isFullUser(me));
    assert.equal(me.bot.workspace_limits.max_file_upload_size_in_bytes, 5242880);
  });
  await is("users.list gives people with e-mails and bots", async () => {
    const users = await collectPaginatedAPI(notion.users.list, { page_size: 2 });
    assert.equal(users.filter((user) => user.type === "person" && user.person.email).length, 3);
    assert.ok(users.some((user) => user.type === "bot"));
  });
  await is("users.retrieve gives one", async () => {
    const [first] = (await notion.users.list({})).results;
    assert.equal((await notion.users.retrieve({ user_id: first.id })).id, first.id);
  });
  await is("users.retrieve of a stranger is object_not_found", () =>
    assert.rejects(notion.users.retrieve({ user_id: "00000000-0000-4000-8000-000000000000" }), refused(APIErrorCode.ObjectNotFound, 404)));
  await is("customEmojis.list is empty", async () => assert.deepEqual((await notion.customEmojis.list({})).results, []));

  await is("databases.create with an initial data source", async () => {
    other = await notion.databases.create({
      parent: { type: "page_id", page_id: parentPageId }, title: text("Owners"),
      initial_data_source: { properties: { Name: { title: {} }, Amount: { number: {} } } },
    });
    database = await notion.databases.create({
      parent: { type: "page_id", page_id: parentPageId }, title: text("Tour"), description: text("of everything"), icon: { emoji: "🧭" },
      initial_data_source: { properties: {
        Name: { title: {} }, Note: { rich_text: {} }, Qty: { number: { format: "dollar" } },
        Tier: { select: { options: [{ name: "Gold", color: "yellow" }, { name: "Silver" }] } },
        Tags: { multi_select: {} }, Stage: { status: {} }, Due: { date: {} }, Owner: { people: {} }, Doc: { files: {} },
        Paid: { checkbox: {} }, Site: { url: {} }, Mail: { email: {} }, Phone: { phone_number: {} },
        Link: { relation: { data_source_id: other.data_sources[0].id, dual_property: { synced_property_name: "Back" } } },
        Sum: { rollup: { relation_property_name: "Link", rollup_property_name: "Amount", function: "sum" } },
        Double: { formula: { expression: 'prop("Qty") * 2' } }, No: { unique_id: { prefix: "T" } },
        Made: { created_time: {} }, Maker: { created_by: {} }, Changed: { last_edited_time: {} }, Changer: { last_edited_by: {} },
      } },
    });
    assert.ok(isFullDatabase(database));
    assert.equal(database.properties, undefined);
    source_id = database.data_sources[0].id;
    assert.notEqual(source_id, database.id);
  });
  await is("databases have millisecond times", () => assert.match(database.created_time, /\.\d{3}\+00:00$/));
  await is("databases.retrieve gives it back", async () => {
    const again = await notion.databases.retrieve({ database_id: database.id });
    assert.equal(plain(again.title), "Tour");
    assert.equal(again.icon.emoji, "🧭");
    assert.equal("archived" in again, !newest);
    assert.equal(again.in_trash, false);
  });
  await is("databases.update changes title and lock", async () => {
    const changed = await notion.databases.update({ database_id: database.id, title: text("Tour 2"), is_locked: true });
    assert.equal(plain(changed.title), "Tour 2");
    assert.equal(changed.is_locked, true);
  });
  await is("dataSources.retrieve gives the schema", async () => {
    source = await notion.dataSources.retrieve({ data_source_id: source_id });
    assert.ok(isFullDataSource(source));
    assert.equal(source.properties.Name.id, "title");
    assert.equal(source.properties.Qty.number.format, "dollar");
    assert.equal(source.properties.Tier.select.options[0].color, "yellow");
    assert.deepEqual(source.parent, { type: "database_id", database_id: database.id });
    assert.match(source.created_time, minute);
  });
  await is("status comes with its groups", () => {
    assert.deepEqual(source.properties.Stage.status.groups.map((group) => group.name), ["To-do", "In progress", "Complete"]);
    assert.deepEqual(source.properties.Stage.status.options.map((option) => option.name), ["Not started", "In progress", "Done"]);
  });
  await is("a two-way relation makes its mirror", async () => {
    const mirror = (await notion.dataSources.retrieve({ data_source_id: other.data_sources[0].id })).properties.Back;
    assert.equal(mirror.type, "relation");
    assert.equal(mirror.relation.data_source_id, source_id);
    assert.equal(source.properties.Link.relation.dual_property.synced_property_id, mirror.id);
  });
  await is("dataSources.update adds, renames and removes a column", async () => {
    let changed = await notion.dataSources.update({ data_source_id: source_id, properties: { Extra: { checkbox: {} } } });
    const id = changed.properties.Extra.id;
    changed = await notion.dataSources.update({ data_source_id: source_id, properties: { Extra: { name: "More" } } });
    assert.equal(changed.properties.More.id, id);
    changed = await notion.dataSources.update({ data_source_id: source_id, properties: { [id]: null } });
    assert.equal(changed.properties.More, undefined);
  });
  await is("an option cannot be recoloured", () => assert.rejects(
    notion.dataSources.update({ data_source_id: source_id, properties: { Tier: { select: { options: [{ name: "Gold", color: "red" }] } } } }),
    (error) => refused(APIErrorCode.ValidationError)(error) && error.message.includes("Cannot update color of select with name: Gold.")));
  await is("the title cannot be removed", () => assert.rejects(
    notion.dataSources.update({ data_source_id: source_id, properties: { Name: null } }), refused(APIErrorCode.ValidationError)));
  await is("dataSources.create adds a second one", async () => {
    const spare = await notion.databases.create({ parent: { type: "page_id", page_id: parentPageId }, title: text("Two") });
    const second = await notion.dataSources.create({ parent: { type: "database_id", database_id: spare.id }, title: text("Second"), properties: { Name: { title: {} } } });
    assert.ok(isFullDataSource(second));
    assert.equal((await notion.databases.retrieve({ database_id: spare.id })).data_sources.length, 2);
    const oldest = new Client({ auth: token, baseUrl, notionVersion: "2022-06-28", retry: { maxRetries: 0 } });
    await assert.rejects(oldest.databases.retrieve({ database_id: spare.id }), (error) => error.additional_data?.error_type === "multiple_data_sources_for_database" || error.body.includes("multiple_data_sources_for_database"));
  });
  await is("listTemplates is empty", async () => assert.deepEqual(await collectDataSourceTemplates(notion, { data_source_id: source_id }), []));

  await is("pages.create fills every writable column", async () => {
    const [person] = (await notion.users.list({})).results;
    const owner = await notion.pages.create({ parent: { data_source_id: other.data_sources[0].id }, properties: { Name: { title: text("Acme") }, Amount: { number: 4.5 } } });
    row = await notion.pages.create({
      parent: { type: "data_source_id", data_source_id: source_id },
      properties: {
        Name: { title: text("Order 7") }, Note: { rich_text: [{ text: { content: "bold" }, annotations: { bold: true } }, { text: { content: " plain" } }] },
        Qty: { number: 7 }, Tier: { select: { name: "gold" } }, Tags: { multi_select: [{ name: "eu" }, { name: "new" }] },
        Stage: { status: { name: "In progress" } }, Due: { date: { start: "2026-12-01T10:20:30.123+09:00" } },
        Owner: { people: [{ id: person.id }] }, Doc: { files: [{ name: "a.pdf", external: { url: "https://x.example/a.pdf" } }] },
        Paid: { checkbox: true }, Site: { url: "https://x.example" }, Mail: { email: "a@example.com" }, Phone: { phone_number: "1" },
        Link: { relation: [{ id: owner.id }] },
      },
    });
    assert.ok(isFullPage(row));
    assert.deepEqual(row.parent, { type: "data_source_id", data_source_id: source_id, database_id: database.id });
    assert.match(row.created_time, minute);
  });
  const value = (name) => row.properties[name][row.properties[name].type];
  await is("text keeps its annotations", () => {
    assert.equal(value("Note")[0].annotations.bold, true);
    assert.equal(plain(value("Note")), "bold plain");
  });
  await is("options resolve whatever the case", () => assert.equal(value("Tier").name, "Gold"));
  await is("unknown tags are made", async () => {
    assert.deepEqual(value("Tags").map((tag) => tag.name), ["eu", "new"]);
    source = await notion.dataSources.retrieve({ data_source_id: source_id });
    assert.deepEqual(source.properties.Tags.multi_select.options.map((tag) => tag.name), ["eu", "new"]);
  });
  await is("dates lose seconds and keep the offset", () => assert.equal(value("Due").start, "2026-12-01T10:20:00.000+09:00"));
  await is("people are full users", () => assert.equal(value("Owner")[0].type, "person"));
  await is("files keep name and address", () => assert.equal(value("Doc")[0].external.url, "https://x.example/a.pdf"));
  await is("rows are numbered", () => assert.deepEqual(value("No"), { prefix: "T", number: 1 }));
  await is("rollups and simple formulas are computed", () => {
    assert.equal(value("Sum").number, 4.5);
    assert.equal(value("Double").number, 14);
  });
  await is("created and edited columns are filled", () => {
    assert.equal(value("Made"), row.created_time);
    assert.equal(value("Maker").type, "bot");
  });
  await is("the mirror shows the row", async () => {
    const owner = await notion.pages.retrieve({ page_id: value("Link")[0].id });
    assert.deepEqual(owner.properties.Back.relation, [{ id: row.id }]);
  });
  await is("pages.retrieve gives the same values", async () => {
    const again = await notion.pages.retrieve({ page_id: row.id });
    assert.deepEqual(again.properties, row.properties);
  });
  await is("pages.retrieve can be narrowed to properties", async () => {
    const narrow = await notion.pages.retrieve({ page_id: row.id, filter_properties: [row.properties.Qty.id] });
    assert.deepEqual(Object.keys(narrow.properties), ["Qty"]);
  });
  await is("pages.update changes what is sent and nothing else", async () => {
    const changed = await notion.pages.update({ page_id: row.id, properties: { Qty: { number: null }, Paid: { checkbox: false } } });
    assert.equal(changed.properties.Qty.number, null);
    assert.equal(changed.properties.Paid.checkbox, false);
    assert.equal(plain(changed.properties.Name.title), "Order 7");
    row = await notion.pages.update({ page_id: row.id, properties: { Qty: { number: 7 } } });
  });
  await is("a status that does not exist is refused", () => assert.rejects(
    notion.pages.update({ page_id: row.id, properties: { Stage: { status: { name: "Nowhere" } } } }), refused(APIErrorCode.ValidationError)));
  await is("a comma in an option is refused", () => assert.rejects(
    notion.pages.update({ page_id: row.id, properties: { Tier: { select: { name: "a,b" } } } }), /commas not allowed/));
  await is("2001 characters are refused", () => assert.rejects(
    notion.pages.update({ page_id: row.id, properties: { Note: { rich_text: text("x".repeat(2001)) } } }), /should be ≤ `2000`, instead was `2001`/));
  await is("an unknown column is refused", () => assert.rejects(
    notion.pages.update({ page_id: row.id, properties: { Nope: { number: 1 } } }), /Nope is not a property that exists\./));
  await is("the wrong kind of value is refused", () => assert.rejects(
    notion.pages.update({ page_id: row.id, properties: { Qty: { rich_text: [] } } }), /Qty is expected to be number\./));
  await is("a computed column cannot be written", () => assert.rejects(
    notion.pages.update({ page_id: row.id, properties: { Sum: { number: 1 } } }), /Fix one/));
  await is("pages.properties.retrieve gives one value", async () => {
    const item = await notion.pages.properties.retrieve({ page_id: row.id, property_id: row.properties.Qty.id });
    assert.equal(item.object, "property_item");
    assert.equal(item.number, 7);
  });
  await is("pages.properties.retrieve pages past 25", async () => {
    const owners = other.data_sources[0].id;
    const made = await control("POST", `data_sources/${owners}/rows`, { rows: Array.from({ length: 30 }, (_, n) => ({ Name: `o${n}` })) });
    const many = await notion.pages.update({ page_id: row.id, properties: { Link: { relation: made.ids.map((id) => ({ id })) } } });
    assert.equal(many.properties.Link.relation.length, 25);
    assert.equal(many.properties.Link.has_more, true);
    const items = await collectPaginatedAPI(notion.pages.properties.retrieve, { page_id: row.id, property_id: many.properties.Link.id, page_size: 7 });
    assert.deepEqual(items.map((item) => item.relation.id), made.ids);
  });
  await is("dataSources.query pages with filter and sort", async () => {
    const rows = Array.from({ length: 30 }, (_, n) => ({ Name: `r${n}`, Qty: n }));
    await control("POST", `data_sources/${source_id}/rows`, { rows });
    const found = [];
    const query = { data_source_id: source_id, page_size: 4, filter: { property: "Qty", number: { less_than: 10 } }, sorts: [{ property: "Qty", direction: "descending" }] };
    for await (const page of iteratePaginatedAPI(notion.dataSources.query, query)) found.push(page.properties.Qty.number);
    assert.deepEqual(found, [9, 8, 7, 7, 6, 5, 4, 3, 2, 1, 0]);
  });
  await is("dataSources.query understands nested conditions", async () => {
    const list = await notion.dataSources.query({ data_source_id: source_id, filter: { and: [
      { or: [{ property: "Name", title: { equals: "r3" } }, { property: "Tier", select: { equals: "Gold" } }] }, { property: "Paid", checkbox: { equals: false } } ] } });
    assert.equal(list.results.length, 2);
    assert.equal(list.type, "page_or_data_source");
  });
  await is("dataSources.query by last edit finds everything of now", async () => {
    const list = await notion.dataSources.query({ data_source_id: source_id, filter: { timestamp: "last_edited_time", last_edited_time: { on_or_after: row.created_time } } });
    assert.equal(list.results.length, 31);
  });
  await is("dataSources.query names an unknown column", () => assert.rejects(
    notion.dataSources.query({ data_source_id: source_id, filter: { property: "Nope", number: { equals: 1 } } }), /Could not find property with name or id: Nope/));
  await is("collectAllDataSourceRows reads past the cap", async () => {
    await control("POST", "caps", { results: 20 });
    try {
      const many = await notion.databases.create({ parent: { type: "page_id", page_id: parentPageId }, title: text("Many") });
      const id = many.data_sources[0].id;
      await control("POST", `data_sources/${id}/rows`, { count: 50, created_time: "2026-02-01T00:00:00Z", step_ms: 30000 });
      const capped = await notion.dataSources.query({ data_source_id: id });
      assert.equal(capped.has_more, false);
      assert.equal(capped.request_status.type, "incomplete");
      assert.equal((await collectAllDataSourceRows(notion, { data_source_id: id })).length, 50);
    } finally {
      await control("POST", "caps", { results: 10000 });
    }
  });
  await is("trash hides a row from queries and get still shows it", async () => {
    const list = await notion.dataSources.query({ data_source_id: source_id, filter: { property: "Name", title: { equals: "r5" } } });
    const id = list.results[0].id;
    const trashed = await notion.pages.update(newest ? { page_id: id, in_trash: true } : { page_id: id, archived: true });
    assert.equal(trashed.in_trash, true);
    assert.equal(trashed.archived, newest ? undefined : true);
    assert.equal((await notion.pages.retrieve({ page_id: id })).in_trash, true);
    const empty = await notion.dataSources.query({ data_source_id: source_id, filter: { property: "Name", title: { equals: "r5" } } });
    assert.equal(empty.results.length, 0);
    await assert.rejects(notion.pages.update({ page_id: id, properties: { Qty: { number: 1 } } }), /Can't edit block that is archived/);
    assert.equal((await notion.pages.update({ page_id: id, in_trash: false })).in_trash, false);
  });

  await is("pages.create under a page, with blocks", async () => {
    page = await notion.pages.create({
      parent: { page_id: parentPageId }, properties: { title: { title: text("A page") } },
      children: [{ paragraph: { rich_text: text("one") } }, { to_do: { rich_text: text("two"), checked: true } }],
    });
    assert.deepEqual(Object.keys(page.properties), ["title"]);
  });
  await is("blocks.children.list gives the body", async () => {
    const list = await notion.blocks.children.list({ block_id: page.id });
    assert.deepEqual(list.results.map((block) => block.type), ["paragraph", "to_do"]);
    block = list.results[0];
    assert.ok(isFullBlock(block));
    assert.match(block.created_time, minute);
  });
  await is("blocks.children.append puts blocks where asked", async () => {
    const children = [{ type: "heading_2", heading_2: { rich_text: text("middle") } }];
    const place = newest ? { position: { type: "after_block", after_block: { id: block.id } } } : { after: block.id };
    await notion.blocks.children.append({ block_id: page.id, children, ...place });
    const list = await notion.blocks.children.list({ block_id: page.id });
    assert.deepEqual(list.results.map((block) => block.type), ["paragraph", "heading_2", "to_do"]);
  });
  await is("nested blocks are read level by level", async () => {
    const made = await notion.blocks.children.append({ block_id: page.id, children: [{ toggle: { rich_text: text("t"), children: [{ bulleted_list_item: { rich_text: text("inside") } }] } }] });
    assert.equal(made.results[0].has_children, true);
    assert.equal((await notion.blocks.children.list({ block_id: made.results[0].id })).results[0].type, "bulleted_list_item");
  });
  await is("blocks.update and blocks.retrieve", async () => {
    await notion.blocks.update({ block_id: block.id, paragraph: { rich_text: text("changed") } });
    assert.equal(plain((await notion.blocks.retrieve({ block_id: block.id })).paragraph.rich_text), "changed");
  });
  await is("blocks.delete trashes a block", async () => {
    assert.equal((await notion.blocks.delete({ block_id: block.id })).in_trash, true);
    assert.ok(!(await notion.blocks.children.list({ block_id: page.id })).results.some((other) => other.id === block.id));
  });
  if (newest) {
    await is("the old `after` is refused", () => assert.rejects(
      notion.request({ path: `blocks/${page.id}/children`, method: "patch", body: { children: [], after: block.id } }), refused(APIErrorCode.ValidationError)));
    await is("the old `archived` is refused", () => assert.rejects(
      notion.request({ path: `pages/${page.id}`, method: "patch", body: { archived: true } }), refused(APIErrorCode.ValidationError)));
  }
  await is("markdown is written and read", async () => {
    const body = "# Title\n- one\n- **two**\n```js\nlet a = 1;\n```";
    const written = await notion.pages.updateMarkdown({ page_id: page.id, type: "replace_content", replace_content: { new_str: body } });
    assert.equal(written.object, "page_markdown");
    assert.equal((await notion.pages.retrieveMarkdown({ page_id: page.id })).markdown, body);
  });
  await is("markdown is changed in place", async () => {
    await notion.pages.updateMarkdown({ page_id: page.id, type: "update_content", update_content: { content_updates: [{ old_str: "- one", new_str: "- uno" }] } });
    await notion.pages.updateMarkdown({ page_id: page.id, type: "insert_content", insert_content: { content: "the end" } });
    const { markdown } = await notion.pages.retrieveMarkdown({ page_id: page.id });
    assert.ok(markdown.includes("- uno") && markdown.endsWith("the end"));
  });
  await is("pages.move changes the parent", async () => {
    const moved = await notion.pages.move({ page_id: page.id, parent: { type: "data_source_id", data_source_id: source_id } });
    assert.equal(moved.parent.data_source_id, source_id);
    assert.equal(plain(moved.properties.Name.title), "A page");
  });

  await is("search finds pages and data sources by title", async () => {
    const sources = await notion.search({ query: "tour 2", filter: { property: "object", value: "data_source" } });
    assert.ok(sources.results.some((found) => found.id === source_id));
    const pages = await notion.search({ query: "Order 7", filter: { property: "object", value: "page" } });
    assert.ok(pages.results.some((found) => found.id === row.id));
  });
  await is("comments are made, listed, changed and removed", async () => {
    const made = await notion.comments.create({ parent: { page_id: row.id }, rich_text: text("hello") });
    assert.ok(isFullComment(made));
    assert.equal((await notion.comments.list({ block_id: row.id })).results.length, 1);
    assert.equal(plain((await notion.comments.update({ comment_id: made.id, rich_text: text("bye") })).rich_text), "bye");
    assert.equal((await notion.comments.retrieve({ comment_id: made.id })).id, made.id);
    await notion.comments.delete({ comment_id: made.id });
    assert.equal((await notion.comments.list({ block_id: row.id })).results.length, 0);
  });
  await is("a file is uploaded in one part and attached", async () => {
    const upload = await notion.fileUploads.create({ mode: "single_part", filename: "a.txt", content_type: "text/plain" });
    assert.equal(upload.status, "pending");
    const sent = await notion.fileUploads.send({ file_upload_id: upload.id, file: { data: new Blob(["hello"], { type: "text/plain" }), filename: "a.txt" } });
    assert.equal(sent.status, "uploaded");
    const changed = await notion.pages.update({ page_id: row.id, properties: { Doc: { files: [{ name: "a.txt", file_upload: { id: upload.id } }] } } });
    const file = changed.properties.Doc.files[0];
    assert.equal(file.type, "file");
    assert.equal(await (await fetch(file.file.url)).text(), "hello");
    const kept = await notion.pages.update({ page_id: row.id, properties: { Doc: { files: [file] } } });
    assert.equal(kept.properties.Doc.files[0].type, "file");
    assert.equal((await notion.fileUploads.retrieve({ file_upload_id: upload.id })).expiry_time, null);
  });
  await is("a file is uploaded in parts", async () => {
    const upload = await notion.fileUploads.create({ mode: "multi_part", filename: "b.txt", number_of_parts: 2 });
    for (const [part_number, data] of [["2", "world"], ["1", "hello "]]) {
      await notion.fileUploads.send({ file_upload_id: upload.id, file: { data: new Blob([data]), filename: "b.txt" }, part_number });
    }
    assert.equal((await notion.fileUploads.complete({ file_upload_id: upload.id })).status, "uploaded");
    assert.ok((await collectPaginatedAPI(notion.fileUploads.list, {})).some((other) => other.id === upload.id));
  });
  await is("views are listed, made and removed", async () => {
    assert.equal((await notion.views.list({ data_source_id: source_id })).results.length, 1);
    const view = await notion.views.create({ database_id: database.id, data_source_id: source_id, name: "Board", type: "board" });
    assert.ok(isFullView(view));
    assert.equal((await notion.views.retrieve({ view_id: view.id })).name, "Board");
    assert.equal((await notion.views.update({ view_id: view.id, name: "B" })).name, "B");
    await notion.views.delete({ view_id: view.id });
    assert.equal((await notion.views.list({ data_source_id: source_id })).results.length, 1);
  });
  await is("a wrong token is unauthorized", () => assert.rejects(
    new Client({ auth: "ntn_wrong", baseUrl, notionVersion: version }).users.me({}), refused(APIErrorCode.Unauthorized, 401)));
  await is("a 429 is retried by the client after its seconds", async () => {
    await control("POST", "faults", { endpoint: "GET /v1/users/me", answer: "429", times: 1, retry_after: 1 });
    const patient = new Client({ auth: token, baseUrl, notionVersion: version });
    const began = Date.now();
    assert.equal((await patient.users.me({})).object, "user");
    assert.ok(Date.now() - began >= 900);
  });
  await is("a lost answer is an error although the page was made", async () => {
    await control("POST", "faults", { endpoint: "POST /v1/pages", fate: "applied", answer: "drop", times: 1 });
    await assert.rejects(notion.pages.create({ parent: { data_source_id: source_id }, properties: { Name: { title: text("lost") } } }));
    const list = await notion.dataSources.query({ data_source_id: source_id, filter: { property: "Name", title: { equals: "lost" } } });
    assert.equal(list.results.length, 1);
  });
  await is("a person's edit is signed by the person", async () => {
    await control("PATCH", `pages/${row.id}`, { user: "Grace Hopper", properties: { Note: "by hand" } });
    const again = await notion.pages.retrieve({ page_id: row.id });
    assert.equal(plain(again.properties.Note.rich_text), "by hand");
    assert.equal(again.properties.Changer.last_edited_by.name, "Grace Hopper");
  });
  await is("webhooks arrive with a signature the client verifies", async () => {
    const heard = [];
    const server = createServer((request, answer) => {
      const chunks = [];
      request.on("data", (chunk) => chunks.push(chunk));
      request.on("end", () => {
        heard.push({ body: Buffer.concat(chunks).toString(), signature: request.headers["x-notion-signature"] });
        answer.end();
      });
    });
    await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
    try {
      const { verification_token } = await control("POST", "webhooks", { url: `http://127.0.0.1:${server.address().port}/` });
      assert.equal(JSON.parse(heard[0].body).verification_token, verification_token);
      await notion.pages.update({ page_id: row.id, properties: { Qty: { number: 8 } } });
      const deadline = Date.now() + 10000;
      while (heard.length < 2 && Date.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 10));
      const event = JSON.parse(heard[1].body);
      assert.equal(event.type, "page.properties_updated");
      assert.equal(event.entity.id, row.id);
      assert.deepEqual(event.data.updated_properties, [row.properties.Qty.id]);
      assert.equal(await verifyWebhookSignature({ body: heard[1].body, signature: heard[1].signature, verificationToken: verification_token }), true);
    } finally {
      await control("DELETE", "webhooks");
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    }
  });
  await is("trashing a database hides its data source from queries", async () => {
    await notion.databases.update({ database_id: database.id, in_trash: true });
    await assert.rejects(notion.dataSources.query({ data_source_id: source_id }), refused(APIErrorCode.ObjectNotFound, 404));
    assert.equal((await notion.databases.update({ database_id: database.id, in_trash: false })).in_trash, false);
    assert.ok((await notion.dataSources.query({ data_source_id: source_id })).results.length > 0);
  });
}

await tour("2025-09-03");
await tour("2026-03-11");
console.log(JSON.stringify({ passed, failed }));
process.exitCode = failed === 0 ? 0 : 1;
