//! Rows and pages that no link and no key brings together any more find each other by what people wrote, or are asked
//! about, and nothing is doubled on the way.

use std::collections::BTreeSet;

use serde_json::{Value as Json, json};

use super::{RECORDS, command, company, done, everything};
use crate::support::{
    program::Answer,
    world::{Page, World},
};

const TABLE: &str = "
CREATE TABLE suppliers (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL, city text, founded integer);
INSERT INTO suppliers (name, city, founded) VALUES
    ('Aurora Chemicals', 'Bergen', 1954), ('Boreal Timber', 'Oulu', 1961), ('Cobalt Works', 'Essen', 1972),
    ('Delta Freight', 'Rotterdam', 1983), ('Ember Glass', 'Murano', 1994), ('Fjord Salmon', 'Stavanger', 1955),
    ('Granite & Sons', 'Aberdeen', 1966), ('Harbour Logistics', 'Bremen', 1977), ('Indigo Textiles', 'Jaipur', 1988),
    ('Juniper Spirits', 'Leith', 1999), ('Kestrel Optics', 'Jena', 1950), ('Lumen Batteries', 'Graz', 2011),
    ('Twin Metals', 'Leeds', 1970), ('Twin Metals', 'Leeds', 1970);
";

const MAPPING: &str = "
[mapping.suppliers]
table = \"suppliers\"
data_source = \"create\"
[mapping.suppliers.fields]
name = { property = \"Name\", as = \"title\" }
city = \"City\"
founded = \"Founded\"
";

/// Fourteen records that are equal on both sides.
async fn suppliers() -> World {
    let world = World::with_mappings(TABLE, MAPPING).await;
    world.sync().await;
    assert_eq!(world.equal().await, 14);
    world
}

/// pagerow's tables are gone, and so are the keys of the pages from the fifth on. Three of these have another title, two
/// the same one. Answers the pages by the rows to which they belong.
async fn forget(world: &World) -> Vec<Page> {
    world.sql("DROP SCHEMA pagerow CASCADE").await;
    let source = world.source("Suppliers").await;
    let mut pages: Vec<Page> = Vec::new();
    for page in world.pages(&source).await {
        pages.push(Page { id: page["id"].as_str().unwrap().to_owned(), values: page["values"].clone() });
    }
    pages.sort_by_key(|page| key(page).parse::<u32>().unwrap());
    for page in &pages[4..] {
        world.edit(page, json!({ "Supabase ID": "" })).await;
    }
    world.edit(&pages[9], json!({ "Name": "JUNIPER spirits." })).await;
    world.edit(&pages[10], json!({ "Name": "Kestrel Optcs" })).await;
    world.edit(&pages[11], json!({ "Name": "Storage cells" })).await;
    pages
}

fn key(page: &Page) -> &str {
    page.values["Supabase ID"].as_str().unwrap()
}

fn matches(answer: &Answer) -> Json {
    answer.json()["matches"][0].clone()
}

fn keys(list: &Json) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|one| one["key"].as_str().unwrap()).collect()
}

async fn choose(world: &World, arguments: &[&str]) -> Answer {
    command(world, &[&["recover", "choose", "suppliers"], arguments].concat()).await
}

/// Ends every conflict in favour of the rows; then both sides are equal, and have so many records.
async fn settle(world: &World, records: u64) {
    // What was only linked so far is compared and settled by the next sync.
    world.try_sync().await.unwrap();
    let answer = command(world, &["resolve", "--all", "--keep", "postgres", "--yes"]).await;
    assert_eq!(answer.code, 0, "{}{}", answer.stdout, answer.stderr);
    world.sync().await;
    assert_eq!(world.equal().await, records);
    assert_eq!(world.pages(&world.source("Suppliers").await).await.len() as u64, records);
    assert_eq!(world.count("suppliers").await as u64, records);
    world.nothing_left().await;
}

