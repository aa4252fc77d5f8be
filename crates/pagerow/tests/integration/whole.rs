//! The whole program on a real Postgres and the emulator: what is promised, seen from both sides.

mod backup;
mod bases;
mod captured;
mod commands;
mod deletions;
mod expressions;
mod guards;
mod idle;
mod kinds;
mod large;
mod northwind;
mod parked;
mod past;
mod pooled;
mod references;
mod resolve;
mod retry;
mod returns;
mod rewind;
mod rules;
mod schema_drift;
mod strangers;
mod texts;
mod undo;
mod values;

/// A small business: suppliers that have products, and products that are in bundles.
const SHOP: &str = "
CREATE TABLE suppliers (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL, city text);
CREATE TABLE products (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL, price numeric(10, 2), stock integer NOT NULL DEFAULT 0,
    supplier_id bigint REFERENCES suppliers ON DELETE SET NULL);
INSERT INTO suppliers (name, city) SELECT 'Supplier ' || n, 'City ' || n FROM generate_series(1, 5) n;
INSERT INTO products (name, price, stock, supplier_id)
    SELECT 'Product ' || n, n + 0.5, n, 1 + n % 5 FROM generate_series(1, 30) n;
";

const MAPPINGS: &str = "
[mapping.suppliers]
table = \"suppliers\"
data_source = \"create\"
[mapping.suppliers.fields]
name = { property = \"Name\", as = \"title\" }
city = \"City\"

[mapping.products]
table = \"products\"
data_source = \"create\"
[mapping.products.fields]
name = { property = \"Name\", as = \"title\" }
price = \"Price\"
stock = \"Stock\"
supplier_id = { property = \"Supplier\", relation = \"suppliers\" }
";
