//! Either side is rebuilt from the other: what was lost comes back as it was, and nothing else is touched.

mod businesses;
mod databases;
mod detect;
mod emptied;
mod interrupted;
mod matching;
mod odd;
mod pace;
mod pages;

use serde_json::Value as Json;

use crate::support::{
    program::{self, Answer, with_config},
    world::World,
};

/// Keys of every sort, references in a circle and to itself, and a column that Postgres computes.
const COMPANY: &str = "
CREATE TABLE places (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL, opened timestamptz NOT NULL DEFAULT now());
CREATE TABLE departments (id serial PRIMARY KEY, name text NOT NULL, place_id bigint NOT NULL REFERENCES places, lead_id uuid);
CREATE TABLE people (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(), name text NOT NULL, department_id integer NOT NULL REFERENCES departments,
    boss_id uuid REFERENCES people, wage numeric(12, 4), twice numeric GENERATED ALWAYS AS (wage * 2) STORED);
ALTER TABLE departments ADD FOREIGN KEY (lead_id) REFERENCES people;
CREATE TABLE shelves (place_id bigint REFERENCES places, code text, label text NOT NULL, amount integer, PRIMARY KEY (place_id, code));
INSERT INTO places (name) SELECT 'Place ' || n FROM generate_series(1, 8) n;
DELETE FROM places WHERE id = 3;
INSERT INTO departments (name, place_id) SELECT 'Department ' || n, 1 + n % 2 FROM generate_series(1, 5) n;
INSERT INTO people (id, name, department_id, wage)
    SELECT ('00000000-0000-4000-8000-' || lpad(n::text, 12, '0'))::uuid, 'Person ' || n, 1 + n % 5, n + 0.1234 FROM generate_series(1, 40) n;
UPDATE people SET boss_id = ('00000000-0000-4000-8000-' || lpad((1 + (right(id::text, 4)::int) % 40)::text, 12, '0'))::uuid;
UPDATE departments SET lead_id = ('00000000-0000-4000-8000-' || lpad((id * 5)::text, 12, '0'))::uuid;
INSERT INTO shelves SELECT p.id, 'a/' || n, 'Shelf ' || n || ' of ' || p.id, n FROM places p, generate_series(1, 3) n;
";

const MAPPINGS: &str = "
[mapping.places]
table = \"places\"
data_source = \"create\"
[mapping.places.fields]
name = { property = \"Name\", as = \"title\" }
opened = { property = \"Opened\", as = \"rich_text\" }

[mapping.departments]
table = \"departments\"
data_source = \"create\"
[mapping.departments.fields]
name = { property = \"Name\", as = \"title\" }
place_id = { property = \"Place\", relation = \"places\" }
lead_id = { property = \"Lead\", relation = \"people\" }

[mapping.people]
table = \"people\"
data_source = \"create\"
[mapping.people.fields]
name = { property = \"Name\", as = \"title\" }
department_id = { property = \"Department\", relation = \"departments\" }
boss_id = { property = \"Boss\", relation = \"people\" }
wage = { property = \"Wage\", direction = \"to_notion\" }
twice = \"Twice\"

[mapping.shelves]
table = \"shelves\"
data_source = \"create\"
[mapping.shelves.fields]
label = { property = \"Name\", as = \"title\" }
amount = \"Amount\"
";

/// Every row of every table, as text that no digit escapes.
const EVERYTHING: &str = "
SELECT jsonb_object_agg(name, rows) AS everything FROM (
    SELECT c.relname AS name,
        (xpath('/table', query_to_xml(format('SELECT t::text AS row FROM %I t ORDER BY 1', c.relname), true, false, '')))[1]::text AS rows
    FROM pg_class c WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace) tables";

/// Sixty-seven records that are equal on both sides.
async fn company() -> World {
    let world = World::with_mappings(COMPANY, MAPPINGS).await;
    let first = world.sync().await;
    assert!(!first.needs_decision(), "{first:#?}");
    assert_eq!(world.equal().await, RECORDS);
    world
}

const RECORDS: u64 = 7 + 5 + 40 + 21;

async fn everything(world: &World) -> Json {
    world.row(EVERYTHING).await
}

async fn command(world: &World, arguments: &[&str]) -> Answer {
    program::run(with_config(arguments, &world.file())).await
}

/// A command that must end well.
async fn done(world: &World, arguments: &[&str]) -> Answer {
    let answer = command(world, arguments).await;
    let told: String = answer.stdout.chars().rev().take(2_000).collect();
    assert_eq!(answer.code, 0, "{}{}", told.chars().rev().collect::<String>(), answer.stderr);
    answer
}