#[tokio::test]
async fn without_keys_records_are_linked_as_surely_as_asked_and_the_rest_waits() {
    let world = suppliers().await;
    let pages = forget(&world).await;
    // One row is lost whose page has its key, and one page has no row at all.
    world.sql("DELETE FROM suppliers WHERE id = 2").await;
    let source = world.source("Suppliers").await;
    world.add(&source, json!({ "Name": "Umbrella Repairs", "City": "Porto", "Founded": 2020 })).await;

    // By itself only what is certain becomes a link; and what may be a row's page makes no second row.
    let first = command(&world, &["recover", "from-notion", "--accept", "high", "--yes", "--json"]).await;
    assert_eq!(first.code, 3, "{}{}", first.stdout, first.stderr);
    let found = matches(&first);
    assert_eq!(keys(&found["linked"]), ["5", "6", "7", "8", "9"], "what says the same in every field");
    assert_eq!(found["linked"][0]["reason"], "same content, which no other has");
    assert_eq!(keys(&found["likely"]), ["10", "11", "12"], "{found:#}");
    assert_eq!(world.count("suppliers").await, 15, "one came back, one was born");
    assert_eq!(world.count("suppliers WHERE id = 2 AND name = 'Boreal Timber'").await, 1);
    assert_eq!(first.json()["report"]["mappings"][0]["asked"], 3 + 4);

    assert_eq!((&found["rows_alone"], &found["pages_alone"]), (&json!(0), &json!(1)), "Umbrella Repairs");

    // The others are listed, with what speaks for them.
    let likely = |key: &str| {
        let list = found["likely"].as_array().unwrap();
        list.iter().find(|one| one["key"] == key).cloned().unwrap_or_else(|| panic!("{key}: {found:#}"))
    };
    assert_eq!(
        (&likely("10")["confidence"], &likely("10")["tier"]),
        (&json!("medium"), &json!("exact_title"))
    );
    assert_eq!(likely("11")["page_id"], pages[10].id.as_str());
    assert_eq!(likely("11")["page_title"], "Kestrel Optcs");
    assert_eq!(likely("11")["tier"], "similar_title");
    let reason = likely("11")["reason"].as_str().unwrap().to_owned();
    assert!(reason.starts_with("matched on title 0.9"), "{reason}");
    // Two rows and two pages that say the same are one question.
    let question = &found["questions"][0];
    assert_eq!(keys(&question["rows"]), ["13", "14"]);
    assert_eq!(question["candidates"].as_array().unwrap().len(), 4, "{question:#}");
    let shown = command(&world, &["recover", "from-notion", "--dry-run"]).await;
    assert_eq!(shown.code, 3, "{}", shown.stderr);
    for said in
        ["row 11 \"Kestrel Optics\" may be page", "matched on title 0.9", "rows 13 \"Twin Metals\", 14"]
    {
        assert!(shown.stdout.contains(said), "{said}: {}", shown.stdout);
    }

    // What is sure enough is accepted at once.
    let second = command(&world, &["recover", "from-notion", "--accept", "medium", "--yes", "--json"]).await;
    assert_eq!(second.code, 3, "{}", second.stderr);
    let found = matches(&second);
    let linked: BTreeSet<&str> = keys(&found["linked"]).into_iter().collect();
    assert!(["10", "11"].iter().all(|key| linked.contains(key)), "{found:#}");
    assert_eq!(world.count("suppliers").await, 15);
    assert_eq!(
        world.page(&source, "Name", "Kestrel Optcs").await.values["Supabase ID"],
        "11",
        "it is marked"
    );

    // The twins are told apart by a person, and so is the one that changed beyond recognition.
    let (one, other) = (pages[12].id.as_str(), pages[13].id.as_str());
    for (key, page) in [("13", one), ("14", other), ("12", pages[11].id.as_str())] {
        let chosen = choose(&world, &[key, "--page", page]).await;
        assert_eq!(chosen.code, 0, "{}", chosen.stderr);
    }
    assert_eq!(keys(&done(&world, &["recover", "choices", "--json"]).await.json()["choices"]).len(), 3);
    let third = command(&world, &["recover", "from-notion", "--yes", "--json"]).await;
    assert!([0, 3].contains(&third.code), "{}", third.stderr);
    let found = matches(&third);
    assert_eq!(keys(&found["linked"]), ["12", "13", "14"], "{found:#}");
    assert_eq!(third.json()["report"]["mappings"][0]["asked"], 0);
    let left = done(&world, &["recover", "choices", "--json"]).await.json();
    assert_eq!(left["choices"], json!([]), "they are links by now");
    // Nothing was written over: what differs is asked about.
    assert_eq!(world.page(&source, "Name", "Storage cells").await.values["Supabase ID"], "12");
    assert_eq!(world.count("suppliers WHERE id = 12 AND name = 'Lumen Batteries'").await, 1);
    settle(&world, 15).await;
}

