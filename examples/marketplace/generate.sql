-- Fills an empty marketplace with rows that are the same each time: as many in each table as `marketplace.rows` says.
--
--   psql "$DATABASE_URL" -c "SET marketplace.rows = 100000" -f generate.sql
--
-- Every value is made of a row's number and a word by md5, so that no two runs differ.

CREATE FUNCTION pg_temp.rows() RETURNS int LANGUAGE sql AS
  $$ SELECT coalesce(nullif(current_setting('marketplace.rows', true), ''), '1000')::int $$;
-- A number from 0 to below `many`.
CREATE FUNCTION pg_temp.dice(word text, n int, many int) RETURNS int LANGUAGE sql AS
  $$ SELECT (('x' || substr(md5(word || n), 1, 7))::bit(28)::int) % many $$;
CREATE FUNCTION pg_temp.pick(word text, n int, choices text[]) RETURNS text LANGUAGE sql AS
  $$ SELECT choices[1 + pg_temp.dice(word, n, cardinality(choices))] $$;
CREATE FUNCTION pg_temp.key(word text, n int) RETURNS uuid LANGUAGE sql AS
  $$ SELECT md5(word || ' key ' || n)::uuid $$;
-- The key of some row of another table.
CREATE FUNCTION pg_temp.some(word text, of text, n int) RETURNS uuid LANGUAGE sql AS
  $$ SELECT pg_temp.key(of, 1 + pg_temp.dice(word || of, n, pg_temp.rows())) $$;
CREATE FUNCTION pg_temp.money(word text, n int, most int) RETURNS numeric LANGUAGE sql AS
  $$ SELECT (pg_temp.dice(word, n, most * 100) / 100.0)::numeric(14,2) $$;
CREATE FUNCTION pg_temp.at(word text, n int) RETURNS timestamptz LANGUAGE sql AS
  $$ SELECT timestamptz '2026-01-01 08:00+00' + pg_temp.dice(word, n, 400000) * interval '1 minute' $$;

INSERT INTO auth.users (id, email, raw_user_meta_data)
SELECT pg_temp.key('user', n), 'person' || n || '@example.com',
       jsonb_build_object('full_name', pg_temp.pick('first', n, '{Ada,Björn,Chen,Dilan,Edith,Femi,Grace,Hana,Iván,Jürgen}')
         || ' ' || pg_temp.pick('last', n, '{Lovelace,Åström,Wei,Kaya,Clarke,Adeyemi,Hopper,Sato,Ramírez,Müller}') || ' ' || n)
FROM generate_series(1, pg_temp.rows()) n;

INSERT INTO profiles (id, full_name, avatar_url, created_at)
SELECT id, raw_user_meta_data ->> 'full_name', NULL, timestamptz '2026-01-01 08:00+00' FROM auth.users;

INSERT INTO user_profiles (id, user_id, company_name, phone, role, email, created_at, updated_at)
SELECT pg_temp.key('user_profile', n), pg_temp.key('user', n),
       pg_temp.pick('company', n, '{Northern Metals,"Müller & Söhne",Pacific Alloys,Sato Trading}') || ' ' || n,
       '+49 30 ' || lpad(n::text, 7, '0'), pg_temp.pick('role', n, '{buyer,buyer,buyer,supplier,admin}'),
       'person' || n || '@example.com', pg_temp.at('user_profile', n), pg_temp.at('user_profile', n)
FROM generate_series(1, pg_temp.rows()) n;

INSERT INTO suppliers (id, name, logo_url, verification_tier, rating, review_count, transaction_count, response_time, years_in_business, created_at, updated_at)
SELECT pg_temp.key('supplier', n),
       pg_temp.pick('place', n, '{Andes,Baltic,Cascade,Danube,Ebro,Fuji,Ganges}') || ' '
         || pg_temp.pick('trade', n, '{Metals,Chemicals,Minerals,Alloys,Polymers}') || ' ' || n,
       'https://logos.example.com/' || n || '.png', pg_temp.pick('tier', n, '{gold,silver,bronze,NULL}'),
       pg_temp.dice('rating', n, 51) / 10.0, pg_temp.dice('reviews', n, 900), pg_temp.dice('deals', n, 5000),
       pg_temp.pick('response', n, '{"within an hour","within a day","within a week"}'), pg_temp.dice('years', n, 80),
       pg_temp.at('supplier', n), pg_temp.at('supplier', n)
FROM generate_series(1, pg_temp.rows()) n;

INSERT INTO supplier_profiles (supplier_id, owner_id, about, website, employees)
SELECT pg_temp.key('supplier', n), pg_temp.some('owner', 'user_profile', n), 'About supplier ' || n,
       'https://supplier' || n || '.example.com', 1 + pg_temp.dice('employees', n, 5000)
FROM generate_series(1, pg_temp.rows()) n;