#[tokio::test]
async fn a_sync_leaves_alone_what_was_asked_and_goes_by_the_answers() {
    let world = suppliers().await;
    let pages = forget(&world).await;
    let source = world.source("Suppliers").await;
    let asked = command(&world, &["recover", "from-notion", "--yes", "--json"]).await;
    assert_eq!(asked.code, 3, "{}", asked.stderr);
    let count = async || (world.count("suppliers").await, world.pages(&source).await.len());
    let before = count().await;
    for arguments in [vec!["sync", "--json"], vec!["sync", "--full", "--json"]] {
        let synced = command(&world, &arguments).await;
        assert_eq!(synced.code, 3, "{}{}", synced.stdout, synced.stderr);
        assert_eq!(synced.json()["mappings"][0]["asked"], 3 + 4, "{}", synced.stdout);
        assert_eq!(count().await, before, "none of what is asked was made a second time");
    }
    let told = command(&world, &["sync"]).await;
    assert!(told.stdout.contains("7 unanswered matches"), "{}", told.stdout);
    assert!(told.stdout.contains("`pagerow recover choices`"), "{}", told.stdout);
    let open = done(&world, &["recover", "choices", "--json"]).await.json();
    assert_eq!(open["open"].as_array().map(Vec::len), Some(7), "{open:#}");
    let listed = done(&world, &["recover", "choices"]).await;
    assert!(listed.stdout.contains("may row 11 be page"), "{}", listed.stdout);

    // Each answer is gone by in the next sync, and only that.
    assert_eq!(choose(&world, &["11", "--page", &pages[10].id]).await.code, 0);
    assert_eq!(choose(&world, &["13", "--new"]).await.code, 0);
    assert_eq!(choose(&world, &["--page", &pages[12].id, "--new"]).await.code, 0);
    let synced = command(&world, &["sync", "--json"]).await;
    assert_eq!(synced.json()["mappings"][0]["asked"], 2 + 2, "{}", synced.stdout);
    assert_eq!(count().await, (before.0 + 1, before.1 + 1), "a new page and a new row");
    assert_eq!(
        world.count(&format!("pagerow.links WHERE row_key = '11' AND page_id = '{}'", pages[10].id)).await,
        1
    );
    assert_eq!(world.page(&source, "Name", "Kestrel Optcs").await.values["Supabase ID"], "11");
    assert_eq!(
        world.count("suppliers WHERE id = 11 AND name = 'Kestrel Optics'").await,
        1,
        "it is asked which is right"
    );

    // An answer that is taken back is a question again; one whose row goes is none any more after the next recovery.
    assert_eq!(choose(&world, &["10", "--new"]).await.code, 0);
    assert_eq!(choose(&world, &["10", "--take-back"]).await.code, 0);
    world.sql("DELETE FROM suppliers WHERE id = 12").await;
    let again = command(&world, &["recover", "from-notion", "--accept", "medium", "--yes", "--json"]).await;
    assert_eq!(again.code, 3, "{}", again.stderr);
    let left = command(&world, &["sync", "--json"]).await.json();
    assert_eq!(left["mappings"][0]["asked"], 0, "{left:#}");
    assert_eq!(
        world.count("suppliers WHERE name = 'Storage cells'").await,
        1,
        "its page is a record of its own now"
    );
}