INSERT INTO locations (supplier_id, country, city, is_head)
SELECT pg_temp.key('supplier', n), pg_temp.pick('country', n, '{Chile,Germany,Japan,Ghana}'),
       pg_temp.pick('city', n, '{Antofagasta,Essen,Osaka,Tema}'), true
FROM generate_series(1, pg_temp.rows()) n;

INSERT INTO certifications (supplier_id, name, valid_until)
SELECT pg_temp.key('supplier', n), pg_temp.pick('certificate', n, '{"ISO 9001","ISO 14001",REACH,RoHS}'),
       date '2027-01-01' + pg_temp.dice('valid', n, 700)
FROM generate_series(1, pg_temp.rows()) n;

INSERT INTO products (id, supplier_id, name, product_type, purity_level, price_per_unit, currency, unit, min_order_quantity,
                      availability, has_bulk_discount, bulk_discount_threshold, bulk_discount_percentage, created_at, updated_at)
SELECT pg_temp.key('product', n), pg_temp.some('product', 'supplier', n),
       pg_temp.pick('form', n, '{powder,wire,sheet,ingot,granulate}') || ' of '
         || pg_temp.pick('material', n, '{copper,zinc,tungsten,lithium carbonate,polyethylene}') || ', lot ' || n,
       pg_temp.pick('type', n, '{raw,compound,processed}'), pg_temp.pick('purity', n, '{99,99.5,99.9}'),
       pg_temp.money('price', n, 4000), pg_temp.pick('currency', n, '{USD,EUR,GBP,CNY}'), pg_temp.pick('unit', n, '{kg,t,m}'),
       1 + pg_temp.dice('minimum', n, 500), pg_temp.pick('availability', n, '{in_stock,limited,contact}'),
       pg_temp.dice('bulk', n, 2) = 1, CASE pg_temp.dice('bulk', n, 2) WHEN 1 THEN 100 + pg_temp.dice('threshold', n, 900) END,
       CASE pg_temp.dice('bulk', n, 2) WHEN 1 THEN 1 + pg_temp.dice('discount', n, 250) / 10.0 END,
       pg_temp.at('product', n), pg_temp.at('product', n)
FROM generate_series(1, pg_temp.rows()) n;

INSERT INTO quotes (id, product_id, user_id, quantity, price, valid_until)
SELECT pg_temp.key('quote', n), pg_temp.some('quote', 'product', n), pg_temp.some('quote', 'user_profile', n),
       1 + pg_temp.dice('quoted', n, 900), pg_temp.money('quote', n, 9000), date '2026-12-01' + pg_temp.dice('until', n, 90)
FROM generate_series(1, pg_temp.rows()) n;

INSERT INTO reviews (supplier_id, user_id, stars, text)
SELECT pg_temp.key('supplier', n), pg_temp.key('user_profile', n), 1 + pg_temp.dice('stars', n, 5), 'Review ' || n
FROM generate_series(1, pg_temp.rows()) n;

INSERT INTO rfqs (id, buyer_id, title, description, status, product_type, purity_level, quantity, unit, target_price, currency,
                  delivery_country, delivery_city, required_certifications, deadline, published_at, closed_at, awarded_to, created_at, updated_at)
SELECT pg_temp.key('rfq', n), pg_temp.some('buyer', 'user_profile', n),
       'Request ' || n || ' for ' || pg_temp.pick('wanted', n, '{copper,zinc,tungsten}'), 'We need it by the date below. Number ' || n || '.',
       status, pg_temp.pick('type', n, '{raw,compound,processed}'), pg_temp.pick('purity', n, '{99,99.5,99.9}'),
       1 + pg_temp.dice('wanted', n, 9000), 'kg', pg_temp.money('target', n, 3000), pg_temp.pick('currency', n, '{USD,EUR,GBP,CNY}'),
       pg_temp.pick('country', n, '{Chile,Germany,Japan,Ghana}'), pg_temp.pick('city', n, '{Antofagasta,Essen,Osaka,Tema}'),
       CASE pg_temp.dice('needs', n, 4) WHEN 0 THEN '{}' WHEN 1 THEN '{ISO 9001}' WHEN 2 THEN '{ISO 14001,REACH}' ELSE '{RoHS,ISO 9001,REACH}' END::text[],
       date '2026-12-01' + pg_temp.dice('deadline', n, 120),
       CASE WHEN status <> 'draft' THEN pg_temp.at('published', n) END,
       CASE WHEN status IN ('closed', 'awarded', 'cancelled') THEN pg_temp.at('published', n) + interval '30 days' END,
       CASE WHEN status = 'awarded' THEN pg_temp.some('awarded', 'supplier', n) END, pg_temp.at('rfq', n), pg_temp.at('rfq', n)