#[tokio::test]
async fn a_link_that_should_not_be_is_taken_apart_and_each_half_finds_its_own() {
    let world = suppliers().await;
    let source = world.source("Suppliers").await;
    let page = async |name: &str| world.page(&source, "Name", name).await;
    let (boreal, cobalt) = (page("Boreal Timber").await, page("Cobalt Works").await);
    // Somebody swapped the two pages; what both sides then said was settled for the wrong records.
    world.edit(&boreal, json!({ "Name": "Cobalt Works", "City": "Essen", "Founded": 1972 })).await;
    world.edit(&cobalt, json!({ "Name": "Boreal Timber", "City": "Oulu", "Founded": 1961 })).await;
    world.sql("UPDATE suppliers SET city = 'Espoo' WHERE id = 2").await;
    assert_eq!(command(&world, &["sync"]).await.code, 3, "both sides changed a city");
    let rows = "SELECT jsonb_agg(to_jsonb(suppliers) ORDER BY id) AS rows FROM suppliers";
    let before = world.row(rows).await;

    for (arguments, told) in [
        (vec!["99", "--unlink"], "row 99 is not linked"),
        (vec!["--unlink"], "one link is taken apart at a time"),
        (vec!["2", "3", "--unlink"], "one link is taken apart at a time"),
        (vec!["2", "--new", "--unlink"], "cannot be used with"),
        (vec!["2", "--unlink"], "Nobody is there to answer"),
    ] {
        let refused = choose(&world, &arguments).await;
        assert_eq!(refused.code, 2, "{arguments:?}: {}{}", refused.stdout, refused.stderr);
        assert!(refused.stderr.contains(told), "{arguments:?}: {}", refused.stderr);
    }
    assert_eq!(world.count("pagerow.links").await, 14);
    let parted = choose(&world, &["2", "--unlink", "--yes", "--json"]).await;
    assert_eq!(parted.code, 0, "{}", parted.stderr);
    assert_eq!(parted.json()["unlinked"]["page_id"], boreal.id.as_str());
    assert_eq!(choose(&world, &["--page", &cobalt.id, "--unlink", "--yes"]).await.code, 0);
    assert_eq!(world.count("pagerow.audit WHERE entry::json ->> 'action' = 'unlink'").await, 2);
    let open = done(&world, &["conflicts", "--json"]).await.json();
    assert_eq!(open["conflicts"], json!([]), "it was about the wrong records");

    // Whatever they carry of each other, neither look nor recovery puts them together or makes one anew.
    for arguments in [
        vec!["sync"],
        vec!["sync", "--full"],
        vec!["recover", "from-notion", "--yes"],
        vec!["recover", "to-notion", "--yes"],
        vec!["sync", "--full"],
    ] {
        let answer = command(&world, &arguments).await;
        assert_eq!(answer.code, 3, "{arguments:?}: {}{}", answer.stdout, answer.stderr);
        assert_eq!(world.count("pagerow.links").await, 12, "{arguments:?}: {}", answer.stdout);
        assert_eq!(world.pages(&source).await.len(), 14, "{arguments:?}");
        assert_eq!(world.row(rows).await, before, "{arguments:?}");
    }

    // One pair is said; of the other two halves each is a record of its own.
    assert_eq!(choose(&world, &["3", "--page", &boreal.id]).await.code, 0);
    assert_eq!(choose(&world, &["2", "--new"]).await.code, 0);
    assert_eq!(choose(&world, &["--page", &cobalt.id, "--new"]).await.code, 0);
    command(&world, &["sync"]).await;
    assert_eq!(
        world.count(&format!("pagerow.links WHERE row_key = '3' AND page_id = '{}'", boreal.id)).await,
        1
    );
    assert_eq!(world.count("suppliers").await, 15, "the page got a row with a key of its own");
    assert_eq!(world.count("suppliers WHERE id > 14 AND name = 'Boreal Timber' AND city = 'Oulu'").await, 1);
    settle(&world, 15).await;
    let marked = world.pages(&source).await;
    let key =
        |id: &str| marked.iter().find(|page| page["id"] == id).unwrap()["values"]["Supabase ID"].clone();
    assert_eq!(key(&boreal.id), "3");
    assert_ne!(key(&cobalt.id), "3");

    // Who was wrong about that can say so, too.
    let made = world.row("SELECT id::text AS id FROM suppliers WHERE id > 14").await["id"].clone();
    let made = made.as_str().unwrap();
    assert_eq!(choose(&world, &[made, "--unlink", "--yes"]).await.code, 0);
    assert_eq!(choose(&world, &[made, "--page", &cobalt.id]).await.code, 0);
    world.sync().await;
    assert_eq!(world.equal().await, 15);
    world.nothing_left().await;
}

#[tokio::test]
async fn lost_pages_are_made_again_but_not_those_that_may_be_there() {
    let world = suppliers().await;
    let pages = forget(&world).await;
    let source = world.source("Suppliers").await;
    // Two are gone for good; nothing remembers that they were there.
    for page in [&pages[2], &pages[6]] {
        world.trash(page).await;
        world.control("POST", &format!("pages/{}/purge", page.id), &json!({})).await;
    }
    let first = command(&world, &["recover", "to-notion", "--yes", "--json"]).await;
    assert_eq!(first.code, 3, "{}{}", first.stdout, first.stderr);
    assert_eq!(world.pages(&source).await.len(), 14, "two were made, none twice");
    let second = command(&world, &["recover", "to-notion", "--accept", "low", "--yes", "--json"]).await;
    assert_eq!(second.code, 3, "the twins are still asked about, and titles differ: {}", second.stderr);
    assert_eq!(matches(&second)["likely"], json!([]));
    // Of the twins one is chosen for the other; what is left then is no question any more.
    assert_eq!(choose(&world, &["13", "--page", &pages[13].id]).await.code, 0);
    let third = command(&world, &["recover", "to-notion", "--accept", "medium", "--yes", "--json"]).await;
    assert!([0, 3].contains(&third.code), "{}", third.stderr);
    let found = matches(&third);
    assert_eq!(keys(&found["linked"]), ["13", "14"], "{found:#}");
    assert_eq!(found["linked"][0]["tier"], "chosen");
    assert_eq!(world.pages(&source).await.len(), 14);
    // Storage cells and batteries are alike in nothing but the year: a page was made beside them.
    let is_linked = matches(&second)["linked"].as_array().unwrap().iter().any(|one| one["key"] == "12");
    settle(&world, if is_linked { 14 } else { 15 }).await;
}

#[tokio::test]
async fn a_choice_that_cannot_be_is_refused_and_one_that_was_wrong_is_revised() {
    let world = suppliers().await;
    let pages = forget(&world).await;
    let source = world.source("Suppliers").await;
    let gone = world.add(&source, json!({ "Name": "in the trash" })).await;
    world.trash(&gone).await;
    // Those with keys are linked from here on.
    let first = command(&world, &["recover", "from-notion", "--yes"]).await;
    assert_eq!(first.code, 3, "{}", first.stderr);
    let nowhere = "00000000-0000-4000-8000-000000000000";
    let refused = [
        (vec!["99", "--page", &pages[12].id], "suppliers has no row 99"),
        (vec!["no number", "--page", &pages[12].id], "the text is no key of this table"),
        (vec!["13", "--page", nowhere], "is not among the pages of suppliers"),
        (vec!["13", "--page", &gone.id], "it is in the trash"),
        (vec!["1", "--page", &pages[12].id], "are linked already"),
        (vec!["13", "--page", &pages[0].id], "are linked already"),
        (vec!["1", "--new"], "are linked already"),
        (vec!["13", "--take-back"], "nothing was said about row 13"),
        (vec!["13"], "which page is it?"),
        (vec!["--page", &pages[12].id], "which row is it?"),
        (vec!["--new"], "which row, or which page?"),
        (vec!["13", "14", "--page", &pages[12].id], "one row is one page"),
        (vec!["13", "--page", "nonsense"], "it is a page's id or address"),
        (vec!["13", "--new", "--take-back"], "cannot be used with"),
        // All or nothing.
        (vec!["13", "99", "--new"], "suppliers has no row 99"),
    ];
    for (arguments, told) in refused {
        let answer = choose(&world, &arguments).await;
        assert_eq!(answer.code, 2, "{arguments:?}: {}{}", answer.stdout, answer.stderr);
        assert!(answer.stderr.contains(told), "{arguments:?}: {}", answer.stderr);
    }
    assert_eq!(world.count("pagerow.choices").await, 0);

    assert_eq!(choose(&world, &["13", "--page", &pages[12].id]).await.code, 0);
    for arguments in [
        vec!["13", "--page", &pages[13].id],
        vec!["14", "--page", &pages[12].id],
        vec!["13", "--new"],
        vec!["--page", &pages[12].id, "--new"],
    ] {
        let again = choose(&world, &arguments).await;
        assert_eq!(again.code, 2, "{arguments:?}: {}", again.stdout);
        assert!(again.stderr.contains("row 13 was said to be page"), "{}", again.stderr);
        assert!(again.stderr.contains("--take-back"), "{}", again.stderr);
    }
    // It was the other way round, and the row that is called like them is neither.
    assert_eq!(choose(&world, &["13", "--take-back"]).await.code, 0);
    let address = format!("https://www.notion.so/Twin-Metals-{}", pages[13].id.replace('-', ""));
    assert_eq!(choose(&world, &["13", "--page", &address]).await.code, 0);
    assert_eq!(choose(&world, &["14", "--new"]).await.code, 0);
    let chosen = choose(&world, &["--page", &pages[12].id, "--new", "--json"]).await;
    assert_eq!(chosen.json()["chosen"][0]["is"], "new");
    assert_eq!(
        world.count("pagerow.audit WHERE entry::json ->> 'action' IN ('choose', 'take back')").await,
        5
    );

    let second = command(&world, &["recover", "from-notion", "--accept", "low", "--yes", "--json"]).await;
    assert!([0, 3].contains(&second.code), "{}", second.stderr);
    let found = matches(&second);
    assert_eq!(found["questions"], json!([]));
    let linked = found["linked"].as_array().unwrap();
    let pair = linked.iter().find(|one| one["key"] == "13").unwrap();
    assert_eq!(pair["page_id"], pages[13].id.as_str());
    assert!(linked.iter().all(|one| one["key"] != "14"), "{found:#}");
    // The page got a row of its own; the row gets a page of its own from the next sync.
    assert_eq!(world.count("suppliers WHERE name = 'Twin Metals'").await, 3);
    world.try_sync().await.unwrap();
    assert_eq!(
        world.pages(&source).await.iter().filter(|page| page["values"]["Name"] == "Twin Metals").count(),
        3
    );
    let left = done(&world, &["recover", "choices", "--json"]).await.json();
    assert_eq!(left["choices"], json!([]));
}