FROM (SELECT n, pg_temp.pick('rfq status', n, '{draft,published,closed,awarded,cancelled}') AS status
      FROM generate_series(1, pg_temp.rows()) n) AS numbered;

INSERT INTO rfq_responses (id, number, rfq_id, supplier_id, user_id, quote_price, currency, delivery_time_days, payment_terms, notes, status, score, created_at, updated_at)
SELECT pg_temp.key('response', n), n, pg_temp.some('response', 'rfq', n), pg_temp.some('response', 'supplier', n),
       pg_temp.some('response', 'user_profile', n), pg_temp.money('offer', n, 5000), pg_temp.pick('currency', n, '{USD,EUR,GBP,CNY}'),
       pg_temp.dice('days', n, 120), pg_temp.pick('terms', n, '{"30 days net",prepaid,"letter of credit"}'),
       CASE WHEN pg_temp.dice('noted', n, 3) > 0 THEN 'Note ' || n END,
       pg_temp.pick('response status', n, '{submitted,under_review,shortlisted,rejected,accepted}'), pg_temp.dice('score', n, 1001) / 10.0,
       pg_temp.at('response', n), pg_temp.at('response', n)
FROM generate_series(1, pg_temp.rows()) n;
SELECT setval(pg_get_serial_sequence('rfq_responses', 'number'), pg_temp.rows());

INSERT INTO tenders (id, rfq_id, name, opens_at, ends_at)
SELECT pg_temp.key('tender', n), pg_temp.some('tender', 'rfq', n), 'Tender ' || n, pg_temp.at('tender', n), pg_temp.at('tender', n) + interval '14 days'
FROM generate_series(1, pg_temp.rows()) n;

INSERT INTO auctions (id, supplier_id, material, grade, quantity, starting_price, reserve_price, current_price, bid_increment, status,
                      start_time, end_time, bid_count, winner_id, created_at, updated_at)
SELECT pg_temp.key('auction', n), pg_temp.some('auction', 'supplier', n), pg_temp.pick('metal', n, '{Copper,Zinc,Tungsten,Nickel}') || ' ' || n,
       pg_temp.pick('grade', n, '{A,B,99.9,NULL}'), 1 + pg_temp.dice('auctioned', n, 900), price, price + 100, price + pg_temp.dice('raised', n, 90),
       0.5 + pg_temp.dice('step', n, 10), status, pg_temp.at('auction', n), pg_temp.at('auction', n) + interval '3 days',
       pg_temp.dice('bids', n, 40), CASE WHEN status = 'settled' THEN pg_temp.some('winner', 'user_profile', n) END,
       pg_temp.at('auction', n), pg_temp.at('auction', n)
FROM (SELECT n, pg_temp.money('start', n, 2000) AS price, pg_temp.pick('auction status', n, '{draft,active,closed,settled,cancelled}') AS status
      FROM generate_series(1, pg_temp.rows()) n) AS numbered;

INSERT INTO bids (auction_id, user_id, amount, placed_at)
SELECT pg_temp.some('bid', 'auction', n), pg_temp.some('bid', 'user_profile', n), 1 + pg_temp.money('bid', n, 9000), pg_temp.at('bid', n)
FROM generate_series(1, pg_temp.rows()) n;

INSERT INTO orders (id, supplier_id, user_id, quote_id, status, total_amount, currency, payment_status, completed_at, created_at, updated_at)
SELECT pg_temp.key('order', n), pg_temp.some('order', 'supplier', n), pg_temp.some('order', 'user_profile', n),
       CASE WHEN pg_temp.dice('quoted order', n, 2) = 1 THEN pg_temp.some('order', 'response', n) END,
       status, pg_temp.money('total', n, 90000), pg_temp.pick('currency', n, '{USD,EUR,GBP,CNY}'),
       pg_temp.pick('payment', n, '{pending,paid,failed,refunded}'),
       CASE WHEN status = 'delivered' THEN pg_temp.at('order', n) + interval '9 days' END, pg_temp.at('order', n), pg_temp.at('order', n)
FROM (SELECT n, pg_temp.pick('order status', n, '{pending,confirmed,shipped,delivered,cancelled}') AS status
      FROM generate_series(1, pg_temp.rows()) n) AS numbered
ORDER BY n;

INSERT INTO telebuy_sessions (id, order_id, host_id, started_at, minutes)
SELECT pg_temp.key('session', n), pg_temp.key('order', n), pg_temp.some('session', 'user_profile', n), pg_temp.at('session', n), pg_temp.dice('minutes', n, 90)
FROM generate_series(1, pg_temp.rows()) n;

INSERT INTO telebuy_documents (session_id, title, content)
SELECT pg_temp.key('session', n), 'Document ' || n, decode(md5('document ' || n), 'hex')
FROM generate_series(1, pg_temp.rows()) n;