#[tokio::test]
async fn pages_with_one_key_are_told_apart_by_an_answer() {
    let world = suppliers().await;
    let source = world.source("Suppliers").await;
    let page = world.page(&source, "Name", "Ember Glass").await;
    let copy = world.control("POST", &format!("pages/{}/duplicate", page.id), &json!({})).await;
    let copy = copy["id"].as_str().unwrap();
    world.sql("TRUNCATE suppliers; DROP SCHEMA pagerow CASCADE").await;
    let asked = command(&world, &["recover", "from-notion", "--yes", "--json"]).await;
    assert_eq!(asked.code, 3, "{}", asked.stderr);
    assert_eq!(world.count("suppliers").await, 13, "neither of the two");
    assert_eq!(matches(&asked)["questions"][0]["tier"], "key_property");
    // Neither row is there: a page that carries another key cannot be it.
    let wrong = choose(&world, &["5", "--page", &world.page(&source, "Name", "Cobalt Works").await.id]).await;
    assert_eq!(wrong.code, 2, "{}", wrong.stdout);
    assert_eq!(choose(&world, &["5", "--page", &page.id]).await.code, 0);
    let half = command(&world, &["recover", "from-notion", "--yes", "--json"]).await;
    assert_eq!(half.code, 3, "the copy is still a question: {}", half.stderr);
    assert_eq!(world.count("suppliers WHERE id = 5").await, 1);
    assert_eq!(world.count("suppliers").await, 14);
    let linked = choose(&world, &["5", "--page", copy]).await;
    assert!(linked.stderr.contains("are linked already"), "{}", linked.stderr);
}

#[tokio::test]
async fn a_copy_that_was_said_to_be_new_gets_a_key_of_its_own() {
    let world = suppliers().await;
    let source = world.source("Suppliers").await;
    let page = world.page(&source, "Name", "Ember Glass").await;
    let copy = world.control("POST", &format!("pages/{}/duplicate", page.id), &json!({})).await;
    let copy = copy["id"].as_str().unwrap();
    world.sql("TRUNCATE suppliers; DROP SCHEMA pagerow CASCADE").await;
    assert_eq!(choose(&world, &["--page", copy, "--new"]).await.code, 0);
    done(&world, &["recover", "from-notion", "--yes"]).await;
    assert_eq!(world.count("suppliers").await, 15);
    assert_eq!(world.count("suppliers WHERE id = 5 AND name = 'Ember Glass'").await, 1);
    world.sync().await;
    assert_eq!(world.equal().await, 15);
    let of_copy = world.pages(&source).await;
    let of_copy = of_copy.iter().find(|page| page["id"] == copy).unwrap();
    assert_ne!(of_copy["values"]["Supabase ID"], "5");
}

#[tokio::test]
async fn a_choice_whose_page_went_meanwhile_is_said_and_makes_no_double() {
    let world = suppliers().await;
    let pages = forget(&world).await;
    command(&world, &["recover", "from-notion", "--yes"]).await;
    assert_eq!(choose(&world, &["12", "--page", &pages[11].id]).await.code, 0);
    world.trash(&pages[11]).await;
    let source = world.source("Suppliers").await;
    let before = world.pages(&source).await.len();
    let answer = command(&world, &["recover", "to-notion", "--yes", "--json"]).await;
    assert_eq!(answer.code, 3, "{}", answer.stderr);
    assert_eq!(matches(&answer)["unusable"][0]["key"], "12", "{:#}", matches(&answer));
    assert_eq!(world.pages(&source).await.len(), before, "its row waits");
    let shown = command(&world, &["recover", "to-notion", "--dry-run"]).await;
    assert!(shown.stdout.contains("pagerow recover choose suppliers 12 --take-back"), "{}", shown.stdout);
}

#[tokio::test]
async fn a_row_that_was_lost_after_the_answer_comes_back_under_its_key() {
    let world = suppliers().await;
    let pages = forget(&world).await;
    command(&world, &["recover", "from-notion", "--yes"]).await;
    assert_eq!(choose(&world, &["11", "--page", &pages[10].id]).await.code, 0);
    world.sql("DELETE FROM suppliers WHERE id = 11").await;
    let answer = command(&world, &["recover", "from-notion", "--yes"]).await;
    assert_eq!(answer.code, 3, "the others still wait: {}", answer.stderr);
    assert_eq!(world.count("suppliers WHERE id = 11 AND name = 'Kestrel Optcs'").await, 1);
    assert_eq!(world.count("suppliers").await, 14);
    let left = done(&world, &["recover", "choices", "--json"]).await.json();
    assert_eq!(left["choices"], json!([]));
}

#[tokio::test]
async fn records_that_refer_to_one_another_find_each_other_by_that_too() {
    let world = company().await;
    let before = everything(&world).await;
    let mut pages = 0;
    for title in ["Places", "Departments", "People"] {
        let source = world.source(title).await;
        for page in world.pages(&source).await {
            let page = Page { id: page["id"].as_str().unwrap().to_owned(), values: page["values"].clone() };
            // Two departments have one name from now on: only their places and leads tell them apart.
            let renamed = ["Department 1", "Department 2"].iter().any(|name| page.values["Name"] == *name);
            let name = if renamed { json!("Department") } else { page.values["Name"].clone() };
            world.edit(&page, json!({ "Supabase ID": "", "Name": name })).await;
            pages += 1;
        }
    }
    assert_eq!(pages, 52);
    world
        .sql("UPDATE departments SET name = 'Department' WHERE name IN ('Department 1', 'Department 2')")
        .await;
    world.sql("TRUNCATE shelves; DROP SCHEMA pagerow CASCADE").await;
    let answer = command(&world, &["recover", "from-notion", "--accept", "medium", "--yes", "--json"]).await;
    assert_eq!(answer.code, 0, "{}{}", answer.stdout, answer.stderr);
    world.sql("UPDATE departments SET name = 'Department ' || id WHERE name = 'Department'").await;
    assert_eq!(everything(&world).await, before);
    world.sync().await;
    assert_eq!(world.equal().await, RECORDS);
    world.nothing_left().await;
    for (title, count) in [("Places", 7), ("Departments", 5), ("People", 40), ("Shelves", 21)] {
        assert_eq!(world.pages(&world.source(title).await).await.len(), count, "{title}");
    }
}

#[tokio::test]
async fn of_one_record_that_is_asked_for_only_that_one_is_matched() {
    let world = suppliers().await;
    let pages = forget(&world).await;
    let arguments =
        ["recover", "to-notion", "suppliers", "--record", "11", "--accept", "medium", "--yes", "--json"];
    let answer = command(&world, &arguments).await;
    assert_eq!(answer.code, 3, "its titles differ: {}", answer.stderr);
    let found = matches(&answer);
    assert_eq!(keys(&found["linked"]), ["11"]);
    assert_eq!((&found["likely"], &found["questions"]), (&json!([]), &json!([])));
    assert_eq!(found["linked"][0]["page_id"], pages[10].id.as_str());
    assert_eq!(world.count("pagerow.links").await, 1);
}
